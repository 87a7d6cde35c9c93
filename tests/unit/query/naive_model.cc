// Every definition of docs/queries.md once more, as plainly as possible and sharing nothing with
// the engine.
#include "tests/unit/query/naive_model.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <set>
#include <tuple>

#include "proxist/query/engine.h"
#include "tests/unit/query/naive_aggregates.h"
#include "tests/unit/query/naive_zone.h"

namespace proxist::query {
namespace {

using column::TypeKind;

std::vector<std::string> SeriesOf(const column::TableSchema& schema, const ModelRow& row) {
  std::vector<std::string> out;
  for (const size_t i : schema.series) out.push_back(std::get<std::string>(row.cells[i]));
  return out;
}

/// A column of an answer: one of the schema, or "A op B as NAME" over columns and whole numbers.
struct Item {
  std::string name;
  column::Type type;
  std::function<Cell(const ModelRow&)> of;
};

const column::Type kReal{TypeKind::kFloat64, 0};
const column::Type kWhole{TypeKind::kInt64, 0};
const column::Type kSymbolType{TypeKind::kSymbol, 0};
const column::Type kTimeType{TypeKind::kTimestamp, 0};
const column::Type kSeqType{TypeKind::kUint64, 0};

Item Operand(const column::TableSchema& schema, const std::string& text) {
  if (text == "ts") return {text, kTimeType, [](const ModelRow& row) { return Cell(row.ts); }};
  if (text == "seq") {
    return {text, kSeqType,
            [](const ModelRow& row) { return Cell(static_cast<int64_t>(row.seq)); }};
  }
  if (text.find_first_not_of("0123456789") == std::string::npos) {
    return {text, kWhole, [value = std::stoll(text)](const ModelRow&) { return Cell(value); }};
  }
  const size_t at = IndexOf(schema, text);
  return {text, schema.columns[at].type, [at](const ModelRow& row) { return row.cells[at]; }};
}

double RealOf(const Cell& cell, column::Type type) {
  if (const auto* real = std::get_if<double>(&cell)) return *real;
  return static_cast<double>(std::get<int64_t>(cell)) / std::pow(10.0, type.scale);
}

Item ItemOf(const column::TableSchema& schema, const std::string& text) {
  const size_t as = text.find(" as ");
  if (as == std::string::npos) return Operand(schema, text);
  const size_t sign = text.find_first_of("+-*");
  const Item a = Operand(schema, text.substr(0, sign - 1));
  const Item b = Operand(schema, text.substr(sign + 2, as - sign - 2));
  const char op = text[sign];
  Item out{text.substr(as + 4), a.type, nullptr};
  const bool real = column::IsFloat(a.type.kind) || column::IsFloat(b.type.kind);
  if (real) {
    out.type = kReal;
  } else if (a.type.kind != TypeKind::kDecimal && a.type.kind != TypeKind::kTimestamp) {
    out.type = kWhole;
  }
  out.of = [=](const ModelRow& row) -> Cell {
    const Cell x = a.of(row);
    const Cell y = b.of(row);
    if (IsNull(x) || IsNull(y)) return {};
    if (real) {
      const double p = RealOf(x, a.type);
      const double q = RealOf(y, b.type);
      return op == '+' ? p + q : op == '-' ? p - q : p * q;
    }
    const int64_t p = std::get<int64_t>(x);
    const int64_t q = std::get<int64_t>(y);
    return op == '+' ? p + q : op == '-' ? p - q : p * q;
  };
  return out;
}

std::vector<Item> Items(const column::TableSchema& schema, const std::vector<std::string>& chosen) {
  std::vector<Item> out;
  for (const std::string& text : chosen) out.push_back(ItemOf(schema, text));
  if (!chosen.empty()) return out;
  for (const column::ColumnDef& def : schema.columns) out.push_back(Operand(schema, def.name));
  return out;
}

std::vector<Cell> GroupOf(const column::TableSchema& schema, const ModelRow& row,
                          const std::vector<std::string>& by) {
  std::vector<Cell> out = {row.symbol};
  for (const std::string& name : by) out.push_back(row.cells[IndexOf(schema, name)]);
  return out;
}

std::vector<Cell> KeyCells(const ModelRow& row) {
  return {row.symbol, row.ts, static_cast<int64_t>(row.seq)};
}

const std::vector<std::pair<std::string, column::Type>> kKeys = {
    {"symbol", kSymbolType}, {"ts", kTimeType}, {"seq", kSeqType}};

/// Adds a column under its name, with `prefix` in front until it is free.
void AddColumn(std::string name, column::Type type, const std::string& prefix, TypedAnswer* out) {
  const auto taken = [&] {
    return std::any_of(out->columns.begin(), out->columns.end(),
                       [&](const auto& column) { return column.first == name; });
  };
  while (taken()) name = prefix + name;
  out->columns.emplace_back(name, type);
}

void AddItems(const std::vector<Item>& items, TypedAnswer* out) {
  for (const Item& item : items) out->columns.emplace_back(item.name, item.type);
}

/// Null, then numbers with NaN last, then text; -0 is 0.
bool Below(const Cell& a, const Cell& b) {
  if (IsNull(a) || IsNull(b)) return IsNull(a) && !IsNull(b);
  if (const auto* x = std::get_if<double>(&a)) {
    const double y = std::get<double>(b);
    return std::isnan(*x) ? false : std::isnan(y) || *x < y;
  }
  return a < b;
}

bool Inside(int64_t ts, Timestamp begin, Timestamp end) {
  return Timestamp(ts) >= begin && (end == Timestamp::Max() || Timestamp(ts) < end);
}

}  // namespace

std::string FormatCell(const Cell& cell) {
  if (IsNull(cell)) return "null";
  if (const auto* i = std::get_if<int64_t>(&cell)) return std::to_string(*i);
  if (const auto* text = std::get_if<std::string>(&cell)) return *text;
  const double value = std::get<double>(cell);
  if (std::isnan(value)) return "nan";
  return fmt::format("{}#{:x}", value, std::bit_cast<uint64_t>(value));
}

std::string FormatAnswer(const Answer& answer) {
  std::string out;
  const auto line = [&](const std::vector<std::string>& cells) {
    for (const std::string& cell : cells) out += cell + ",";
    out += "\n";
  };
  line(answer.names);
  for (const auto& row : answer.rows) line(row);
  return out;
}

std::vector<ModelRow> NaiveModel::Resolved(const Table& table) {
  using Key = std::tuple<std::string, int64_t, uint64_t, std::vector<std::string>>;
  std::map<Key, const ModelRow*> newest;
  for (const ModelRow& row : table.versions) {
    const ModelRow*& at = newest[{row.symbol, row.ts, row.seq, SeriesOf(*table.schema, row)}];
    if (at == nullptr || at->lsn < row.lsn) at = &row;
  }
  std::vector<ModelRow> out;
  for (const auto& [key, row] : newest) {
    if (row->op != column::Op::kCancel) out.push_back(*row);
  }
  return out;
}

namespace {

/// Rows with the columns of an answer beside symbol, ts and seq, in order. Rows without seq are
/// numbered.
std::vector<ModelRow> RowsOf(const TypedAnswer& answer, column::TableSchema* schema) {
  std::vector<ModelRow> out(answer.rows.size());
  for (size_t i = 0; i < out.size(); ++i) out[i].seq = i + 1;
  for (size_t c = 0; c < answer.columns.size(); ++c) {
    const auto& [name, type] = answer.columns[c];
    const bool key = name == "symbol" || name == "ts" || name == "seq";
    if (!key) schema->columns.push_back({ColumnId(1), name, type, true});
    for (size_t i = 0; i < out.size(); ++i) {
      const Cell& cell = answer.rows[i][c];
      if (name == "symbol") out[i].symbol = std::get<std::string>(cell);
      if (name == "ts") out[i].ts = std::get<int64_t>(cell);
      if (name == "seq") out[i].seq = static_cast<uint64_t>(std::get<int64_t>(cell));
      if (!key) out[i].cells.push_back(cell);
    }
  }
  std::stable_sort(out.begin(), out.end(), [](const ModelRow& a, const ModelRow& b) {
    return std::tie(a.symbol, a.ts, a.seq) < std::tie(b.symbol, b.ts, b.seq);
  });
  return out;
}

Cell CellAt(const ResultBatch& batch, const exec::Column& column, size_t row) {
  if (!column.IsValid(row)) return {};
  switch (column.type().kind) {
    case TypeKind::kSymbol:
      return std::string(batch.symbols->Text(column.data<uint32_t>()[row]));
    case TypeKind::kString:
      return std::string(column.data<std::string_view>()[row]);
    case TypeKind::kFloat64:
      return column.data<double>()[row];
    case TypeKind::kInt32:
      return int64_t{column.data<int32_t>()[row]};
    default:
      return column.data<int64_t>()[row];
  }
}

}  // namespace

NaiveModel::Rows NaiveModel::Of(const Selection& selection, const std::vector<std::string>& symbols,
                                const RowTest& where, const RowTests* inner) const {
  Rows out;
  auto schema = std::make_shared<column::TableSchema>();
  if (selection.rows != nullptr) {
    TypedAnswer given;
    given.rows.resize(selection.rows->rows());
    for (const exec::NamedColumn& named : selection.rows->columns) {
      given.columns.emplace_back(named.name, named.column.type());
      for (size_t row = 0; row < given.rows.size(); ++row) {
        given.rows[row].push_back(CellAt(*selection.rows, named.column, row));
      }
    }
    out.all = RowsOf(given, schema.get());
    out.schema = schema;
  } else if (selection.query != nullptr) {
    out.all = RowsOf(Typed(*selection.query, inner == nullptr ? RowTests() : *inner), schema.get());
    out.schema = schema;
  } else {
    const Table& table = tables_.at(selection.table);
    out.all = Resolved(table);
    out.schema = table.schema;
  }
  std::erase_if(out.all, [&](const ModelRow& row) {
    const bool chosen =
        symbols.empty() || std::find(symbols.begin(), symbols.end(), row.symbol) != symbols.end();
    return !chosen || (where && !where(row));
  });
  return out;
}

NaiveModel::Rows NaiveModel::OfRight(const Selection& selection,
                                     const std::vector<std::string>& symbols, const RowTests& tests,
                                     size_t side) const {
  const RowTest where = side < tests.rights.size() ? tests.rights[side] : RowTest();
  const RowTests* inner = side < tests.right_inner.size() ? tests.right_inner[side].get() : nullptr;
  return Of(selection, symbols, where, inner);
}

TypedAnswer NaiveModel::Typed(const Plan& plan, const RowTests& tests) const {
  TypedAnswer out;
  if (const auto* last = std::get_if<LastBy>(&plan.op)) out = Nearest(*last, tests);
  if (const auto* range = std::get_if<Range>(&plan.op)) out = InRange(*range, tests);
  if (const auto* asof = std::get_if<Asof>(&plan.op)) out = Match(*asof, tests);
  if (const auto* bars = std::get_if<Bars>(&plan.op)) out = MakeBars(*bars, tests);
  if (const auto* rolling = std::get_if<Rolling>(&plan.op)) out = Roll(*rolling, tests);
  if (const auto* book = std::get_if<Book>(&plan.op)) out = Depth(*book, tests);
  if (const auto* join = std::get_if<WindowJoin>(&plan.op)) out = JoinWindows(*join, tests);
  for (auto key = plan.order.rbegin(); key != plan.order.rend(); ++key) {
    const auto column = std::find_if(out.columns.begin(), out.columns.end(),
                                     [&](const auto& one) { return one.first == key->column; });
    const auto at = static_cast<size_t>(column - out.columns.begin());
    std::stable_sort(out.rows.begin(), out.rows.end(), [&](const auto& a, const auto& b) {
      return key->descending ? Below(b[at], a[at]) : Below(a[at], b[at]);
    });
  }
  if (plan.limit.has_value() && out.rows.size() > *plan.limit) out.rows.resize(*plan.limit);
  return out;
}

Answer NaiveModel::Run(const Plan& plan, const RowTests& tests) const {
  const TypedAnswer typed = Typed(plan, tests);
  Answer out;
  for (const auto& [name, type] : typed.columns) out.names.push_back(name);
  for (const std::vector<Cell>& row : typed.rows) {
    std::vector<std::string>& line = out.rows.emplace_back();
    for (const Cell& cell : row) line.push_back(FormatCell(cell));
  }
  return out;
}

TypedAnswer NaiveModel::Nearest(const LastBy& op, const RowTests& tests) const {
  const Rows table = OfMain(op.from, tests);
  const std::vector<ModelRow>& rows = table.all;
  std::map<std::vector<Cell>, std::vector<size_t>> chosen;
  for (size_t i = 0; i < rows.size(); ++i) {
    if (op.first ? Timestamp(rows[i].ts) < op.at : Timestamp(rows[i].ts) > op.at) continue;
    std::vector<size_t>& group = chosen[GroupOf(*table.schema, rows[i], op.by)];
    if (op.first && group.size() == op.count) continue;
    group.push_back(i);
    if (group.size() > op.count) group.erase(group.begin());
  }
  std::set<size_t> picked;
  for (const auto& [group, of_group] : chosen) picked.insert(of_group.begin(), of_group.end());
  TypedAnswer out;
  const std::vector<Item> items = Items(*table.schema, op.columns);
  out.columns = kKeys;
  AddItems(items, &out);
  for (const size_t i : picked) {
    out.rows.push_back(KeyCells(rows[i]));
    for (const Item& item : items) out.rows.back().push_back(item.of(rows[i]));
  }
  return out;
}

TypedAnswer NaiveModel::InRange(const Range& op, const RowTests& tests) const {
  const Rows table = OfMain(op.from, tests);
  TypedAnswer out;
  const std::vector<Item> items = Items(*table.schema, op.columns);
  out.columns = kKeys;
  if (op.distinct) out.columns.resize(1);
  AddItems(items, &out);
  std::set<std::vector<std::string>> shown;
  for (const ModelRow& row : table.all) {
    if (!Inside(row.ts, op.begin, op.end)) continue;
    std::vector<Cell> line = KeyCells(row);
    if (op.distinct) line.resize(1);
    for (const Item& item : items) line.push_back(item.of(row));
    std::vector<std::string> key;
    for (const Cell& cell : line) {
      const auto* real = std::get_if<double>(&cell);
      key.push_back(real != nullptr && *real == 0 ? "0" : FormatCell(cell));
    }
    if (!op.distinct || shown.insert(key).second) out.rows.push_back(line);
  }
  return out;
}

namespace {

/// The right row that answers a left one; nullptr: none does.
const ModelRow* MatchOf(const AsofRight& how, const column::TableSchema& left_schema,
                        const ModelRow& left, const column::TableSchema& schema,
                        const std::vector<ModelRow>& rows) {
  const ModelRow* before = nullptr;
  const ModelRow* after = nullptr;
  for (const ModelRow& candidate : rows) {
    if (GroupOf(left_schema, left, how.by) != GroupOf(schema, candidate, how.by)) continue;
    const int64_t distance = candidate.ts - left.ts;
    if (how.strict && distance == 0) continue;
    if (how.tolerance.has_value() && std::abs(distance) > how.tolerance->ns()) continue;
    if (distance <= 0) before = &candidate;
    if (distance >= 0 && after == nullptr) after = &candidate;
  }
  if (!how.nearest) return how.forward ? after : before;
  return before != nullptr && (after == nullptr || left.ts - before->ts <= after->ts - left.ts)
             ? before
             : after;
}

}  // namespace

TypedAnswer NaiveModel::Match(const Asof& op, const RowTests& tests) const {
  const Rows left = OfMain(op.left, tests);
  TypedAnswer out;
  const std::vector<Item> items = Items(*left.schema, op.columns);
  out.columns = kKeys;
  AddItems(items, &out);
  for (const ModelRow& row : left.all) {
    if (!Inside(row.ts, op.begin, op.end)) continue;
    out.rows.push_back(KeyCells(row));
    for (const Item& item : items) out.rows.back().push_back(item.of(row));
  }
  for (size_t r = 0; r < op.rights.size(); ++r) {
    const AsofRight& how = op.rights[r];
    const Rows right = OfRight(how.from, op.left.symbols, tests, r);
    std::vector<std::string> names = how.columns;
    if (names.empty()) {
      for (const column::ColumnDef& def : right.schema->columns) {
        if (std::find(how.by.begin(), how.by.end(), def.name) == how.by.end()) {
          names.push_back(def.name);
        }
      }
    }
    std::string prefix = how.prefix;
    if (prefix.empty()) {
      prefix = op.rights.size() == 1 || how.from.table.empty() ? "right_" : how.from.table + "_";
    }
    std::vector<Item> right_items;
    for (const std::string& name : names) {
      right_items.push_back(ItemOf(*right.schema, name));
      AddColumn(how.prefix + right_items.back().name, right_items.back().type, prefix, &out);
    }
    if (op.times == AsofTimes::kBoth) AddColumn(prefix + "ts", kTimeType, prefix, &out);
    size_t line = 0;
    for (const ModelRow& row : left.all) {
      if (!Inside(row.ts, op.begin, op.end)) continue;
      std::vector<Cell>& cells = out.rows[line++];
      const ModelRow* best = MatchOf(how, *left.schema, row, *right.schema, right.all);
      for (const Item& item : right_items) {
        cells.push_back(best == nullptr ? Cell() : item.of(*best));
      }
      const Cell time = best == nullptr ? Cell() : Cell(best->ts);
      if (op.times == AsofTimes::kBoth) cells.push_back(time);
      if (op.times == AsofTimes::kRight && r == 0) cells[1] = time;
    }
  }
  return out;
}

namespace {

int64_t NextBar(const Bars& op, int64_t start) {
  const int64_t interval = op.interval->ns();
  if (op.zone.empty()) return start + interval;
  return NaiveZone(op.zone).NextAfter(start, interval);
}

Cell Interpolated(const Cell& a, const Cell& b, int64_t step, int64_t steps) {
  if (IsNull(a) || IsNull(b) || std::holds_alternative<std::string>(a)) return {};
  if (std::holds_alternative<double>(a)) {
    const double x = std::get<double>(a);
    const double y = std::get<double>(b);
    return x + (y - x) * (static_cast<double>(step) / static_cast<double>(steps));
  }
  const int64_t x = std::get<int64_t>(a);
  const int64_t way = (std::get<int64_t>(b) - x) * step;
  const int64_t whole = std::abs(way) / steps;
  const int64_t rest = std::abs(way) % steps;
  const int64_t rounded = whole + (2 * rest >= steps ? 1 : 0);
  return x + (way < 0 ? -rounded : rounded);
}

}  // namespace

TypedAnswer NaiveModel::MakeBars(const Bars& op, const RowTests& tests) const {
  const Rows table = OfMain(op.from, tests);
  const column::TableSchema& schema = *table.schema;
  const std::vector<ModelRow>& rows = table.all;
  const int64_t interval = op.interval.value_or(Duration(INT64_MAX)).ns();
  const int64_t origin = op.origin.value_or(Timestamp(0)).ns();
  std::map<std::vector<Cell>, std::map<int64_t, Bar>> groups;
  for (const ModelRow& row : rows) {
    if (!Inside(row.ts, op.begin, op.end)) continue;
    int64_t past = (row.ts - origin) % interval;
    if (past < 0) past += interval;
    int64_t start = op.interval.has_value() ? row.ts - past : 0;
    if (!op.zone.empty()) start = NaiveZone(op.zone).StartOf(row.ts, interval);
    groups[GroupOf(schema, row, op.by)][start].rows.push_back(&row);
  }
  for (auto& [group, bars] : groups) {
    for (auto& [start, bar] : bars) {
      NaiveScope scope{op.price, op.size, op.begin, bar.rows.back()->ts, {}};
      if (op.interval.has_value()) scope.end = NextBar(op, start);
      if (op.end != Timestamp::Max()) {
        scope.end = op.interval.has_value() ? std::min(scope.end, op.end.ns()) : op.end.ns();
      }
      for (const std::string& text : op.aggregates) {
        bar.cells.push_back(NaiveAggregate(text, schema, bar.rows, scope));
      }
    }
    if (op.fill != Fill::kNone) FillBars(op, schema, &bars);
  }
  TypedAnswer out;
  out.columns = {kKeys[0]};
  if (op.interval.has_value()) out.columns.push_back(kKeys[1]);
  const NaiveScope plain{op.price, op.size, op.begin, 0, {}};
  for (const auto& name : op.by) {
    out.columns.emplace_back(name, schema.columns[IndexOf(schema, name)].type);
  }
  for (const auto& name : op.aggregates) {
    out.columns.emplace_back(name, NaiveType(name, schema, plain));
  }
  std::map<std::tuple<Cell, int64_t, std::vector<Cell>>, const Bar*> lines;
  for (const auto& [group, bars] : groups) {
    for (const auto& [start, bar] : bars) lines[{group[0], start, group}] = &bar;
  }
  for (const auto& [key, bar] : lines) {
    const auto& [symbol, start, group] = key;
    std::vector<Cell>& line = out.rows.emplace_back();
    line = {symbol};
    if (op.interval.has_value()) line.push_back(start);
    line.insert(line.end(), group.begin() + 1, group.end());
    line.insert(line.end(), bar->cells.begin(), bar->cells.end());
  }
  return out;
}

void NaiveModel::FillBars(const Bars& op, const column::TableSchema& schema,
                          std::map<int64_t, Bar>* bars) {
  const NaiveScope scope{op.price, op.size, op.begin, 0, {}};
  const auto is_price = [](const std::string& text) {
    return text == "open" || text == "high" || text == "low" || text == "close";
  };
  std::map<int64_t, Bar> filled;
  for (auto at = bars->begin(); std::next(at) != bars->end(); ++at) {
    const Bar& next = std::next(at)->second;
    std::vector<int64_t> starts;  // of the bars between the two
    for (int64_t start = NextBar(op, at->first); start < std::next(at)->first;
         start = NextBar(op, start)) {
      starts.push_back(start);
    }
    const auto steps = static_cast<int64_t>(starts.size()) + 1;
    for (int64_t step = 1; step < steps; ++step) {
      Bar& bar = filled[starts[static_cast<size_t>(step) - 1]];
      for (size_t i = 0; i < op.aggregates.size(); ++i) {
        const std::string& text = op.aggregates[i];
        const column::Type type = NaiveType(text, schema, scope);
        const Cell zero = column::IsFloat(type.kind) ? Cell(0.0) : Cell(int64_t{0});
        const bool adds = text.starts_with("sum") || text == "volume";
        Cell cell;
        if (text.starts_with("count") || text.starts_with("distinct")) {
          cell = zero;
        } else if (op.fill == Fill::kZero) {
          if (column::IsNumeric(type.kind)) cell = zero;
        } else if (op.fill == Fill::kLinear) {
          cell = Interpolated(at->second.cells[i], next.cells[i], step, steps);
        } else if (op.fill == Fill::kPrevious && adds) {
          cell = zero;
        } else if (op.fill == Fill::kPrevious) {
          for (auto back = std::next(at); IsNull(cell) && back != bars->begin();) {
            --back;
            cell = is_price(text) ? NaiveAggregate("close", schema, back->second.rows, scope)
                                  : back->second.cells[i];
          }
        }
        bar.cells.push_back(cell);
      }
    }
  }
  bars->merge(filled);
}

TypedAnswer NaiveModel::Roll(const Rolling& op, const RowTests& tests) const {
  const Rows table = OfMain(op.from, tests);
  const std::vector<ModelRow>& rows = table.all;
  TypedAnswer out;
  const std::vector<Item> items = Items(*table.schema, op.columns);
  out.columns = kKeys;
  AddItems(items, &out);
  const NaiveScope plain{op.price, op.size, op.begin, 0, {}};
  for (const auto& name : op.aggregates) {
    const bool average = name.starts_with("ema");
    out.columns.emplace_back(name, average ? kReal : NaiveType(name, *table.schema, plain));
  }
  const int64_t count = static_cast<int64_t>(op.window_rows.value_or(1));
  const int64_t rows_before = op.centred ? count / 2 : count - 1;
  const int64_t rows_after = op.centred ? (count - 1) / 2 : 0;
  for (size_t i = 0; i < rows.size(); ++i) {
    if (!Inside(rows[i].ts, op.begin, op.end)) continue;
    std::vector<const ModelRow*> group;
    int64_t own = 0;  // this row's place in it
    for (size_t j = 0; j < rows.size(); ++j) {
      if (GroupOf(*table.schema, rows[j], op.by) != GroupOf(*table.schema, rows[i], op.by)) {
        continue;
      }
      if (j == i) own = static_cast<int64_t>(group.size());
      group.push_back(&rows[j]);
    }
    NaiveScope scope{op.price, op.size, op.begin, rows[i].ts, {}};
    scope.all.assign(group.begin(), group.begin() + own + 1);
    std::vector<const ModelRow*> window;
    for (int64_t j = 0; j < static_cast<int64_t>(group.size()); ++j) {
      const int64_t distance = group[static_cast<size_t>(j)]->ts - rows[i].ts;
      bool in = j >= own - rows_before && j <= own + rows_after;
      if (op.window.has_value() && op.centred) {
        in = std::abs(distance) <= op.window->ns() / 2;
      } else if (op.window.has_value()) {
        in = j <= own && -distance <= op.window->ns();
      }
      if (in) window.push_back(group[static_cast<size_t>(j)]);
    }
    if (op.window.has_value() && op.centred) scope.end += op.window->ns() / 2;
    if (op.window_rows.has_value()) scope.end = window.back()->ts;
    out.rows.push_back(KeyCells(rows[i]));
    for (const Item& item : items) out.rows.back().push_back(item.of(rows[i]));
    for (const std::string& text : op.aggregates) {
      out.rows.back().push_back(NaiveAggregate(text, *table.schema, window, scope));
    }
  }
  return out;
}

TypedAnswer NaiveModel::Depth(const Book& op, const RowTests& tests) const {
  const Rows table = OfMain(op.from, tests);
  const column::TableSchema& schema = *table.schema;
  const auto cell = [&](const ModelRow& row, const std::string& name) {
    return row.cells[IndexOf(schema, name)];
  };
  // symbol -> key -> the last row of it
  std::map<std::string, std::map<std::vector<Cell>, ModelRow>> last;
  for (const ModelRow& row : table.all) {
    if (Timestamp(row.ts) < op.since || Timestamp(row.ts) > op.at) continue;
    std::vector<Cell> key;
    for (const std::string& name : op.key) key.push_back(cell(row, name));
    if (op.key.empty()) key = {cell(row, op.side), cell(row, op.price)};
    last[row.symbol][key] = row;
  }
  TypedAnswer out;
  out.columns = {{"symbol", kSymbolType}, {"side", kSymbolType}, {"level", kWhole},
                 {"price", kWhole},       {"size", kWhole},      {"orders", kWhole}};
  for (const auto& [symbol, rows] : last) {
    for (const bool asks : {false, true}) {
      std::map<int64_t, std::pair<int64_t, int64_t>> levels;  // price, turned around for bids
      for (const auto& [key, row] : rows) {
        const Cell price = cell(row, op.price);
        const Cell size = cell(row, op.size);
        if (cell(row, op.side) != Cell(asks ? op.ask : op.bid) || IsNull(price)) continue;
        if (IsNull(size) || std::get<int64_t>(size) <= 0) continue;
        auto& level = levels[std::get<int64_t>(price) * (asks ? 1 : -1)];
        level.first += std::get<int64_t>(size);
        ++level.second;
      }
      uint64_t depth = 0;
      for (const auto& [price, level] : levels) {
        if (++depth > op.depth) break;
        out.rows.push_back({symbol, asks ? op.ask : op.bid, static_cast<int64_t>(depth),
                            asks ? price : -price, level.first, level.second});
      }
    }
  }
  return out;
}

TypedAnswer NaiveModel::JoinWindows(const WindowJoin& op, const RowTests& tests) const {
  const Rows left = OfMain(op.left, tests);
  const Rows right = OfRight(op.right, op.left.symbols, tests, 0);
  const std::vector<ModelRow>& right_rows = right.all;
  TypedAnswer out;
  const std::vector<Item> items = Items(*left.schema, op.columns);
  out.columns = kKeys;
  AddItems(items, &out);
  const NaiveScope plain{op.price, op.size, op.begin, 0, {}};
  for (const std::string& name : op.aggregates) {
    AddColumn(name, NaiveType(name, *right.schema, plain), "right_", &out);
  }
  for (const ModelRow& row : left.all) {
    if (!Inside(row.ts, op.begin, op.end)) continue;
    const int64_t from = row.ts - op.before.ns();
    const int64_t to = row.ts + op.after.ns();
    std::vector<const ModelRow*> window;
    for (const ModelRow& candidate : right_rows) {
      if (GroupOf(*left.schema, row, op.by) != GroupOf(*right.schema, candidate, op.by)) continue;
      if (candidate.ts > to) continue;
      // What prevails at the window's begin takes the place of everything up to there.
      if (op.prevailing && candidate.ts <= from) window.clear();
      if (candidate.ts >= from || op.prevailing) window.push_back(&candidate);
    }
    const NaiveScope scope{op.price, op.size, op.begin, to, {}};
    out.rows.push_back(KeyCells(row));
    for (const Item& item : items) out.rows.back().push_back(item.of(row));
    for (const std::string& text : op.aggregates) {
      out.rows.back().push_back(NaiveAggregate(text, *right.schema, window, scope));
    }
  }
  return out;
}

}  // namespace proxist::query
