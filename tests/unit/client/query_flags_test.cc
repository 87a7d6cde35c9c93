// Flags become plans.
#include "proxist/client/query_flags.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace proxist::client {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

TEST(SplitList, RespectsParentheses) {
  EXPECT_THAT(*SplitList(""), IsEmpty());
  EXPECT_THAT(*SplitList(" "), IsEmpty());
  EXPECT_THAT(*SplitList("a"), ElementsAre("a"));
  EXPECT_THAT(*SplitList("vwap, ema(0.1),sum(a,(b, c)) "),
              ElementsAre("vwap", "ema(0.1)", "sum(a,(b, c))"));
  for (const std::string_view bad : {",", "a,", ",a", "a,,b", "ema(0.1", "a)", "a),(b"}) {
    EXPECT_FALSE(SplitList(bad).ok()) << bad;
  }
}

TEST(BuildPlan, LastBy) {
  const auto plan = BuildPlan({.op = "last-by",
                               .tenant = "desk",
                               .table = "quotes",
                               .symbols = "AIG,IBM",
                               .where = "bid > 0",
                               .columns = "venue,bid",
                               .by = "venue",
                               .at = "2013-10-09T10:00:00-04:00",
                               .limit = 5});
  ASSERT_TRUE(plan.ok()) << plan.status();
  const auto& op = std::get<query::LastBy>(plan->op);
  EXPECT_FALSE(op.first);
  EXPECT_EQ(op.from.tenant, "desk");
  EXPECT_EQ(op.from.table, "quotes");
  EXPECT_THAT(op.from.symbols, ElementsAre("AIG", "IBM"));
  EXPECT_EQ(op.from.where, "bid > 0");
  EXPECT_EQ(FormatIso8601(op.at), "2013-10-09T14:00:00.000000000Z");
  EXPECT_THAT(op.by, ElementsAre("venue"));
  EXPECT_THAT(op.columns, ElementsAre("venue", "bid"));
  EXPECT_EQ(plan->limit, 5U);
  const auto now = BuildPlan({.op = "first-by", .table = "t"});
  EXPECT_TRUE(std::get<query::LastBy>(now->op).first);
  EXPECT_EQ(std::get<query::LastBy>(now->op).at, Timestamp::Max());
  EXPECT_EQ(now->limit, std::nullopt);
}

TEST(BuildPlan, Asof) {
  const auto plan = BuildPlan({.op = "asof",
                               .table = "trades",
                               .symbols = "AIG",
                               .where = "size > 1",
                               .from = "1",
                               .to = "2",
                               .right = "quotes",
                               .right_columns = "bid",
                               .right_where = "bid > 0",
                               .direction = "forward",
                               .strict = true,
                               .tolerance = "5s"});
  ASSERT_TRUE(plan.ok()) << plan.status();
  const auto& op = std::get<query::Asof>(plan->op);
  EXPECT_EQ(op.left.table, "trades");
  EXPECT_EQ(op.right.table, "quotes");
  EXPECT_THAT(op.right.symbols, ElementsAre("AIG"));
  EXPECT_EQ(op.left.where, "size > 1");
  EXPECT_EQ(op.right.where, "bid > 0");
  EXPECT_EQ(op.begin.ns(), 1);
  EXPECT_EQ(op.end.ns(), 2);
  EXPECT_TRUE(op.forward);
  EXPECT_TRUE(op.strict);
  EXPECT_EQ(op.tolerance, Duration::Seconds(5));
}

TEST(BuildPlan, BarsAndRolling) {
  const auto bars = BuildPlan({.op = "bars",
                               .table = "trades",
                               .interval = "1m",
                               .aggregates = "open,vwap",
                               .fill = "previous",
                               .price = "px"});
  ASSERT_TRUE(bars.ok()) << bars.status();
  const auto& bar = std::get<query::Bars>(bars->op);
  EXPECT_EQ(bar.interval, Duration::Seconds(60));
  EXPECT_EQ(bar.fill, query::Fill::kPrevious);
  EXPECT_EQ(bar.price, "px");
  EXPECT_EQ(bar.size, "size");
  EXPECT_EQ(bar.begin, Timestamp::Min());
  EXPECT_EQ(bar.end, Timestamp::Max());

  const auto local = BuildPlan({.op = "bars",
                                .table = "trades",
                                .interval = "1d",
                                .fill = "linear",
                                .origin = "2013-10-09T17:00:00",
                                .zone = "America/Chicago"});
  ASSERT_TRUE(local.ok()) << local.status();
  EXPECT_EQ(std::get<query::Bars>(local->op).fill, query::Fill::kLinear);
  EXPECT_EQ(std::get<query::Bars>(local->op).origin, Timestamp(1381338000000000000));
  EXPECT_EQ(std::get<query::Bars>(local->op).zone, "America/Chicago");
  const auto whole = BuildPlan({.op = "aggregate", .table = "trades", .aggregates = "vwap as v"});
  ASSERT_TRUE(whole.ok()) << whole.status();
  EXPECT_EQ(std::get<query::Bars>(whole->op).interval, std::nullopt);

  const auto by_time = BuildPlan(
      {.op = "rolling", .table = "trades", .aggregates = "vwap,ema(0.1)", .window = "5m"});
  ASSERT_TRUE(by_time.ok()) << by_time.status();
  EXPECT_EQ(std::get<query::Rolling>(by_time->op).window, Duration::Seconds(300));
  EXPECT_EQ(std::get<query::Rolling>(by_time->op).window_rows, std::nullopt);
  const auto by_rows =
      BuildPlan({.op = "rolling", .table = "trades", .aggregates = "count", .window = "100rows"});
  EXPECT_EQ(std::get<query::Rolling>(by_rows->op).window_rows, 100U);
  EXPECT_EQ(std::get<query::Rolling>(by_rows->op).window, std::nullopt);
  const auto average = BuildPlan({.op = "rolling", .table = "trades", .aggregates = "ema(0.1)"});
  ASSERT_TRUE(average.ok()) << average.status();
  EXPECT_EQ(std::get<query::Rolling>(average->op).window, std::nullopt);
}

TEST(BuildPlan, WindowJoin) {
  const auto plan = BuildPlan({.op = "window-join",
                               .table = "trades",
                               .right = "quotes",
                               .aggregates = "max(bid), quantile(ask, 0.5)",
                               .before = "-1s",
                               .after = "5s",
                               .prevailing = true});
  ASSERT_TRUE(plan.ok()) << plan.status();
  const auto& op = std::get<query::WindowJoin>(plan->op);
  EXPECT_EQ(op.before, Duration::Seconds(-1));
  EXPECT_EQ(op.after, Duration::Seconds(5));
  EXPECT_TRUE(op.prevailing);
  EXPECT_THAT(op.aggregates, testing::ElementsAre("max(bid)", "quantile(ask, 0.5)"));
  EXPECT_THAT(std::string(Message(BuildPlan({.op = "window-join", .before = "soon"}).status())),
              HasSubstr("--before: "));
}

TEST(BuildPlan, Book) {
  const auto plan = BuildPlan({.op = "book",
                               .table = "orders",
                               .at = "9",
                               .price = "px",
                               .key = "order_id",
                               .ask = "S",
                               .remove = "action = 'C'",
                               .depth = 5});
  ASSERT_TRUE(plan.ok()) << plan.status();
  const auto& op = std::get<query::Book>(plan->op);
  EXPECT_EQ(op.at, Timestamp(9));
  EXPECT_EQ(op.since, Timestamp::Min());
  EXPECT_THAT(op.key, testing::ElementsAre("order_id"));
  EXPECT_EQ(op.bid, "B");
  EXPECT_EQ(op.ask, "S");
  EXPECT_EQ(op.price, "px");
  EXPECT_EQ(op.remove, "action = 'C'");
  EXPECT_EQ(op.depth, 5u);
  EXPECT_THAT(std::string(Message(BuildPlan({.op = "book", .depth = 0}).status())),
              HasSubstr("--depth: "));
  const auto snapshot = BuildPlan({.op = "snapshot", .table = "quotes", .at = "5", .count = 3});
  EXPECT_EQ(std::get<query::LastBy>(snapshot->op).count, 3u);
  EXPECT_FALSE(std::get<query::LastBy>(snapshot->op).first);
}

TEST(BuildPlan, NamesTheFlagThatIsWrong) {
  const auto error = [](QueryFlags flags) {
    return std::string(Message(BuildPlan(flags).status()));
  };
  EXPECT_THAT(error({.op = "last-by", .at = "noon"}), HasSubstr("--at: "));
  EXPECT_THAT(error({.op = "range", .from = "1x"}), HasSubstr("--from: "));
  EXPECT_THAT(error({.op = "range", .symbols = "A,,B"}), HasSubstr("--symbols: "));
  EXPECT_THAT(error({.op = "asof", .direction = "sideways"}), HasSubstr("--direction: 'sideways'"));
  EXPECT_THAT(error({.op = "asof", .tolerance = "-5s"}), HasSubstr("--tolerance: "));
  EXPECT_THAT(error({.op = "bars", .interval = "0s"}), HasSubstr("--interval: "));
  EXPECT_THAT(error({.op = "bars", .interval = "1m", .fill = "some"}), HasSubstr("--fill: "));
  for (const std::string window : {"rows", "0rows", "-1rows", "1.5rows", "x"}) {
    EXPECT_THAT(error({.op = "rolling", .window = window}), HasSubstr("--window: ")) << window;
  }
  EXPECT_THAT(error({.op = "sum"}), HasSubstr("'sum' is not last-by"));
}

}  // namespace
}  // namespace proxist::client
