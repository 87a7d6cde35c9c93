# One static library a module, one test binary a module, one link test a module.

add_library(proxist_flags INTERFACE)
target_compile_features(proxist_flags INTERFACE cxx_std_20)
target_include_directories(proxist_flags INTERFACE ${CMAKE_SOURCE_DIR}/src)
target_compile_options(proxist_flags INTERFACE -Wall -Wextra -Wpedantic -Werror -Wno-missing-field-initializers
                       -fno-omit-frame-pointer)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # g++ 12 reports these falsely in inlined standard library code.
  target_compile_options(proxist_flags INTERFACE -Wno-restrict -Wno-stringop-overflow -Wno-array-bounds
                         -Wno-maybe-uninitialized -Wno-stringop-overread)
else()
  target_compile_options(proxist_flags INTERFACE -Wthread-safety)
endif()

add_library(proxist_sanitizer INTERFACE)
if(PROXIST_SANITIZE)
  # What is tested is optimised and checked; the tests' own sources take a third of the compile time without either.
  target_compile_options(proxist_sanitizer INTERFACE -fsanitize=${PROXIST_SANITIZE} -fno-sanitize-recover=all
                         "$<$<BOOL:$<TARGET_PROPERTY:PROXIST_TEST_SOURCES>>:-O0;-fno-sanitize=undefined>")
  target_link_options(proxist_sanitizer INTERFACE -fsanitize=${PROXIST_SANITIZE})
endif()
if(PROXIST_FUZZERS)
  target_compile_options(proxist_sanitizer INTERFACE -fsanitize=fuzzer-no-link)
endif()
target_link_libraries(proxist_flags INTERFACE proxist_sanitizer)

include(PrecompiledHeaders)

# The modules that hold planted bugs (base/planted.h).
set(PROXIST_PLANTED_MODULES wal hot shard)

# proxist_module(name DEPS targets...): the library proxist_<name> of all *.cc in this folder and internal/.
function(proxist_module name)
  cmake_parse_arguments(ARG "" "" "DEPS" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.cc ${CMAKE_CURRENT_SOURCE_DIR}/internal/*.cc)
  if(NOT sources)
    add_library(proxist_${name} INTERFACE)
    return()
  endif()
  add_library(proxist_${name} STATIC ${sources})
  target_link_libraries(proxist_${name} PUBLIC proxist_flags ${ARG_DEPS})
  proxist_use_precompiled(proxist_${name})
  if(PROXIST_PLANTED_BUGS AND name IN_LIST PROXIST_PLANTED_MODULES)
    target_compile_definitions(proxist_${name} PRIVATE PROXIST_PLANTED_BUGS)
  endif()
  if(PROXIST_TESTS)
    # Every symbol the module uses is defined by it or by what it declares.
    file(GENERATE OUTPUT ${CMAKE_CURRENT_BINARY_DIR}/link_test.cc CONTENT "int main() { return 0; }\n")
    add_executable(link_${name} ${CMAKE_CURRENT_BINARY_DIR}/link_test.cc)
    target_link_libraries(link_${name} PRIVATE "-Wl,--whole-archive" proxist_${name} "-Wl,--no-whole-archive")
    add_test(NAME link_${name} COMMAND link_${name})
  endif()
endfunction()

# proxist_test(module [DEPS targets...]): tests/unit/<module>/*_test.cc as one binary, <module>_test. Under the thread
# sanitizer, which has nothing to say of tests of one thread, only *_concurrent_test.cc: no binary where there is none.
function(proxist_test module)
  cmake_parse_arguments(ARG "" "" "DEPS" ${ARGN})
  set(folder ${CMAKE_SOURCE_DIR}/tests/unit/${module})
  file(GLOB sources CONFIGURE_DEPENDS ${folder}/*.cc)
  if(PROXIST_SANITIZE STREQUAL "thread")
    list(FILTER sources EXCLUDE REGEX "_test\\.cc$")
    file(GLOB concurrent CONFIGURE_DEPENDS ${folder}/*_concurrent_test.cc)
    if(NOT concurrent)
      return()
    endif()
    list(APPEND sources ${concurrent})
  endif()
  add_executable(${module}_test ${sources})
  set_target_properties(${module}_test PROPERTIES PROXIST_TEST_SOURCES ON)
  target_include_directories(${module}_test PRIVATE ${CMAKE_SOURCE_DIR})
  target_link_libraries(${module}_test PRIVATE proxist_${module} ${ARG_DEPS} GTest::gmock GTest::gtest_main)
  proxist_use_precompiled(${module}_test TEST)
  add_test(NAME ${module}_test COMMAND ${module}_test)
  # Source paths may be relative to the build directory, so that compiled objects can be shared.
  set_tests_properties(${module}_test PROPERTIES TIMEOUT 300 WORKING_DIRECTORY ${CMAKE_BINARY_DIR})
endfunction()
