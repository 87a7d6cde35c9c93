// The operators: each reads resolved rows symbol by symbol and appends its answer.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "proxist/query/internal/choice.h"
#include "proxist/query/internal/cut.h"
#include "proxist/query/internal/output.h"
#include "proxist/query/internal/shared_groups.h"
#include "proxist/query/internal/side.h"
#include "proxist/query/plan.h"

namespace proxist::query::internal {

/// A query at one cut of each shard that it touches. One thread.
struct Run {
  QueryContext* context;
  std::vector<QuerySymbol> symbols;  // by text
  Output* output;
  SymbolSource* source = nullptr;  // in place of `symbols`, for what ForEachSymbol does
};

Status RunLastBy(const LastBy& plan, Side side, const Run& run);
Status RunRange(const Range& plan, Side side, const Run& run);
Status RunBars(const Bars& plan, Side side, const Run& run);
Status RunRolling(const Rolling& plan, Side side, const Run& run);
/// `rights` as in the plan.
Status RunAsof(const Asof& plan, Side left, std::vector<Side> rights, const Run& run);
Status RunBook(const Book& plan, Side side, const Run& run);
Status RunWindowJoin(const WindowJoin& plan, Side left, Side right, const Run& run);

/// The slots of `by` on both sides, which agree in their types.
StatusOr<std::pair<std::vector<size_t>, std::vector<size_t>>> GroupSlotsOfBoth(
    Side* left, Side* right, const std::vector<std::string>& by, std::string_view what);

/// The closed span of [begin, end); empty when from > to. `end` of Max has no bound.
Span SpanOf(Timestamp begin, Timestamp end);

/// symbol, ts and seq of the rows of a frame.
std::vector<exec::Column> KeyColumns(const exec::Frame& frame, uint32_t symbol,
                                     std::span<const int64_t> rows);
/// frame.columns[slot] at `rows`.
exec::Column PickColumn(const exec::Frame& frame, size_t slot, std::span<const int64_t> rows);

/// Opens the symbols of a run a group at a time, reads what `span_of` says of history with as few
/// requests as possible, calls `group` (if any) with the symbols that the table has, and `each` for
/// one after the other; stops when the output is full.
Status ForEachSymbol(const Run& run, Side* side,
                     const std::function<Span(const SymbolScan&)>& span_of,
                     const std::function<Status(SymbolScan&)>& each,
                     const std::function<Status(std::span<SymbolScan* const>)>& group = nullptr);

}  // namespace proxist::query::internal
