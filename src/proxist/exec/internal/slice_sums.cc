// Rows are gathered in the order of the slices first: a slice is then a part of a block.
#include "proxist/exec/internal/slice_sums.h"

#include <cstdint>
#include <span>
#include <vector>

#include "proxist/exec/part_sums.h"

namespace proxist::exec::internal {
namespace {

using column::TypeKind;

// In this many bits a decimal's sum is below its limit.
constexpr int kDecimalBits = 59;
// Whole numbers of so many bits are float64 exactly.
constexpr int kRealBits = 53;

Parts PartsOf(const Slices& slices) { return {slices.begin, slices.end}; }

// They and what is made of them take up to 64 bytes each, which nobody counts.
constexpr uint32_t kMostRows = 1u << 20;

/// True when prefixes of all rows up to the last slice's end cost no more than the slices' rows.
bool Pays(const Slices& slices) {
  if (slices.size() == 0 || slices.end.back() > kMostRows) return false;
  uint64_t rows = 0;
  for (size_t k = 0; k < slices.size(); ++k) rows += slices.end[k] - slices.begin[k];
  return 2 * rows >= slices.end.back();
}

std::span<const uint32_t> RowsOf(const Slices& slices) {
  return std::span(slices.order).first(slices.end.back());
}

std::vector<double> Reals(const Numbers& numbers, std::span<const uint32_t> rows) {
  std::vector<double> out(rows.size());
  for (size_t i = 0; i < rows.size(); ++i) out[i] = numbers.Real(rows[i]);
  return out;
}

std::vector<int64_t> Wholes(const Numbers& numbers, std::span<const uint32_t> rows) {
  std::vector<int64_t> out(rows.size());
  for (size_t i = 0; i < rows.size(); ++i) out[i] = numbers.Whole(rows[i]);
  return out;
}

/// Slices without rows, and others that `is_null` holds for.
template <typename IsNull>
void SetNulls(const Slices& slices, const IsNull& is_null, Column* out) {
  for (size_t k = 0; k < slices.size(); ++k) {
    if (slices.begin[k] != slices.end[k] && !is_null(k)) continue;
    out->data<uint64_t>()[k] = 0;
    out->SetNull(k);
  }
}

void SetEmpty(const Slices& slices, Column* out) {
  SetNulls(
      slices, [](size_t) { return false; }, out);
}

/// The rows' values and their prefix sums. Assign is false where sums may not fit or be rounded.
struct WholeBlock {
  WholePrefix prefix;
  bool Assign(const Slices& slices, const NumberColumn& values) {
    return prefix.Assign(Wholes(values.numbers, RowsOf(slices)), PartsOf(slices).Longest());
  }
};
struct RealBlock {
  std::vector<double> values;
  RealPrefix prefix;
  bool Assign(const Slices& slices, const NumberColumn& of) {
    values = Reals(of.numbers, RowsOf(slices));
    prefix.Assign(values, PartsOf(slices).Longest());
    return prefix.on_grid();
  }
};

bool Takes(const Slices& slices, const NumberColumn& values) {
  return !values.column.has_nulls() && !values.numbers.is_unsigned() && Pays(slices);
}

bool VwapOfWholes(const Slices& slices, const NumberColumn& price, const NumberColumn& size,
                  Column* out) {
  const Parts parts = PartsOf(slices);
  const std::vector<int64_t> sizes = Wholes(size.numbers, RowsOf(slices));
  WholePrefix weights;
  WholePrefix products;
  if (!weights.Assign(sizes, parts.Longest()) ||
      !products.AssignProducts(Wholes(price.numbers, RowsOf(slices)), sizes, parts.Longest())) {
    return false;
  }
  // An empty slice has no weight either, by which nothing is divided.
  for (size_t k = 0; k < slices.size(); ++k) {
    const int64_t weight = weights.Sum(parts.begin[k], parts.end[k]);
    if (weight == 0) {
      out->SetNull(k);
    } else {
      out->data<double>()[k] =
          Quotient(products.Sum(parts.begin[k], parts.end[k]), weight, price.numbers.scale());
    }
  }
  return true;
}

}  // namespace

bool SumSlices(const Slices& slices, const NumberColumn& values, Column* out) {
  if (!Takes(slices, values)) return false;
  const Parts parts = PartsOf(slices);
  if (values.numbers.is_float()) {
    RealBlock block;
    if (!block.Assign(slices, values)) return false;
    block.prefix.Sums(parts, out->data<double>());
  } else {
    WholeBlock block;
    if (!block.Assign(slices, values)) return false;
    const bool decimal = values.column.type().kind == TypeKind::kDecimal;
    if (decimal && block.prefix.sum_bits() > kDecimalBits) return false;
    auto* to = out->data<int64_t>();
    for (size_t k = 0; k < slices.size(); ++k) {
      to[k] = block.prefix.Sum(parts.begin[k], parts.end[k]);
    }
  }
  SetEmpty(slices, out);
  return true;
}

bool MeanSlices(const Slices& slices, const NumberColumn& values, Column* out) {
  if (!Takes(slices, values)) return false;
  const Parts parts = PartsOf(slices);
  auto* to = out->data<double>();
  RealBlock reals;
  WholeBlock wholes;
  if (values.numbers.is_float()) {
    if (!reals.Assign(slices, values)) return false;
    reals.prefix.Means(parts, to);
  } else if (!wholes.Assign(slices, values)) {
    return false;
  } else {
    for (size_t k = 0; k < slices.size(); ++k) {
      const uint32_t rows = parts.end[k] - parts.begin[k];
      const int64_t sum = wholes.prefix.Sum(parts.begin[k], parts.end[k]);
      if (rows > 0) to[k] = Quotient(sum, rows, values.numbers.scale());
    }
  }
  SetEmpty(slices, out);
  return true;
}

bool VwapSlices(const Slices& slices, const NumberColumn& price, const NumberColumn& size,
                Column* out) {
  if (!Takes(slices, price) || !Takes(slices, size)) return false;
  if (!price.numbers.is_float() && !size.numbers.is_float()) {
    return VwapOfWholes(slices, price, size, out);
  }
  const Parts parts = PartsOf(slices);
  const std::vector<double> prices = Reals(price.numbers, RowsOf(slices));
  RealPrefix products;
  auto* to = out->data<double>();
  if (!size.numbers.is_float() && size.numbers.scale() == 0) {
    const std::vector<int64_t> sizes = Wholes(size.numbers, RowsOf(slices));
    WholePrefix weights;
    if (!weights.Assign(sizes, parts.Longest()) || weights.value_bits() > kRealBits) return false;
    products.AssignProducts(prices, sizes, parts.Longest());
    if (!products.on_grid()) return false;
    products.Quotients(weights, parts, to);
    SetNulls(
        slices, [&](size_t k) { return weights.Sum(parts.begin[k], parts.end[k]) == 0; }, out);
    return true;
  }
  RealBlock weights;
  if (!weights.Assign(slices, size)) return false;
  products.AssignProducts(prices, weights.values, parts.Longest());
  if (!products.on_grid()) return false;
  std::vector<double> sums;
  products.Quotients(weights.prefix, parts, &sums, to);
  SetNulls(
      slices, [&](size_t k) { return sums[k] == 0; }, out);
  return true;
}

}  // namespace proxist::exec::internal
