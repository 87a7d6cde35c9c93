// Rows brought together by group (a counting sort), then cut into windows or bars.
#include "proxist/exec/slices.h"

#include <algorithm>
#include <utility>

#include "proxist/base/check.h"
#include "proxist/exec/int128.h"

namespace proxist::exec {
namespace {

/// Row indices by group, each group's in row order; first[g] is where group g starts.
std::vector<uint32_t> OrderByGroup(std::span<const uint32_t> group, size_t groups,
                                   std::vector<uint32_t>* first) {
  first->assign(groups + 1, 0);
  for (const uint32_t g : group) ++(*first)[g + 1];
  for (size_t g = 0; g < groups; ++g) (*first)[g + 1] += (*first)[g];
  std::vector<uint32_t> next(first->begin(), first->end());
  std::vector<uint32_t> order(group.size());
  for (size_t row = 0; row < group.size(); ++row) {
    order[next[group[row]]++] = static_cast<uint32_t>(row);
  }
  return order;
}

}  // namespace

Slices RollingSlices(std::span<const int64_t> ts, std::span<const uint32_t> group, size_t groups,
                     const Window& window) {
  PX_CHECK(ts.size() == group.size());
  Slices out;
  std::vector<uint32_t> first;
  out.order = OrderByGroup(group, groups, &first);
  out.begin.resize(ts.size());
  out.end.resize(ts.size());
  const auto time = [&](uint32_t k) { return Timestamp(ts[out.order[k]]); };
  for (size_t g = 0; g < groups; ++g) {
    uint32_t begin = first[g];
    uint32_t end = first[g];
    for (uint32_t k = first[g]; k < first[g + 1]; ++k) {
      if (window.span.has_value()) {
        const Timestamp least = time(k).Minus(*window.span);
        while (time(begin) < least) ++begin;
      } else if (k - begin >= window.rows) {
        ++begin;
      }
      end = std::max(end, k + 1);
      if (window.ahead.has_value()) {
        const Timestamp greatest = time(k).Plus(*window.ahead);
        while (end < first[g + 1] && time(end) <= greatest) ++end;
      } else {
        end = std::max<uint32_t>(end, static_cast<uint32_t>(std::min<uint64_t>(
                                          first[g + 1], uint64_t{k} + 1 + window.rows_ahead)));
      }
      out.begin[k] = begin;
      out.end[k] = end;
    }
  }
  return out;
}

JoinSlices MakeJoinSlices(std::span<const int64_t> left_ts, std::span<const uint32_t> left_group,
                          std::span<const int64_t> right_ts, std::span<const uint32_t> right_group,
                          size_t groups, Duration from, Duration to, bool prevailing) {
  PX_CHECK(left_ts.size() == left_group.size() && right_ts.size() == right_group.size());
  JoinSlices out;
  std::vector<uint32_t> left_first;
  std::vector<uint32_t> right_first;
  out.left = OrderByGroup(left_group, groups, &left_first);
  out.slices.order = OrderByGroup(right_group, groups, &right_first);
  const auto right_time = [&](uint32_t k) { return Timestamp(right_ts[out.slices.order[k]]); };
  for (size_t g = 0; g < groups; ++g) {
    const uint32_t stop = right_first[g + 1];
    uint32_t begin = right_first[g];
    uint32_t end = right_first[g];
    for (uint32_t k = left_first[g]; k < left_first[g + 1]; ++k) {
      const Timestamp t(left_ts[out.left[k]]);
      const Timestamp least = t.Plus(from);
      const Timestamp greatest = t.Plus(to);
      if (prevailing) {
        while (begin + 1 < stop && right_time(begin + 1) <= least) ++begin;
      } else {
        while (begin < stop && right_time(begin) < least) ++begin;
      }
      end = std::max(end, begin);
      while (end < stop && right_time(end) <= greatest) ++end;
      out.slices.begin.push_back(begin);
      out.slices.end.push_back(end);
    }
  }
  return out;
}

BarGrid::BarGrid(Duration interval, Timestamp origin) : interval_(interval), origin_(origin) {
  PX_CHECK(interval.ns() > 0);
}

BarGrid::BarGrid(Duration interval, TimeZone zone, Timestamp origin)
    : interval_(interval),
      origin_(origin),
      zone_(std::move(zone)),
      day_start_(zone_->TimeOfDay(origin)),
      origin_day_(zone_->DayOf(origin, day_start_)) {
  PX_CHECK(interval.ns() > 0);
}

BarGrid::Bar BarGrid::At(Timestamp ts) const {
  if (interval_.ns() == 0) return {kMinRowTimestamp, Timestamp::Max()};
  if (zone_.has_value()) return LocalAt(ts);
  const Int128 past = (static_cast<Int128>(ts.ns()) - origin_.ns()) % interval_.ns();
  const auto into = static_cast<int64_t>(past < 0 ? past + interval_.ns() : past);
  const Timestamp start = ts.Minus(Duration(into));
  return {start, ts.Plus(Duration(interval_.ns() - into))};
}

BarGrid::Bar BarGrid::LocalAt(Timestamp ts) const {
  constexpr int64_t kDay = Duration::Days(1).ns();
  const int64_t day = zone_->DayOf(ts, day_start_);
  if (interval_.ns() % kDay == 0) {
    const int64_t days = interval_.ns() / kDay;
    const int64_t past = ((day - origin_day_) % days + days) % days;
    return {zone_->At(day - past, day_start_), zone_->At(day - past + days, day_start_)};
  }
  const Timestamp begin = zone_->At(day, day_start_);
  const int64_t bar = (ts.ns() - begin.ns()) / interval_.ns();
  const Timestamp start = begin.Plus(Duration(bar * interval_.ns()));
  return {start, std::min(start.Plus(interval_), zone_->At(day + 1, day_start_))};
}

BarSlices MakeBarSlices(std::span<const int64_t> ts, std::span<const uint32_t> group, size_t groups,
                        const BarGrid& grid) {
  PX_CHECK(ts.size() == group.size());
  BarSlices out;
  std::vector<uint32_t> first;
  out.slices.order = OrderByGroup(group, groups, &first);
  for (size_t g = 0; g < groups; ++g) {
    BarGrid::Bar bar{Timestamp::Max(), Timestamp::Min()};
    for (uint32_t k = first[g]; k < first[g + 1]; ++k) {
      const Timestamp at(ts[out.slices.order[k]]);
      if (at >= bar.end || k == first[g]) {
        bar = grid.At(at);
        out.start.push_back(bar.start.ns());
        out.end.push_back(bar.end.ns());
        out.group.push_back(static_cast<uint32_t>(g));
        out.slices.begin.push_back(k);
        out.slices.end.push_back(k);
      }
      ++out.slices.end.back();
    }
  }
  return out;
}

}  // namespace proxist::exec
