// Joins, bars, windows and spans of rows in memory, whose ways know no frames, against the way
// through frames, which a predicate that holds for every row makes the engine take.
#include <cmath>
#include <random>
#include <set>

#include <fmt/ranges.h>
#include <gtest/gtest.h>

#include "tests/unit/query/world.h"

namespace proxist::query {
namespace {

using column::Type;
using column::TypeKind;

constexpr int64_t kSecond = 1'000'000'000;
// Strings are not looked at where they lie: such a predicate takes the way through frames.
constexpr const char* kEveryRow = "note = 'x'";

/// The same rows through frames.
std::string ThroughFrames(const std::string& where) {
  return where.empty() ? kEveryRow : fmt::format("({}) and {}", where, kEveryRow);
}

struct Columns {
  const char* table;
  Type price;
  Type size;
  int price_bits;  // magnitudes are below 2^bits
  int size_bits;
  bool odd = false;  // some prices are not finite or lie far apart
};
constexpr Columns kTables[] = {
    {"mem_real", {TypeKind::kFloat64, 0}, {TypeKind::kInt64, 0}, 30, 14},
    {"mem_far", {TypeKind::kFloat64, 0}, {TypeKind::kInt64, 0}, 30, 14, true},
    {"mem_odd", {TypeKind::kFloat64, 0}, {TypeKind::kFloat64, 0}, 30, 14, true},
    {"mem_narrow", {TypeKind::kFloat32, 0}, {TypeKind::kInt16, 0}, 20, 12},
    {"mem_decimal", {TypeKind::kDecimal, 4}, {TypeKind::kUint32, 0}, 24, 20},
    {"mem_great", {TypeKind::kDecimal, 2}, {TypeKind::kInt64, 0}, 59, 62},
    {"mem_mixed", {TypeKind::kDecimal, 2}, {TypeKind::kFloat64, 0}, 40, 20},
    {"mem_weights", {TypeKind::kFloat64, 0}, {TypeKind::kDecimal, 3}, 30, 20},
};

column::SchemaPtr SchemaOf(const Columns& columns) {
  column::TableSchema s;
  s.name = columns.table;
  s.columns = {{ColumnId(1), "venue", {TypeKind::kSymbol, 0}, false},
               {ColumnId(2), "price", columns.price, false},
               {ColumnId(3), "size", columns.size, false},
               {ColumnId(4), "fee", {TypeKind::kFloat64, 0}, true},
               {ColumnId(5), "note", {TypeKind::kString, 0}, false}};
  s.series = {0};
  return ApplyTable(std::move(s));
}

class MemoryWorld {
 public:
  MemoryWorld(uint64_t seed, const Columns& columns)
      : random_(seed), columns_(columns), schema_(SchemaOf(columns)) {
    world_.AddTable(schema_);
    std::vector<ModelRow> rows;
    for (int i = 0; i < 11'000; ++i) rows.push_back(RandomRow());
    world_.Publish(schema_, rows);
    Rewrite(rows);
  }

  void Ask(int plans) {
    for (int i = 0; i < plans; ++i) {
      Plan plan = OneIn(4) ? MakeAsof() : OneIn(3) ? MakeRolling() : MakeBars();
      if (OneIn(6)) plan.limit = Below(3'000);
      QueryOptions options;
      options.batch_rows = OneIn(2) ? 1 + Below(5'000) : 65'536;
      const StatusOr<Answer> answer = world_.Ask(plan, options);
      std::visit(
          [](auto& op) {
            if constexpr (requires { op.from; }) op.from.where = ThroughFrames(op.from.where);
            if constexpr (requires { op.left; }) op.left.where = ThroughFrames(op.left.where);
            if constexpr (requires { op.rights; }) {
              if (op.rights[0].from.where.empty()) return;
              op.rights[0].from.where = ThroughFrames(op.rights[0].from.where);
            }
          },
          plan.op);
      const StatusOr<Answer> expected = world_.Ask(plan, options);
      const std::string what = Describe(plan);
      // Of several sums that do not fit, either way may come upon another one first.
      ASSERT_EQ(answer.status().code(), expected.status().code()) << what << answer.status();
      failed += expected.ok() ? 0 : 1;
      if (!expected.ok()) continue;
      ASSERT_EQ(FormatAnswer(*answer), FormatAnswer(*expected)) << what;
    }
  }
  int failed = 0;

 private:
  size_t Below(size_t n) { return random_() % n; }
  bool OneIn(size_t n) { return Below(n) == 0; }
  int64_t Time() { return static_cast<int64_t>(Below(static_cast<size_t>(clock_ + 2))); }

  Cell Number(Type type, int bits) {
    auto whole = static_cast<int64_t>(random_() >> (64 - bits));
    if (type.kind != TypeKind::kUint32 && OneIn(3)) whole = -whole;
    if (column::IsFloat(type.kind)) {
      if (columns_.odd && OneIn(3'000)) return OneIn(2) ? std::nan("") : HUGE_VAL;
      if (columns_.odd && OneIn(500)) return std::ldexp(1.0, static_cast<int>(Below(400)) - 200);
      return static_cast<double>(static_cast<float>(whole) * 0.01F);
    }
    return whole;
  }
  ModelRow RandomRow() {
    ModelRow row;
    row.symbol = OneIn(5) ? "B" : "A";
    if (!OneIn(4)) clock_ += static_cast<int64_t>(Below(OneIn(50) ? 600 : 3)) * kSecond / 2;
    row.ts = clock_;
    row.seq = ++seq_;
    row.cells = {std::string(OneIn(40) ? "Q" : "P"), Number(columns_.price, columns_.price_bits),
                 Number(columns_.size, columns_.size_bits),
                 OneIn(9) ? Cell() : Cell(static_cast<double>(Below(100))), std::string("x")};
    return row;
  }
  /// Corrections, cancels and rows out of order.
  void Rewrite(const std::vector<ModelRow>& published) {
    std::vector<ModelRow> rows;
    std::set<uint64_t> seqs;
    for (int i = 0; i < 25; ++i) {
      ModelRow row = published[Below(published.size())];
      if (!seqs.insert(row.seq).second) continue;
      row.cells[1] = Number(columns_.price, columns_.price_bits);
      if (OneIn(3)) row.seq = ++seq_;
      if (OneIn(3)) row.op = column::Op::kCancel;
      rows.push_back(row);
    }
    world_.Publish(schema_, rows);
  }

  std::string Where() {
    constexpr const char* kPredicates[] = {
        "fee > 50",    "fee is null", "venue = 'Q'",   "venue <> 'Q' and size > 0",
        "price < 0",   "price >= -1", "seq in (1, 7)", "not (fee <= 90 or price > size)",
        "symbol = 'B'"};
    if (OneIn(4)) return fmt::format("ts >= {} and seq > {}", Time(), Below(seq_));
    return kPredicates[Below(std::size(kPredicates))];
  }

  template <typename Op>
  void Select(std::initializer_list<const char*> names, Op* op) {
    op->from.table = schema_->name;
    if (OneIn(2)) op->from.symbols = {OneIn(3) ? "B" : "A"};
    if (OneIn(2)) op->begin = Timestamp(Time());
    if (OneIn(2)) op->end = Timestamp(Time());
    if (OneIn(2)) op->from.where = Where();
    for (const char* name : names) {
      if (OneIn(4)) op->aggregates.emplace_back(name);
    }
    if (op->aggregates.empty()) op->aggregates.emplace_back("vwap");
  }
  Plan MakeBars() {
    Bars op;
    Select({"vwap", "count", "sum(price)", "volume", "mean", "mean(size)", "high", "low",
            "min(size)", "max(fee)", "open", "close", "count(fee)", "vwap(size,price)"},
           &op);
    // Of these a single sweep makes bars of sums.
    if (OneIn(3)) op.aggregates = {"count", "vwap", "mean", "sum(price)", "vwap(fee,size)"};
    if (OneIn(3)) op.aggregates.resize(1 + Below(op.aggregates.size()));
    constexpr int64_t kIntervals[] = {
        1, kSecond, 60 * kSecond, 3'601 * kSecond, 86'400 * kSecond, 8'640'000'000 * kSecond};
    op.interval = Duration(kIntervals[Below(std::size(kIntervals))]);
    if (OneIn(4)) op.origin = Timestamp(Time());
    if (OneIn(5)) {
      op.interval.reset();
      op.origin.reset();
    }
    return {.op = std::move(op), .limit = {}};
  }
  Plan MakeRolling() {
    Rolling op;
    Select({"vwap", "count", "sum(price)", "sum(size)", "mean", "mean(size)", "first(price)",
            "last(size)", "ema(0.1)", "ema(size,0.5)", "mean(fee)"},
           &op);
    // Of these a single sweep makes windows of sums.
    if (OneIn(2)) {
      op.aggregates = {"count", "vwap", "mean", "sum(price)"};
      op.aggregates.resize(1 + Below(op.aggregates.size()));
    }
    op.window = Duration(static_cast<int64_t>(OneIn(4) ? Below(20'000) : Below(300)) * kSecond / 2);
    op.columns = {"venue", "fee"};
    return {.op = std::move(op), .limit = {}};
  }
  /// The table with itself.
  Plan MakeAsof() {
    Asof op;
    op.left.table = schema_->name;
    if (OneIn(2)) op.left.symbols = {OneIn(3) ? "B" : "A"};
    if (OneIn(2)) op.begin = Timestamp(Time());
    if (OneIn(2)) op.end = Timestamp(Time());
    op.columns = {OneIn(2) ? "fee" : "ts"};
    AsofRight& right = op.rights.emplace_back();
    right.from.table = schema_->name;
    right.columns = {"price", "fee", "venue", "seq"};
    right.prefix = "r_";
    if (OneIn(3)) op.left.where = Where();
    // Now and then nothing, or one row far away, is selected.
    if (OneIn(2)) right.from.where = OneIn(4) ? fmt::format("seq = {}", Below(seq_)) : Where();
    right.forward = OneIn(2);
    right.strict = OneIn(2);
    if (OneIn(3)) right.tolerance = Duration(static_cast<int64_t>(Below(4)) * kSecond / 2);
    return {.op = std::move(op), .limit = {}};
  }
  std::string Describe(const Plan& plan) {
    return std::visit(
        [&](const auto& op) -> std::string {
          if constexpr (requires { op.rights; }) {
            return fmt::format("asof {} where {}, right {} forward {} strict {}", op.left.table,
                               op.left.where, op.rights[0].from.where, op.rights[0].forward,
                               op.rights[0].strict);
          }
          if constexpr (requires { op.aggregates, op.from; }) {
            return fmt::format("{} {} of {} {}..{} where {}", op.from.table,
                               fmt::join(op.aggregates, "+"), fmt::join(op.from.symbols, ","),
                               op.begin.ns(), op.end.ns(), op.from.where);
          }
          return {};
        },
        plan.op);
  }

  std::mt19937_64 random_;
  const Columns& columns_;
  column::SchemaPtr schema_;
  World world_;
  int64_t clock_ = 0;
  uint64_t seq_ = 0;
};

TEST(InMemoryTest, AnswersAreThoseOfTheWayThroughFrames) {
  int failed = 0;
  for (const Columns& columns : kTables) {
    SCOPED_TRACE(columns.table);
    MemoryWorld world(7, columns);
    world.Ask(24);
    if (HasFatalFailure()) return;
    failed += world.failed;
  }
  EXPECT_GT(failed, 0);  // sums that do not fit are among them
}

/// Plans of the shapes that are measured: all rows in memory, in order, without nulls.
class InPlaceTest : public ::testing::Test {
 protected:
  InPlaceTest() {
    world_.AddTable(quotes_);
    world_.AddTable(trades_);
    std::vector<ModelRow> quotes;
    std::vector<ModelRow> trades;
    for (int64_t i = 0; i < kRows; ++i) {
      const std::string symbol = i % 3 == 0 ? "B" : "A";
      quotes.push_back(RowAt(symbol, i, {100.0 + static_cast<double>(i % 7), 101.0}));
      if (i % 5 == 0) trades.push_back(RowAt(symbol, i, {100.5, 1 + i % 9}));
    }
    world_.Publish(quotes_, quotes);
    world_.Publish(trades_, trades);
  }
  /// Rows of memory that were read, and those of them that were answered from where they lie.
  std::pair<uint64_t, uint64_t> RowsOf(auto op) {
    Explain explain;
    EXPECT_EQ(world_.Ask({.op = std::move(op), .limit = {}}, {}, &explain).status(), OkStatus());
    return {explain.rows_hot, explain.rows_in_place};
  }
  StatusOr<Answer> Ask(auto op, const QueryOptions& options = {}) {
    return world_.Ask({.op = std::move(op), .limit = {}}, options);
  }
  static Asof Join() {
    Asof op;
    op.left.table = "in_place_trades";
    op.columns = {"ts"};
    AsofRight& right = op.rights.emplace_back();
    right.from.table = "in_place_quotes";
    right.columns = {"bid", "ask"};
    return op;
  }
  static Bars MinuteBars() {
    Bars op;
    op.from.table = "in_place_trades";
    op.interval = Duration::Seconds(60);
    op.aggregates = {"vwap"};
    return op;
  }
  static Rolling Windows(const char* aggregate) {
    Rolling op;
    op.from.table = "in_place_trades";
    op.columns = {"ts"};
    op.aggregates = {aggregate};
    op.window = Duration::Seconds(300);
    return op;
  }
  static constexpr int64_t kRows = 6'000;
  static constexpr uint64_t kTrades = kRows / 5;

 private:
  static ModelRow RowAt(const std::string& symbol, int64_t i, std::vector<Cell> cells) {
    ModelRow row;
    row.symbol = symbol;
    row.ts = i * kSecond / 4;
    row.seq = static_cast<uint64_t>(i) + 1;
    row.cells = std::move(cells);
    row.cells.emplace_back(std::string("x"));
    return row;
  }
  static column::SchemaPtr Table(const char* name, const char* first, const char* second,
                                 TypeKind kind) {
    column::TableSchema schema;
    schema.name = name;
    schema.columns = {{ColumnId(1), first, {TypeKind::kFloat64, 0}, false},
                      {ColumnId(2), second, {kind, 0}, false},
                      {ColumnId(3), "note", {TypeKind::kString, 0}, false}};
    return ApplyTable(std::move(schema));
  }
  const column::SchemaPtr quotes_ = Table("in_place_quotes", "bid", "ask", TypeKind::kFloat64);
  const column::SchemaPtr trades_ = Table("in_place_trades", "price", "size", TypeKind::kInt64);
  World world_;
};

TEST_F(InPlaceTest, MeasuredShapesAreAnsweredFromWhereRowsLie) {
  EXPECT_EQ(RowsOf(MinuteBars()), std::pair(kTrades, kTrades));
  for (const char* aggregate : {"vwap", "mean", "ema(0.1)"}) {
    EXPECT_EQ(RowsOf(Windows(aggregate)), std::pair(kTrades, kTrades)) << aggregate;
  }
  const auto [hot, in_place] = RowsOf(Join());
  EXPECT_EQ(hot, in_place);
  EXPECT_GT(in_place, kTrades + kRows * 9 / 10);
}

TEST_F(InPlaceTest, AnswersAreThoseOfTheWayThroughFrames) {
  const auto expect_same = [&](auto op) {
    const StatusOr<Answer> in_place = Ask(op);
    op.from.where = ThroughFrames(op.from.where);
    const StatusOr<Answer> expected = Ask(op);
    ASSERT_EQ(in_place.status(), OkStatus());
    ASSERT_EQ(expected.status(), OkStatus());
    EXPECT_EQ(FormatAnswer(*in_place), FormatAnswer(*expected)) << op.aggregates[0];
  };
  expect_same(MinuteBars());
  Bars large = MinuteBars();
  large.from.where = "size > 2";
  expect_same(large);
  large.from.where = "size > 100";
  expect_same(large);
  for (const char* aggregate : {"vwap", "mean", "count", "sum(price)", "ema(0.1)", "last(size)"}) {
    expect_same(Windows(aggregate));
    Rolling late = Windows(aggregate);
    late.begin = Timestamp(kRows * kSecond / 8);
    expect_same(late);
    late.from.where = "size > 2";
    expect_same(late);
    late.from.where = "size > 100";
    expect_same(late);
  }
}

TEST_F(InPlaceTest, PredicatesReadColumnsWhereTheyLieButStrings) {
  Bars bars = MinuteBars();
  bars.from.where = "size > 2";
  EXPECT_EQ(RowsOf(bars).second, kTrades);
  bars.from.where = kEveryRow;
  EXPECT_EQ(RowsOf(bars).second, 0U);
  for (const char* aggregate : {"vwap", "ema(0.1)"}) {
    Rolling windows = Windows(aggregate);
    windows.from.where = "size > 2 and ts >= 0";
    EXPECT_EQ(RowsOf(windows).second, kTrades);
  }
  Asof join = Join();
  const auto [hot, in_place] = RowsOf(join);
  join.left.where = "size > 2";
  join.rights[0].from.where = "bid > 0";
  const auto [filtered_hot, filtered_in_place] = RowsOf(join);
  EXPECT_EQ(filtered_hot, filtered_in_place);
  EXPECT_NEAR(static_cast<double>(filtered_in_place), static_cast<double>(in_place), 200);
  join.rights[0].from.where = kEveryRow;
  EXPECT_EQ(RowsOf(join).second, 0U);
}

TEST_F(InPlaceTest, PredicatesLookAtNoMoreRowsThanTheyMay) {
  QueryOptions few;
  few.predicate_rows = kTrades / 2;
  const auto code_of = [&](auto op) { return Ask(std::move(op), few).status().code(); };
  Bars bars = MinuteBars();
  bars.from.where = "size > 100";
  EXPECT_EQ(code_of(bars), absl::StatusCode::kAborted);
  Rolling windows = Windows("vwap");
  windows.from.where = "size > 100";
  EXPECT_EQ(code_of(windows), absl::StatusCode::kAborted);
  Asof join = Join();
  EXPECT_EQ(code_of(join), absl::StatusCode::kOk);
  join.left.where = "size > 100";
  EXPECT_EQ(code_of(join), absl::StatusCode::kAborted);
  join.left.where = {};
  // No row is selected, so that all are looked at, unless the tolerance leaves them out.
  join.rights[0].from.where = "bid < 0";
  join.begin = Timestamp(kRows * kSecond / 4 - 2 * kSecond);
  EXPECT_EQ(code_of(join), absl::StatusCode::kAborted);
  join.rights[0].tolerance = Duration::Seconds(10);
  EXPECT_EQ(code_of(join), absl::StatusCode::kOk);
}

}  // namespace
}  // namespace proxist::query
