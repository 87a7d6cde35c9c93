// Exact numbers of a predicate, and exact comparisons between unlike number types.
#pragma once

#include <cstdint>
#include <string_view>

#include "proxist/base/status.h"
#include "proxist/exec/int128.h"

namespace proxist::exec::internal {

/// digits * 10^-scale, exactly, or an approximation `real` for floats.
struct NumberLiteral {
  Int128 digits = 0;
  int32_t scale = 0;  // negative: trailing zeros
  double real = 0;    // nearest float64
};

/// Reads digits, a point and an exponent. At most 36 significant digits; INVALID_ARGUMENT beyond.
StatusOr<NumberLiteral> ParseNumber(std::string_view text, bool negative);

/// Where a literal lies among multiples of 10^-scale: at `floor` exactly, or between it and the
/// next. Values too large for 64 bits are moved just outside them.
struct Threshold {
  Int128 floor = 0;
  bool exact = true;
};
Threshold Rescale(const NumberLiteral& literal, uint8_t scale);

/// Sign of a - b, exactly; b is not NaN.
int CompareIntegerToReal(Int128 a, double b);

}  // namespace proxist::exec::internal
