// One request of history for many symbols.
#include "proxist/query/internal/right_scans.h"

#include <algorithm>
#include <map>
#include <utility>

#include <absl/container/inlined_vector.h>

namespace proxist::query::internal {
namespace {

/// The memory that opening the symbols reads, of those on the first one's shard.
void Prefetch(std::span<SymbolScan* const> symbols, TableId table) {
  if (symbols.empty()) return;
  const ShardCut& cut = symbols[0]->table().cut();
  absl::InlinedVector<uint32_t, 16> codes;
  for (const SymbolScan* symbol : symbols) {
    if (&symbol->table().cut() == &cut) codes.push_back(symbol->code());
  }
  cut.guard.Prefetch(table, codes);
}

}  // namespace

Status RightScans::Open(Side* side, QueryContext* context, std::span<SymbolScan* const> left,
                        Span span) {
  open_.clear();
  open_.reserve(left.size());
  std::map<TableScan*, std::vector<TableScan::Request>> requests;
  Prefetch(left, side->schema()->id);
  for (SymbolScan* symbol : left) {
    auto right = side->Open(context, {symbol->text(), &symbol->table().cut(), symbol->code()});
    if (right == nullptr) continue;
    if (left.size() > 1 && right->NeedsHistory(span, {})) {
      requests[&right->table()].push_back({right.get(), span, {}});
    }
    open_.push_back({symbol, std::move(right)});
  }
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
  const auto opened = std::ranges::find(open_, &left, &Opened::left);
  return opened == open_.end() ? nullptr : opened->right.get();
}

}  // namespace proxist::query::internal
