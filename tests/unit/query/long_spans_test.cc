// Bars and windows over many chunks, where totals stand for rows: the engine against the model.
#include <algorithm>
#include <cmath>
#include <random>
#include <set>

#include <fmt/ranges.h>
#include <gtest/gtest.h>

#include "tests/unit/query/world.h"

namespace proxist::query {
namespace {

using column::TypeKind;

/// `price` and `size` are decimal and integer, or floats.
column::SchemaPtr Trades(bool real) {
  column::TableSchema s;
  s.name = real ? "long_real_trades" : "long_trades";
  s.columns = {{ColumnId(1), "venue", {TypeKind::kSymbol, 0}, false},
               {ColumnId(2), "price", {real ? TypeKind::kFloat64 : TypeKind::kDecimal, 0}, true},
               {ColumnId(3), "size", {real ? TypeKind::kFloat32 : TypeKind::kInt64, 0}, true},
               {ColumnId(4), "fee", {TypeKind::kFloat64, 0}, true},
               {ColumnId(5), "cond", {TypeKind::kSymbol, 0}, true}};
  if (!real) s.columns[1].type.scale = 2;
  s.series = {0};
  return ApplyTable(std::move(s));
}

constexpr int64_t kSecond = 1'000'000'000;

class LongWorld {
 public:
  LongWorld(uint64_t seed, bool real)
      : random_(seed), real_(real), schema_(Trades(real)), world_(1, seed % 2 == 0) {
    world_.AddTable(schema_);
    for (int part = 0; part < 4; ++part) {
      Publish(2'000);
      Rewrite(OneIn(2) ? 3 : 30);
      if (OneIn(2)) {
        world_.Persist(0, Lsn(Below(world_.shard(0).store().published().value() + 1)));
      }
      if (OneIn(3)) world_.Evict(schema_, Timestamp(kSecond * Time()));
    }
  }

  void Ask(int queries) {
    for (int i = 0; i < queries; ++i) {
      Explain explain;
      const Plan plan = OneIn(2) ? MakeBars() : MakeRolling();
      const StatusOr<Answer> answer = world_.Ask(plan, {}, &explain);
      ASSERT_TRUE(answer.ok()) << answer.status().ToString() << description_;
      ASSERT_EQ(FormatAnswer(*answer), FormatAnswer(world_.Expected(plan))) << description_;
      rows_in_totals += explain.rows_in_totals;
    }
  }
  uint64_t rows_in_totals = 0;

 private:
  size_t Below(size_t n) { return random_() % n; }
  bool OneIn(size_t n) { return Below(n) == 0; }
  int64_t Time() { return static_cast<int64_t>(Below(static_cast<size_t>(clock_ + 1))); }

  Cell Real() {
    if (OneIn(700)) return OneIn(2) ? std::nan("") : HUGE_VAL;
    return std::ldexp(static_cast<double>(static_cast<int64_t>(random_()) >> 20),
                      static_cast<int>(Below(30)) - 50);
  }
  Cell Maybe(Cell cell) { return OneIn(9) ? Cell() : cell; }
  ModelRow RandomRow(int64_t second) {
    ModelRow row;
    row.symbol = OneIn(5) ? "B" : "A";
    row.ts = second * kSecond;
    row.cells = {
        std::string(OneIn(3) ? "Q" : "P"),
        Maybe(real_ ? Real() : Cell(static_cast<int64_t>(random_() >> 24) - (int64_t{1} << 38))),
        Maybe(real_ ? Cell(static_cast<double>(Below(1000)))
                    : Cell(static_cast<int64_t>(Below(5000)) - 100)),
        Maybe(Real()), Maybe(std::string(OneIn(2) ? "x" : "y"))};
    return row;
  }
  void Publish(size_t n) {
    std::vector<ModelRow> rows;
    for (size_t i = 0; i < n; ++i) rows.push_back(RandomRow(++clock_));
    world_.Publish(schema_, rows);
    published_.insert(published_.end(), rows.begin(), rows.end());
  }
  /// Corrections, cancels and rows out of order.
  void Rewrite(int n) {
    std::vector<ModelRow> rows;
    std::set<int64_t> seconds;
    for (int i = 0; i < n; ++i) {
      ModelRow row = published_[Below(published_.size())];
      if (!seconds.insert(row.ts).second) continue;
      const ModelRow fresh = RandomRow(row.ts / kSecond);
      for (size_t c = 1; c < row.cells.size(); ++c) row.cells[c] = fresh.cells[c];
      if (OneIn(3)) row.seq = 7;
      if (OneIn(3)) {
        row.op = column::Op::kCancel;
        for (size_t c = 1; c < row.cells.size(); ++c) row.cells[c] = Cell();
      }
      rows.push_back(row);
    }
    world_.Publish(schema_, rows);
  }

  template <typename Op>
  void Select(Op* op) {
    op->from.table = schema_->name;
    if (OneIn(2)) op->from.symbols = {"A"};
    if (OneIn(2)) op->by = {"venue"};
    if (OneIn(6)) op->by = {"cond"};
    if (OneIn(4)) op->price = "fee";
    description_ = fmt::format("{} by {} of {}", schema_->name, fmt::join(op->by, "+"), op->price);
  }
  template <typename Op>
  void PickSome(std::initializer_list<const char*> names, Op* op) {
    for (const char* name : names) {
      if (OneIn(2)) op->aggregates.emplace_back(name);
    }
    if (op->aggregates.empty()) op->aggregates.emplace_back("vwap");
    description_ += fmt::format(" {}", fmt::join(op->aggregates, "+"));
  }

  Plan MakeBars() {
    Bars op;
    Select(&op);
    op.interval =
        Duration(kSecond * static_cast<int64_t>(OneIn(3) ? 1 + Below(900) : 2'000 + Below(9'000)));
    if (!OneIn(3)) op.begin = Timestamp(kSecond * Time() / 3);
    if (!OneIn(3)) op.end = Timestamp(clock_ * kSecond - kSecond * Time() / 3);
    // A bar for each repeated close is slow in the model.
    if (OneIn(2) && *op.interval > Duration(kSecond * 100)) op.fill = Fill::kPrevious;
    PickSome({"open", "high", "low", "close", "volume", "count", "vwap"}, &op);
    description_ +=
        fmt::format(" interval {} {}..{}", op.interval->ns(), op.begin.ns(), op.end.ns());
    return {.op = std::move(op), .limit = {}};
  }
  Plan MakeRolling() {
    Rolling op;
    Select(&op);
    op.window = Duration(kSecond * static_cast<int64_t>(Below(10'000)));
    op.columns = {"venue"};
    const int64_t begin = OneIn(2) ? clock_ - 4 : Time();
    op.begin = Timestamp(kSecond * begin);
    op.end = begin == clock_ - 4 && OneIn(2)
                 ? Timestamp::Max()
                 : Timestamp(kSecond * (begin + 1 + static_cast<int64_t>(Below(6))));
    PickSome({"sum", "mean", "min", "max", "count", "vwap", "sum(size)", "max(fee)", "ema(0.5)"},
             &op);
    description_ += fmt::format(" window {} {}..{}", op.window->ns(), op.begin.ns(), op.end.ns());
    return {.op = std::move(op), .limit = {}};
  }

  std::mt19937_64 random_;
  const bool real_;
  column::SchemaPtr schema_;
  World world_;
  int64_t clock_ = 0;
  std::vector<ModelRow> published_;
  std::string description_;
};

TEST(LongSpansTest, EveryAnswerIsTheModels) {
  uint64_t rows_in_totals = 0;
  for (uint64_t seed = 1; seed <= 8; ++seed) {
    SCOPED_TRACE(fmt::format("seed {}", seed));
    LongWorld world(seed, seed % 4 < 2);
    world.Ask(12);
    if (HasFatalFailure()) return;
    rows_in_totals += world.rows_in_totals;
  }
  EXPECT_GT(rows_in_totals, 20'000U);
}

/// 100,000 trades of A, one a second, at 1.00 each, of size 2.
class LongSeriesTest : public testing::Test {
 protected:
  LongSeriesTest() {
    world_.AddTable(schema_);
    std::vector<ModelRow> rows;
    for (int64_t second = 0; second < 100'000; ++second) {
      ModelRow& row = rows.emplace_back();
      row.symbol = "A";
      row.ts = second * kSecond;
      row.cells = {"P", int64_t{100}, int64_t{2}, 0.25, {}};
    }
    world_.Publish(schema_, rows);
  }
  column::SchemaPtr schema_ = Trades(false);
  World world_;
};

TEST_F(LongSeriesTest, ALongBarReadsItsEdgesOnly) {
  Bars op;
  op.from.table = schema_->name;
  op.interval = Duration(kSecond * 50'000);
  Explain explain;
  const StatusOr<Answer> answer = world_.Ask({.op = op, .limit = {}}, {}, &explain);
  ASSERT_TRUE(answer.ok());
  EXPECT_EQ(answer->rows[1], (std::vector<std::string>{"A", "50000000000000", "100", "100", "100",
                                                       "100", "100000", "50000", FormatCell(1.0)}));
  EXPECT_LE(explain.rows_hot, 4 * hot::kChunkRows);
  EXPECT_EQ(explain.rows_hot + explain.rows_in_totals, 100'000U);
  // What is not read is not charged.
  QueryOptions options;
  options.memory_bytes = 200'000;
  EXPECT_TRUE(world_.Ask({.op = op, .limit = {}}, options).ok());
}

TEST_F(LongSeriesTest, ALongWindowReadsItsEdgesOnly) {
  Rolling op;
  op.from.table = schema_->name;
  op.begin = Timestamp(kSecond * 99'990);
  op.window = Duration(kSecond * 90'000);
  op.aggregates = {"sum(size)", "count", "vwap"};
  op.columns = {"venue"};
  Explain explain;
  const StatusOr<Answer> answer = world_.Ask({.op = op, .limit = {}}, {}, &explain);
  ASSERT_TRUE(answer.ok());
  ASSERT_EQ(answer->rows.size(), 10U);
  EXPECT_EQ(answer->rows[9], (std::vector<std::string>{"A", "99999000000000", "0", "P", "180002",
                                                       "90001", FormatCell(1.0)}));
  EXPECT_LE(explain.rows_hot, 3 * hot::kChunkRows);
  EXPECT_EQ(explain.rows_hot + explain.rows_in_totals, 90'010U);
}

TEST_F(LongSeriesTest, APredicateReadsEveryRow) {
  Bars op;
  op.from.table = schema_->name;
  op.from.where = "size > 1";
  op.interval = Duration(kSecond * 50'000);
  Explain explain;
  ASSERT_TRUE(world_.Ask({.op = op, .limit = {}}, {}, &explain).ok());
  EXPECT_EQ(explain.rows_hot, 100'000U);
  EXPECT_EQ(explain.rows_in_totals, 0U);
}

}  // namespace
}  // namespace proxist::query
