// When the next round of the flush goes out and how large it is: the control loop, as a state
// machine.
#pragma once

#include <cstdint>
#include <string_view>

#include "proxist/base/time.h"

namespace proxist::shard {

/// What the loop does, for people and metrics.
enum class FlushState : uint8_t {
  kIdle,        // nothing waits
  kSteady,      // small rounds, ClickHouse keeps up
  kStretched,   // longer pauses: inserts are slow, parts pile up, or ClickHouse delays inserts
  kCatchingUp,  // full rounds, one after the other
  kHeldBack,    // the limit of active parts is reached: nothing is sent until merges catch up
  kAway,        // inserts fail: tried again after growing pauses
};
std::string_view NameOf(FlushState state);

struct FlushControlOptions {
  Duration min_pause = Duration::Millis(5);
  Duration max_pause = Duration::Millis(50);          // while ClickHouse keeps up
  Duration stretched_pause = Duration::Millis(2000);  // at most, when it does not
  uint64_t max_rows = 500'000;                        // of one round
  uint32_t part_limit = 150;  // active parts of a partition that are never exceeded
  int in_flight = 2;          // rounds at most
};

/// What waits, as the driving thread sees it.
struct FlushBacklog {
  uint64_t rows = 0;    // not taken by a round yet
  int in_flight = 0;    // rounds
  bool urgent = false;  // somebody waits for the backlog to be gone
};

struct FlushStep {
  bool open = false;  // a round of at most `rows` rows now; else look again after `wait`
  uint64_t rows = 0;
  Duration wait;
};

/// Owns no clock: times are monotonic and come with each call. One thread.
///
/// Pause between rounds, T being the insert latency (smoothed): 5 T while that is short, so that
/// ClickHouse inserts a sixth of the time; then less, so that the mean lag of a row, half of a
/// pause and T and then T, stays at 0.85 of max_pause; at least T. All within [min_pause,
/// max_pause]; when T is above max_pause, T itself, up to stretched_pause. 100,000 rows that wait
/// are sent without a pause, up to max_rows in a round, two rounds at a time from max_rows on.
/// Active parts of the fullest partition, p of the limit l, lengthen it: from l/3 on to at least
/// stretched_pause * ((p/l - 1/3) / (2/3))^2, whatever waits. Each report of delayed inserts
/// doubles a least pause, from max_pause on; each without halves it. p is what was polled last plus
/// one for each insert since, so the limit holds between polls too.
class FlushControl {
 public:
  explicit FlushControl(const FlushControlOptions& options) : options_(options) {}

  /// What to do at `now`.
  FlushStep Next(Duration now, const FlushBacklog& backlog);
  /// A round goes out that adds `parts` parts to the fullest of its partitions (its attempts to
  /// it).
  void OnSend(uint32_t parts);
  /// A round of `rows` rows is in history after `latency` from its first insert.
  void OnInserted(Duration now, Duration latency);
  /// An insert failed: the same rounds are to be sent again after RetryPause.
  void OnFailed(Duration now);
  /// History answers again. With rounds that are open still, the next insert tells whether the
  /// failure is over.
  void OnReconnected(bool rounds_open) {
    failing_ = false;
    if (!rounds_open) backoff_ = Duration();
  }
  /// Grows with each failure since the last success: 50 ms to 2 s; 0: there was none.
  [[nodiscard]] Duration RetryPause() const { return backoff_; }
  /// A poll that began when `inserted` inserts had been sent: active parts of the fullest
  /// partition, and inserts that ClickHouse delayed or refused since its start.
  void OnParts(uint64_t sent_before, uint32_t parts, uint64_t delayed);

  [[nodiscard]] FlushState state() const { return state_; }
  [[nodiscard]] Duration pause() const { return pause_; }
  /// Estimated active parts of the fullest partition.
  [[nodiscard]] uint32_t parts() const {
    return polled_parts_ + static_cast<uint32_t>(sent_ - sent_at_poll_);
  }
  /// Parts sent since the start: what OnParts wants back.
  [[nodiscard]] uint64_t sent() const { return sent_; }
  [[nodiscard]] Duration latency() const { return latency_; }
  [[nodiscard]] uint64_t delayed() const { return delayed_; }

 private:
  [[nodiscard]] Duration LatencyPause() const;
  [[nodiscard]] Duration PartsPause() const;

  const FlushControlOptions options_;
  FlushState state_ = FlushState::kIdle;
  Duration pause_;
  Duration latency_;    // smoothed; 0: none was measured
  Duration last_sent_;  // when the last round ended or went out
  bool any_sent_ = false;
  Duration backoff_;
  bool failing_ = false;
  uint32_t polled_parts_ = 0;
  uint64_t sent_at_poll_ = 0;
  uint64_t sent_ = 0;
  uint64_t delayed_ = 0;
  bool polled_ = false;
  Duration delay_pause_;  // least pause because ClickHouse delays inserts
};

}  // namespace proxist::shard
