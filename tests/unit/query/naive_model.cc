// Every definition of docs/queries.md once more, as plainly as possible and sharing nothing with
// the engine.
#include "tests/unit/query/naive_model.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <set>
#include <tuple>

#include "tests/unit/query/naive_aggregates.h"

namespace proxist::query {
namespace {

using column::TypeKind;

std::vector<std::string> SeriesOf(const column::TableSchema& schema, const ModelRow& row) {
  std::vector<std::string> out;
  for (const size_t i : schema.series) out.push_back(std::get<std::string>(row.cells[i]));
  return out;
}

std::vector<std::string> Names(const column::TableSchema& schema,
                               const std::vector<std::string>& chosen) {
  if (!chosen.empty()) return chosen;
  std::vector<std::string> out;
  for (const column::ColumnDef& def : schema.columns) out.push_back(def.name);
  return out;
}

std::vector<Cell> GroupOf(const column::TableSchema& schema, const ModelRow& row,
                          const std::vector<std::string>& by) {
  std::vector<Cell> out = {row.symbol};
  for (const std::string& name : by) out.push_back(row.cells[IndexOf(schema, name)]);
  return out;
}

std::vector<std::string> KeyCells(const ModelRow& row) {
  return {row.symbol, std::to_string(row.ts), std::to_string(row.seq)};
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

std::vector<ModelRow> NaiveModel::Resolved(const Table& table, const Selection& /*selection*/,
                                           const std::vector<std::string>& symbols,
                                           const RowTest& where) const {
  using Key = std::tuple<std::string, int64_t, uint64_t, std::vector<std::string>>;
  std::map<Key, const ModelRow*> newest;
  for (const ModelRow& row : table.versions) {
    const ModelRow*& at = newest[{row.symbol, row.ts, row.seq, SeriesOf(*table.schema, row)}];
    if (at == nullptr || at->lsn < row.lsn) at = &row;
  }
  std::vector<ModelRow> out;
  for (const auto& [key, row] : newest) {
    if (row->op == column::Op::kCancel) continue;
    if (!symbols.empty() &&
        std::find(symbols.begin(), symbols.end(), row->symbol) == symbols.end()) {
      continue;
    }
    if (where && !where(*row)) continue;
    out.push_back(*row);
  }
  return out;
}

Answer NaiveModel::Run(const Plan& plan, const RowTest& where, const RowTest& right_where) const {
  Answer out;
  if (const auto* last = std::get_if<LastBy>(&plan.op)) out = Nearest(*last, where);
  if (const auto* range = std::get_if<Range>(&plan.op)) out = InRange(*range, where);
  if (const auto* asof = std::get_if<Asof>(&plan.op)) out = Match(*asof, where, right_where);
  if (const auto* bars = std::get_if<Bars>(&plan.op)) out = MakeBars(*bars, where);
  if (const auto* rolling = std::get_if<Rolling>(&plan.op)) out = Roll(*rolling, where);
  if (const auto* book = std::get_if<Book>(&plan.op)) out = Depth(*book, where);
  if (const auto* join = std::get_if<WindowJoin>(&plan.op)) {
    out = JoinWindows(*join, where, right_where);
  }
  if (plan.limit.has_value() && out.rows.size() > *plan.limit) out.rows.resize(*plan.limit);
  return out;
}

Answer NaiveModel::Nearest(const LastBy& op, const RowTest& where) const {
  const Table& table = tables_.at(op.from.table);
  const std::vector<ModelRow> rows = Resolved(table, op.from, op.from.symbols, where);
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
  Answer out;
  out.names = {"symbol", "ts", "seq"};
  for (const auto& name : Names(*table.schema, op.columns)) out.names.push_back(name);
  for (const size_t i : picked) {
    out.rows.push_back(KeyCells(rows[i]));
    for (const auto& name : Names(*table.schema, op.columns)) {
      out.rows.back().push_back(FormatCell(rows[i].cells[IndexOf(*table.schema, name)]));
    }
  }
  return out;
}

Answer NaiveModel::InRange(const Range& op, const RowTest& where) const {
  const Table& table = tables_.at(op.from.table);
  Answer out;
  out.names = {"symbol", "ts", "seq"};
  for (const auto& name : Names(*table.schema, op.columns)) out.names.push_back(name);
  for (const ModelRow& row : Resolved(table, op.from, op.from.symbols, where)) {
    if (!Inside(row.ts, op.begin, op.end)) continue;
    out.rows.push_back(KeyCells(row));
    for (const auto& name : Names(*table.schema, op.columns)) {
      out.rows.back().push_back(FormatCell(row.cells[IndexOf(*table.schema, name)]));
    }
  }
  return out;
}

Answer NaiveModel::Match(const Asof& op, const RowTest& where, const RowTest& right_where) const {
  const Table& left = tables_.at(op.left.table);
  const Table& right = tables_.at(op.right.table);
  const auto right_rows = Resolved(right, op.right, op.left.symbols, right_where);
  std::vector<std::string> right_names = op.right_columns;
  if (right_names.empty()) {
    for (const auto& name : Names(*right.schema, {})) {
      if (std::find(op.by.begin(), op.by.end(), name) == op.by.end()) right_names.push_back(name);
    }
  }
  Answer out;
  out.names = {"symbol", "ts", "seq"};
  for (const auto& name : Names(*left.schema, op.columns)) out.names.push_back(name);
  for (std::string name : right_names) {
    while (std::find(out.names.begin(), out.names.end(), name) != out.names.end()) {
      name = "right_" + name;
    }
    out.names.push_back(name);
  }
  out.names.push_back("right_ts");
  for (const ModelRow& row : Resolved(left, op.left, op.left.symbols, where)) {
    if (!Inside(row.ts, op.begin, op.end)) continue;
    const ModelRow* before = nullptr;
    const ModelRow* after = nullptr;
    for (const ModelRow& candidate : right_rows) {
      if (GroupOf(*left.schema, row, op.by) != GroupOf(*right.schema, candidate, op.by)) continue;
      const int64_t distance = candidate.ts - row.ts;
      if (op.strict && distance == 0) continue;
      if (op.tolerance.has_value() && std::abs(distance) > op.tolerance->ns()) continue;
      if (distance <= 0) before = &candidate;
      if (distance >= 0 && after == nullptr) after = &candidate;
    }
    const ModelRow* best = op.forward ? after : before;
    if (op.nearest) {
      best = before != nullptr && (after == nullptr || row.ts - before->ts <= after->ts - row.ts)
                 ? before
                 : after;
    }
    out.rows.push_back(KeyCells(row));
    for (const auto& name : Names(*left.schema, op.columns)) {
      out.rows.back().push_back(FormatCell(row.cells[IndexOf(*left.schema, name)]));
    }
    for (const auto& name : right_names) {
      out.rows.back().push_back(
          best == nullptr ? "null" : FormatCell(best->cells[IndexOf(*right.schema, name)]));
    }
    out.rows.back().push_back(best == nullptr ? "null" : std::to_string(best->ts));
  }
  return out;
}

namespace {

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

Answer NaiveModel::MakeBars(const Bars& op, const RowTest& where) const {
  const Table& table = tables_.at(op.from.table);
  const column::TableSchema& schema = *table.schema;
  const auto rows = Resolved(table, op.from, op.from.symbols, where);
  const int64_t interval = op.interval.value_or(Duration(INT64_MAX)).ns();
  const int64_t origin = op.origin.value_or(Timestamp(0)).ns();
  std::map<std::vector<Cell>, std::map<int64_t, Bar>> groups;
  for (const ModelRow& row : rows) {
    if (!Inside(row.ts, op.begin, op.end)) continue;
    int64_t past = (row.ts - origin) % interval;
    if (past < 0) past += interval;
    const int64_t start = op.interval.has_value() ? row.ts - past : 0;
    groups[GroupOf(schema, row, op.by)][start].rows.push_back(&row);
  }
  for (auto& [group, bars] : groups) {
    for (auto& [start, bar] : bars) {
      NaiveScope scope{op.price, op.size, op.begin, bar.rows.back()->ts, {}};
      if (op.interval.has_value()) scope.end = start + interval;
      if (op.end != Timestamp::Max()) {
        scope.end = op.interval.has_value() ? std::min(scope.end, op.end.ns()) : op.end.ns();
      }
      for (const std::string& text : op.aggregates) {
        bar.cells.push_back(NaiveAggregate(text, schema, bar.rows, scope));
      }
    }
    if (op.fill != Fill::kNone) FillBars(op, schema, interval, &bars);
  }
  Answer out;
  out.names = {"symbol"};
  if (op.interval.has_value()) out.names.push_back("ts");
  for (const auto& name : op.by) out.names.push_back(name);
  for (const auto& name : op.aggregates) out.names.push_back(name);
  std::map<std::tuple<Cell, int64_t, std::vector<Cell>>, const Bar*> lines;
  for (const auto& [group, bars] : groups) {
    for (const auto& [start, bar] : bars) lines[{group[0], start, group}] = &bar;
  }
  for (const auto& [key, bar] : lines) {
    const auto& [symbol, start, group] = key;
    std::vector<std::string> line = {std::get<std::string>(symbol)};
    if (op.interval.has_value()) line.push_back(std::to_string(start));
    for (size_t i = 1; i < group.size(); ++i) line.push_back(FormatCell(group[i]));
    for (const Cell& cell : bar->cells) line.push_back(FormatCell(cell));
    out.rows.push_back(line);
  }
  return out;
}

void NaiveModel::FillBars(const Bars& op, const column::TableSchema& schema, int64_t interval,
                          std::map<int64_t, Bar>* bars) {
  const NaiveScope scope{op.price, op.size, op.begin, 0, {}};
  const auto is_price = [](const std::string& text) {
    return text == "open" || text == "high" || text == "low" || text == "close";
  };
  std::map<int64_t, Bar> filled;
  for (auto at = bars->begin(); std::next(at) != bars->end(); ++at) {
    const Bar& next = std::next(at)->second;
    const int64_t steps = (std::next(at)->first - at->first) / interval;
    for (int64_t step = 1; step < steps; ++step) {
      Bar& bar = filled[at->first + step * interval];
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

Answer NaiveModel::Roll(const Rolling& op, const RowTest& where) const {
  const Table& table = tables_.at(op.from.table);
  const auto rows = Resolved(table, op.from, op.from.symbols, where);
  Answer out;
  out.names = {"symbol", "ts", "seq"};
  for (const auto& name : Names(*table.schema, op.columns)) out.names.push_back(name);
  for (const auto& name : op.aggregates) out.names.push_back(name);
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
    for (const auto& name : Names(*table.schema, op.columns)) {
      out.rows.back().push_back(FormatCell(rows[i].cells[IndexOf(*table.schema, name)]));
    }
    for (const std::string& text : op.aggregates) {
      out.rows.back().push_back(FormatCell(NaiveAggregate(text, *table.schema, window, scope)));
    }
  }
  return out;
}

Answer NaiveModel::Depth(const Book& op, const RowTest& where) const {
  const Table& table = tables_.at(op.from.table);
  const column::TableSchema& schema = *table.schema;
  const auto cell = [&](const ModelRow& row, const std::string& name) {
    return row.cells[IndexOf(schema, name)];
  };
  // symbol -> key -> the last row of it
  std::map<std::string, std::map<std::vector<Cell>, ModelRow>> last;
  for (const ModelRow& row : Resolved(table, op.from, op.from.symbols, where)) {
    if (Timestamp(row.ts) < op.since || Timestamp(row.ts) > op.at) continue;
    std::vector<Cell> key;
    for (const std::string& name : op.key) key.push_back(cell(row, name));
    if (op.key.empty()) key = {cell(row, op.side), cell(row, op.price)};
    last[row.symbol][key] = row;
  }
  Answer out;
  out.names = {"symbol", "side", "level", "price", "size", "orders"};
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
        out.rows.push_back({symbol, asks ? op.ask : op.bid, std::to_string(depth),
                            std::to_string(asks ? price : -price), std::to_string(level.first),
                            std::to_string(level.second)});
      }
    }
  }
  return out;
}

Answer NaiveModel::JoinWindows(const WindowJoin& op, const RowTest& where,
                               const RowTest& right_where) const {
  const Table& left = tables_.at(op.left.table);
  const Table& right = tables_.at(op.right.table);
  const auto right_rows = Resolved(right, op.right, op.left.symbols, right_where);
  Answer out;
  out.names = {"symbol", "ts", "seq"};
  for (const auto& name : Names(*left.schema, op.columns)) out.names.push_back(name);
  for (std::string name : op.aggregates) {
    while (std::find(out.names.begin(), out.names.end(), name) != out.names.end()) {
      name = "right_" + name;
    }
    out.names.push_back(name);
  }
  for (const ModelRow& row : Resolved(left, op.left, op.left.symbols, where)) {
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
    for (const auto& name : Names(*left.schema, op.columns)) {
      out.rows.back().push_back(FormatCell(row.cells[IndexOf(*left.schema, name)]));
    }
    for (const std::string& text : op.aggregates) {
      out.rows.back().push_back(FormatCell(NaiveAggregate(text, *right.schema, window, scope)));
    }
  }
  return out;
}

}  // namespace proxist::query
