// Floats by value with NaN last, everything else in 128 bits.
#include "proxist/exec/number_order.h"

#include <bit>
#include <cmath>

#include "proxist/exec/internal/numbers.h"

namespace proxist::exec {

struct NumberOrder::Values {
  explicit Values(const Column& column) : numbers(column) {}
  internal::Numbers numbers;
};

NumberOrder::NumberOrder(const Column& column) : values_(std::make_unique<Values>(column)) {}
NumberOrder::~NumberOrder() = default;

int NumberOrder::Compare(uint32_t a, uint32_t b) const {
  const internal::Numbers& numbers = values_->numbers;
  if (!numbers.is_float()) {
    const Int128 x = numbers.Int(a);
    const Int128 y = numbers.Int(b);
    return static_cast<int>(x > y) - static_cast<int>(x < y);
  }
  const double x = numbers.Float(a);
  const double y = numbers.Float(b);
  if (std::isnan(x) || std::isnan(y)) {
    return static_cast<int>(std::isnan(x)) - static_cast<int>(std::isnan(y));
  }
  return static_cast<int>(x > y) - static_cast<int>(x < y);
}

uint64_t NumberOrder::Key(uint32_t row) const {
  const internal::Numbers& numbers = values_->numbers;
  if (!numbers.is_float()) return static_cast<uint64_t>(numbers.Int(row));
  const double value = numbers.Float(row);
  return std::isnan(value) ? UINT64_MAX : std::bit_cast<uint64_t>(value + 0.0);  // -0 becomes 0
}

bool NumberOrder::IsNumber(uint32_t row) const {
  const internal::Numbers& numbers = values_->numbers;
  return numbers.IsValid(row) && !(numbers.is_float() && std::isnan(numbers.Float(row)));
}

bool NumberOrder::IsAboveZero(uint32_t row) const {
  const internal::Numbers& numbers = values_->numbers;
  if (!numbers.IsValid(row)) return false;
  return numbers.is_float() ? numbers.Float(row) > 0 : numbers.Int(row) > 0;
}

}  // namespace proxist::exec
