// Rows brought together by group (a counting sort), then cut into windows or bars.
#include "proxist/exec/slices.h"

#include <algorithm>
#include <utility>

#include "proxist/base/check.h"
#include "proxist/exec/int128.h"
#include "proxist/exec/internal/block_kernels.h"

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

void BarCutter::Cut(std::span<const int64_t> ts, uint32_t first, std::vector<uint32_t>* rows,
                    std::vector<int64_t>* starts) {
  for (size_t at = 0; at < ts.size();) {
    const size_t cut = CutEven(ts.subspan(at), first + static_cast<uint32_t>(at), rows, starts);
    at += cut;
    if (cut > 0 || at == ts.size()) continue;
    // One row at a time, up to the end of its bar.
    const Timestamp time(ts[at]);
    if (!bar_.has_value() || time >= bar_->end) {
      bar_ = grid_->At(time);
      rows->push_back(first + static_cast<uint32_t>(at));
      starts->push_back(bar_->start.ns());
    }
    for (++at; at < ts.size() && Timestamp(ts[at]) < bar_->end;) ++at;
  }
}

size_t BarCutter::CutEven(std::span<const int64_t> ts, uint32_t first, std::vector<uint32_t>* rows,
                          std::vector<int64_t>* starts) {
  constexpr int64_t kReach = int64_t{1} << 50;  // what the kernel takes
  const std::optional<Duration> interval = grid_->Even();
  if (!interval.has_value() || interval->ns() >= kReach) return 0;
  const BarGrid::Bar bar = grid_->At(Timestamp(ts[0]));
  if (bar.end.ns() - bar.start.ns() != interval->ns()) return 0;  // cut short by the end of time
  const int64_t base = bar.start.ns();
  const bool far = ts.back() - base >= kReach;
  const size_t n =
      !far
          ? ts.size()
          : static_cast<size_t>(std::lower_bound(ts.begin(), ts.end(), base + kReach) - ts.begin());
  double index = bar_.has_value() && bar_->start == bar.start ? 0 : -1;
  const size_t known = rows->size();
  rows->resize(known + n + internal::kBarStartsSlack);
  starts->resize(known + n + internal::kBarStartsSlack);
  const size_t found = internal::BarStarts(ts.data(), n, base, interval->ns(), &index,
                                           rows->data() + known, starts->data() + known);
  rows->resize(known + found);
  starts->resize(known + found);
  for (size_t i = known; i < known + found; ++i) (*rows)[i] += first;
  const int64_t last = base + static_cast<int64_t>(index) * interval->ns();
  bar_ = {Timestamp(last), Timestamp(last).Plus(*interval)};
  return n;
}

void TrailingWindows(std::span<const int64_t> ts, uint32_t first, Duration span, uint32_t* begin) {
  internal::WindowBegins(ts.data(), ts.size(), first, span.ns(), begin);
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
