// Random rows and random queries over two tables, as the property tests and the simulator draw
// them.
#pragma once

#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "proxist/query/plan.h"
#include "tests/unit/query/naive_model.h"

namespace proxist::query {

/// Declarations with every kind of column that operators treat differently. Their column ids are
/// set.
column::TableSchema RandomQuotesTable();
column::TableSchema RandomTradesTable();

/// A predicate as text and as the model's test.
struct Where {
  std::string text;
  RowTest test;
};

/// The times that rows and bounds lie at: `ticks` steps of `unit` ns from `origin`.
struct TickRange {
  int64_t origin = 0;
  int64_t unit = 1;
  size_t ticks = 24;
};

/// Draws from a small domain, so that ties, corrections and empty answers are common. One thread.
class RandomPlans {
 public:
  RandomPlans(std::mt19937_64* random, column::SchemaPtr quotes, column::SchemaPtr trades)
      : random_(*random), quotes_(std::move(quotes)), trades_(std::move(trades)) {}

  void SetTicks(const TickRange& range) { range_ = range; }
  [[nodiscard]] size_t Below(size_t n) { return random_() % n; }
  /// A tick, one ns beside one, or no bound.
  Timestamp Bound();
  int64_t Time() { return range_.origin + static_cast<int64_t>(Below(range_.ticks)) * range_.unit; }
  /// A put or a cancel (never in a table whose seq is assigned).
  ModelRow Row(const column::SchemaPtr& schema);
  /// Rows without a repeated key.
  std::vector<ModelRow> Rows(const column::SchemaPtr& schema, size_t count);
  /// What its predicates mean goes to `tests`.
  Plan MakePlan(RowTests* tests);
  /// Of the last plan.
  [[nodiscard]] const std::string& description() const { return description_; }

 private:
  /// What every operator's plan draws first.
  struct Draw {
    column::SchemaPtr table;
    std::vector<std::string> by_names, columns;
    Timestamp begin, end;
  };
  Cell Maybe(const Cell& cell) { return Below(5) == 0 ? Cell() : cell; }
  std::string Venue() { return std::string(1, static_cast<char>('P' + Below(3))); }
  Where QuoteWhere();
  Where TradeWhere();
  std::vector<std::string> SomeOf(const std::vector<std::string>& names);
  Selection Of(const column::SchemaPtr& schema, RowTest* where);
  /// Mostly the table; else rows as it has them, given or from an inner query.
  Selection Source(const column::SchemaPtr& schema, RowTest* where,
                   std::shared_ptr<RowTests>* inner);
  std::shared_ptr<const ResultBatch> List(const column::SchemaPtr& schema);
  Plan Inner(const column::SchemaPtr& schema, RowTests* tests);
  Draw MakeDraw();
  LastBy MakeLastBy(const Draw& draw, RowTests* tests);
  Range MakeRange(const Draw& draw, RowTests* tests);
  AsofRight MakeAsofRight(RowTest* where, std::shared_ptr<RowTests>* inner);
  Asof MakeAsof(const Draw& draw, RowTests* tests);
  template <typename Op>
  void PickPriceAndSize(const Draw& draw, Op* op);
  Bars MakeBars(const Draw& draw, RowTests* tests);
  Rolling MakeRolling(const Draw& draw, RowTests* tests);
  Book MakeBook(const Draw& draw, RowTests* tests);
  WindowJoin MakeWindowJoin(const Draw& draw, RowTests* tests);
  /// Columns that an answer of the plan has, symbol among them.
  std::vector<std::string> OrderNames(const Plan& plan) const;
  /// Aggregates that stand in every operator.
  std::vector<std::string> SomeAggregates(bool quotes);

  std::mt19937_64& random_;
  const column::SchemaPtr quotes_;
  const column::SchemaPtr trades_;
  TickRange range_;
  std::string description_;
};

}  // namespace proxist::query
