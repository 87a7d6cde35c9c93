// Numbers by NumberOrder, text by bytes.
#include "proxist/exec/value_order.h"

#include "proxist/exec/group.h"

namespace proxist::exec {

ValueOrder::ValueOrder(const Column& column, const Symbols& symbols)
    : column_(&column), symbols_(&symbols) {
  if (!column::IsText(column.type().kind)) numbers_ = std::make_unique<NumberOrder>(column);
}

int ValueOrder::Compare(uint32_t a, uint32_t b) const {
  const bool a_valid = column_->IsValid(a);
  const bool b_valid = column_->IsValid(b);
  if (!a_valid || !b_valid) return static_cast<int>(a_valid) - static_cast<int>(b_valid);
  if (numbers_ == nullptr) return CompareValues(*column_, a, *column_, b, *symbols_);
  return numbers_->Compare(a, b);
}

}  // namespace proxist::exec
