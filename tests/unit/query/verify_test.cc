// The check of a live table finds what history lost, and nothing where nothing is lost.
#include "proxist/query/verify.h"

#include <gtest/gtest.h>

#include "tests/unit/query/random_plan.h"
#include "tests/unit/query/world.h"

namespace proxist::query {
namespace {

class VerifyTest : public ::testing::Test {
 protected:
  VerifyTest() : plans_(&random_, quotes_, trades_) {
    plans_.SetTicks({.origin = 1'000'000, .unit = 1'000, .ticks = 400});
    world_.AddTable(quotes_);
    world_.AddTable(trades_);
    for (int i = 0; i < 30; ++i) world_.Publish(quotes_, plans_.Rows(quotes_, 12));
  }
  VerifyReport Verify(const VerifyOptions& options = {}) {
    const StatusOr<VerifyReport> report = VerifySeam(&world_.engine(), quotes_, options);
    EXPECT_EQ(report.status(), OkStatus());
    return report.ok() ? *report : VerifyReport();
  }

  const column::SchemaPtr quotes_ = ApplyTable(RandomQuotesTable());
  const column::SchemaPtr trades_ = ApplyTable(RandomTradesTable());
  std::mt19937_64 random_{1};
  RandomPlans plans_;
  World world_{2};
};

TEST_F(VerifyTest, AnswersOfASoundTableAgree) {
  world_.PersistAll();
  world_.Evict(quotes_, Timestamp(1'000'000 + 100 * 1'000));
  const VerifyReport report = Verify();
  EXPECT_TRUE(report.complete);
  EXPECT_TRUE(report.differences.empty());
  EXPECT_TRUE(report.skipped.empty()) << report.skipped[0];
  EXPECT_GT(report.queries, 10U);
  EXPECT_GT(report.evaluations, 2 * report.queries);
  EXPECT_GT(report.rows_read, 500U);
}

TEST_F(VerifyTest, ARowThatHistoryLostIsFound) {
  world_.PersistAll();
  const ModelRow* lost = nullptr;
  for (const auto& [schema, row] : world_.shard(0).published) {
    if (row.op == column::Op::kPut) lost = &row;
  }
  ASSERT_NE(lost, nullptr);
  world_.history().Forget(
      [&](const ModelRow& row) { return row.symbol == lost->symbol && row.ts == lost->ts; });
  const VerifyReport report = Verify();
  ASSERT_FALSE(report.differences.empty());
  EXPECT_NE(report.differences[0].row_at_low.find("ts=" + std::to_string(lost->ts)),
            std::string::npos)
      << report.differences[0].row_at_low;
}

TEST_F(VerifyTest, GivenQueriesAreCompared) {
  world_.PersistAll();
  Bars bars;
  bars.from.table = quotes_->name;
  bars.interval = Duration(10'000);
  bars.aggregates = {"count"};
  VerifyOptions options;
  options.plans = {{"the bars", {bars, std::nullopt}}};
  EXPECT_TRUE(Verify(options).differences.empty());
  world_.history().Forget([](const ModelRow& row) { return row.ts % 7 == 0; });
  const VerifyReport report = Verify(options);
  ASSERT_FALSE(report.differences.empty());
  EXPECT_EQ(report.differences[0].query, "the bars");
}

TEST_F(VerifyTest, BoundsAreKept) {
  world_.PersistAll();
  VerifyOptions options;
  options.max_rows = 50;
  const VerifyReport few = Verify(options);
  EXPECT_FALSE(few.complete);
  EXPECT_LT(few.rows_read, 1'000U);
  options.max_rows = 1'000'000;
  options.deadline = Duration(0);
  EXPECT_FALSE(Verify(options).complete);
}

TEST_F(VerifyTest, RowsThatAreNotPersistedInTimeAreSaid) {
  VerifyOptions options;
  options.deadline = Duration::Millis(20);
  const VerifyReport report = Verify(options);
  EXPECT_FALSE(report.complete);
  ASSERT_FALSE(report.skipped.empty());
  EXPECT_NE(report.skipped[0].find("the flush is behind"), std::string::npos);
}

}  // namespace
}  // namespace proxist::query
