// One request of history for many symbols.
#include "proxist/query/internal/right_scans.h"

#include <utility>
#include <vector>

namespace proxist::query::internal {
namespace {

/// The memory that opening the symbols reads, of those on the first one's shard.
void Prefetch(std::span<SymbolScan* const> symbols, TableId table) {
  if (symbols.empty()) return;
  const ShardCut& cut = symbols[0]->table().cut();
  std::vector<uint32_t> codes;
  for (const SymbolScan* symbol : symbols) {
    if (&symbol->table().cut() == &cut) codes.push_back(symbol->code());
  }
  cut.guard.Prefetch(table, codes);
}

}  // namespace

Status RightScans::Open(Side* side, QueryContext* context, std::span<SymbolScan* const> left,
                        Span span) {
  open_.clear();
  std::map<TableScan*, std::vector<TableScan::Request>> requests;
  Prefetch(left, side->schema()->id);
  for (SymbolScan* symbol : left) {
    auto right = side->Open(context, {symbol->text(), &symbol->table().cut(), symbol->code()});
    if (right == nullptr) continue;
    requests[&right->table()].push_back({right.get(), span, {}});
    open_[symbol->text()] = std::move(right);
  }
  if (left.size() == 1) return OkStatus();
  Budget& budget = *context->budget;
  for (const auto& [table, wanted] : requests) {
    const uint64_t held = budget.held();
    const Status read = table->Prefetch(wanted);
    if (read.ok()) continue;
    if (read.code() != absl::StatusCode::kResourceExhausted) return read;
    for (const TableScan::Request& request : wanted) request.symbol->DropHistory();
    budget.ReleaseTo(held);
  }
  return OkStatus();
}

SymbolScan* RightScans::Of(const SymbolScan& left) const {
  const auto right = open_.find(left.text());
  return right == open_.end() ? nullptr : right->second.get();
}

}  // namespace proxist::query::internal
