// Binds columns that a text names to a side's slots.
#include "proxist/query/internal/value.h"

namespace proxist::query::internal {

StatusOr<Value> Value::Make(Side* side, std::string_view text, std::string_view what) {
  StatusOr<exec::Expression> expression =
      exec::Expression::Compile(text, PredicateColumns(*side->schema()));
  if (!expression.ok()) return Annotate(expression.status(), what);
  Value value(std::move(*expression));
  PX_ASSIGN_OR_RETURN(value.slots_, side->SlotsOf(value.expression_.columns(), what));
  const std::optional<size_t> plain = value.expression_.plain();
  if (plain.has_value() && *plain >= exec::kFirstTableColumn) {
    value.slot_ = static_cast<size_t>(value.slots_[*plain - exec::kFirstTableColumn]);
  }
  return value;
}

const exec::Column& Value::Of(const exec::Frame& frame, SymbolScan& symbol,
                              exec::Column* own) const {
  if (slot_.has_value()) return frame.columns[*slot_];
  *own = expression_.Evaluate(InputOf(frame, symbol, slots_));
  return *own;
}

StatusOr<Condition> Condition::Make(Side* side, std::string_view text, std::string_view what) {
  Condition condition;
  if (text.empty()) return condition;
  StatusOr<exec::Predicate> predicate =
      exec::Predicate::Compile(text, PredicateColumns(*side->schema()));
  if (!predicate.ok()) return Annotate(predicate.status(), what);
  PX_ASSIGN_OR_RETURN(condition.slots_, side->SlotsOf(predicate->columns(), what));
  condition.predicate_ = std::move(*predicate);
  return condition;
}

void Condition::Select(const exec::Frame& frame, SymbolScan& symbol,
                       std::vector<uint32_t>* rows) const {
  if (predicate_.has_value()) predicate_->Select(InputOf(frame, symbol, slots_), rows);
}

}  // namespace proxist::query::internal
