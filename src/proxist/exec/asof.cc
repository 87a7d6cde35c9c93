// One pass over both sides, keeping the candidate of each group.
#include "proxist/exec/asof.h"

#include <algorithm>

#include "proxist/base/check.h"
#include "proxist/exec/internal/time_kernels.h"

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

// Fewer searches in a run than this are done one by one.
constexpr size_t kFewRows = 4;
// So many runs ahead of the one that is matched, times are asked for.
constexpr size_t kRunsAhead = 2;

/// Asks for memory that is needed soon: not for the first-level cache, which has fewer misses on
/// their way at a time.
void Prefetch(const int64_t* ts) { __builtin_prefetch(ts, 0, 2); }

}  // namespace

AsofPass::AsofPass(std::span<const TimeRun> right, const AsofRule& rule)
    : right_(right), rule_(rule), counts_equal_(rule.forward == rule.strict) {
  for (size_t run = 0; run < std::min(kRunsAhead, right.size()); ++run) AskFor(run, true);
}

void AsofPass::AskFor(size_t run, bool whole) const {
  constexpr uint32_t kLineRows = 64 / sizeof(int64_t);
  const TimeRun& of = right_[run];
  if (whole) {
    const uint32_t rows = std::min(of.rows, internal::kSearchRows);
    for (uint32_t row = 0; row < rows; row += kLineRows) Prefetch(of.ts + row);
  } else {
    Prefetch(of.ts);
  }
  Prefetch(of.ts + of.rows - 1);
}

/// To the first run that the left row is not beyond, or past the last one.
void AsofPass::MoveTo(int64_t left) {
  const size_t end = edges();
  if (run_ >= end || !IsBefore(EdgeOf(run_), left)) return;
  size_t low = ++run_;  // beyond everything before it
  if (low < end && IsBefore(EdgeOf(low), left)) {
    size_t step = 1;
    while (low + step < end && IsBefore(EdgeOf(low + step), left)) {
      low += step;
      step *= 2;
    }
    const size_t high = std::min(low + step, end);
    const auto all = std::span(right_).subspan(low, high - low);
    const auto found = std::partition_point(all.begin(), all.end(), [&](const TimeRun& run) {
      return IsBefore(EdgeOf(static_cast<size_t>(&run - right_.data())), left);
    });
    run_ = low + static_cast<size_t>(found - all.begin());
    for (size_t run = run_; run < std::min(run_ + kRunsAhead, right_.size()); ++run) {
      AskFor(run, false);
    }
    return;
  }
  if (run_ + kRunsAhead < right_.size()) AskFor(run_ + kRunsAhead, true);
}

void AsofPass::MatchIn(std::span<const int64_t> left_ts, uint32_t* rows,
                       RunMatches* matches) const {
  const TimeRun& run = right_[matches->run];
  const uint32_t less = rule_.forward ? 0 : 1;
  if (left_ts.size() >= kFewRows && run.rows <= internal::kSearchRows) {
    internal::CountsUpTo(run.ts, run.rows, left_ts.data(), left_ts.size(), counts_equal_, less,
                         rows);
  } else {
    const int64_t* at = run.ts;
    const int64_t* end = run.ts + run.rows;
    for (size_t i = 0; i < left_ts.size(); ++i) {
      at = counts_equal_ ? std::upper_bound(at, end, left_ts[i])
                         : std::lower_bound(at, end, left_ts[i]);
      rows[i] = static_cast<uint32_t>(at - run.ts) - less;
    }
  }
  matches->all = true;
  if (!rule_.tolerance.has_value()) return;
  for (size_t i = 0; i < left_ts.size(); ++i) {
    if (AsofAdmits(rule_, Timestamp(left_ts[i]), Timestamp(run.ts[rows[i]]))) continue;
    rows[i] = kNoRow;
    matches->all = false;
  }
}

void AsofPass::Match(std::span<const int64_t> left_ts, uint32_t* rows,
                     std::vector<RunMatches>* runs) {
  const auto count = [](std::span<const int64_t> times, int64_t edge, bool equal) {
    return internal::CountUpTo(times.data(), times.size(), edge, equal);
  };
  while (!left_ts.empty()) {
    RunMatches matches;
    size_t n = left_ts.size();
    if (!right_.empty() && !rule_.forward && !begun_) {
      n = count(left_ts, right_[0].ts[0], !counts_equal_);
      begun_ = n < left_ts.size();
      if (n == 0) continue;
    } else if (!right_.empty()) {
      MoveTo(left_ts.front());
      if (run_ < edges()) n = count(left_ts, EdgeOf(run_), !counts_equal_);
      if (run_ < right_.size()) matches.run = static_cast<uint32_t>(run_);
    }
    matches.rows = static_cast<uint32_t>(n);
    if (matches.run == RunMatches::kNoRun) {
      std::fill_n(rows, n, kNoRow);
    } else {
      MatchIn(left_ts.first(n), rows, &matches);
    }
    runs->push_back(matches);
    left_ts = left_ts.subspan(n);
    rows += n;
  }
}

}  // namespace proxist::exec
