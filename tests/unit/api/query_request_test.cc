// Plans onto the wire and back.
#include "proxist/api/query_request.h"

#include <gmock/gmock.h>
#include <google/protobuf/util/message_differencer.h>
#include <gtest/gtest.h>

#include "proxist/query/engine.h"
#include "proxist/v1/proxist.pb.h"

namespace proxist::api {
namespace {

using google::protobuf::util::MessageDifferencer;
using testing::ElementsAre;
using testing::HasSubstr;

query::Plan Back(const query::Plan& plan) {
  v1::QueryRequest request;
  EncodePlan(plan, &request);
  const StatusOr<query::Plan> back = DecodePlan(request);
  EXPECT_TRUE(back.ok()) << back.status();
  v1::QueryRequest again;
  EncodePlan(*back, &again);
  EXPECT_TRUE(MessageDifferencer::Equals(request, again));
  return *back;
}

TEST(QueryRequest, LastBy) {
  query::LastBy op;
  op.from = {"acme", "quotes", {"AIG", "IBM"}, "bid > 0"};
  op.first = true;
  op.at = Timestamp(0);
  op.by = {"venue"};
  op.columns = {"bid", "ask"};
  const query::Plan back = Back({op, 0});
  const auto& got = std::get<query::LastBy>(back.op);
  EXPECT_EQ(got.from.tenant, "acme");
  EXPECT_EQ(got.from.table, "quotes");
  EXPECT_THAT(got.from.symbols, ElementsAre("AIG", "IBM"));
  EXPECT_EQ(got.from.where, "bid > 0");
  EXPECT_TRUE(got.first);
  EXPECT_EQ(got.at, Timestamp(0)) << "zero is a time, not unset";
  EXPECT_THAT(got.by, ElementsAre("venue"));
  EXPECT_THAT(got.columns, ElementsAre("bid", "ask"));
  EXPECT_EQ(back.limit, 0u) << "a limit of zero is a limit";
  EXPECT_EQ(OperatorName(back), "first-by");
  EXPECT_EQ(TablesOf(back), "quotes");
}

TEST(QueryRequest, UnsetTimesHaveNoBound) {
  query::Range op;
  op.from.table = "quotes";
  const query::Plan back = Back({op, std::nullopt});
  const auto& got = std::get<query::Range>(back.op);
  EXPECT_EQ(got.begin, Timestamp::Min());
  EXPECT_EQ(got.end, Timestamp::Max());
  EXPECT_EQ(got.from.tenant, "default");
  EXPECT_EQ(back.limit, std::nullopt);
  EXPECT_EQ(OperatorName(back), "range");
}

TEST(QueryRequest, Asof) {
  query::Asof op;
  op.left.table = "trades";
  op.begin = Timestamp(-5);
  op.end = Timestamp(7);
  op.columns = {"price"};
  op.times = query::AsofTimes::kRight;
  query::AsofRight& quotes = op.rights.emplace_back();
  quotes.from.table = "quotes";
  quotes.from.where = "bid > 0";
  quotes.columns = {"bid"};
  quotes.by = {"venue"};
  quotes.prefix = "q_";
  quotes.forward = true;
  quotes.nearest = true;
  quotes.strict = true;
  quotes.tolerance = Duration(0);
  op.rights.emplace_back().from.table = "halts";
  const query::Plan back = Back({op, 10});
  const auto& got = std::get<query::Asof>(back.op);
  EXPECT_EQ(got.left.table, "trades");
  EXPECT_EQ(got.begin, Timestamp(-5));
  EXPECT_EQ(got.end, Timestamp(7));
  EXPECT_EQ(got.times, query::AsofTimes::kRight);
  ASSERT_EQ(got.rights.size(), 2u);
  const query::AsofRight& right = got.rights[0];
  EXPECT_EQ(right.from.table, "quotes");
  EXPECT_EQ(right.from.where, "bid > 0");
  EXPECT_THAT(right.columns, ElementsAre("bid"));
  EXPECT_THAT(right.by, ElementsAre("venue"));
  EXPECT_EQ(right.prefix, "q_");
  EXPECT_TRUE(right.forward);
  EXPECT_TRUE(right.nearest);
  EXPECT_TRUE(right.strict);
  EXPECT_EQ(right.tolerance, Duration(0)) << "zero is a tolerance";
  EXPECT_EQ(got.rights[1].tolerance, std::nullopt);
  EXPECT_EQ(TablesOf(back), "trades,quotes,halts");
}

TEST(QueryRequest, OneRightSideMayStandInTheJoinItself) {
  v1::QueryRequest request;
  v1::Asof* asof = request.mutable_asof();
  asof->mutable_left()->set_table("trades");
  asof->mutable_right()->set_table("quotes");
  asof->add_right_columns("bid");
  asof->add_by("venue");
  asof->set_strict(true);
  asof->set_tolerance_ns(5);
  asof->add_rights()->mutable_from()->set_table("halts");
  const StatusOr<query::Plan> plan = DecodePlan(request);
  ASSERT_TRUE(plan.ok()) << plan.status();
  const auto& got = std::get<query::Asof>(plan->op);
  ASSERT_EQ(got.rights.size(), 2u);
  EXPECT_EQ(got.rights[0].from.table, "quotes");
  EXPECT_THAT(got.rights[0].columns, ElementsAre("bid"));
  EXPECT_THAT(got.rights[0].by, ElementsAre("venue"));
  EXPECT_TRUE(got.rights[0].strict);
  EXPECT_EQ(got.rights[0].tolerance, Duration(5));
  EXPECT_EQ(got.rights[1].from.table, "halts");
}

TEST(QueryRequest, OrderAndDistinct) {
  query::Range op;
  op.from.table = "quotes";
  op.distinct = true;
  query::Plan plan{op, 3};
  plan.order = {{"bid", true}, {"venue", false}};
  const query::Plan back = Back(plan);
  EXPECT_TRUE(std::get<query::Range>(back.op).distinct);
  ASSERT_EQ(back.order.size(), 2u);
  EXPECT_EQ(back.order[0].column, "bid");
  EXPECT_TRUE(back.order[0].descending);
  EXPECT_FALSE(back.order[1].descending);
}

TEST(QueryRequest, RowsAndInnerQueriesTakeATablesPlace) {
  query::ResultBatch rows;
  auto symbols = std::make_shared<exec::Symbols>(nullptr);
  const auto add = [&](const char* name, column::TypeKind kind) -> exec::Column& {
    exec::NamedColumn& named = rows.columns.emplace_back();
    named.name = name;
    named.column = exec::Column({kind, 0});
    return named.column;
  };
  exec::Column& symbol = add("symbol", column::TypeKind::kSymbol);
  symbol.Append(symbols->Code("IBM"));
  symbol.Append(symbols->Code("AIG"));
  exec::Column& ts = add("ts", column::TypeKind::kTimestamp);
  ts.Append(int64_t{5});
  ts.Append(int64_t{4});
  exec::Column& note = add("note", column::TypeKind::kString);
  note.Append(std::string_view("two words"));
  note.AppendNull();
  rows.symbols = symbols;

  query::Range inner;
  inner.from.table = "quotes";
  query::Asof op;
  op.left.rows = std::make_shared<const query::ResultBatch>(std::move(rows));
  op.rights.emplace_back().from.query =
      std::make_shared<const query::Plan>(query::Plan{inner, std::nullopt});
  const query::Plan back = Back({op, std::nullopt});
  EXPECT_EQ(TablesOf(back), "rows,(quotes)");
  const query::ResultBatch& got = *std::get<query::Asof>(back.op).left.rows;
  ASSERT_EQ(got.columns.size(), 3u);
  ASSERT_EQ(got.rows(), 2u);
  EXPECT_EQ(got.columns[0].name, "symbol");
  EXPECT_EQ(got.symbols->Text(got.columns[0].column.data<uint32_t>()[0]), "IBM");
  EXPECT_EQ(got.symbols->Text(got.columns[0].column.data<uint32_t>()[1]), "AIG");
  EXPECT_EQ(got.columns[1].column.data<int64_t>()[1], 4);
  EXPECT_EQ(got.columns[2].column.data<std::string_view>()[0], "two words");
  EXPECT_FALSE(got.columns[2].column.IsValid(1));
}

TEST(QueryRequest, RefusesSourcesThatAreNotOne) {
  v1::QueryRequest request;
  v1::Selection* from = request.mutable_range()->mutable_from();
  from->set_table("quotes");
  from->mutable_query()->mutable_range()->mutable_from()->set_table("trades");
  EXPECT_THAT(std::string(Message(DecodePlan(request).status())),
              HasSubstr("range: give a table, rows or a query, not several"));
  from->clear_table();
  EXPECT_TRUE(DecodePlan(request).ok());
  for (int depth = 0; depth < 8; ++depth) {
    v1::QueryRequest outer;
    *outer.mutable_range()->mutable_from()->mutable_query() = request;
    request = outer;
  }
  EXPECT_THAT(std::string(Message(DecodePlan(request).status())),
              HasSubstr("more than 8 queries stand in each other"));

  v1::QueryRequest damaged;
  v1::Column* column = damaged.mutable_range()->mutable_from()->add_rows();
  column->set_name("symbol");
  column->mutable_type()->set_kind(v1::TYPE_KIND_SYMBOL);
  column->set_values(std::string("\1\0\0\0", 4));
  EXPECT_THAT(std::string(Message(DecodePlan(damaged).status())),
              HasSubstr("range: column symbol, row 0: code 1 of a dictionary of 0"));
}

TEST(QueryRequest, BarsAndRolling) {
  query::Bars bars;
  bars.from.table = "trades";
  bars.interval = Duration::Seconds(60);
  bars.aggregates = {"open", "vwap"};
  bars.price = "px";
  bars.fill = query::Fill::kLinear;
  bars.origin = Timestamp(5);
  bars.zone = "America/New_York";
  const query::Plan bars_back = Back({bars, std::nullopt});
  const auto& got = std::get<query::Bars>(bars_back.op);
  EXPECT_EQ(got.interval, Duration::Seconds(60));
  EXPECT_EQ(got.price, "px");
  EXPECT_EQ(got.size, "size");
  EXPECT_EQ(got.fill, query::Fill::kLinear);
  EXPECT_EQ(got.origin, Timestamp(5));
  EXPECT_EQ(got.zone, "America/New_York");
  bars.interval.reset();
  EXPECT_EQ(std::get<query::Bars>(Back({bars, std::nullopt}).op).interval, std::nullopt);

  query::Rolling rolling;
  rolling.from.table = "trades";
  rolling.window_rows = 100;
  rolling.aggregates = {"ema(0.1)"};
  rolling.size = "qty";
  rolling.centred = true;
  const query::Plan rolling_back = Back({rolling, std::nullopt});
  const auto& rows = std::get<query::Rolling>(rolling_back.op);
  EXPECT_EQ(rows.window, std::nullopt);
  EXPECT_EQ(rows.window_rows, 100u);
  EXPECT_EQ(rows.price, "price");
  EXPECT_EQ(rows.size, "qty");
  EXPECT_TRUE(rows.centred);
  rolling.window_rows.reset();
  EXPECT_EQ(std::get<query::Rolling>(Back({rolling, std::nullopt}).op).window_rows, std::nullopt)
      << "moving averages need no window";
}

TEST(QueryRequest, WindowJoin) {
  query::WindowJoin op;
  op.left.table = "trades";
  op.right.table = "quotes";
  op.right.where = "bid > 0";
  op.begin = Timestamp(1);
  op.columns = {"price"};
  op.by = {"venue"};
  op.before = Duration(-5);
  op.after = Duration(7);
  op.prevailing = true;
  op.aggregates = {"max(bid)"};
  op.price = "bid";
  const query::Plan back = Back({op, 3});
  const auto& got = std::get<query::WindowJoin>(back.op);
  EXPECT_EQ(got.left.table, "trades");
  EXPECT_EQ(got.right.where, "bid > 0");
  EXPECT_EQ(got.begin, Timestamp(1));
  EXPECT_EQ(got.end, Timestamp::Max());
  EXPECT_THAT(got.columns, ElementsAre("price"));
  EXPECT_THAT(got.by, ElementsAre("venue"));
  EXPECT_EQ(got.before, Duration(-5));
  EXPECT_EQ(got.after, Duration(7));
  EXPECT_TRUE(got.prevailing);
  EXPECT_THAT(got.aggregates, ElementsAre("max(bid)"));
  EXPECT_EQ(got.price, "bid");
  EXPECT_EQ(got.size, "size");
  EXPECT_EQ(TablesOf(back), "trades,quotes");
  EXPECT_EQ(OperatorName(back), "window-join");
}

TEST(QueryRequest, Book) {
  query::Book op;
  op.from.table = "orders";
  op.since = Timestamp(3);
  op.at = Timestamp(9);
  op.key = {"order_id"};
  op.bid = "buy";
  op.remove = "action = 'C'";
  op.clear = "action = 'R'";
  op.depth = 3;
  const query::Plan back = Back({op, std::nullopt});
  const auto& got = std::get<query::Book>(back.op);
  EXPECT_EQ(got.from.table, "orders");
  EXPECT_EQ(got.since, Timestamp(3));
  EXPECT_EQ(got.at, Timestamp(9));
  EXPECT_THAT(got.key, ElementsAre("order_id"));
  EXPECT_EQ(got.side, "side");
  EXPECT_EQ(got.bid, "buy");
  EXPECT_EQ(got.ask, "A");
  EXPECT_EQ(got.remove, "action = 'C'");
  EXPECT_EQ(got.clear, "action = 'R'");
  EXPECT_EQ(got.depth, 3u);
  EXPECT_EQ(OperatorName(back), "book");
}

TEST(QueryRequest, DefectsAreNamed) {
  const auto refusal = [](const auto& make) {
    v1::QueryRequest request;
    make(&request);
    const Status status = DecodePlan(request).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    return std::string(Message(status));
  };
  EXPECT_THAT(refusal([](v1::QueryRequest*) {}), HasSubstr("no operator"));
  EXPECT_THAT(refusal([](v1::QueryRequest* r) { r->mutable_range(); }),
              HasSubstr("range: no table is named"));
  EXPECT_THAT(
      refusal([](v1::QueryRequest* r) { r->mutable_asof()->mutable_left()->set_table("trades"); }),
      HasSubstr("asof, right: no table is named"));
  EXPECT_THAT(refusal([](v1::QueryRequest* r) {
                auto* asof = r->mutable_asof();
                asof->mutable_left()->set_table("trades");
                asof->mutable_right()->set_table("quotes");
                asof->set_tolerance_ns(-1);
              }),
              HasSubstr("a tolerance of -1 ns is negative"));
  EXPECT_THAT(refusal([](v1::QueryRequest* r) {
                r->mutable_bars()->mutable_from()->set_table("trades");
                r->mutable_bars()->set_interval_ns(0);
              }),
              HasSubstr("an interval of 0 ns is not above 0"));
  const auto rolling = [](v1::QueryRequest* r) {
    r->mutable_rolling()->mutable_from()->set_table("trades");
    return r->mutable_rolling();
  };
  EXPECT_THAT(refusal([&](v1::QueryRequest* r) {
                rolling(r)->set_window_ns(1);
                rolling(r)->set_window_rows(1);
              }),
              HasSubstr("either a window in time or one in rows"));
  EXPECT_THAT(refusal([&](v1::QueryRequest* r) { rolling(r)->set_window_ns(-1); }),
              HasSubstr("a window of -1 ns is negative"));
  EXPECT_THAT(refusal([&](v1::QueryRequest* r) { rolling(r)->set_window_rows(0); }),
              HasSubstr("a window of 0 rows"));
}

}  // namespace
}  // namespace proxist::api
