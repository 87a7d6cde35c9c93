// The check of the seam as a call.
#pragma once

#include "proxist/base/status.h"
#include "proxist/server/node.h"

namespace proxist::v1 {
class VerifySeamRequest;
class VerifySeamResponse;
}  // namespace proxist::v1

namespace proxist::server {

/// Runs query::VerifySeam as `request` says. INVALID_ARGUMENT names a bound that is out of range.
Status VerifySeam(Node* node, const v1::VerifySeamRequest& request,
                  v1::VerifySeamResponse* response);

}  // namespace proxist::server
