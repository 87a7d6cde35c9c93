// What a query sees of a shard: the store at one published LSN.
#pragma once

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

/// What every part of a running query shares. One thread.
struct QueryContext {
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
