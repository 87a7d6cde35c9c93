# Two precompiled headers a build tree, shared by all modules and by all tests: a third to a half of compile time.
# Trees without PROXIST_PCH prove that every file includes what it uses.
function(proxist_precompile target header)
  add_library(${target} OBJECT ${CMAKE_BINARY_DIR}/${target}.cc)
  file(GENERATE OUTPUT ${CMAKE_BINARY_DIR}/${target}.cc CONTENT "\n")
  target_link_libraries(${target} PRIVATE proxist_flags absl::status absl::statusor fmt::fmt ${ARGN})
  target_precompile_headers(${target} PRIVATE ${CMAKE_SOURCE_DIR}/cmake/${header})
endfunction()

if(PROXIST_PCH)
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    target_compile_options(proxist_flags INTERFACE -fpch-preprocess)  # ccache needs it
  endif()
  if(PROXIST_CCACHE)
    set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env CCACHE_SLOPPINESS=pch_defines,time_macros ${PROXIST_CCACHE})
  endif()
  proxist_precompile(proxist_precompiled precompiled.h)
  if(PROXIST_TESTS)
    proxist_precompile(proxist_precompiled_test precompiled_test.h GTest::gmock)
  endif()
endif()

# proxist_use_precompiled(target proxist_precompiled|proxist_precompiled_test). Not for what links protobuf: it is
# compiled with -pthread, which a precompiled header must agree with.
function(proxist_use_precompiled target from)
  if(PROXIST_PCH AND NOT target MATCHES "^(proxist_)?(api|server|client|bench)(_test)?$")
    target_precompile_headers(${target} REUSE_FROM ${from})
  endif()
endfunction()
