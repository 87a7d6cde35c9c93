// Expressions and predicates over the columns of one table of a query.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "proxist/exec/expression.h"
#include "proxist/query/internal/side.h"

namespace proxist::query::internal {

/// Immutable once made; outlived by nothing of the side.
class Value {
 public:
  /// Compiles `text` and makes the side read its columns. INVALID_ARGUMENT starts with `what`.
  static StatusOr<Value> Make(Side* side, std::string_view text, std::string_view what);

  [[nodiscard]] const std::string& name() const { return expression_.name(); }
  [[nodiscard]] column::Type type() const { return expression_.type(); }
  /// The slot of the table's column that this is and nothing more.
  [[nodiscard]] std::optional<size_t> slot() const { return slot_; }
  /// A value for each row of `frame`: its own column, or one computed into `own`.
  const exec::Column& Of(const exec::Frame& frame, SymbolScan& symbol, exec::Column* own) const;

 private:
  explicit Value(exec::Expression expression) : expression_(std::move(expression)) {}
  exec::Expression expression_;
  std::vector<int> slots_;  // by column of the table
  std::optional<size_t> slot_;
};

/// A predicate beside the one that selects rows.
class Condition {
 public:
  /// As Value::Make; an empty text holds for no row.
  static StatusOr<Condition> Make(Side* side, std::string_view text, std::string_view what);
  /// Appends the rows of `frame` for which it is true, ascending.
  void Select(const exec::Frame& frame, SymbolScan& symbol, std::vector<uint32_t>* rows) const;

 private:
  std::optional<exec::Predicate> predicate_;
  std::vector<int> slots_;
};

}  // namespace proxist::query::internal
