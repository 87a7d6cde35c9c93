// A numeric column widened to 64 bits, so that kernels need two forms only: integers and floats.
#pragma once

#include <cmath>
#include <cstdint>
#include <vector>

#include "proxist/exec/frame.h"
#include "proxist/exec/int128.h"
#include "proxist/exec/internal/visit.h"

namespace proxist::exec::internal {

/// Integers, decimals and timestamps keep their 64 bits; floats become float64, which is exact.
class Numbers {
 public:
  explicit Numbers(const Column& column) : column_(column) {
    is_float_ = column::IsFloat(column.type().kind);
    is_unsigned_ = column.type().kind == column::TypeKind::kUint64;
    if (column.type().kind == column::TypeKind::kDecimal) scale_ = column.type().scale;
    VisitFixed(column.type().kind, [&]<typename T>(T /*tag*/) {
      const T* values = column.data<T>();
      if constexpr (std::is_floating_point_v<T>) {
        floats_.assign(values, values + column.rows());
      } else {
        bits_.resize(column.rows());
        for (size_t i = 0; i < bits_.size(); ++i) bits_[i] = static_cast<int64_t>(values[i]);
      }
    });
  }
  [[nodiscard]] bool is_float() const { return is_float_; }
  /// Of 64 bits.
  [[nodiscard]] bool is_unsigned() const { return is_unsigned_; }
  [[nodiscard]] bool IsValid(size_t row) const { return column_.IsValid(row); }
  [[nodiscard]] Int128 Int(size_t row) const {
    return is_unsigned_ ? static_cast<Int128>(static_cast<uint64_t>(bits_[row]))
                        : static_cast<Int128>(bits_[row]);
  }
  /// Of a column that is neither of floats nor unsigned.
  [[nodiscard]] int64_t Whole(size_t row) const { return bits_[row]; }
  [[nodiscard]] double Float(size_t row) const { return floats_[row]; }
  [[nodiscard]] uint8_t scale() const { return scale_; }
  /// The value in its own units as float64.
  [[nodiscard]] double Real(size_t row) const {
    if (is_float_) return floats_[row];
    if (scale_ != 0) return Scaled(row);
    return is_unsigned_ ? static_cast<double>(static_cast<uint64_t>(bits_[row]))
                        : static_cast<double>(bits_[row]);
  }

 private:
  [[nodiscard]] double Scaled(size_t row) const;

  const Column& column_;
  bool is_float_ = false;
  bool is_unsigned_ = false;
  uint8_t scale_ = 0;
  std::vector<int64_t> bits_;
  std::vector<double> floats_;
};

/// 10^exponent, exact for exponents 0..18.
int64_t PowerOfTen(uint8_t exponent);

/// The order of extremes: by value, and -0 below 0. False when either is NaN.
inline bool BelowReal(double a, double b) {
  return a < b || (a == b && std::signbit(a) && !std::signbit(b));
}

/// numerator / (denominator * 10^scale), rounded from 64 bits of mantissa.
double Quotient(Int128 numerator, Int128 denominator, uint8_t scale);

}  // namespace proxist::exec::internal
