// What stands in bars that have no rows.
#pragma once

#include <cstdint>
#include <vector>

#include "proxist/exec/slices.h"
#include "proxist/query/internal/aggregates.h"
#include "proxist/query/plan.h"

namespace proxist::query::internal {

/// One line of an answer: a bar with rows, or an empty one after it.
struct BarLine {
  int64_t start;
  uint32_t rank;  // of the group, by its values
  size_t bar;     // in the bar slices; of an empty line: the group's bar before it
  size_t step;    // how far after that bar; 0: the line is the bar
  size_t steps;   // how far the group's next bar is
};

/// `values` of the bars as a column of the lines. `close`, for prices under kPrevious: the last
/// price of each bar.
exec::Column FillColumn(Fill fill, Aggregates::Emptiness emptiness,
                        const std::vector<BarLine>& lines, const exec::BarSlices& bars,
                        const exec::Column& values, const exec::Column& close);

}  // namespace proxist::query::internal
