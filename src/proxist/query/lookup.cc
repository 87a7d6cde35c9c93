// Overwrites one row of a batch that stays.
#include "proxist/query/lookup.h"

#include <cstring>
#include <string>

#include "proxist/query/internal/cut.h"
#include "proxist/query/internal/last_hot.h"

namespace proxist::query {

using column::TypeKind;

StatusOr<Lookup> Lookup::Make(Engine* engine, LastBy plan, const QueryOptions& options) {
  Lookup lookup(engine, std::move(plan), options);
  LastBy& op = lookup.plan_;
  PX_ASSIGN_OR_RETURN(lookup.schema_, engine->ports_.catalog->Find(op.from.tenant, op.from.table));
  // The engine says what is wrong with the plan; an empty name is no symbol.
  PX_RETURN_IF_ERROR(lookup.Ask(std::string_view(), Timestamp::Max()).status());
  lookup.none_ = std::move(lookup.asked_);
  if (!internal::MemoryMayAnswer(op)) return lookup;
  lookup.columns_ = internal::FixedColumns(*lookup.schema_, op.columns);
  if (!lookup.columns_.has_value()) return lookup;
  for (const exec::NamedColumn& column : lookup.none_.columns) {
    lookup.row_.columns.push_back({column.name, exec::Column(column.column.type())});
    lookup.row_.columns.back().column.Extend(1);
  }
  return lookup;
}

StatusOr<const ResultBatch*> Lookup::Find(std::string_view symbol, Timestamp at) {
  if (!columns_.has_value()) return Ask(symbol, at);
  const ShardView* view = engine_->ports_.shard_of(column::SlotOf(plan_.from.tenant, symbol));
  const std::optional<uint32_t> code = view->store().dictionary().Find(symbol);
  if (!code.has_value()) return &none_;
  return FindCode(view, *code, symbol, at);
}

StatusOr<const ResultBatch*> Lookup::Find(Symbol* symbol, Timestamp at) {
  if (!columns_.has_value()) return Ask(symbol->text_, at);
  if (symbol->view_ == nullptr) {
    const ShardView* view =
        engine_->ports_.shard_of(column::SlotOf(plan_.from.tenant, symbol->text_));
    const std::optional<uint32_t> code = view->store().dictionary().Find(symbol->text_);
    if (!code.has_value()) return &none_;
    symbol->code_ = *code;
    symbol->view_ = view;
  }
  return FindCode(symbol->view_, symbol->code_, symbol->text_, at);
}

StatusOr<const ResultBatch*> Lookup::FindCode(const ShardView* view, uint32_t code,
                                              std::string_view symbol, Timestamp at) {
  const hot::ReadGuard guard = view->store().Read();
  hot::LastRow last;
  guard.LastRows(schema_->id, {&code, 1}, at, &last);
  if (!last.known || !guard.ShowsPlainly(*schema_)) return Ask(symbol, at);
  if (last.run.block != nullptr) {
    const Timestamp ts(hot::TimestampsOf(*last.run.block)[last.run.begin]);
    if (ts < internal::FloorOf(engine_->ports_, *schema_)) return &none_;
  }
  return last.run.block == nullptr ? &none_ : Fill(view, code, last.run);
}

StatusOr<const ResultBatch*> Lookup::Ask(std::string_view symbol, Timestamp at) {
  LastBy op = plan_;
  op.from.symbols = {std::string(symbol)};
  op.at = at;
  uint32_t batches = 0;
  const auto keep = [&](ResultBatch batch) -> Status {
    if (batches++ > 0) return ResourceExhausted("the answer about {} is too long", symbol);
    asked_ = std::move(batch);
    return OkStatus();
  };
  PX_RETURN_IF_ERROR(engine_->Run({.op = std::move(op), .limit = {}}, options_, keep, nullptr));
  return &asked_;
}

void Lookup::UseSymbols(const ShardView* view, uint32_t code) {
  if (view == view_ && row_.symbols->Knows(code)) return;
  row_.symbols = std::make_shared<const exec::Symbols>(&view->store().dictionary());
  view_ = view;
}

const ResultBatch* Lookup::Fill(const ShardView* view, uint32_t code, const hot::RowRun& run) {
  const hot::RowBlock& block = *run.block;
  UseSymbols(view, code);
  row_.columns[0].column.data<uint32_t>()[0] = code;
  row_.columns[1].column.data<int64_t>()[0] = hot::TimestampsOf(block)[run.begin];
  row_.columns[2].column.data<uint64_t>()[0] = hot::SeqsOf(block)[run.begin];
  size_t next = 3;
  for (const size_t index : *columns_) {
    exec::Column& column = row_.columns[next++].column;
    if (!hot::IsValid(block, index, run.begin)) {
      column.SetNull(0);
      continue;
    }
    const size_t width = column.stride();
    std::memcpy(column.data<std::byte>(), hot::ValuesOf(block, index) + run.begin * width, width);
    column.SetValid(0);
    if (column.type().kind == TypeKind::kSymbol) UseSymbols(view, column.data<uint32_t>()[0]);
  }
  return &row_;
}

}  // namespace proxist::query
