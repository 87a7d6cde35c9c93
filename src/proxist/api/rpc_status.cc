// Status codes between the domain and gRPC: the same numbers and messages.
#include "proxist/api/rpc_status.h"

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
  return {static_cast<grpc::StatusCode>(status.code()), std::move(text)};
}

Status FromRpc(const grpc::Status& status) {
  if (status.ok()) return OkStatus();
  const int code = status.error_code();
  const bool known = code > 0 && code <= static_cast<int>(absl::StatusCode::kUnauthenticated);
  return {known ? static_cast<absl::StatusCode>(code) : absl::StatusCode::kUnknown,
          status.error_message()};
}

int ExitCode(const Status& status) {
  return status.ok() ? 0 : kFirstErrorExitCode + static_cast<int>(status.code());
}

}  // namespace proxist::api
