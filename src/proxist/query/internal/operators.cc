// What all operators do alike: choose columns, go from symbol to symbol.
#include "proxist/query/internal/operators.h"

#include <algorithm>

#include <absl/container/inlined_vector.h>

namespace proxist::query::internal {
namespace {

// Rows of so many symbols are read from history together.
constexpr size_t kSymbolsAtOnce = 64;
// Of so many the rows fit a cache beside what was asked for to open them, while memory has them
// all.
constexpr size_t kSymbolsInCache = 16;

/// The memory that opening the symbols reads.
void Prefetch(std::span<const QuerySymbol> symbols, TableId table) {
  absl::InlinedVector<uint32_t, kSymbolsInCache> codes;
  for (size_t i = 0; i < symbols.size(); ++i) {
    codes.push_back(symbols[i].code);
    if (i + 1 < symbols.size() && symbols[i + 1].cut == symbols[i].cut) continue;
    symbols[i].cut->guard.Prefetch(table, codes);
    codes.clear();
  }
}

}  // namespace

Span SpanOf(Timestamp begin, Timestamp end) {
  return {std::max(begin, kMinRowTimestamp), end == Timestamp::Max() ? end : Before(end)};
}

std::vector<exec::Column> KeyColumns(const exec::Frame& frame, uint32_t symbol,
                                     std::span<const int64_t> rows) {
  using column::TypeKind;
  std::vector<exec::Column> out;
  out.reserve(16);
  exec::Column& symbols = out.emplace_back(column::Type{TypeKind::kSymbol, 0});
  symbols.Extend(rows.size());
  std::fill_n(symbols.data<uint32_t>(), rows.size(), symbol);
  exec::Column& ts = out.emplace_back(column::Type{TypeKind::kTimestamp, 0});
  ts.Extend(rows.size());
  exec::Column& seq = out.emplace_back(column::Type{TypeKind::kUint64, 0});
  seq.Extend(rows.size());
  for (size_t i = 0; i < rows.size(); ++i) {
    ts.data<int64_t>()[i] = frame.ts[static_cast<size_t>(rows[i])];
    seq.data<uint64_t>()[i] = frame.seq[static_cast<size_t>(rows[i])];
  }
  return out;
}

exec::Column PickColumn(const exec::Frame& frame, size_t slot, std::span<const int64_t> rows) {
  exec::Column out(frame.columns[slot].type());
  out.AppendGather(frame.columns[slot], rows.data(), rows.size());
  return out;
}

Status ForEachSymbol(const Run& run, Side* side,
                     const std::function<Span(const SymbolScan&)>& span_of,
                     const std::function<Status(SymbolScan&)>& each,
                     const std::function<Status(std::span<SymbolScan* const>)>& group) {
  Budget& budget = *run.context->budget;
  size_t at_once = kSymbolsInCache;
  std::span<const QuerySymbol> left = run.symbols;
  while (true) {
    if (left.empty() && run.source != nullptr) {
      PX_ASSIGN_OR_RETURN(left, run.source->Next());
    }
    if (left.empty()) break;
    const std::span<const QuerySymbol> symbols = left.first(std::min(left.size(), at_once));
    left = left.subspan(symbols.size());
    const uint64_t held = budget.held();
    std::vector<std::unique_ptr<SymbolScan>> open;
    open.reserve(symbols.size());
    std::map<TableScan*, std::vector<TableScan::Request>> requests;
    Prefetch(symbols, side->schema()->id);
    for (const QuerySymbol& symbol : symbols) {
      open.push_back(side->Open(run.context, symbol));
      if (open.back() == nullptr) continue;
      const Span span = span_of(*open.back());
      if (!open.back()->NeedsHistory(span, {})) continue;
      requests[&open.back()->table()].push_back({open.back().get(), span, {}});
    }
    if (!requests.empty()) at_once = kSymbolsAtOnce;
    if (run.source != nullptr) run.source->Opened(/*needs_history=*/!requests.empty());
    for (const auto& [table, wanted] : requests) {
      const Status read = table->Prefetch(wanted);
      if (read.ok()) continue;
      // Too much for all at once: each symbol reads its own rows when its turn comes.
      if (read.code() != absl::StatusCode::kResourceExhausted || wanted.size() == 1) return read;
      for (const TableScan::Request& request : wanted) request.symbol->DropHistory();
      budget.ReleaseTo(held);
    }
    if (group != nullptr) {
      std::vector<SymbolScan*> present;
      for (const auto& symbol : open) {
        if (symbol != nullptr) present.push_back(symbol.get());
      }
      PX_RETURN_IF_ERROR(group(present));
    }
    for (std::unique_ptr<SymbolScan>& symbol : open) {
      if (symbol == nullptr) continue;
      if (run.output->full()) return OkStatus();
      PX_RETURN_IF_ERROR(budget.CheckDeadline());
      const uint64_t before = budget.held();
      PX_RETURN_IF_ERROR(each(*symbol));
      symbol.reset();
      budget.ReleaseTo(before);
    }
    budget.ReleaseTo(held);
  }
  return OkStatus();
}

StatusOr<std::pair<std::vector<size_t>, std::vector<size_t>>> GroupSlotsOfBoth(
    Side* left, Side* right, const std::vector<std::string>& by, std::string_view what) {
  PX_ASSIGN_OR_RETURN(std::vector<size_t> left_slots, left->GroupSlots(by));
  PX_ASSIGN_OR_RETURN(std::vector<size_t> right_slots, right->GroupSlots(by));
  for (size_t i = 0; i < left_slots.size(); ++i) {
    const column::Type a = left->DefOf(left_slots[i]).type;
    const column::Type b = right->DefOf(right_slots[i]).type;
    if (a == b) continue;
    return InvalidArgument("{}: by column '{}' is {} in {} and {} in {}", what,
                           left->DefOf(left_slots[i]).name, column::FormatType(a),
                           left->schema()->name, column::FormatType(b), right->schema()->name);
  }
  return std::pair(std::move(left_slots), std::move(right_slots));
}

}  // namespace proxist::query::internal
