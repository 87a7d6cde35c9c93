// Status codes between the domain and gRPC: the same numbers and messages.
#include "proxist/api/rpc_status.h"

#include "proxist/base/retry_after.h"
#include "proxist/v1/history.pb.h"

namespace proxist::api {
namespace {

// gRPC's default bound on all trailers of a call is 8 KiB; percent-encoding may grow a message.
constexpr size_t kMaxMessageBytes = 4096 - 3;
constexpr int kFirstErrorExitCode = 10;

}  // namespace

static_assert(static_cast<int>(absl::StatusCode::kUnauthenticated) ==
              static_cast<int>(grpc::StatusCode::UNAUTHENTICATED));

grpc::Status ToRpc(const Status& status) {
  if (status.ok()) return grpc::Status::OK;
  std::string text(Message(status));
  if (text.size() > kMaxMessageBytes) text = text.substr(0, kMaxMessageBytes) + "...";
  std::string details;
  if (const auto pause = RetryAfter(status); pause.has_value()) {
    v1::RetryAfter message;
    message.set_pause_ns(pause->ns());
    details = message.SerializeAsString();
  }
  return {static_cast<grpc::StatusCode>(status.code()), std::move(text), details};
}

Status FromRpc(const grpc::Status& status) {
  if (status.ok()) return OkStatus();
  const int code = status.error_code();
  const bool known = code > 0 && code <= static_cast<int>(absl::StatusCode::kUnauthenticated);
  Status out(known ? static_cast<absl::StatusCode>(code) : absl::StatusCode::kUnknown,
             status.error_message());
  v1::RetryAfter message;
  const std::string details = status.error_details();
  if (!details.empty() && message.ParseFromString(details) && message.pause_ns() > 0) {
    out = WithRetryAfter(std::move(out), Duration(message.pause_ns()));
  }
  return out;
}

int ExitCode(const Status& status) {
  return status.ok() ? 0 : kFirstErrorExitCode + static_cast<int>(status.code());
}

}  // namespace proxist::api
