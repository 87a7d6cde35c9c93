// One pass over both sides, keeping the candidate of each group.
#include "proxist/exec/asof.h"

#include <algorithm>

#include "proxist/base/check.h"

namespace proxist::exec {

bool AsofAdmits(const AsofRule& rule, Timestamp left, Timestamp right) {
  const Timestamp earlier = rule.forward ? left : right;
  const Timestamp later = rule.forward ? right : left;
  if (earlier > later || (rule.strict && earlier == later)) return false;
  return !rule.tolerance.has_value() || earlier.Plus(*rule.tolerance) >= later;
}

std::vector<int64_t> AsofMatch(std::span<const int64_t> left_ts,
                               std::span<const uint32_t> left_group,
                               std::span<const int64_t> right_ts,
                               std::span<const uint32_t> right_group, size_t groups,
                               const AsofRule& rule) {
  PX_CHECK(left_ts.size() == left_group.size() && right_ts.size() == right_group.size());
  std::vector<int64_t> match(left_ts.size(), -1);
  std::vector<int64_t> candidate(groups, -1);
  const auto decide = [&](size_t i) {
    const int64_t found = candidate[left_group[i]];
    if (found < 0) return;
    if (AsofAdmits(rule, Timestamp(left_ts[i]), Timestamp(right_ts[static_cast<size_t>(found)]))) {
      match[i] = found;
    }
  };
  if (!rule.forward) {
    size_t next = 0;
    for (size_t i = 0; i < left_ts.size(); ++i) {
      while (next < right_ts.size() &&
             (right_ts[next] < left_ts[i] || (!rule.strict && right_ts[next] == left_ts[i]))) {
        candidate[right_group[next]] = static_cast<int64_t>(next);
        ++next;
      }
      decide(i);
    }
    return match;
  }
  size_t next = right_ts.size();
  for (size_t i = left_ts.size(); i-- > 0;) {
    while (next > 0 && (right_ts[next - 1] > left_ts[i] ||
                        (!rule.strict && right_ts[next - 1] == left_ts[i]))) {
      --next;
      candidate[right_group[next]] = static_cast<int64_t>(next);
    }
    decide(i);
  }
  return match;
}

namespace {

constexpr uint32_t kNearRows = 64;
constexpr uint32_t kLineRows = 64 / sizeof(int64_t);

/// The first row of the run from `row` on whose time is after `ts`; its last one is.
inline uint32_t FirstAfter(TimeRun run, uint32_t row, int64_t ts) {
  const int64_t* times = run.ts;
  const uint32_t far = std::min(row + kNearRows, run.rows - 1);
  while (row < far && times[row] <= ts) ++row;
  if (times[row] > ts) return row;
  return static_cast<uint32_t>(std::upper_bound(times + row, times + run.rows, ts) - times);
}

}  // namespace

void AsofPass::NextRun(int64_t ts) {
  row_ = 0;
  for (++run_; run_ < right_.size(); ++run_) {
    const TimeRun& run = right_[run_];
    if (run.ts[run.rows - 1] > ts) return;
  }
}

template <bool kForward>
void AsofPass::MatchRows(std::span<const int64_t> left_ts, RunRow* out) {
  // Backward takes the row before the first one that is too late, forward the first one that is not
  // too early.
  const int64_t earlier = kForward == rule_.strict ? 0 : 1;
  size_t i = 0;
  while (i < left_ts.size() && run_ < right_.size()) {
    const TimeRun run = right_[run_];
    const TimeRun next = run_ + 1 < right_.size() ? right_[run_ + 1] : run;
    __builtin_prefetch(next.ts + next.rows - 1);
    const int64_t last = run.ts[run.rows - 1];
    uint32_t row = row_;
    for (; i < left_ts.size(); ++i) {
      const int64_t ts = left_ts[i] - (left_ts[i] == INT64_MIN ? 0 : earlier);
      if (last <= ts) break;
      row = FirstAfter(run, row, ts);
      // Runs lie apart, and the processor fetches ahead only within one: so the next run is asked
      // for as this one is passed, and its end, which is looked at first.
      __builtin_prefetch(next.ts + std::min(row, next.rows - 1));
      __builtin_prefetch(next.ts + std::min(row + kLineRows, next.rows - 1));
      if (kForward || row > 0) {
        out[i] = {run_, kForward ? row : row - 1};
      } else {
        out[i] = run_ > 0 ? RunRow{run_ - 1, right_[run_ - 1].rows - 1} : RunRow{};
      }
    }
    row_ = row;
    if (i < left_ts.size()) NextRun(left_ts[i] - (left_ts[i] == INT64_MIN ? 0 : earlier));
  }
  const auto runs = static_cast<uint32_t>(right_.size());
  const RunRow beyond =
      kForward || runs == 0 ? RunRow{} : RunRow{runs - 1, right_[runs - 1].rows - 1};
  std::fill(out + i, out + left_ts.size(), beyond);
}

void AsofPass::Match(std::span<const int64_t> left_ts, RunRow* out) {
  if (rule_.forward) {
    MatchRows<true>(left_ts, out);
  } else {
    MatchRows<false>(left_ts, out);
  }
  if (!rule_.tolerance.has_value()) return;
  for (size_t i = 0; i < left_ts.size(); ++i) {
    if (out[i].found() &&
        !AsofAdmits(rule_, Timestamp(left_ts[i]), Timestamp(right_[out[i].run].ts[out[i].row]))) {
      out[i] = {};
    }
  }
}

}  // namespace proxist::exec
