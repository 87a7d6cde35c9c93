// Assertions that stay on in every build: a broken invariant aborts, bad input never does.
#pragma once

#include <string_view>

namespace proxist {

/// Prints the failed condition with its place to stderr and aborts. Any thread.
[[noreturn]] void CheckFailed(const char* file, int line, std::string_view condition,
                              std::string_view detail);

}  // namespace proxist

#define PX_CHECK(condition)                          \
  (__builtin_expect(static_cast<bool>(condition), 1) \
       ? static_cast<void>(0)                        \
       : ::proxist::CheckFailed(__FILE__, __LINE__, #condition, {}))

/// `status` is an expression of type Status that must be OK.
#define PX_CHECK_OK(status)                                                        \
  do {                                                                             \
    const auto& px_checked_ = (status);                                            \
    if (!px_checked_.ok())                                                         \
      ::proxist::CheckFailed(__FILE__, __LINE__, #status, px_checked_.ToString()); \
  } while (false)
