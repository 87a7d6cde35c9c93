// Which rows each bar or rolling window holds.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "proxist/base/time.h"
#include "proxist/base/time_zone.h"

namespace proxist::exec {

/// Output k holds the rows order[begin[k]] .. order[end[k] - 1], in row order. begin and end never
/// fall with k, so that a kernel may slide.
struct Slices {
  std::vector<uint32_t> order;  // row indices, group by group, each group's in row order
  std::vector<uint32_t> begin;
  std::vector<uint32_t> end;

  [[nodiscard]] size_t size() const { return begin.size(); }
};

/// A window around a row at t, by time (t - span <= ts, up to the row itself, or with `ahead` to
/// ts <= t + ahead) or by rows: `rows` of them up to this one and `rows_ahead` after it. Exactly
/// one of `span` and `rows` is set.
struct Window {
  std::optional<Duration> span;
  std::optional<Duration> ahead;
  uint64_t rows = 0;
  uint64_t rows_ahead = 0;
};

/// One slice for each row, in the order of `order`: the rows of its group that the window holds.
/// `ts` is sorted; group ids are below `groups`.
Slices RollingSlices(std::span<const int64_t> ts, std::span<const uint32_t> group, size_t groups,
                     const Window& window);

/// Windows of one side's rows around the rows of another.
struct JoinSlices {
  Slices slices;               // of right rows
  std::vector<uint32_t> left;  // the left row of each slice
};

/// For each left row at t, by group and in row order, the right rows of its group with
/// t + from <= ts <= t + to; with `prevailing` beginning with the last one at or before t + from,
/// if there is one. Both sides sorted by ts; group ids are below `groups`; from <= to.
JoinSlices MakeJoinSlices(std::span<const int64_t> left_ts, std::span<const uint32_t> left_group,
                          std::span<const int64_t> right_ts, std::span<const uint32_t> right_group,
                          size_t groups, Duration from, Duration to, bool prevailing);

struct BarSlices {
  Slices slices;                // by group, then bar
  std::vector<int64_t> start;   // of each bar
  std::vector<int64_t> end;     // of each bar, not included; INT64_MAX: it has none
  std::vector<uint32_t> group;  // of each bar
};

/// Where bars begin and end.
class BarGrid {
 public:
  /// One bar that holds every time.
  BarGrid() = default;
  /// Bars of `interval` (> 0), one of which begins at `origin`.
  explicit BarGrid(Duration interval, Timestamp origin = Timestamp(0));
  /// Bars by the clocks of a zone, whose days begin at `origin`'s time of day. An interval of whole
  /// days counts such days, from `origin`'s; a shorter one counts time since the day's begin, and
  /// ends with the day.
  BarGrid(Duration interval, TimeZone zone, Timestamp origin);

  struct Bar {
    Timestamp start;
    Timestamp end;  // the next one's start; Max: there is none
  };
  /// The bar that holds `ts`.
  [[nodiscard]] Bar At(Timestamp ts) const;
  /// The length of bars that are all of one length.
  [[nodiscard]] std::optional<Duration> Even() const {
    return interval_.ns() == 0 || zone_.has_value() ? std::nullopt : std::optional(interval_);
  }

 private:
  [[nodiscard]] Bar LocalAt(Timestamp ts) const;

  Duration interval_;
  Timestamp origin_;
  std::optional<TimeZone> zone_;
  Duration day_start_;      // time of day
  int64_t origin_day_ = 0;  // in the zone
};

/// Cuts times that never fall into bars, a block of them at a time. One thread.
class BarCutter {
 public:
  /// `grid` outlives this.
  explicit BarCutter(const BarGrid* grid) : grid_(grid) {}
  /// Begins with other times.
  void Restart() { bar_.reset(); }
  /// Appends the row of each time that is not in the bar of the time before, where row `first` is
  /// ts[0], and the start of its bar.
  void Cut(std::span<const int64_t> ts, uint32_t first, std::vector<uint32_t>* rows,
           std::vector<int64_t>* starts);

 private:
  size_t CutEven(std::span<const int64_t> ts, uint32_t first, std::vector<uint32_t>* rows,
                 std::vector<int64_t>* starts);

  const BarGrid* grid_;
  std::optional<BarGrid::Bar> bar_;  // of the last time
};

/// Sets begin[i] for the i-th of the rows [first, ts.size()): the first row with ts >= its ts -
/// span. `ts` is sorted.
void TrailingWindows(std::span<const int64_t> ts, uint32_t first, Duration span, uint32_t* begin);

/// One slice for each non-empty bar of each group.
BarSlices MakeBarSlices(std::span<const int64_t> ts, std::span<const uint32_t> group, size_t groups,
                        const BarGrid& grid);

}  // namespace proxist::exec
