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
  EXPECT_EQ(std::get<query::LastBy>(now->op).at, Timestamp::Min());
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
  ASSERT_EQ(op.rights.size(), 1U);
  EXPECT_EQ(op.rights[0].from.table, "quotes");
  EXPECT_THAT(op.rights[0].from.symbols, ElementsAre("AIG"));
  EXPECT_EQ(op.left.where, "size > 1");
  EXPECT_EQ(op.rights[0].from.where, "bid > 0");
  EXPECT_EQ(op.begin.ns(), 1);
  EXPECT_EQ(op.end.ns(), 2);
  EXPECT_TRUE(op.rights[0].forward);
  EXPECT_TRUE(op.rights[0].strict);
  EXPECT_EQ(op.rights[0].tolerance, Duration::Seconds(5));
  EXPECT_EQ(op.times, query::AsofTimes::kBoth);
}

TEST(BuildPlan, SeveralRightSides) {
  const auto plan = BuildPlan(
      {.op = "asof",
       .table = "trades",
       .symbols = "AIG",
       .right = "quotes",
       .joins = {"fx by venue, desk columns rate, (a + b) / 2 as mid where rate > 0 and \"by\" = "
                 "'where strict' direction nearest tolerance 5s strict prefix fx_",
                 "(bars trades --interval 1m --where \"size > 0\" --aggregates \"vwap, close\")"},
       .show_time = "right"});
  ASSERT_TRUE(plan.ok()) << plan.status();
  const auto& op = std::get<query::Asof>(plan->op);
  EXPECT_EQ(op.times, query::AsofTimes::kRight);
  ASSERT_EQ(op.rights.size(), 3U);
  const query::AsofRight& fx = op.rights[1];
  EXPECT_EQ(fx.from.table, "fx");
  EXPECT_THAT(fx.from.symbols, ElementsAre("AIG"));
  EXPECT_THAT(fx.by, ElementsAre("venue", "desk"));
  EXPECT_THAT(fx.columns, ElementsAre("rate", "(a + b) / 2 as mid"));
  EXPECT_EQ(fx.from.where, "rate > 0 and \"by\" = 'where strict'");
  EXPECT_TRUE(fx.nearest);
  EXPECT_TRUE(fx.strict);
  EXPECT_EQ(fx.tolerance, Duration::Seconds(5));
  EXPECT_EQ(fx.prefix, "fx_");
  ASSERT_NE(op.rights[2].from.query, nullptr);
  const auto& bars = std::get<query::Bars>(op.rights[2].from.query->op);
  EXPECT_EQ(bars.from.table, "trades");
  EXPECT_EQ(bars.from.where, "size > 0");
  EXPECT_THAT(bars.aggregates, ElementsAre("vwap", "close"));
}

TEST(BuildPlan, ASourceIsATableAQueryOrAFile) {
  const auto rows = std::make_shared<const query::ResultBatch>();
  const RowReader reader = [&](const std::string& path) {
    EXPECT_EQ(path, "a dir/orders.csv");
    return StatusOr<std::shared_ptr<const query::ResultBatch>>(rows);
  };
  const auto plan = BuildPlan({.op = "rolling",
                               .tenant = "desk",
                               .table = "(range (last-by q --count 3) --order \"bid desc, ts\")",
                               .aggregates = "sum",
                               .window = "5s"});
  ASSERT_TRUE(plan.ok()) << plan.status();
  const query::Selection& from = std::get<query::Rolling>(plan->op).from;
  ASSERT_NE(from.query, nullptr);
  ASSERT_EQ(from.query->order.size(), 2U);
  EXPECT_EQ(from.query->order[0].column, "bid");
  EXPECT_TRUE(from.query->order[0].descending);
  EXPECT_FALSE(from.query->order[1].descending);
  const query::Selection& inner = std::get<query::Range>(from.query->op).from;
  ASSERT_NE(inner.query, nullptr);
  EXPECT_EQ(std::get<query::LastBy>(inner.query->op).from.table, "q");
  EXPECT_EQ(std::get<query::LastBy>(inner.query->op).from.tenant, "desk");

  const auto file =
      BuildPlan({.op = "range", .table = "@a dir/orders.csv", .distinct = true}, reader);
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_EQ(std::get<query::Range>(file->op).from.rows, rows);
  EXPECT_TRUE(std::get<query::Range>(file->op).distinct);
}

TEST(BuildPlan, SaysWhatIsWrongWithSources) {
  const auto error = [](const QueryFlags& flags) {
    return std::string(Message(BuildPlan(flags).status()));
  };
  const auto join = [&](const std::string& text) {
    return error({.op = "asof", .table = "t", .joins = {text}});
  };
  EXPECT_THAT(error({.op = "asof", .table = "t"}), HasSubstr("--right or --join"));
  EXPECT_THAT(error({.op = "asof", .table = "t", .tolerance = "5s", .joins = {"q"}}),
              HasSubstr("belong to --right, which is not given"));
  EXPECT_THAT(error({.op = "asof", .table = "t", .right = "q", .show_time = "any"}),
              HasSubstr("--show-time: 'any' is not left, right or both"));
  EXPECT_THAT(join(""), HasSubstr("--join: no table is named"));
  EXPECT_THAT(join("q on venue"), HasSubstr("'on' is not by, columns, where, direction"));
  EXPECT_THAT(join("q where"), HasSubstr("where has nothing after it"));
  EXPECT_THAT(join("q by a by b"), HasSubstr("by stands twice"));
  EXPECT_THAT(join("q direction up"), HasSubstr("'up' is not backward, forward or nearest"));
  EXPECT_THAT(join("q where (a"), HasSubstr("parentheses that don't match"));
  EXPECT_THAT(join("q where \"a"), HasSubstr("a quotation that does not end"));
  const auto inner = [&](const std::string& text) {
    return error({.op = "range", .table = "(" + text + ")"});
  };
  EXPECT_THAT(inner("select * from t"), HasSubstr("inner query: 'select' is not last-by"));
  EXPECT_THAT(inner("range a b"), HasSubstr("'b' stands beside 'a': one table is asked"));
  EXPECT_THAT(inner("range a --window 5s"), HasSubstr("'--window' is no flag of range"));
  EXPECT_THAT(inner("range a --limit"), HasSubstr("--limit needs a value"));
  EXPECT_THAT(inner("range a --limit x"), HasSubstr("--limit: 'x' is not a whole number"));
  EXPECT_THAT(inner("range a --order \"b, b desc\""), HasSubstr("--order: 'b' stands twice"));
  EXPECT_THAT(error({.op = "range", .table = "@f"}), HasSubstr("no files are read here"));
  std::string deep = "t";
  for (int i = 0; i < 9; ++i) deep = "(range " + deep + ")";
  EXPECT_THAT(error({.op = "range", .table = deep}),
              HasSubstr("more than 8 queries stand in each other"));
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
  EXPECT_THAT(error({.op = "asof", .right = "quotes", .direction = "sideways"}),
              HasSubstr("--direction: 'sideways'"));
  EXPECT_THAT(error({.op = "asof", .right = "quotes", .tolerance = "-5s"}),
              HasSubstr("--tolerance: "));
  EXPECT_THAT(error({.op = "bars", .interval = "0s"}), HasSubstr("--interval: "));
  EXPECT_THAT(error({.op = "bars", .interval = "1m", .fill = "some"}), HasSubstr("--fill: "));
  for (const std::string window : {"rows", "0rows", "-1rows", "1.5rows", "x"}) {
    EXPECT_THAT(error({.op = "rolling", .window = window}), HasSubstr("--window: ")) << window;
  }
  EXPECT_THAT(error({.op = "sum"}), HasSubstr("'sum' is not last-by"));
}

}  // namespace
}  // namespace proxist::client
