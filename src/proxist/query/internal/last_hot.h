// Last-by of one symbol or of all, answered by memory alone without opening scans.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "proxist/query/engine.h"
#include "proxist/query/internal/symbol_order.h"

namespace proxist::query::internal {

/// True when the plan is about all rows of a symbol, and about the last one alone.
bool MemoryMayAnswer(const LastBy& op);
/// The columns that `names` choose, all when empty, as indices into the schema's; nothing when a
/// name is unknown, repeated, or of strings.
std::optional<std::vector<size_t>> FixedColumns(const column::TableSchema& schema,
                                                const std::vector<std::string>& names);

/// The whole answer of a last-by without predicate, groups and string columns, about one symbol, or
/// about all symbols of one shard. Nothing when the plan asks for more, is wrong, or needs rows at
/// or below a floor: the caller then runs it as any other, at a cut of its own. `explain` may be
/// null.
std::optional<ResultBatch> LastInMemory(const Plan& plan, const Engine::Ports& ports,
                                        const QueryOptions& options, SymbolOrders* orders,
                                        Explain* explain);

}  // namespace proxist::query::internal
