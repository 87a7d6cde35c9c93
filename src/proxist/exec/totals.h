// What many rows of a column come to, kept apart from them: added to, never subtracted from.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "proxist/column/type.h"
#include "proxist/exec/exact_sum.h"
#include "proxist/exec/int128.h"

namespace proxist::exec {

/// A sum in little space: 128 bits of an integer, or three doubles whose exact sum it is.
class PackedSum {
 public:
  PackedSum() = default;
  explicit PackedSum(Int128 integer);
  /// Nothing when three doubles do not hold it.
  static std::optional<PackedSum> Of(const ExactSum& real);
  [[nodiscard]] Int128 integer() const;
  void AddTo(ExactSum* real) const;

 private:
  std::array<uint64_t, 3> words_{};
};

/// ColumnTotals in little space, for keeping.
struct PackedTotals {
  uint32_t count = 0;
  bool exact = true;  // false: the sum is not held, and nothing of this may be used
  PackedSum sum;
  uint64_t least = 0;  // bits of a 64-bit value: signed, unsigned or float64 as the column is
  uint64_t greatest = 0;
};

/// Count, sum, least and greatest of a numeric column's values that are not null. One thread.
class ColumnTotals {
 public:
  explicit ColumnTotals(column::Type type);
  /// Adds `n` values in their native width, none of them null.
  void Add(const std::byte* values, size_t n);
  /// Adds what other rows of the same column come to.
  void Add(const ColumnTotals& other);
  /// `packed.exact` holds.
  void Add(const PackedTotals& packed);
  /// count() is below 2^32.
  [[nodiscard]] PackedTotals Pack() const;

  [[nodiscard]] column::Type type() const { return type_; }
  [[nodiscard]] int64_t count() const { return count_; }
  /// The sum of integers, or of decimals without their scale.
  [[nodiscard]] Int128 integer() const { return integer_; }
  /// The sum of floats.
  [[nodiscard]] const ExactSum& real() const { return real_; }
  /// The extremes of integers and decimals; count() > 0.
  [[nodiscard]] Int128 LeastInteger() const { return Integer(least_); }
  [[nodiscard]] Int128 GreatestInteger() const { return Integer(greatest_); }
  /// The extremes of floats, NaN only when every value is; -0 is below 0. count() > 0.
  [[nodiscard]] double LeastReal() const;
  [[nodiscard]] double GreatestReal() const;

 private:
  [[nodiscard]] Int128 Integer(uint64_t bits) const;
  void AddExtremes(uint64_t least, uint64_t greatest);

  column::Type type_;
  int64_t count_ = 0;
  Int128 integer_ = 0;
  ExactSum real_;
  uint64_t least_ = 0;
  uint64_t greatest_ = 0;
};

/// WeightedTotals in little space.
struct PackedWeighted {
  uint32_t count = 0;
  bool exact = true;  // false: the sums are not held, and nothing of this may be used
  PackedSum products;
  PackedSum weights;
};

/// Sums of value times weight and of weight over rows that have both, as Vwap adds them up: in 128
/// bits when both columns are integers or decimals, else as floats in their own units. One thread.
class WeightedTotals {
 public:
  WeightedTotals(column::Type value, column::Type weight) : value_(value), weight_(weight) {}
  /// Adds `n` rows that have both, in their native widths.
  void Add(const std::byte* values, const std::byte* weights, size_t n);
  void Add(const WeightedTotals& other);
  /// `packed.exact` holds.
  void Add(const PackedWeighted& packed);
  [[nodiscard]] PackedWeighted Pack() const;

  [[nodiscard]] int64_t count() const { return count_; }
  [[nodiscard]] bool fits() const { return fits_; }  // false: the products left 128 bits
  [[nodiscard]] Int128 products() const { return products_; }
  [[nodiscard]] Int128 weights() const { return weights_; }
  [[nodiscard]] const ExactSum& real_products() const { return real_products_; }
  [[nodiscard]] const ExactSum& real_weights() const { return real_weights_; }

 private:
  [[nodiscard]] bool is_float() const {
    return column::IsFloat(value_.kind) || column::IsFloat(weight_.kind);
  }
  void AddIntegers(const std::byte* values, const std::byte* weights, size_t n);
  void AddReals(const std::byte* values, const std::byte* weights, size_t n);

  column::Type value_;
  column::Type weight_;
  int64_t count_ = 0;
  bool fits_ = true;
  Int128 products_ = 0;
  Int128 weights_ = 0;
  ExactSum real_products_;
  ExactSum real_weights_;
};

/// What a slice's aggregates start from: rows that the slices do not list. Null: none.
struct Base {
  int64_t rows = 0;
  const ColumnTotals* column = nullptr;      // of the aggregate's column
  const WeightedTotals* weighted = nullptr;  // for Vwap
};

}  // namespace proxist::exec
