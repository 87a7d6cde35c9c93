// Random worlds, random seams, random queries: the engine against the naive model.
#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <random>
#include <set>

#include <fmt/ranges.h>
#include <gtest/gtest.h>

#include "tests/unit/query/world.h"

namespace proxist::query {
namespace {

using column::TypeKind;

column::SchemaPtr Quotes() {
  static const column::SchemaPtr schema = [] {
    column::TableSchema s;
    s.name = "random_quotes";
    s.columns = {{ColumnId(1), "venue", {TypeKind::kSymbol, 0}, false},
                 {ColumnId(2), "bid", {TypeKind::kDecimal, 4}, true},
                 {ColumnId(3), "bid_size", {TypeKind::kInt64, 0}, true},
                 {ColumnId(4), "weight", {TypeKind::kFloat64, 0}, true},
                 {ColumnId(5), "note", {TypeKind::kString, 0}, true},
                 {ColumnId(6), "cond", {TypeKind::kSymbol, 0}, true},
                 {ColumnId(7), "size", {TypeKind::kFloat64, 0}, true}};
    s.series = {0};
    return ApplyTable(std::move(s));
  }();
  return schema;
}

column::SchemaPtr Trades() {
  static const column::SchemaPtr schema = [] {
    column::TableSchema s;
    s.name = "random_trades";
    s.columns = {{ColumnId(1), "price", {TypeKind::kDecimal, 2}, true},
                 {ColumnId(2), "size", {TypeKind::kInt32, 0}, true},
                 {ColumnId(3), "venue", {TypeKind::kSymbol, 0}, false},
                 {ColumnId(4), "side", {TypeKind::kSymbol, 0}, false},
                 {ColumnId(5), "cond", {TypeKind::kSymbol, 0}, true}};
    s.series = {2, 3};
    return ApplyTable(std::move(s));
  }();
  return schema;
}

/// A predicate as text and as the model's test.
struct Where {
  std::string text;
  RowTest test;
};

/// What the queries went through, so that a test which checks nothing is noticed.
struct Seen {
  uint64_t rows = 0, hot = 0, cold = 0, history_reads = 0;
};

class RandomWorld {
 public:
  explicit RandomWorld(uint64_t seed)
      : random_(seed),
        world_(1 + seed % 2, seed % 3 == 0),
        units_{1, 7, 1'000'000'000, 3'600'000'000'000, 50LL * 3'600'000'000'000} {
    unit_ = units_[Below(units_.size())];
    world_.AddTable(Quotes());
    world_.AddTable(Trades());
    const size_t batches = 4 + Below(14);
    for (size_t i = 0; i < batches; ++i) {
      PublishSome(Below(2) == 0 ? Quotes() : Trades());
      if (Below(2) == 0) PersistSome();
      if (Below(3) == 0) EvictSome(Below(2) == 0 ? Quotes() : Trades());
    }
    if (Below(4) == 0) {
      world_.PersistAll();
      world_.Evict(Quotes(), Timestamp::Max());
      world_.Evict(Trades(), Timestamp::Max());
    }
  }

  void AskSome(int queries, Seen* seen) {
    for (int i = 0; i < queries; ++i) {
      Where where;
      Where right_where;
      const Plan plan = MakePlan(&where, &right_where);
      QueryOptions options;
      if (Below(2) == 0) options.batch_rows = 1 + Below(3);
      Explain explain;
      const StatusOr<Answer> answer = world_.Ask(plan, options, &explain);
      ASSERT_TRUE(answer.ok()) << answer.status().ToString();
      const Answer expected = world_.Expected(plan, where.test, right_where.test);
      ASSERT_EQ(FormatAnswer(*answer), FormatAnswer(expected))
          << description_ << " where " << where.text << " right where " << right_where.text;
      seen->rows += answer->rows.size();
      seen->hot += explain.rows_hot;
      seen->cold += explain.rows_cold;
      seen->history_reads += explain.history_reads;
    }
  }

 private:
  size_t Below(size_t n) { return random_() % n; }
  int64_t Time() { return static_cast<int64_t>(Below(kTicks)) * unit_; }
  Timestamp Bound() {
    const int64_t nudge = static_cast<int64_t>(Below(3)) - 1;
    if (Below(8) == 0) return Timestamp::Max();
    if (Below(8) == 0) return Timestamp::Min();
    return Timestamp(Time() + nudge);
  }
  Cell Maybe(Cell cell) { return Below(5) == 0 ? Cell() : cell; }
  std::string Venue() { return std::string(1, static_cast<char>('P' + Below(3))); }

  ModelRow RandomRow(const column::SchemaPtr& schema) {
    ModelRow row;
    row.symbol = std::string(1, static_cast<char>('A' + Below(3)));
    row.ts = Time();
    row.seq = Below(3);
    if (schema == Quotes()) {
      const double weights[] = {0.1, -2.5, 1e16, std::nan(""), 3, 1e-9};
      row.cells = {Venue(),
                   Maybe(static_cast<int64_t>(Below(9)) - 2),
                   Maybe(static_cast<int64_t>(Below(5))),
                   Maybe(weights[Below(6)]),
                   Maybe(std::string(Below(4), static_cast<char>('a' + Below(3)))),
                   Maybe(std::string(1, static_cast<char>('x' + Below(3)))),
                   Maybe(static_cast<double>(Below(3)) / 2)};
    } else {
      row.cells = {Maybe(static_cast<int64_t>(Below(500))), Maybe(static_cast<int64_t>(Below(4))),
                   Venue(), std::string(Below(2) == 0 ? "buy" : "sell"),
                   Maybe(std::string(1, static_cast<char>('x' + Below(3))))};
    }
    if (Below(8) == 0) {
      row.op = column::Op::kCancel;
      for (size_t c = 0; c < row.cells.size(); ++c) {
        if (schema->columns[c].nullable) row.cells[c] = Cell();
      }
    }
    return row;
  }

  void PublishSome(const column::SchemaPtr& schema) {
    std::vector<ModelRow> rows;
    std::set<std::string> keys;
    for (size_t n = 1 + Below(12); n > 0; --n) {
      const ModelRow row = RandomRow(schema);
      std::string key = fmt::format("{} {} {}", row.symbol, row.ts, row.seq);
      for (const size_t c : schema->series) key += " " + std::get<std::string>(row.cells[c]);
      if (keys.insert(key).second) rows.push_back(row);
    }
    world_.Publish(schema, rows);
  }

  void PersistSome() {
    for (size_t s = 0; s < world_.shards(); ++s) {
      world_.Persist(s, Lsn(Below(world_.shard(s).store().published().value() + 1)));
    }
  }

  void EvictSome(const column::SchemaPtr& schema) {
    world_.Evict(schema, Bound(), [&](std::vector<hot::SeriesRecord>* plan) {
      std::erase_if(*plan, [&](const hot::SeriesRecord&) { return Below(3) == 0; });
      for (hot::SeriesRecord& series : *plan) {
        if (Below(2) == 0) series.floor = std::min(series.floor, Timestamp(Time() + 1));
      }
    });
  }

  Where QuoteWhere() {
    switch (Below(6)) {
      case 0:
        return {"bid > 0.0002", [](const ModelRow& row) {
                  return std::holds_alternative<int64_t>(row.cells[1]) &&
                         std::get<int64_t>(row.cells[1]) > 2;
                }};
      case 1:
        return {"venue in ('P', 'Z') or cond = 'y'", [](const ModelRow& row) {
                  return row.cells[0] == Cell("P") || row.cells[5] == Cell("y");
                }};
      case 2:
        return {"not (weight >= 0)", [](const ModelRow& row) {
                  return std::holds_alternative<double>(row.cells[3]) &&
                         !(std::get<double>(row.cells[3]) >= 0);
                }};
      case 3:
        return {"note is null", [](const ModelRow& row) {
                  return std::holds_alternative<std::monostate>(row.cells[4]);
                }};
      default:
        return {};
    }
  }
  Where TradeWhere() {
    switch (Below(4)) {
      case 0:
        return {"size between 1 and 2", [](const ModelRow& row) {
                  return row.cells[1] == Cell(int64_t{1}) || row.cells[1] == Cell(int64_t{2});
                }};
      case 1:
        return {"side <> 'sell' and seq < 2",
                [](const ModelRow& row) { return row.cells[3] == Cell("buy") && row.seq < 2; }};
      default:
        return {};
    }
  }

  std::vector<std::string> SomeOf(const std::vector<std::string>& names) {
    std::vector<std::string> out;
    for (const std::string& name : names) {
      if (Below(2) == 0) out.push_back(name);
    }
    return out;
  }

  Selection Of(const column::SchemaPtr& schema, Where* where) {
    Selection selection;
    selection.table = schema->name;
    if (Below(3) > 0) selection.symbols = {std::string(1, static_cast<char>('A' + Below(4)))};
    if (Below(4) == 0) selection.symbols = {"C", "A", "missing"};
    *where = schema == Quotes() ? QuoteWhere() : TradeWhere();
    selection.where = where->text;
    return selection;
  }

  /// What every operator's plan draws first.
  struct Draw {
    column::SchemaPtr table;
    std::vector<std::string> by_names, columns;
    Timestamp begin, end;
  };

  Draw MakeDraw() {
    Draw draw;
    draw.table = Below(2) == 0 ? Quotes() : Trades();
    const bool quotes = draw.table == Quotes();
    draw.by_names = quotes ? std::vector<std::string>{"venue", "cond"}
                           : std::vector<std::string>{"venue", "side", "cond"};
    draw.columns =
        SomeOf(quotes ? std::vector<std::string>{"venue", "bid", "weight", "note", "cond"}
                      : std::vector<std::string>{"size", "price", "venue", "cond"});
    draw.begin = Bound();
    draw.end = Bound();
    if (draw.begin > draw.end) std::swap(draw.begin, draw.end);
    return draw;
  }

  Plan MakePlan(Where* where, Where* right_where) {
    Plan plan;
    if (Below(4) == 0) plan.limit = Below(12);
    const Draw draw = MakeDraw();
    switch (Below(5)) {
      case 0:
        plan.op = MakeLastBy(draw, where);
        break;
      case 1:
        plan.op = MakeRange(draw, where);
        break;
      case 2:
        plan.op = MakeAsof(draw, where, right_where);
        break;
      case 3:
        plan.op = MakeBars(draw, where);
        break;
      default:
        plan.op = MakeRolling(draw, where);
        break;
    }
    return plan;
  }

  LastBy MakeLastBy(const Draw& draw, Where* where) {
    LastBy op;
    op.from = Of(draw.table, where);
    op.first = Below(2) == 0;
    op.at = Bound();
    op.by = Below(2) == 0 ? SomeOf(draw.by_names) : std::vector<std::string>{};
    op.columns = draw.columns;
    description_ = fmt::format("{} {} at {} by {}", op.first ? "first-by" : "last-by",
                               draw.table->name, op.at.ns(), fmt::join(op.by, "+"));
    return op;
  }

  Range MakeRange(const Draw& draw, Where* where) {
    Range op;
    op.from = Of(draw.table, where);
    op.begin = draw.begin;
    op.end = draw.end;
    op.columns = draw.columns;
    description_ = fmt::format("range {} {}..{}", draw.table->name, op.begin.ns(), op.end.ns());
    return op;
  }

  Asof MakeAsof(const Draw& draw, Where* where, Where* right_where) {
    Asof op;
    op.left = Of(Trades(), where);
    op.right.table = Quotes()->name;
    *right_where = QuoteWhere();
    op.right.where = right_where->text;
    op.begin = draw.begin;
    op.end = draw.end;
    op.columns = SomeOf({"price", "size", "venue"});
    op.right_columns = SomeOf({"bid", "weight", "size", "note", "venue"});
    op.by = SomeOf({"venue", "cond"});
    op.forward = Below(2) == 0;
    op.strict = Below(2) == 0;
    if (Below(2) == 0) op.tolerance = Duration(static_cast<int64_t>(Below(8)) * unit_);
    description_ = fmt::format("asof {} strict {} tolerance {} by {} {}..{}",
                               op.forward ? "forward" : "backward", op.strict,
                               op.tolerance.value_or(Duration(-1)).ns(), fmt::join(op.by, "+"),
                               op.begin.ns(), op.end.ns());
    return op;
  }

  template <typename Op>
  void PickPriceAndSize(const Draw& draw, Op* op) {
    const bool quotes = draw.table == Quotes();
    op->price = quotes ? (Below(2) == 0 ? "weight" : "bid") : "price";
    op->size = quotes && Below(2) == 0 ? "bid_size" : "size";
  }

  Bars MakeBars(const Draw& draw, Where* where) {
    Bars op;
    op.from = Of(draw.table, where);
    op.begin = draw.begin;
    op.end = draw.end;
    op.interval = Duration(unit_ * static_cast<int64_t>(1 + Below(6)));
    op.aggregates = SomeOf({"close", "open", "high", "low", "volume", "count", "vwap"});
    if (op.aggregates.empty()) op.aggregates = {"vwap"};
    op.by = SomeOf(draw.by_names);
    PickPriceAndSize(draw, &op);
    op.fill_previous = Below(2) == 0;
    description_ =
        fmt::format("bars {} {} by {} fill {} {}..{}", draw.table->name, op.interval.ns(),
                    fmt::join(op.by, "+"), op.fill_previous, op.begin.ns(), op.end.ns());
    return op;
  }

  Rolling MakeRolling(const Draw& draw, Where* where) {
    Rolling op;
    op.from = Of(draw.table, where);
    op.begin = draw.begin;
    op.end = draw.end;
    if (Below(2) == 0) {
      op.window = Duration(static_cast<int64_t>(Below(6)) * unit_);
    } else {
      op.window_rows = 1 + Below(5);
    }
    op.columns = draw.columns;
    PickPriceAndSize(draw, &op);
    op.aggregates = SomeOf(
        {"sum", "mean", "min", "max", "count", "vwap", "ema(0.25)", "sum(size)", "mean(size)"});
    if (op.aggregates.empty()) op.aggregates = {"ema(0.5)"};
    op.by = SomeOf(draw.by_names);
    description_ = fmt::format("rolling {} window {} rows {} by {} {}..{} of {}", draw.table->name,
                               op.window.value_or(Duration(-1)).ns(), op.window_rows.value_or(0),
                               fmt::join(op.by, "+"), op.begin.ns(), op.end.ns(),
                               fmt::join(op.aggregates, " "));
    return op;
  }

  static constexpr size_t kTicks = 24;
  std::mt19937_64 random_;
  World world_;
  std::vector<int64_t> units_;
  int64_t unit_ = 1;
  std::string description_;
};

TEST(RandomSeamTest, EveryAnswerIsTheModels) {
  Seen seen;
  const char* more = std::getenv("PROXIST_TEST_SEEDS");
  const uint64_t seeds = more == nullptr ? 400 : std::stoull(more);
  for (uint64_t seed = 1; seed <= seeds; ++seed) {
    SCOPED_TRACE(fmt::format("seed {}", seed));
    RandomWorld(seed).AskSome(25, &seen);
    if (HasFatalFailure()) return;
  }
  EXPECT_GT(seen.rows, 10'000U);
  EXPECT_GT(seen.hot, 10'000U);
  EXPECT_GT(seen.cold, 10'000U);
  EXPECT_GT(seen.history_reads, 1'000U);
}

}  // namespace
}  // namespace proxist::query
