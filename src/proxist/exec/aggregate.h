// Aggregates over slices: one output value for each slice.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "proxist/base/status.h"
#include "proxist/exec/frame.h"
#include "proxist/exec/slices.h"
#include "proxist/exec/totals.h"

namespace proxist::exec {

// Nulls are skipped, except by CountRows. A slice without values gives null (CountRows: 0).
// `columns` hold the rows that the slices index. Integers and decimals are summed in 128 bits,
// floats exactly (ExactSum), so a result depends on the slice's rows alone. `name` is what an error
// calls the aggregate. `bases`, one for each slice or none at all, stand for rows that belong to a
// slice and are not listed in it.

/// int64.
Column CountRows(const Slices& slices, std::span<const Base> bases = {});
/// The first value that is not null; any type.
Column FirstValue(const Slices& slices, const Column& values);
/// The last value that is not null; any type.
Column LastValue(const Slices& slices, const Column& values);
/// The input's type, numeric or timestamp (which has no bases). NaN only when every value is NaN;
/// -0 is below 0.
Column MinValue(const Slices& slices, const Column& values, std::span<const Base> bases = {});
Column MaxValue(const Slices& slices, const Column& values, std::span<const Base> bases = {});
/// Integers: int64; decimal(S): decimal(S); floats: float64. OUT_OF_RANGE when it does not fit.
StatusOr<Column> Sum(const Slices& slices, const Column& values, std::string_view name,
                     std::span<const Base> bases = {});
/// float64, in the units of the value.
StatusOr<Column> Mean(const Slices& slices, const Column& values, std::string_view name,
                      std::span<const Base> bases = {});
/// sum(price * size) / sum(size) over rows where both are set, float64 in units of price; null when
/// the sizes sum to 0. OUT_OF_RANGE when a sum of products leaves 128 bits.
StatusOr<Column> Vwap(const Slices& slices, const Column& price, const Column& size,
                      std::string_view name, std::span<const Base> bases = {});
/// Exponential moving average along each slice-group of `slices.order` (outputs as RollingSlices
/// makes them), over rows at or after row index `first_row`; float64. Seeded by the first value;
/// null before it; a null value repeats the average so far. e = alpha * x + (1 - alpha) * e.
Column Ema(const Slices& slices, const Column& values, std::span<const uint32_t> group,
           size_t first_row, double alpha);

/// The type that Sum gives for `input`.
column::Type SumType(column::Type input);

}  // namespace proxist::exec
