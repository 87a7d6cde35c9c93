// Exact sums of many parts of one block of values: prefix sums, of which a part is a difference.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "proxist/exec/internal/block_kernels.h"

namespace proxist::exec {

/// Rows [begin[i], end[i]) of a block, for each i. Neither falls with i, and begin[i] <= end[i].
struct Parts {
  std::span<const uint32_t> begin;
  std::span<const uint32_t> end;
  [[nodiscard]] size_t size() const { return begin.size(); }
  /// Rows of the longest part.
  [[nodiscard]] size_t Longest() const;
};

/// Prefix sums of whole numbers, modulo 2^64. One thread; keeps its memory from block to block.
class WholePrefix {
 public:
  /// Takes a block. False when a sum of `longest` of the values may not fit 63 bits: nothing may be
  /// asked then.
  [[nodiscard]] bool Assign(std::span<const int64_t> values, size_t longest);
  [[nodiscard]] int64_t Sum(uint32_t begin, uint32_t end) const {
    return static_cast<int64_t>(static_cast<uint64_t>(prefix_[end]) -
                                static_cast<uint64_t>(prefix_[begin]));
  }
  /// The same of the products with `weights`.
  [[nodiscard]] bool AssignProducts(std::span<const int64_t> values,
                                    std::span<const int64_t> weights, size_t longest);
  /// Sums divided by rows, in units of 10^-scale, as Mean rounds them; each part has rows.
  void Means(const Parts& parts, uint8_t scale, double* out) const;
  /// Sums divided by sums of weights, in units of 10^-scale, as Vwap rounds them. True when such a
  /// sum is zero: that quotient stands for nothing.
  bool Quotients(const WholePrefix& weights, const Parts& parts, uint8_t scale, double* out) const;
  /// In this many bits lie the magnitudes of all values, and of sums of `longest` of them.
  [[nodiscard]] int value_bits() const { return value_bits_; }
  [[nodiscard]] int sum_bits() const { return sum_bits_; }
  /// Of the rows before each one, and of all.
  [[nodiscard]] const int64_t* prefix() const { return prefix_.data(); }

 private:
  std::vector<int64_t> prefix_;
  int value_bits_ = 0;
  int sum_bits_ = 0;
};

/// Sums of float64, as ExactSum gives them: exact, then rounded once. Values of one block are
/// whole numbers on a binary grid that is fine enough for the least of them; two 64-bit integers
/// hold such a number, and prefix sums of these may wrap, since only differences are looked at.
/// Where values lie too far apart for that, or are not finite, a superaccumulator slides instead.
/// One thread; keeps its memory from block to block.
class RealPrefix {
 public:
  /// Takes a block of values, which outlive the questions, for parts of at most `longest` rows.
  void Assign(std::span<const double> values, size_t longest);
  /// The same of the products with `weights`, each rounded; a weight is rounded to float64 first.
  /// These need not outlive the call.
  void AssignProducts(std::span<const double> values, std::span<const double> weights,
                      size_t longest);
  void AssignProducts(std::span<const double> values, std::span<const int64_t> weights,
                      size_t longest);

  /// The sum of each part.
  void Sums(const Parts& parts, double* out) const;
  /// Divided by its rows; NaN when it has none.
  void Means(const Parts& parts, double* out) const;
  /// Divided by its sum of weights, which are whole numbers of at most 2^53 and were assigned for
  /// as many rows. True when such a sum is zero: that quotient stands for nothing.
  bool Quotients(const WholePrefix& weights, const Parts& parts, double* out) const;
  /// The same of weights that are float64.
  bool Quotients(const RealPrefix& weights, const Parts& parts, std::vector<double>* room,
                 double* out) const;
  /// False: the superaccumulator does it, many times slower.
  [[nodiscard]] bool on_grid() const { return on_grid_; }

 private:
  void Place(const internal::Extent& extent, size_t longest);
  void Slide(const Parts& parts, double* out) const;
  [[nodiscard]] internal::SplitPrefix split() const { return {high_.data(), low_.data(), grid_}; }

  std::span<const double> values_;
  std::vector<double> products_;
  std::vector<int64_t> high_;
  std::vector<int64_t> low_;
  internal::Grid grid_;
  bool on_grid_ = false;
};

/// Whole numbers in units of 10^-scale as float64, each rounded once.
void ToReals(std::span<const int64_t> values, uint8_t scale, double* out);

/// The least (or greatest) value of each part, which has rows: NaN only when every value is NaN;
/// -0 is below 0.
void PartExtremes(std::span<const double> values, const Parts& parts, bool greatest, double* out);
void PartExtremes(std::span<const int64_t> values, const Parts& parts, bool greatest, int64_t* out);

}  // namespace proxist::exec
