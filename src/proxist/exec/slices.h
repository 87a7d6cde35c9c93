// Which rows each bar or rolling window holds.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "proxist/base/time.h"

namespace proxist::exec {

/// Output k holds the rows order[begin[k]] .. order[end[k] - 1], in row order. begin and end never
/// fall with k, so that a kernel may slide.
struct Slices {
  std::vector<uint32_t> order;  // row indices, group by group, each group's in row order
  std::vector<uint32_t> begin;
  std::vector<uint32_t> end;

  [[nodiscard]] size_t size() const { return begin.size(); }
};

/// A trailing window: by time (ts >= t - span) or by rows (this one included). Exactly one is set.
struct Window {
  std::optional<Duration> span;
  uint64_t rows = 0;
};

/// One slice for each row, in the order of `order`: the rows of its group not after it that the
/// window holds. `ts` is sorted; group ids are below `groups`.
Slices RollingSlices(std::span<const int64_t> ts, std::span<const uint32_t> group, size_t groups,
                     const Window& window);

struct BarSlices {
  Slices slices;                // by group, then bar
  std::vector<int64_t> start;   // of each bar
  std::vector<uint32_t> group;  // of each bar
};

/// One slice for each non-empty bar of each group; a bar starts at a multiple of `interval` (> 0)
/// from the epoch.
BarSlices MakeBarSlices(std::span<const int64_t> ts, std::span<const uint32_t> group, size_t groups,
                        Duration interval);

/// The start of the bar that holds `ts`; floors. ts >= 0.
int64_t BarStart(int64_t ts, Duration interval);

}  // namespace proxist::exec
