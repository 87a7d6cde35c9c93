// Conversions to float64 that kernels share.
#include "proxist/exec/internal/numbers.h"

namespace proxist::exec::internal {

double Numbers::Scaled(size_t row) const { return Quotient(Int(row), 1, scale_); }

int64_t PowerOfTen(uint8_t exponent) {
  int64_t power = 1;
  for (uint8_t i = 0; i < exponent; ++i) power *= 10;
  return power;
}

double Quotient(Int128 numerator, Int128 denominator, uint8_t scale) {
  return static_cast<double>(
      static_cast<long double>(numerator) /
      (static_cast<long double>(denominator) * static_cast<long double>(PowerOfTen(scale))));
}

}  // namespace proxist::exec::internal
