// Any column's values in the order that answers are sorted in.
#pragma once

#include <cstdint>
#include <memory>

#include "proxist/exec/frame.h"
#include "proxist/exec/number_order.h"

namespace proxist::exec {

/// Reads one column and the strings of its codes, which outlive it. Any thread.
class ValueOrder {
 public:
  ValueOrder(const Column& column, const Symbols& symbols);
  /// Null first, then numbers and times by value (-0 equal to 0, NaN last and equal to itself),
  /// false before true, text by bytes: negative, 0, positive.
  [[nodiscard]] int Compare(uint32_t a, uint32_t b) const;

 private:
  const Column* column_;
  const Symbols* symbols_;
  std::unique_ptr<const NumberOrder> numbers_;  // null: the column holds text
};

}  // namespace proxist::exec
