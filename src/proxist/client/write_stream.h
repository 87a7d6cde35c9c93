// A pipelined stream of one producer's batches that survives lost connections.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "proxist/base/ids.h"
#include "proxist/base/status.h"
#include "proxist/base/time.h"
#include "proxist/column/batch.h"
#include "proxist/history/history.h"

namespace proxist::client {

/// What the server says about a batch that is visible.
struct WriteAck {
  BatchNumber number;
  uint64_t rows = 0;
  std::vector<history::LsnRange> ranges;
  column::Durability durability = column::Durability::kSync;  // what it survives
  bool duplicate = false;                                     // it had been applied before
  std::string token;                                          // for reads that must see it
};

struct WriteStreamOptions {
  std::string producer;       // not empty: resent batches count once by it
  size_t max_in_flight = 16;  // batches that are sent and not acked
  /// How long it keeps trying without any progress while the server is UNAVAILABLE or
  /// RESOURCE_EXHAUSTED.
  Duration retry_for = Duration::Seconds(60);
  /// Called in the order of the batches, on a thread of the stream; may be empty.
  std::function<void(const WriteAck&)> on_ack;
};

struct ChannelHandle;

/// Send, AwaitAcks and Finish are for one thread. After an error every call returns it.
class WriteStream {
 public:
  WriteStream(std::shared_ptr<const ChannelHandle> channel, WriteStreamOptions options);
  /// Cancels what Finish has not waited for.
  ~WriteStream();
  WriteStream(const WriteStream&) = delete;
  WriteStream& operator=(const WriteStream&) = delete;

  /// Sends `batch` as the next number of the producer (1, 2, 3...), after waiting for room. When
  /// the connection breaks, reconnects with growing pauses and resends, under the same numbers,
  /// everything that is not acked. INVALID_ARGUMENT for a batch larger than a message may be; else
  /// the server's errors, UNAVAILABLE when it stays away.
  Status Send(const column::Batch& batch);
  /// Waits until everything is acked, as Send waits for room. The stream stays open.
  Status AwaitAcks();
  /// AwaitAcks, then closes the stream.
  Status Finish();

  /// The last batch that was acked; after an error, the next one is where it happened.
  [[nodiscard]] BatchNumber acked() const;
  /// How often the stream was opened again. Any thread.
  [[nodiscard]] uint64_t reconnects() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace proxist::client
