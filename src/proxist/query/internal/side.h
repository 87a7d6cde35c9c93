// One table of a query: which columns its frames hold, where names lie in them, which rows count.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "proxist/exec/expression.h"
#include "proxist/query/internal/given.h"
#include "proxist/query/internal/scan.h"
#include "proxist/query/plan.h"

namespace proxist::query::internal {

/// One thread.
class Side {
 public:
  /// Looks up the table and compiles the predicate. NOT_FOUND and INVALID_ARGUMENT name what
  /// exists. `given` takes the table's place where there is none.
  static StatusOr<Side> Make(QueryContext* context, const Selection& selection,
                             std::shared_ptr<const GivenRows> given = nullptr);

  [[nodiscard]] const column::SchemaPtr& schema() const { return schema_; }
  /// nullptr: the rows are a table's.
  [[nodiscard]] const GivenRows* given() const { return given_.get(); }
  /// Where the column stands in frames; it is read from now on. INVALID_ARGUMENT lists the table's
  /// columns; `what` says what wanted it.
  StatusOr<size_t> Slot(std::string_view name, std::string_view what);
  /// By column of the table, the slots of those that an expression or predicate reads (`columns` as
  /// it lists them); -1 for the others.
  StatusOr<std::vector<int>> SlotsOf(std::span<const size_t> columns, std::string_view what);
  /// The slots of `names`; floats can't group. INVALID_ARGUMENT.
  StatusOr<std::vector<size_t>> GroupSlots(const std::vector<std::string>& names);
  /// The slots of the series columns, in order.
  std::vector<size_t> SeriesSlots();
  [[nodiscard]] const column::ColumnDef& DefOf(size_t slot) const {
    return schema_->columns[columns_[slot]];
  }
  [[nodiscard]] size_t ColumnOf(size_t slot) const { return columns_[slot]; }
  /// Columns that frames hold.
  [[nodiscard]] size_t slots() const { return columns_.size(); }
  [[nodiscard]] bool has_where() const { return where_.has_value(); }
  /// Slots of the columns that the predicate reads, and whether it reads ts or seq.
  [[nodiscard]] std::span<const size_t> WhereSlots() const { return read_by_where_; }
  [[nodiscard]] bool WhereReadsKeys() const { return where_reads_keys_; }

  /// Appends the rows of `frame` that the predicate selects, or all.
  void Select(const exec::Frame& frame, SymbolScan& symbol, std::vector<uint32_t>* rows) const;

  /// The symbol on its shard at the query's cut; nullptr when the table has nothing of it. All
  /// slots must be known by then.
  std::unique_ptr<SymbolScan> Open(QueryContext* context, const QuerySymbol& symbol);

  /// True when totals can stand for rows: there is no predicate, and `by` are series columns.
  [[nodiscard]] bool TotalsFit(std::span<const size_t> by) const;

  /// Series of a symbol that agree in some of the series columns.
  struct SeriesGroup {
    std::vector<uint32_t> key;     // codes of the columns
    std::vector<uint32_t> series;  // ascending
  };
  /// The symbol's series by their values in the columns at `slots`, when all of these are series
  /// columns; nothing otherwise.
  std::optional<std::vector<SeriesGroup>> SeriesGroups(const SymbolScan& symbol,
                                                       std::span<const size_t> slots) const;

 private:
  column::SchemaPtr schema_;
  std::shared_ptr<const GivenRows> given_;
  std::vector<size_t> columns_;  // by slot: index into schema_->columns
  std::optional<exec::Predicate> where_;
  std::vector<int> where_slots_;  // by column of the schema
  std::vector<size_t> read_by_where_;
  bool where_reads_keys_ = false;
  std::vector<exec::ColumnCondition> conditions_;  // by column of the schema
  std::map<ShardCut*, std::unique_ptr<TableScan>> scans_;
};

/// What predicates and expressions over the table may name.
std::vector<exec::PredicateColumn> PredicateColumns(const column::TableSchema& schema);

/// What an expression or predicate reads of a frame of the symbol; `slots` as Side::SlotsOf gives.
exec::PredicateInput InputOf(const exec::Frame& frame, SymbolScan& symbol,
                             std::span<const int> slots);

/// "a, b, c" for error texts.
std::string Joined(const std::vector<std::string>& names);

/// Columns of `columns` at `slots`.
std::vector<const exec::Column*> ColumnsAt(const exec::Frame& frame, std::span<const size_t> slots);

}  // namespace proxist::query::internal
