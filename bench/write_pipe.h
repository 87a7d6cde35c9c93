// A write stream that keeps several batches under way and measures their acks.
#pragma once

#include <cstdint>
#include <memory>

#include "bench/latencies.h"
#include "proxist/base/status.h"

namespace proxist::v1 {
class WriteRequest;
}

namespace proxist::bench {

/// What was acknowledged since it was last asked.
struct Acked {
  uint64_t batches = 0;
  uint64_t rows = 0;
  Latencies latencies;  // from the call of Send to the ack
};

/// Send, Finish: one thread. Take: any thread.
class WritePipe {
 public:
  virtual ~WritePipe() = default;
  /// Sends a batch, after waiting until the window has room. An error is the stream's.
  virtual Status Send(const v1::WriteRequest& request) = 0;
  /// Waits for all acks and closes the stream. Must be called once, as the last.
  virtual Status Finish() = 0;
  [[nodiscard]] virtual Acked Take() = 0;
};

}  // namespace proxist::bench
