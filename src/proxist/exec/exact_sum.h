// Sums of float64 without rounding, so that order and history do not change the result.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace proxist::exec {

namespace internal {
struct Extent;
}

/// A multiset of doubles that knows its exact sum. Adding and subtracting in any order gives the
/// same value, so a window may slide. A fixed-point superaccumulator: 32 bits of the sum in each
/// limb, carries kept in the limb's upper half and settled now and then.
class ExactSum {
 public:
  void Add(double value) { Change(value, 1); }
  /// Takes back a value that was added.
  void Subtract(double value) { Change(value, -1); }
  /// Adds all of them; where they are of like size, many times faster than one by one.
  void Add(std::span<const double> values);
  /// The same, of values whose extent is known.
  void Add(std::span<const double> values, const internal::Extent& extent);
  void Add(const ExactSum& other);
  /// Adds whole * unit, a power of two, as two doubles: each half of `whole` times `unit` is one.
  void AddWhole(int64_t whole, double unit);
  /// Writes doubles whose exact sum this is; a NaN or infinity stands for what Value() gives. False
  /// when three do not hold it.
  [[nodiscard]] bool Split(std::array<double, 3>* terms) const;
  /// The sum rounded once to nearest, ties to even; an overflow is infinite, no values give 0. NaN
  /// when a NaN, or both infinities, are in.
  [[nodiscard]] double Value() const;

 private:
  // Bit 0 of limb 0 is 2^-1074; the greatest double ends at bit 2098, the rest holds carries.
  static constexpr size_t kLimbs = 69;
  void Change(double value, int sign);
  void Settle();

  std::array<int64_t, kLimbs> limbs_{};
  size_t low_ = kLimbs;  // limbs outside [low_, high_] are zero
  size_t high_ = 0;
  uint32_t unsettled_ = 0;
  int64_t nans_ = 0;
  int64_t infinities_ = 0;
  int64_t negative_infinities_ = 0;
};

}  // namespace proxist::exec
