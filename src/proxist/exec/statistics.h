// Aggregates over slices that look at how values spread, and at when they stood.
#pragma once

#include <cstdint>
#include <span>

#include "proxist/base/time.h"
#include "proxist/exec/frame.h"
#include "proxist/exec/slices.h"

namespace proxist::exec {

// As in aggregate.h: nulls are skipped, a slice without values gives null (counts: 0), and a result
// depends on the slice's rows alone.

/// Values that are not null; int64. Any type.
Column CountValues(const Slices& slices, const Column& values);
/// Different values that are not null; int64. Any type. NaN equals NaN here, and -0 equals 0.
Column CountDistinct(const Slices& slices, const Column& values);

enum class Spread : uint8_t { kVariance, kDeviation };
/// Variance over n - 1 (`sample`) or n, or its square root; float64 in units of the value
/// (squared). Null for fewer than two values of a sample. From exact sums, so no digits cancel.
Column SpreadOf(const Slices& slices, const Column& values, Spread spread, bool sample);

/// The value below which a share `p` (0..1) of the values lies, float64; between two values it is
/// interpolated linearly, at (n - 1) * p. NaN only when every value is NaN.
Column Quantile(const Slices& slices, const Column& values, double p);

/// The mean over time, float64: each value holds until the next one of its slice, the last until
/// `ends` of the slice; null values hold not at all. The last value when no time passes. `ts` by
/// row, rising along `slices.order` within a slice.
Column TimeWeightedMean(const Slices& slices, std::span<const int64_t> ts, const Column& values,
                        std::span<const int64_t> ends);

/// As Ema of aggregate.h, but the weight of the past halves in every `half_life` (> 0):
/// w = 2^(-dt / half_life), e = w * e + (1 - w) * x.
Column TimeEma(const Slices& slices, std::span<const int64_t> ts, const Column& values,
               std::span<const uint32_t> group, size_t first_row, Duration half_life);

}  // namespace proxist::exec
