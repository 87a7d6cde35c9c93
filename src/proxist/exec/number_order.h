// The values of a numeric column in order, and as keys.
#pragma once

#include <cstdint>
#include <memory>

#include "proxist/exec/frame.h"

namespace proxist::exec {

/// Reads one column, which outlives it. Null values have no place here.
class NumberOrder {
 public:
  explicit NumberOrder(const Column& column);
  ~NumberOrder();
  NumberOrder(const NumberOrder&) = delete;
  /// By value, -0 equal to 0, NaN above all and equal to itself: negative, 0, positive.
  [[nodiscard]] int Compare(uint32_t a, uint32_t b) const;
  /// Equal for rows that compare as equal, and only for these.
  [[nodiscard]] uint64_t Key(uint32_t row) const;
  /// Neither null nor NaN.
  [[nodiscard]] bool IsNumber(uint32_t row) const;
  /// False for null and NaN too.
  [[nodiscard]] bool IsAboveZero(uint32_t row) const;

 private:
  struct Values;
  std::unique_ptr<const Values> values_;
};

}  // namespace proxist::exec
