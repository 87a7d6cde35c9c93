// One row at a time, asked again and again: names are resolved once.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "proxist/base/status.h"
#include "proxist/base/time.h"
#include "proxist/query/engine.h"

namespace proxist::query {

/// The last row of one symbol at or before a moment. While memory answers, a call allocates
/// nothing. One thread.
class Lookup {
 public:
  /// Of `plan` the table, the columns, the predicate and the groups hold for every call; a plan
  /// with the last two goes through the engine each time. `engine` outlives the lookup. Errors as
  /// those of Engine::Run.
  static StatusOr<Lookup> Make(Engine* engine, LastBy plan, const QueryOptions& options);

  /// A symbol whose name is looked up once, as soon as there are rows of it.
  class Symbol {
   public:
    explicit Symbol(std::string_view text) : text_(text) {}

   private:
    friend class Lookup;
    std::string text_;
    const ShardView* view_ = nullptr;  // nullptr: no row was there yet
    uint32_t code_ = 0;
  };
  /// What Engine::Run answers now for this symbol and moment, as one batch; valid until the next
  /// call. RESOURCE_EXHAUSTED when it does not fit one batch, else errors as those of Engine::Run.
  StatusOr<const ResultBatch*> Find(Symbol* symbol, Timestamp at);

  /// The same with its name looked up each time.
  StatusOr<const ResultBatch*> Find(std::string_view symbol, Timestamp at);

 private:
  Lookup(Engine* engine, LastBy plan, const QueryOptions& options)
      : engine_(engine), plan_(std::move(plan)), options_(options) {}
  StatusOr<const ResultBatch*> FindCode(const ShardView* view, uint32_t code,
                                        std::string_view symbol, Timestamp at);
  StatusOr<const ResultBatch*> Ask(std::string_view symbol, Timestamp at);
  const ResultBatch* Fill(const ShardView* view, uint32_t code, const hot::RowRun& run);
  void UseSymbols(const ShardView* view, uint32_t code);

  Engine* engine_;
  LastBy plan_;
  QueryOptions options_;
  column::SchemaPtr schema_;
  /// Indices into the schema's columns; nothing: every call goes through the engine.
  std::optional<std::vector<size_t>> columns_;
  ResultBatch none_;
  ResultBatch row_;
  ResultBatch asked_;
  const ShardView* view_ = nullptr;  // whose codes `row_` has
};

}  // namespace proxist::query
