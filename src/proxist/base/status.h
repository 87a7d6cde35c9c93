// Errors as values. Every fallible function returns Status or StatusOr; the codes are gRPC's.
#pragma once

#include <string>
#include <string_view>
#include <utility>

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <fmt/format.h>

namespace proxist {

using Status = absl::Status;
template <typename T>
using StatusOr = absl::StatusOr<T>;

inline Status OkStatus() { return absl::OkStatus(); }

// One maker per code that a caller can react to. The message names what, where and why.
// Debian's absl::string_view is not std::string_view, so messages cross as std::string.
#define PX_DEFINE_ERROR(Name)                                                   \
  template <typename... Args>                                                   \
  Status Name(fmt::format_string<Args...> format, Args&&... args) {             \
    return absl::Name##Error(fmt::format(format, std::forward<Args>(args)...)); \
  }
PX_DEFINE_ERROR(InvalidArgument)     // the request itself is wrong; sending it again does not help
PX_DEFINE_ERROR(NotFound)            // a named thing does not exist
PX_DEFINE_ERROR(AlreadyExists)       // a named thing exists with other content
PX_DEFINE_ERROR(FailedPrecondition)  // right request, wrong state; fix the state first
PX_DEFINE_ERROR(OutOfRange)          // a value or result does not fit its type
PX_DEFINE_ERROR(ResourceExhausted)   // a bound was hit; retry later or raise the bound
PX_DEFINE_ERROR(Aborted)             // lost a race; retry at once
PX_DEFINE_ERROR(Unavailable)         // a peer is away; retry with backoff
PX_DEFINE_ERROR(DeadlineExceeded)    // the time allowed ran out
PX_DEFINE_ERROR(Cancelled)           // the caller gave up
PX_DEFINE_ERROR(DataLoss)            // stored bytes are damaged
PX_DEFINE_ERROR(Internal)            // an invariant of a peer or library was broken
PX_DEFINE_ERROR(PermissionDenied)    // the caller or the process may not do this
PX_DEFINE_ERROR(Unimplemented)       // a documented limit
#undef PX_DEFINE_ERROR

/// The message of `status` without its code, as a std::string_view.
inline std::string_view Message(const Status& status) {
  return {status.message().data(), status.message().size()};
}

/// `status` with "context: " before its message; OK stays OK.
inline Status Annotate(const Status& status, std::string_view context) {
  if (status.ok()) return status;
  return Status(status.code(), fmt::format("{}: {}", context, Message(status)));
}

}  // namespace proxist

#define PX_RETURN_IF_ERROR(expr)                                                    \
  do {                                                                              \
    if (::proxist::Status px_status_ = (expr); !px_status_.ok()) return px_status_; \
  } while (false)

#define PX_CONCAT_INNER_(a, b) a##b
#define PX_CONCAT_(a, b) PX_CONCAT_INNER_(a, b)
#define PX_ASSIGN_OR_RETURN(lhs, expr) \
  PX_ASSIGN_OR_RETURN_IMPL_(PX_CONCAT_(px_statusor_, __LINE__), lhs, expr)
#define PX_ASSIGN_OR_RETURN_IMPL_(tmp, lhs, expr) \
  auto tmp = (expr);                              \
  if (!tmp.ok()) return std::move(tmp).status();  \
  lhs = std::move(tmp).value()
