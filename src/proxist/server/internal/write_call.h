// From a write's bytes to a call of the node, and from its result to an answer.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include <grpcpp/support/byte_buffer.h>

#include "proxist/base/status.h"
#include "proxist/base/time.h"
#include "proxist/server/node.h"

namespace proxist::observe {
class Metrics;
}

namespace proxist::server {

/// One batch on its way: what its answer repeats.
struct AcceptedWrite {
  uint64_t number = 0;
  uint64_t rows = 0;
  Duration arrived;  // monotonic
};

/// Parses and decodes `bytes` (which it may consume) and hands the batch to `node`. `done` is
/// called once, on this thread or a shard's, after `metrics` have counted the batch; its
/// WriteResult has the reason when the batch was refused on the way.
void SubmitWrite(grpc::ByteBuffer* bytes, Node* node, observe::Metrics* metrics,
                 std::function<void(const AcceptedWrite&, const WriteResult&)> done);

/// The WriteResponse of an accepted batch, serialized.
grpc::ByteBuffer EncodeAck(const AcceptedWrite& write, const WriteResult& result);

}  // namespace proxist::server
