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

/// Consecutive left rows whose matches lie in one run.
struct RunMatches {
  static constexpr uint32_t kNoRun = UINT32_MAX;
  uint32_t run = kNoRun;  // kNoRun: none of them has a match
  uint32_t rows = 0;      // of the left side
  bool all = false;       // each of them has a match
};

/// Where the pass of AsofMatch stands: left rows may come in parts, right rows stay where they are.
/// All rows are of one group. One thread.
class AsofPass {
 public:
  static constexpr uint32_t kNoRow = UINT32_MAX;
  /// `right` outlives this.
  AsofPass(std::span<const TimeRun> right, const AsofRule& rule);
  /// The right row of each left row, as AsofMatch defines it; `left_ts` goes on where the last call
  /// ended. Appends to `runs` in which run they lie; `rows` has a place for each left row: the row
  /// of that run, or kNoRow.
  void Match(std::span<const int64_t> left_ts, uint32_t* rows, std::vector<RunMatches>* runs);

 private:
  /// A right row at `right` lies before the place of a left row at `left`: backward, it may be the
  /// match; forward, it may not.
  [[nodiscard]] bool IsBefore(int64_t right, int64_t left) const {
    return counts_equal_ ? right <= left : right < left;
  }
  /// Left rows are beyond run `run` when this lies before them.
  [[nodiscard]] int64_t EdgeOf(size_t run) const {
    return rule_.forward ? right_[run].ts[right_[run].rows - 1] : right_[run + 1].ts[0];
  }
  /// Backward, there is no edge behind the last run.
  [[nodiscard]] size_t edges() const { return right_.size() - (rule_.forward ? 0 : 1); }
  void MoveTo(int64_t left);
  void AskFor(size_t run, bool whole) const;
  void MatchIn(std::span<const int64_t> left_ts, uint32_t* rows, RunMatches* matches) const;

  std::span<const TimeRun> right_;
  const AsofRule rule_;
  const bool counts_equal_;
  bool begun_ = false;  // the first right row lies before the left rows
  size_t run_ = 0;      // in which the next left row's match lies, if it has one
};

}  // namespace proxist::exec
