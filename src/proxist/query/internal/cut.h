// What a query sees of a shard: the store at one published LSN.
#pragma once

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "proxist/exec/frame.h"
#include "proxist/hot/store.h"
#include "proxist/query/engine.h"
#include "proxist/query/internal/budget.h"

namespace proxist::query::internal {

/// The guard is taken before the symbols are counted, so every code that the cut shows is known.
struct ShardCut {
  explicit ShardCut(const ShardView* view)
      : view(view),
        guard(view->store().Read()),
        symbols(std::make_shared<exec::Symbols>(&view->store().dictionary())) {}
  /// The same cut for another thread, with codes of its own; lives no longer than `other`.
  explicit ShardCut(const ShardCut& other)
      : view(other.view),
        guard(other.guard.Lend()),
        symbols(std::make_shared<exec::Symbols>(&view->store().dictionary())) {}
  ShardCut& operator=(const ShardCut&) = delete;
  const ShardView* view;
  hot::ReadGuard guard;
  std::shared_ptr<exec::Symbols> symbols;
};

/// A symbol of a query with its shard.
struct QuerySymbol {
  std::string text;
  ShardCut* cut;
  uint32_t code;  // of cut->symbols
};

class ColdCache;
class SymbolOrders;

/// The least ts that rows of the table may have now: earlier ones do not exist for queries.
inline Timestamp FloorOf(const Engine::Ports& ports, const column::TableSchema& schema) {
  return ports.history_floor == nullptr ? kMinRowTimestamp
                                        : std::max(kMinRowTimestamp, ports.history_floor(schema));
}

/// What every part of a running query shares. One thread.
struct QueryContext {
  /// One version of each table for all parts of the query.
  StatusOr<column::SchemaPtr> SchemaOf(const std::string& tenant, const std::string& table) {
    for (const column::SchemaPtr& known : schemas) {
      if (known->tenant == tenant && known->name == table) return known;
    }
    PX_ASSIGN_OR_RETURN(column::SchemaPtr schema, ports->catalog->Find(tenant, table));
    floors.emplace(schema->id, FloorOf(*ports, *schema));
    schemas.push_back(schema);
    return schema;
  }
  /// True when a table has another version by now.
  [[nodiscard]] bool SchemasMoved() const {
    return std::any_of(schemas.begin(), schemas.end(), [this](const column::SchemaPtr& schema) {
      return ports->catalog->Find(schema->id) != schema;
    });
  }
  /// As FloorOf, the same through the whole query.
  [[nodiscard]] Timestamp FloorOfTable(TableId table) const {
    const auto found = floors.find(table);
    return found == floors.end() ? kMinRowTimestamp : found->second;
  }

  /// Of a table in a shard, the greatest LSN that counts; nothing: all that the cut shows.
  [[nodiscard]] std::optional<Lsn> AsOf(TableId table, ShardId shard) const {
    const auto found = as_of.find({table, shard});
    return found == as_of.end() ? std::nullopt : std::optional(found->second);
  }

  std::vector<column::SchemaPtr> schemas;
  std::map<std::pair<TableId, ShardId>, Lsn> as_of;  // only what history holds is read then
  std::map<TableId, Timestamp> floors;
  const Engine::Ports* ports = nullptr;
  Budget* budget = nullptr;
  Explain* explain = nullptr;
  ColdCache* cache = nullptr;  // null: history is always asked
  /// History answers up to here even where memory could; everything at the cut is persisted.
  std::optional<Timestamp> seam;
  /// Set when a rewrite reached history after the cut: the query starts again at a new one.
  bool overtaken = false;
  /// Set when the answer needs history, and it does not answer or there is none.
  bool history_away = false;
  /// History is taken to be empty; what it was needed for is noted in explain->missing.
  bool without_history = false;
};

}  // namespace proxist::query::internal
