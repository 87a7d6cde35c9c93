// The answers that queries must give, by loops over a list of every version of every row.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "proxist/query/plan.h"
#include "tests/unit/query/model_rows.h"

namespace proxist::query {

/// Whether a row counts; the model's own form of a predicate.
using RowTest = std::function<bool(const ModelRow&)>;

class NaiveModel {
 public:
  void AddTable(const column::SchemaPtr& schema) { tables_[schema->name].schema = schema; }
  void Add(const std::string& table, const ModelRow& row) {
    tables_[table].versions.push_back(row);
  }
  /// `where` and `right_where` mean what the plan's texts say.
  [[nodiscard]] Answer Run(const Plan& plan, const RowTest& where,
                           const RowTest& right_where) const;

 private:
  struct Table {
    column::SchemaPtr schema;
    std::vector<ModelRow> versions;
  };
  [[nodiscard]] std::vector<ModelRow> Resolved(const Table& table, const Selection& selection,
                                               const std::vector<std::string>& symbols,
                                               const RowTest& where) const;
  Answer Nearest(const LastBy& op, const RowTest& where) const;
  Answer InRange(const Range& op, const RowTest& where) const;
  Answer Match(const Asof& op, const RowTest& where, const RowTest& right_where) const;
  Answer MakeBars(const Bars& op, const RowTest& where) const;
  Answer Roll(const Rolling& op, const RowTest& where) const;
  Answer Depth(const Book& op, const RowTest& where) const;
  Answer JoinWindows(const WindowJoin& op, const RowTest& where, const RowTest& right_where) const;
  /// A bar of a group, or an empty one between two.
  struct Bar {
    std::vector<const ModelRow*> rows;
    std::vector<Cell> cells;
  };
  static void FillBars(const Bars& op, const column::TableSchema& schema, int64_t interval,
                       std::map<int64_t, Bar>* bars);

  std::map<std::string, Table> tables_;
};

}  // namespace proxist::query
