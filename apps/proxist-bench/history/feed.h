// A stream of quotes at a pace, with what was acked and when.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "bench/latencies.h"
#include "bench/market.h"
#include "proxist/base/mutex.h"
#include "proxist/base/status.h"
#include "proxist/base/time.h"
#include "proxist/client/client.h"
#include "proxist/client/write_stream.h"

namespace proxist::bench {

/// What the same rows come to here and in ClickHouse.
struct Checksum {
  uint64_t rows = 0;
  uint64_t sum = 0;  // of (seq * kMix) xor ts xor bid_size, modulo 2^64
  bool operator==(const Checksum&) const = default;
};
inline constexpr uint64_t kMix = 11'400'714'819'323'198'485ULL;

/// Markets without corrections and cancels, so that ClickHouse counts as many rows as were sent:
/// 1,000 series in order, or 8,000 with every 50th row late by up to 30 s of market time.
MarketOptions InOrder();
MarketOptions WithLateRows();

struct AckedBatch {
  Duration at;    // monotonic
  uint64_t rows;  // acked up to it
};

/// Send, AwaitAcks and Finish: one thread; the rest: any.
class QuoteFeed {
 public:
  QuoteFeed(const std::string& server, const std::string& producer, size_t window,
            const MarketOptions& market);
  ~QuoteFeed();

  Status Declare();
  /// Sends `rows` quotes of the next `span` of market time.
  Status Send(column::Batch batch);
  [[nodiscard]] column::Batch Next(Duration span, size_t rows);
  /// Sends `rate` rows a second for `seconds`, in batches of 10 ms.
  Status Run(uint32_t rate, double seconds);
  /// Returns once all that was sent is acked.
  Status AwaitAcks();
  Status Finish();

  [[nodiscard]] Checksum sent() const { return sent_; }
  [[nodiscard]] uint64_t acked_rows() const;
  /// The acks since the last call.
  std::vector<AckedBatch> TakeAcks();
  Latencies TakeLatencies();

 private:
  void OnAck(const client::WriteAck& ack);

  client::Client client_;
  Market market_;
  Checksum sent_;
  mutable Mutex mutex_;
  std::deque<Duration> sent_at_ PX_GUARDED_BY(mutex_);
  std::vector<AckedBatch> acks_ PX_GUARDED_BY(mutex_);
  Latencies latencies_ PX_GUARDED_BY(mutex_);
  uint64_t acked_ PX_GUARDED_BY(mutex_) = 0;
  std::unique_ptr<client::WriteStream> stream_;  // last: its thread uses the others
};

}  // namespace proxist::bench
