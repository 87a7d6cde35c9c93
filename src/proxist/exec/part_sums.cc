// Grids, prefixes, and the way without a grid.
#include "proxist/exec/part_sums.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <optional>

#include "proxist/base/check.h"
#include "proxist/exec/exact_sum.h"
#include "proxist/exec/internal/grid.h"
#include "proxist/exec/internal/numbers.h"

namespace proxist::exec {
namespace {

using internal::Extent;
using internal::Grid;
using internal::GridFor;
using internal::GrowthOf;
using internal::kSumBits;

constexpr int kWholeBits = 63;
/// In how many bits the magnitudes lie, but for that of the least number there is, which has one
/// more.
int BitsOf(std::span<const int64_t> values) {
  uint64_t bits = 0;
  for (const int64_t value : values) bits |= static_cast<uint64_t>(value ^ (value >> 63));
  return std::bit_width(bits);
}

/// Makes place for `n` values, of which none need to be kept: what is there stays, uncleared.
template <typename T>
void MakeRoom(size_t n, std::vector<T>* room) {
  if (room->size() < n) room->resize(n);
}

/// Each value becomes the sum of those up to it.
void AddUp(int64_t* high, int64_t* low, size_t n) {
  uint64_t high_sum = 0;
  uint64_t low_sum = 0;
  for (size_t i = 0; i < n; ++i) {
    high_sum += static_cast<uint64_t>(high[i]);
    low_sum += static_cast<uint64_t>(low[i]);
    high[i] = static_cast<int64_t>(high_sum);
    low[i] = static_cast<int64_t>(low_sum);
  }
}

}  // namespace

size_t Parts::Longest() const { return internal::Longest(begin.data(), end.data(), begin.size()); }

bool WholePrefix::Assign(std::span<const int64_t> values, size_t longest) {
  MakeRoom(values.size() + 1, &prefix_);
  prefix_[0] = 0;
  uint64_t sum = 0;
  uint64_t bits = 0;
  for (size_t i = 0; i < values.size(); ++i) {
    const int64_t value = values[i];
    bits |= static_cast<uint64_t>(value ^ (value >> 63));
    sum += static_cast<uint64_t>(value);
    prefix_[i + 1] = static_cast<int64_t>(sum);
  }
  value_bits_ = std::bit_width(bits);
  sum_bits_ = value_bits_ + GrowthOf(longest);
  return sum_bits_ <= kWholeBits;
}

bool WholePrefix::AssignProducts(std::span<const int64_t> values, std::span<const int64_t> weights,
                                 size_t longest) {
  const int bits = BitsOf(values) + BitsOf(weights);
  value_bits_ = bits;
  sum_bits_ = bits + GrowthOf(longest);
  if (sum_bits_ >= kWholeBits) return false;  // two negatives may make the next power of two
  MakeRoom(values.size() + 1, &prefix_);
  prefix_[0] = 0;
  uint64_t sum = 0;
  for (size_t i = 0; i < values.size(); ++i) {
    sum += static_cast<uint64_t>(values[i] * weights[i]);
    prefix_[i + 1] = static_cast<int64_t>(sum);
  }
  return true;
}

void WholePrefix::Means(const Parts& parts, uint8_t scale, double* out) const {
  for (size_t i = 0; i < parts.size(); ++i) {
    const uint32_t rows = parts.end[i] - parts.begin[i];
    out[i] = internal::Quotient(Sum(parts.begin[i], parts.end[i]), rows, scale);
  }
}

bool WholePrefix::Quotients(const WholePrefix& weights, const Parts& parts, uint8_t scale,
                            double* out) const {
  bool any_zero = false;
  for (size_t i = 0; i < parts.size(); ++i) {
    const int64_t weight = weights.Sum(parts.begin[i], parts.end[i]);
    any_zero = any_zero || weight == 0;
    out[i] = internal::Quotient(Sum(parts.begin[i], parts.end[i]), weight, scale);
  }
  return any_zero;
}

void RealPrefix::Assign(std::span<const double> values, size_t longest) {
  values_ = values;
  Place(internal::ExtentOf(values.data(), values.size()), longest);
}

void RealPrefix::AssignProducts(std::span<const double> values, std::span<const double> weights,
                                size_t longest) {
  MakeRoom(values.size(), &products_);
  values_ = {products_.data(), values.size()};
  Place(internal::Multiply(values.data(), weights.data(), values.size(), products_.data()),
        longest);
}

void RealPrefix::AssignProducts(std::span<const double> values, std::span<const int64_t> weights,
                                size_t longest) {
  MakeRoom(values.size(), &products_);
  values_ = {products_.data(), values.size()};
  Place(internal::Multiply(values.data(), weights.data(), values.size(), products_.data()),
        longest);
}

void RealPrefix::Place(const Extent& extent, size_t longest) {
  const std::optional<Grid> grid = GridFor(extent, longest);
  on_grid_ = grid.has_value();
  if (!on_grid_) return;
  grid_ = *grid;
  const size_t n = values_.size();
  MakeRoom(n + 1, &high_);
  MakeRoom(n + 1, &low_);
  high_[0] = low_[0] = 0;
  internal::Split(values_.data(), n, grid_, high_.data() + 1, low_.data() + 1);
  AddUp(high_.data() + 1, low_.data() + 1, n);
}

void RealPrefix::Slide(const Parts& parts, double* out) const {
  ExactSum sum;
  size_t begin = 0;
  size_t end = 0;
  for (size_t i = 0; i < parts.size(); ++i) {
    for (; begin < std::min<size_t>(parts.begin[i], end); ++begin) sum.Subtract(values_[begin]);
    if (begin < parts.begin[i]) begin = end = parts.begin[i];
    for (; end < parts.end[i]; ++end) sum.Add(values_[end]);
    out[i] = sum.Value();
  }
}

void RealPrefix::Sums(const Parts& parts, double* out) const {
  if (!on_grid_) {
    Slide(parts, out);
    return;
  }
  internal::PartSums(split(), parts.begin.data(), parts.end.data(), parts.size(), out);
}

void RealPrefix::Means(const Parts& parts, double* out) const {
  if (on_grid_) {
    internal::PartMeans(split(), parts.begin.data(), parts.end.data(), parts.size(), out);
    return;
  }
  Slide(parts, out);
  for (size_t i = 0; i < parts.size(); ++i) {
    out[i] /= static_cast<double>(parts.end[i] - parts.begin[i]);
  }
}

bool RealPrefix::Quotients(const WholePrefix& weights, const Parts& parts, double* out) const {
  PX_CHECK(weights.value_bits() <= 53);
  if (on_grid_ && weights.sum_bits() <= kSumBits) {
    return internal::PartQuotients(split(), weights.prefix(), parts.begin.data(), parts.end.data(),
                                   parts.size(), out);
  }
  Sums(parts, out);
  bool any_zero = false;
  for (size_t i = 0; i < parts.size(); ++i) {
    const int64_t weight = weights.Sum(parts.begin[i], parts.end[i]);
    any_zero = any_zero || weight == 0;
    out[i] /= static_cast<double>(weight);
  }
  return any_zero;
}

bool RealPrefix::Quotients(const RealPrefix& weights, const Parts& parts, std::vector<double>* room,
                           double* out) const {
  Sums(parts, out);
  MakeRoom(parts.size(), room);
  weights.Sums(parts, room->data());
  bool any_zero = false;
  for (size_t i = 0; i < parts.size(); ++i) {
    any_zero = any_zero || (*room)[i] == 0;
    out[i] /= (*room)[i];
  }
  return any_zero;
}

void ToReals(std::span<const int64_t> values, uint8_t scale, double* out) {
  for (size_t i = 0; i < values.size(); ++i) {
    out[i] = scale == 0 ? static_cast<double>(values[i]) : internal::Quotient(values[i], 1, scale);
  }
}

void PartExtremes(std::span<const double> values, const Parts& parts, bool greatest, double* out) {
  for (size_t i = 0; i < parts.size(); ++i) {
    double best = values[parts.begin[i]];
    bool plain = true;  // neither NaN nor zero, which need care
    for (uint32_t row = parts.begin[i]; row < parts.end[i]; ++row) {
      const double value = values[row];
      plain &= value < 0 || value > 0;
      best = greatest ? std::max(best, value) : std::min(best, value);
    }
    if (!plain) {
      best = values[parts.begin[i]];
      for (uint32_t row = parts.begin[i]; row < parts.end[i]; ++row) {
        const double value = values[row];
        const bool better =
            greatest ? internal::BelowReal(best, value) : internal::BelowReal(value, best);
        if (better || std::isnan(best)) best = value;
      }
    }
    out[i] = best;
  }
}

void PartExtremes(std::span<const int64_t> values, const Parts& parts, bool greatest,
                  int64_t* out) {
  for (size_t i = 0; i < parts.size(); ++i) {
    int64_t best = values[parts.begin[i]];
    for (uint32_t row = parts.begin[i]; row < parts.end[i]; ++row) {
      best = greatest ? std::max(best, values[row]) : std::min(best, values[row]);
    }
    out[i] = best;
  }
}

}  // namespace proxist::exec
