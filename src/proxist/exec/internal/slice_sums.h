// Sums of slices by prefix sums, many times faster than row by row where that is exact.
#pragma once

#include "proxist/exec/frame.h"
#include "proxist/exec/internal/numbers.h"
#include "proxist/exec/slices.h"

namespace proxist::exec::internal {

/// A column and what Numbers makes of it.
struct NumberColumn {
  explicit NumberColumn(const Column& of) : column(of), numbers(of) {}
  const Column& column;
  const Numbers numbers;
};

/// Sets `out`, of the right type and as many values as there are slices, to what Sum gives. False,
/// with `out` as it was: there are nulls, sums may not fit or may be rounded, or the slices leave
/// out most of the rows between them.
bool SumSlices(const Slices& slices, const NumberColumn& values, Column* out);
/// The same for Mean.
bool MeanSlices(const Slices& slices, const NumberColumn& values, Column* out);
/// The same for Vwap.
bool VwapSlices(const Slices& slices, const NumberColumn& price, const NumberColumn& size,
                Column* out);

}  // namespace proxist::exec::internal
