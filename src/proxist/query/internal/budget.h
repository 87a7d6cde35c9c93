// What one query may use: time and memory.
#pragma once

#include <atomic>
#include <cstdint>

#include "proxist/base/status.h"
#include "proxist/base/time.h"
#include "proxist/env/clock.h"

namespace proxist::query::internal {

/// One thread.
class Budget {
 public:
  /// `cancelled`, `memory_only` and `predicate_rows`: as in QueryOptions.
  Budget(const env::Clock* clock, Duration deadline, uint64_t memory_bytes,
         const std::atomic<bool>* cancelled = nullptr, bool memory_only = false,
         uint64_t predicate_rows = UINT64_MAX)
      : clock_(clock),
        started_(clock->Monotonic()),
        deadline_(deadline),
        limit_(memory_bytes),
        cancelled_(cancelled),
        memory_only_(memory_only),
        predicate_rows_(predicate_rows) {}

  /// DEADLINE_EXCEEDED once the time is up, CANCELLED once nobody waits any more.
  [[nodiscard]] Status CheckDeadline() const;
  /// Before history is asked: the same, and ABORTED when the query may not.
  [[nodiscard]] Status CheckHistory() const;
  /// Before a predicate looks at so many rows where they lie: CheckDeadline, and ABORTED beyond
  /// the bound of such rows.
  Status LookAt(uint64_t rows);
  /// What says that nobody waits any more; may be null.
  [[nodiscard]] const std::atomic<bool>* cancelled() const { return cancelled_; }
  /// Not above zero once the time is up.
  [[nodiscard]] Duration Remaining() const;
  /// Counts `bytes` of rows that are held. RESOURCE_EXHAUSTED beyond the limit.
  Status Charge(uint64_t bytes);
  [[nodiscard]] uint64_t held() const { return held_; }
  [[nodiscard]] uint64_t limit() const { return limit_; }
  /// Goes back to what was held at an earlier moment.
  void ReleaseTo(uint64_t held) { held_ = held; }
  /// Counts rows of answers that are held until they are whole, apart from those above: `bytes`
  /// instead of the `before` that were counted for them. RESOURCE_EXHAUSTED beyond the limit.
  Status Keep(uint64_t before, uint64_t bytes);
  /// Nothing is held any more.
  void ReleaseAll() { held_ = kept_ = looked_at_ = 0; }
  [[nodiscard]] const env::Clock& clock() const { return *clock_; }

 private:
  [[nodiscard]] Status Check(uint64_t bytes) const;

  const env::Clock* clock_;
  Duration started_;
  Duration deadline_;
  uint64_t limit_;
  const std::atomic<bool>* cancelled_;
  bool memory_only_;
  uint64_t predicate_rows_;
  uint64_t looked_at_ = 0;
  uint64_t held_ = 0;
  uint64_t kept_ = 0;  // of answers
};

/// Adds the time of its scope to `total`.
class Stopwatch {
 public:
  Stopwatch(const env::Clock& clock, Duration* total)
      : clock_(clock), total_(total), started_(clock.Monotonic()) {}
  ~Stopwatch() { *total_ = Duration(total_->ns() + clock_.Monotonic().ns() - started_.ns()); }
  Stopwatch(const Stopwatch&) = delete;
  Stopwatch& operator=(const Stopwatch&) = delete;

 private:
  const env::Clock& clock_;
  Duration* total_;
  Duration started_;
};

}  // namespace proxist::query::internal
