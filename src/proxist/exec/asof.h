// As-of match: for each left row the prevailing, or the next, right row of its group.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "proxist/base/time.h"

namespace proxist::exec {

struct AsofRule {
  bool forward = false;  // false: the last right row at or before; true: the first at or after
  bool strict = false;   // an equal ts does not match
  std::optional<Duration> tolerance;  // greatest distance, included
};

/// True when a right row at `right` may answer a left row at `left`: side, strictness, tolerance.
bool AsofAdmits(const AsofRule& rule, Timestamp left, Timestamp right);

/// Both sides sorted by ts, right rows of equal ts in their order; times in ns, group ids below
/// `groups`. For each left row the index of its right row, or -1. Among equal ts the last right row
/// wins backward, the first forward.
std::vector<int64_t> AsofMatch(std::span<const int64_t> left_ts,
                               std::span<const uint32_t> left_group,
                               std::span<const int64_t> right_ts,
                               std::span<const uint32_t> right_group, size_t groups,
                               const AsofRule& rule);

/// Times of consecutive right rows, in ns, ascending; at least one. A side that lies in many places
/// is a list of these, none before the end of the one ahead of it.
struct TimeRun {
  const int64_t* ts = nullptr;
  uint32_t rows = 0;
};

/// A row of a list of runs.
struct RunRow {
  static constexpr uint32_t kNone = UINT32_MAX;
  uint32_t run = kNone;  // kNone: no row
  uint32_t row = 0;
  [[nodiscard]] bool found() const { return run != kNone; }
};

/// Where the pass of AsofMatch stands: left rows may come in parts, right rows stay where they are.
/// All rows are of one group. One thread.
class AsofPass {
 public:
  /// `right` outlives this.
  AsofPass(std::span<const TimeRun> right, const AsofRule& rule) : right_(right), rule_(rule) {}
  /// The right row of each left row, as AsofMatch defines it; `left_ts` goes on where the last call
  /// ended. `out` has as many places.
  void Match(std::span<const int64_t> left_ts, RunRow* out);

 private:
  template <bool kForward>
  void MatchRows(std::span<const int64_t> left_ts, RunRow* out);
  /// Moves to the first row of the next run that ends after `ts`, or to the end.
  void NextRun(int64_t ts);

  std::span<const TimeRun> right_;
  const AsofRule rule_;
  uint32_t run_ = 0;  // of the first right row that no left row has passed
  uint32_t row_ = 0;
};

}  // namespace proxist::exec
