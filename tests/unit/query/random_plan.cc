#include "tests/unit/query/random_plan.h"

#include <cmath>
#include <set>

#include <fmt/ranges.h>

namespace proxist::query {

using column::TypeKind;

column::TableSchema RandomQuotesTable() {
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
  return s;
}

column::TableSchema RandomTradesTable() {
  column::TableSchema s;
  s.name = "random_trades";
  s.columns = {{ColumnId(1), "price", {TypeKind::kDecimal, 2}, true},
               {ColumnId(2), "size", {TypeKind::kInt32, 0}, true},
               {ColumnId(3), "venue", {TypeKind::kSymbol, 0}, false},
               {ColumnId(4), "side", {TypeKind::kSymbol, 0}, false},
               {ColumnId(5), "cond", {TypeKind::kSymbol, 0}, true}};
  s.series = {2, 3};
  return s;
}

Timestamp RandomPlans::Bound() {
  const int64_t nudge = static_cast<int64_t>(Below(3)) - 1;
  if (Below(8) == 0) return Timestamp::Max();
  if (Below(8) == 0) return Timestamp::Min();
  return Timestamp(Time() + nudge);
}

ModelRow RandomPlans::Row(const column::SchemaPtr& schema) {
  ModelRow row;
  row.symbol = std::string(1, static_cast<char>('A' + Below(3)));
  row.ts = Time();
  row.seq = Below(3);
  if (schema == quotes_) {
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
  if (schema->seq == column::SeqMode::kProducer && Below(8) == 0) {
    row.op = column::Op::kCancel;
    for (size_t c = 0; c < row.cells.size(); ++c) {
      if (schema->columns[c].nullable) row.cells[c] = Cell();
    }
  }
  return row;
}

std::vector<ModelRow> RandomPlans::Rows(const column::SchemaPtr& schema, size_t count) {
  std::vector<ModelRow> rows;
  std::set<std::string> keys;
  for (; count > 0; --count) {
    const ModelRow row = Row(schema);
    std::string key = fmt::format("{} {} {}", row.symbol, row.ts, row.seq);
    for (const size_t c : schema->series) key += " " + std::get<std::string>(row.cells[c]);
    if (keys.insert(key).second) rows.push_back(row);
  }
  return rows;
}

Where RandomPlans::QuoteWhere() {
  switch (Below(7)) {
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
Where RandomPlans::TradeWhere() {
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

std::vector<std::string> RandomPlans::SomeOf(const std::vector<std::string>& names) {
  std::vector<std::string> out;
  for (const std::string& name : names) {
    if (Below(2) == 0) out.push_back(name);
  }
  return out;
}

Selection RandomPlans::Of(const column::SchemaPtr& schema, Where* where) {
  Selection selection;
  selection.table = schema->name;
  if (Below(3) > 0) selection.symbols = {std::string(1, static_cast<char>('A' + Below(4)))};
  if (Below(4) == 0) selection.symbols = {"C", "A", "missing"};
  *where = schema == quotes_ ? QuoteWhere() : TradeWhere();
  selection.where = where->text;
  return selection;
}

RandomPlans::Draw RandomPlans::MakeDraw() {
  Draw draw;
  draw.table = Below(2) == 0 ? quotes_ : trades_;
  const bool quotes = draw.table == quotes_;
  draw.by_names = quotes ? std::vector<std::string>{"venue", "cond"}
                         : std::vector<std::string>{"venue", "side", "cond"};
  draw.columns = SomeOf(quotes ? std::vector<std::string>{"venue", "bid", "weight", "note", "cond"}
                               : std::vector<std::string>{"size", "price", "venue", "cond"});
  draw.begin = Bound();
  draw.end = Bound();
  if (draw.begin > draw.end) std::swap(draw.begin, draw.end);
  return draw;
}

Plan RandomPlans::MakePlan(Where* where, Where* right_where) {
  Plan plan;
  if (Below(4) == 0) plan.limit = Below(12);
  const Draw draw = MakeDraw();
  switch (Below(6)) {
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
    case 4:
      plan.op = MakeWindowJoin(draw, where, right_where);
      break;
    case 5:
      plan.op = MakeBook(draw, where);
      break;
    default:
      plan.op = MakeRolling(draw, where);
      break;
  }
  return plan;
}

LastBy RandomPlans::MakeLastBy(const Draw& draw, Where* where) {
  LastBy op;
  op.from = Of(draw.table, where);
  op.first = Below(2) == 0;
  op.at = Bound();
  op.by = Below(2) == 0 ? SomeOf(draw.by_names) : std::vector<std::string>{};
  op.columns = draw.columns;
  if (Below(3) == 0) op.count = 1 + Below(5);
  description_ = fmt::format("{} of {} {} at {} by {}", op.count, op.first ? "first-by" : "last-by",
                             draw.table->name, op.at.ns(), fmt::join(op.by, "+"));
  return op;
}

Range RandomPlans::MakeRange(const Draw& draw, Where* where) {
  Range op;
  op.from = Of(draw.table, where);
  op.begin = draw.begin;
  op.end = draw.end;
  op.columns = draw.columns;
  description_ = fmt::format("range {} {}..{}", draw.table->name, op.begin.ns(), op.end.ns());
  return op;
}

Asof RandomPlans::MakeAsof(const Draw& draw, Where* where, Where* right_where) {
  Asof op;
  op.left = Of(trades_, where);
  op.right.table = quotes_->name;
  *right_where = QuoteWhere();
  op.right.where = right_where->text;
  op.begin = draw.begin;
  op.end = draw.end;
  op.columns = SomeOf({"price", "size", "venue"});
  op.right_columns = SomeOf({"bid", "weight", "size", "note", "venue"});
  op.by = SomeOf({"venue", "cond"});
  op.forward = Below(2) == 0;
  op.nearest = Below(4) == 0;
  op.strict = Below(2) == 0;
  if (Below(2) == 0) op.tolerance = Duration(static_cast<int64_t>(Below(8)) * range_.unit);
  description_ = fmt::format("asof {} nearest {} strict {} tolerance {} by {} {}..{}",
                             op.forward ? "forward" : "backward", op.nearest, op.strict,
                             op.tolerance.value_or(Duration(-1)).ns(), fmt::join(op.by, "+"),
                             op.begin.ns(), op.end.ns());
  return op;
}

template <typename Op>
void RandomPlans::PickPriceAndSize(const Draw& draw, Op* op) {
  const bool quotes = draw.table == quotes_;
  op->price = quotes ? (Below(2) == 0 ? "weight" : "bid") : "price";
  op->size = quotes && Below(2) == 0 ? "bid_size" : "size";
}

Bars RandomPlans::MakeBars(const Draw& draw, Where* where) {
  Bars op;
  op.from = Of(draw.table, where);
  op.begin = draw.begin;
  op.end = draw.end;
  if (Below(5) > 0) op.interval = Duration(range_.unit * static_cast<int64_t>(1 + Below(6)));
  op.aggregates = SomeOf({"close", "open", "high", "low", "volume", "count", "vwap"});
  if (Below(2) == 0) op.aggregates = SomeAggregates(draw.table == quotes_);
  if (op.aggregates.empty()) op.aggregates = {"vwap"};
  op.by = SomeOf(draw.by_names);
  PickPriceAndSize(draw, &op);
  if (op.interval.has_value()) {
    op.fill = static_cast<Fill>(Below(2) == 0 ? 0 : Below(5));
    if (Below(3) == 0) op.origin = Timestamp(Time());
  }
  description_ =
      fmt::format("bars {} {} from {} by {} fill {} {}..{} of {}", draw.table->name,
                  op.interval.value_or(Duration()).ns(), op.origin.value_or(Timestamp()).ns(),
                  fmt::join(op.by, "+"), static_cast<int>(op.fill), op.begin.ns(), op.end.ns(),
                  fmt::join(op.aggregates, " "));
  return op;
}

Rolling RandomPlans::MakeRolling(const Draw& draw, Where* where) {
  Rolling op;
  op.from = Of(draw.table, where);
  op.begin = draw.begin;
  op.end = draw.end;
  if (Below(2) == 0) {
    op.window = Duration(static_cast<int64_t>(Below(6)) * range_.unit);
  } else {
    op.window_rows = 1 + Below(5);
  }
  op.centred = Below(3) == 0;
  op.columns = draw.columns;
  PickPriceAndSize(draw, &op);
  op.aggregates = SomeOf(
      {"sum", "mean", "min", "max", "count", "vwap", "ema(0.25)", "sum(size)", "mean(size)"});
  if (Below(2) == 0) {
    op.aggregates = SomeAggregates(draw.table == quotes_);
    for (const std::string& text : SomeOf({"ema_span(3)", "ema_half_life(2)", "ema(size,0.5)",
                                           fmt::format("ema_time('{}ns')", 3 * range_.unit)})) {
      op.aggregates.push_back(text);
    }
  }
  if (op.aggregates.empty()) op.aggregates = {"ema(0.5)"};
  op.by = SomeOf(draw.by_names);
  description_ =
      fmt::format("rolling {} window {} rows {} centred {} by {} {}..{} of {}", draw.table->name,
                  op.window.value_or(Duration(-1)).ns(), op.window_rows.value_or(0), op.centred,
                  fmt::join(op.by, "+"), op.begin.ns(), op.end.ns(), fmt::join(op.aggregates, " "));
  return op;
}

Book RandomPlans::MakeBook(const Draw& draw, Where* where) {
  Book op;
  op.from = Of(trades_, where);
  if (Below(2) == 0) op.since = draw.begin;
  op.at = draw.end;
  op.bid = "buy";
  op.ask = "sell";
  if (Below(3) > 0) op.key = {Below(2) == 0 ? "size" : "cond"};
  op.depth = 1 + Below(4);
  description_ = fmt::format("book {}..{} of {} depth {}", op.since.ns(), op.at.ns(),
                             fmt::join(op.key, "+"), op.depth);
  return op;
}

WindowJoin RandomPlans::MakeWindowJoin(const Draw& draw, Where* where, Where* right_where) {
  WindowJoin op;
  op.left = Of(trades_, where);
  op.right.table = quotes_->name;
  *right_where = QuoteWhere();
  op.right.where = right_where->text;
  op.begin = draw.begin;
  op.end = draw.end;
  op.columns = SomeOf({"price", "size", "venue"});
  op.by = SomeOf({"venue", "cond"});
  op.before = Duration((static_cast<int64_t>(Below(8)) - 2) * range_.unit);
  op.after =
      Duration(static_cast<int64_t>(Below(6)) * range_.unit - std::min(op.before.ns(), int64_t{0}));
  op.prevailing = Below(2) == 0;
  op.price = Below(2) == 0 ? "weight" : "bid";
  op.aggregates = SomeAggregates(/*quotes=*/true);
  if (op.aggregates.empty()) op.aggregates = {"last", "count"};
  description_ = fmt::format("window-join {}..{} prevailing {} by {} {}..{} of {}", op.before.ns(),
                             op.after.ns(), op.prevailing, fmt::join(op.by, "+"), op.begin.ns(),
                             op.end.ns(), fmt::join(op.aggregates, " "));
  return op;
}

std::vector<std::string> RandomPlans::SomeAggregates(bool quotes) {
  const std::string column = quotes ? "bid" : "price";
  std::vector<std::string> all = {"sum",  "mean",           "min",         "max",       "first",
                                  "last", "twap",           "median",      "distinct",  "count",
                                  "vwap", "distinct(cond)", "count(cond)", "last(cond)"};
  for (const std::string name : {"stddev({})", "stddev_pop({})", "var({})", "var_pop({})",
                                 "quantile({},0.25)", "max({0})-min({0})", "twap({})"}) {
    all.push_back(fmt::format(fmt::runtime(name), column));
  }
  std::vector<std::string> out;
  for (const std::string& text : all) {
    if (Below(4) == 0) out.push_back(text);
  }
  return out;
}

}  // namespace proxist::query
