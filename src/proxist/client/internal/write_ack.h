// Acks off the wire.
#pragma once

#include "proxist/client/write_stream.h"

namespace proxist::v1 {
class WriteResponse;
}

namespace proxist::client {

WriteAck DecodeAck(const v1::WriteResponse& response);

}  // namespace proxist::client
