// Status codes between the domain and gRPC: the same numbers and messages.
#pragma once

#include <grpcpp/support/status.h>

#include "proxist/base/status.h"

namespace proxist::api {

/// Exactly the code and message; a message too long for a trailer (4 KiB) is cut with "...".
grpc::Status ToRpc(const Status& status);
/// Exactly the code and message; a code that no Status has becomes UNKNOWN.
Status FromRpc(const grpc::Status& status);

/// What a process exits with when a request or its start-up ends in `status`: 0 for OK, else 10 +
/// the code.
int ExitCode(const Status& status);

}  // namespace proxist::api
