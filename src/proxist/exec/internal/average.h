// Moving averages along the groups of slices.
#pragma once

#include <cstdint>
#include <span>

#include "proxist/exec/internal/numbers.h"
#include "proxist/exec/slices.h"

namespace proxist::exec::internal {

/// Seeds the average by the first value of each group at or after row `first_row`, then takes
/// `next(average, value, row, row of the value before)`; null before the seed. float64.
template <typename Next>
Column MovingAverage(const Slices& slices, const Column& values, std::span<const uint32_t> group,
                     size_t first_row, Next next) {
  const Numbers numbers(values);
  Column out({column::TypeKind::kFloat64, 0});
  out.Extend(slices.size());
  bool seeded = false;
  double average = 0;
  uint32_t before = 0;
  for (size_t k = 0; k < slices.size(); ++k) {
    const uint32_t row = slices.order[k];
    if (k == 0 || group[row] != group[slices.order[k - 1]]) seeded = false;
    if (row >= first_row && numbers.IsValid(row)) {
      const double value = numbers.Real(row);
      average = seeded ? next(average, value, row, before) : value;
      seeded = true;
      before = row;
    }
    if (seeded) {
      out.data<double>()[k] = average;
    } else {
      out.SetNull(k);
    }
  }
  return out;
}

}  // namespace proxist::exec::internal
