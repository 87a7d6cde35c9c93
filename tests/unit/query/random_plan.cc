#include "tests/unit/query/random_plan.h"

#include <cmath>
#include <cstring>
#include <deque>
#include <set>
#include <utility>

#include <fmt/ranges.h>

#include "proxist/query/engine.h"

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
    const size_t length = Below(4);
    const std::string note(length, static_cast<char>('a' + Below(3)));
    row.cells = {Venue(),
                 Maybe(static_cast<int64_t>(Below(9)) - 2),
                 Maybe(static_cast<int64_t>(Below(5))),
                 Maybe(weights[Below(6)]),
                 Maybe(note),
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

Selection RandomPlans::Of(const column::SchemaPtr& schema, RowTest* where) {
  Selection selection;
  selection.table = schema->name;
  if (Below(3) > 0) selection.symbols = {std::string(1, static_cast<char>('A' + Below(4)))};
  if (Below(4) == 0) selection.symbols = {"C", "A", "missing"};
  const Where drawn = schema == quotes_ ? QuoteWhere() : TradeWhere();
  selection.where = drawn.text;
  *where = drawn.test;
  description_ += fmt::format(" [{} symbols {} where {}]", schema->name,
                              fmt::join(selection.symbols, "+"), selection.where);
  return selection;
}

Selection RandomPlans::Source(const column::SchemaPtr& schema, RowTest* where,
                              std::shared_ptr<RowTests>* inner) {
  Selection selection = Of(schema, where);
  const size_t kind = Below(8);
  if (kind > 1) return selection;
  selection.table.clear();
  if (kind == 0) {
    selection.rows = List(schema);
  } else {
    *inner = std::make_shared<RowTests>();
    description_ += " of (";
    selection.query = std::make_shared<const Plan>(Inner(schema, inner->get()));
    description_ += ")";
  }
  return selection;
}

std::shared_ptr<const ResultBatch> RandomPlans::List(const column::SchemaPtr& schema) {
  auto batch = std::make_shared<ResultBatch>();
  auto symbols = std::make_shared<exec::Symbols>(nullptr);
  auto texts = std::make_shared<std::deque<std::string>>();
  const auto add = [&](const std::string& name, column::Type type) {
    batch->columns.push_back({name, exec::Column(type)});
  };
  const bool numbered = Below(2) == 0;
  add("symbol", {TypeKind::kSymbol, 0});
  add("ts", {TypeKind::kTimestamp, 0});
  if (!numbered) add("seq", {TypeKind::kUint64, 0});
  for (const column::ColumnDef& def : schema->columns) add(def.name, def.type);
  const auto put = [&](const Cell& cell, exec::Column* column) {
    if (const auto* real = std::get_if<double>(&cell)) {
      column->Append(*real);
    } else if (const auto* whole = std::get_if<int64_t>(&cell)) {
      std::memcpy(column->Extend(1), whole, column->stride());
    } else if (const auto* text = std::get_if<std::string>(&cell)) {
      if (column->type().kind == TypeKind::kSymbol) {
        column->Append(symbols->Code(*text));
      } else {
        column->Append(std::string_view(texts->emplace_back(*text)));
      }
    } else {
      column->AppendNull();
    }
  };
  for (size_t rows = Below(12); rows > 0; --rows) {
    const ModelRow row = Row(schema);
    size_t c = 0;
    put(row.symbol, &batch->columns[c++].column);
    put(row.ts, &batch->columns[c++].column);
    if (!numbered) put(static_cast<int64_t>(row.seq), &batch->columns[c++].column);
    for (const Cell& cell : row.cells) put(cell, &batch->columns[c++].column);
  }
  batch->symbols = symbols;
  batch->keepalive = {texts};
  description_ += fmt::format(" of {} rows", batch->rows());
  return batch;
}

Plan RandomPlans::Inner(const column::SchemaPtr& schema, RowTests* tests) {
  Draw draw = MakeDraw();
  draw.table = schema;
  draw.by_names = {"venue", "cond"};
  draw.columns.clear();  // all, so that the rows look like the table's
  Plan plan;
  const std::string outer = std::exchange(description_, "");
  if (Below(2) == 0) {
    plan.op = MakeLastBy(draw, tests);
  } else {
    Range range = MakeRange(draw, tests);
    range.distinct = false;
    plan.op = std::move(range);
  }
  description_ = outer + description_;
  if (Below(3) == 0) plan.limit = Below(12);
  if (Below(3) == 0) plan.order = {{"venue", Below(2) == 0}, {"seq", Below(2) == 0}};
  return plan;
}

std::vector<std::string> RandomPlans::OrderNames(const Plan& plan) const {
  std::vector<std::string> names = {"symbol"};
  const auto add = [&](const std::vector<std::string>& items) {
    for (const std::string& text : items) {
      const size_t as = text.find(" as ");
      names.push_back(as == std::string::npos ? text : text.substr(as + 4));
    }
  };
  std::visit(
      [&](const auto& op) {
        using Op = std::decay_t<decltype(op)>;
        if constexpr (std::is_same_v<Op, Bars>) {
          if (op.interval.has_value()) names.push_back("ts");
          add(op.aggregates);
        } else if constexpr (std::is_same_v<Op, Book>) {
          add({"side", "level", "price", "size"});
        } else {
          bool keys = true;
          if constexpr (std::is_same_v<Op, Range>) keys = !op.distinct;
          if (keys) add({"ts", "seq"});
          add(op.columns);
        }
      },
      plan.op);
  return names;
}

RandomPlans::Draw RandomPlans::MakeDraw() {
  Draw draw;
  draw.table = Below(2) == 0 ? quotes_ : trades_;
  const bool quotes = draw.table == quotes_;
  draw.by_names = quotes ? std::vector<std::string>{"venue", "cond"}
                         : std::vector<std::string>{"venue", "side", "cond"};
  draw.columns =
      SomeOf(quotes ? std::vector<std::string>{"venue", "bid", "weight", "note", "cond",
                                               "bid - weight as gap", "ts - 5 as earlier"}
                    : std::vector<std::string>{"size", "price", "venue", "cond",
                                               "price * size as worth", "size + 1 as more"});
  draw.begin = Bound();
  draw.end = Bound();
  if (draw.begin > draw.end) std::swap(draw.begin, draw.end);
  return draw;
}

Plan RandomPlans::MakePlan(RowTests* tests) {
  Plan plan;
  *tests = RowTests();
  description_.clear();
  if (Below(4) == 0) plan.limit = Below(12);
  const Draw draw = MakeDraw();
  switch (Below(7)) {
    case 0:
      plan.op = MakeLastBy(draw, tests);
      break;
    case 1:
      plan.op = MakeRange(draw, tests);
      break;
    case 2:
      plan.op = MakeAsof(draw, tests);
      break;
    case 3:
      plan.op = MakeBars(draw, tests);
      break;
    case 4:
      plan.op = MakeWindowJoin(draw, tests);
      break;
    case 5:
      plan.op = MakeBook(draw, tests);
      break;
    default:
      plan.op = MakeRolling(draw, tests);
      break;
  }
  if (Below(3) == 0) {
    for (const std::string& name : SomeOf(OrderNames(plan))) {
      if (plan.order.size() < 3) plan.order.push_back({name, Below(2) == 0});
      description_ += fmt::format(" order {} {}", name, plan.order.back().descending);
    }
  }
  return plan;
}

LastBy RandomPlans::MakeLastBy(const Draw& draw, RowTests* tests) {
  LastBy op;
  op.from = Source(draw.table, &tests->main, &tests->inner);
  op.first = Below(2) == 0;
  op.at = Bound();
  op.by = Below(2) == 0 ? SomeOf(draw.by_names) : std::vector<std::string>{};
  op.columns = draw.columns;
  if (Below(3) == 0) op.count = 1 + Below(5);
  description_ +=
      fmt::format("{} of {} {} at {} by {}", op.count, op.first ? "first-by" : "last-by",
                  draw.table->name, op.at.ns(), fmt::join(op.by, "+"));
  return op;
}

Range RandomPlans::MakeRange(const Draw& draw, RowTests* tests) {
  Range op;
  op.from = Source(draw.table, &tests->main, &tests->inner);
  op.distinct = Below(4) == 0;
  op.begin = draw.begin;
  op.end = draw.end;
  op.columns = draw.columns;
  description_ += fmt::format("range {} {}..{} distinct {} of {}", draw.table->name, op.begin.ns(),
                              op.end.ns(), op.distinct, fmt::join(op.columns, " "));
  return op;
}

AsofRight RandomPlans::MakeAsofRight(RowTest* where, std::shared_ptr<RowTests>* inner) {
  AsofRight right;
  const bool quotes = Below(3) > 0;
  right.from = Source(quotes ? quotes_ : trades_, where, inner);
  right.columns =
      SomeOf(quotes ? std::vector<std::string>{"bid", "weight", "size", "note", "venue",
                                               "bid - weight as gap"}
                    : std::vector<std::string>{"price", "size + 1 as more", "venue", "cond"});
  right.by = SomeOf({"venue", "cond"});
  if (Below(3) == 0) right.prefix = Below(2) == 0 ? "q_" : "other_";
  right.forward = Below(2) == 0;
  right.nearest = Below(4) == 0;
  right.strict = Below(2) == 0;
  if (Below(2) == 0) right.tolerance = Duration(static_cast<int64_t>(Below(8)) * range_.unit);
  description_ += fmt::format(" with {} nearest {} strict {} tolerance {} by {} prefix '{}' of {}",
                              right.forward ? "forward" : "backward", right.nearest, right.strict,
                              right.tolerance.value_or(Duration(-1)).ns(), fmt::join(right.by, "+"),
                              right.prefix, fmt::join(right.columns, " "));
  return right;
}

Asof RandomPlans::MakeAsof(const Draw& draw, RowTests* tests) {
  Asof op;
  op.left = Source(trades_, &tests->main, &tests->inner);
  op.begin = draw.begin;
  op.end = draw.end;
  op.columns = SomeOf({"price", "size", "venue", "price * size as worth"});
  op.times = static_cast<AsofTimes>(Below(2) == 0 ? 0 : Below(3));
  description_ += fmt::format("asof {}..{} of {} times {}", op.begin.ns(), op.end.ns(),
                              fmt::join(op.columns, " "), static_cast<int>(op.times));
  const size_t rights = 1 + (Below(2) == 0 ? Below(3) : 0);
  tests->rights.resize(rights);
  tests->right_inner.resize(rights);
  for (size_t i = 0; i < rights; ++i) {
    op.rights.push_back(MakeAsofRight(&tests->rights[i], &tests->right_inner[i]));
  }
  return op;
}

template <typename Op>
void RandomPlans::PickPriceAndSize(const Draw& draw, Op* op) {
  const bool quotes = draw.table == quotes_;
  op->price = quotes ? (Below(2) == 0 ? "weight" : "bid") : "price";
  op->size = quotes && Below(2) == 0 ? "bid_size" : "size";
}

Bars RandomPlans::MakeBars(const Draw& draw, RowTests* tests) {
  Bars op;
  op.from = Source(draw.table, &tests->main, &tests->inner);
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
    if (Below(3) == 0) {
      op.origin = Timestamp(Time());
    } else if (Below(3) == 0) {
      static const std::vector<std::string> kZones = {"America/New_York", "Europe/London",
                                                      "Australia/Lord_Howe", "Asia/Kathmandu",
                                                      "America/Sao_Paulo"};
      static const std::vector<Duration> kIntervals = {Duration::Days(1), Duration::Days(2),
                                                       Duration::Days(7), Duration::Hours(7),
                                                       Duration::Seconds(2700)};
      op.zone = kZones[Below(kZones.size())];
      if (Below(3) > 0) op.interval = kIntervals[Below(kIntervals.size())];
    }
  }
  description_ += fmt::format("bars {} zone '{}' {} from {} by {} fill {} {}..{} of {}",
                              draw.table->name, op.zone, op.interval.value_or(Duration()).ns(),
                              op.origin.value_or(Timestamp()).ns(), fmt::join(op.by, "+"),
                              static_cast<int>(op.fill), op.begin.ns(), op.end.ns(),
                              fmt::join(op.aggregates, " "));
  return op;
}

Rolling RandomPlans::MakeRolling(const Draw& draw, RowTests* tests) {
  Rolling op;
  op.from = Source(draw.table, &tests->main, &tests->inner);
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
  description_ +=
      fmt::format("rolling {} window {} rows {} centred {} by {} {}..{} of {}", draw.table->name,
                  op.window.value_or(Duration(-1)).ns(), op.window_rows.value_or(0), op.centred,
                  fmt::join(op.by, "+"), op.begin.ns(), op.end.ns(), fmt::join(op.aggregates, " "));
  return op;
}

Book RandomPlans::MakeBook(const Draw& draw, RowTests* tests) {
  Book op;
  op.from = Source(trades_, &tests->main, &tests->inner);
  if (Below(2) == 0) op.since = draw.begin;
  op.at = draw.end;
  op.bid = "buy";
  op.ask = "sell";
  if (Below(3) > 0) op.key = {Below(2) == 0 ? "size" : "cond"};
  op.depth = 1 + Below(4);
  description_ += fmt::format("book {}..{} of {} depth {}", op.since.ns(), op.at.ns(),
                              fmt::join(op.key, "+"), op.depth);
  return op;
}

WindowJoin RandomPlans::MakeWindowJoin(const Draw& draw, RowTests* tests) {
  WindowJoin op;
  op.left = Source(trades_, &tests->main, &tests->inner);
  tests->rights.resize(1);
  tests->right_inner.resize(1);
  op.right = Source(quotes_, &tests->rights[0], &tests->right_inner[0]);
  op.begin = draw.begin;
  op.end = draw.end;
  op.columns = SomeOf({"price", "size", "venue", "size + 1 as more"});
  op.by = SomeOf({"venue", "cond"});
  op.before = Duration((static_cast<int64_t>(Below(8)) - 2) * range_.unit);
  op.after =
      Duration(static_cast<int64_t>(Below(6)) * range_.unit - std::min(op.before.ns(), int64_t{0}));
  op.prevailing = Below(2) == 0;
  op.price = Below(2) == 0 ? "weight" : "bid";
  op.aggregates = SomeAggregates(/*quotes=*/true);
  if (op.aggregates.empty()) op.aggregates = {"last", "count"};
  description_ += fmt::format("window-join {}..{} prevailing {} by {} {}..{} of {}", op.before.ns(),
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
