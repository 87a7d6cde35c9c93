// The answers that queries must give, by loops over a list of every version of every row.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "proxist/query/plan.h"
#include "tests/unit/query/model_rows.h"

namespace proxist::query {

/// Whether a row counts; the model's own form of a predicate. Empty: every row does.
using RowTest = std::function<bool(const ModelRow&)>;

/// What the predicates of a plan mean, and of the plans inside it.
struct RowTests {
  RowTest main;
  std::vector<RowTest> rights;  // by right side; missing ones are empty
  std::shared_ptr<RowTests> inner;
  std::vector<std::shared_ptr<RowTests>> right_inner;
};

/// An answer with its values and types.
struct TypedAnswer {
  std::vector<std::pair<std::string, column::Type>> columns;
  std::vector<std::vector<Cell>> rows;
};

class NaiveModel {
 public:
  void AddTable(const column::SchemaPtr& schema) { tables_[schema->name].schema = schema; }
  void Add(const std::string& table, const ModelRow& row) {
    tables_[table].versions.push_back(row);
  }
  [[nodiscard]] Answer Run(const Plan& plan, const RowTests& tests) const;

 private:
  struct Table {
    column::SchemaPtr schema;
    std::vector<ModelRow> versions;
  };
  /// What an operator works on: rows in order, of the chosen symbols.
  struct Rows {
    column::SchemaPtr schema;
    std::vector<ModelRow> all;
  };
  [[nodiscard]] TypedAnswer Typed(const Plan& plan, const RowTests& tests) const;
  [[nodiscard]] Rows Of(const Selection& selection, const std::vector<std::string>& symbols,
                        const RowTest& where, const RowTests* inner) const;
  [[nodiscard]] Rows OfMain(const Selection& selection, const RowTests& tests) const {
    return Of(selection, selection.symbols, tests.main, tests.inner.get());
  }
  [[nodiscard]] Rows OfRight(const Selection& selection, const std::vector<std::string>& symbols,
                             const RowTests& tests, size_t side) const;
  [[nodiscard]] static std::vector<ModelRow> Resolved(const Table& table);
  TypedAnswer Nearest(const LastBy& op, const RowTests& tests) const;
  TypedAnswer InRange(const Range& op, const RowTests& tests) const;
  TypedAnswer Match(const Asof& op, const RowTests& tests) const;
  TypedAnswer MakeBars(const Bars& op, const RowTests& tests) const;
  TypedAnswer Roll(const Rolling& op, const RowTests& tests) const;
  TypedAnswer Depth(const Book& op, const RowTests& tests) const;
  TypedAnswer JoinWindows(const WindowJoin& op, const RowTests& tests) const;
  /// A bar of a group, or an empty one between two.
  struct Bar {
    std::vector<const ModelRow*> rows;
    std::vector<Cell> cells;
  };
  static void FillBars(const Bars& op, const column::TableSchema& schema,
                       std::map<int64_t, Bar>* bars);

  std::map<std::string, Table> tables_;
};

}  // namespace proxist::query
