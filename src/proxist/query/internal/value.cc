// Binds columns that a text names to a side's slots.
#include "proxist/query/internal/value.h"

namespace proxist::query::internal {

namespace {

/// Where the columns that are read (indices as Compile takes them) stand in frames.
StatusOr<std::vector<int>> SlotsOf(Side* side, const std::vector<size_t>& columns,
                                   std::string_view what) {
  const column::TableSchema& schema = *side->schema();
  std::vector<int> slots(schema.columns.size(), -1);
  for (const size_t index : columns) {
    if (index < exec::kFirstTableColumn) continue;
    const size_t column = index - exec::kFirstTableColumn;
    PX_ASSIGN_OR_RETURN(const size_t slot, side->Slot(schema.columns[column].name, what));
    slots[column] = static_cast<int>(slot);
  }
  return slots;
}

exec::PredicateInput InputOf(const exec::Frame& frame, SymbolScan& symbol,
                             std::span<const int> slots) {
  exec::PredicateInput input;
  input.frame = &frame;
  input.symbol = symbol.code();
  input.symbols = symbol.table().cut().symbols.get();
  input.slots = slots;
  return input;
}

}  // namespace

StatusOr<Value> Value::Make(Side* side, std::string_view text, std::string_view what) {
  StatusOr<exec::Expression> expression =
      exec::Expression::Compile(text, PredicateColumns(*side->schema()));
  if (!expression.ok()) return Annotate(expression.status(), what);
  Value value(std::move(*expression));
  PX_ASSIGN_OR_RETURN(value.slots_, SlotsOf(side, value.expression_.columns(), what));
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
  PX_ASSIGN_OR_RETURN(condition.slots_, SlotsOf(side, predicate->columns(), what));
  condition.predicate_ = std::move(*predicate);
  return condition;
}

void Condition::Select(const exec::Frame& frame, SymbolScan& symbol,
                       std::vector<uint32_t>* rows) const {
  if (predicate_.has_value()) predicate_->Select(InputOf(frame, symbol, slots_), rows);
}

}  // namespace proxist::query::internal
