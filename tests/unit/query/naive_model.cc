// Every definition of docs/queries.md once more, as plainly as possible and sharing nothing with
// the engine.
#include "tests/unit/query/naive_model.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <optional>
#include <set>
#include <tuple>

namespace proxist::query {
namespace {

using column::TypeKind;
__extension__ using Wide = __int128;

bool IsNull(const Cell& cell) { return std::holds_alternative<std::monostate>(cell); }

size_t IndexOf(const column::TableSchema& schema, const std::string& name) {
  return schema.Find(name).value();
}

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

/// Exact sum of doubles, rounded once: the doubles as integers of 2^-1074 in base 2^32.
double ExactTotal(const std::vector<double>& values) {
  bool plus = false, minus = false;
  std::vector<int64_t> digits(80, 0);
  for (const double v : values) {
    if (std::isnan(v)) return v;
    if (std::isinf(v)) {
      (v > 0 ? plus : minus) = true;
      continue;
    }
    int exponent = 0;
    const double fraction = std::frexp(v, &exponent);  // v = fraction * 2^exponent
    auto mantissa = static_cast<int64_t>(std::ldexp(fraction, 53));
    int shift = exponent - 53 + 1074;
    while (shift < 0) {
      mantissa /= 2;
      ++shift;
    }
    const bool negative = mantissa < 0;
    auto magnitude = static_cast<uint64_t>(negative ? -mantissa : mantissa);
    for (int bit = 0; bit < 54; ++bit) {
      if (((magnitude >> bit) & 1) == 0) continue;
      const int at = shift + bit;
      digits[static_cast<size_t>(at / 32)] += (negative ? -1 : 1) * (int64_t{1} << (at % 32));
    }
  }
  if (plus && minus) return std::nan("");
  if (plus || minus) return plus ? HUGE_VAL : -HUGE_VAL;
  const auto settle = [&] {
    int64_t carry = 0;
    for (int64_t& d : digits) {
      d += carry;
      carry = d >> 32;
      d &= 0xffffffff;
    }
    return carry < 0;
  };
  bool negative = false;
  if (settle()) {
    negative = true;
    for (int64_t& d : digits) d = -d;
    // The settled form was a complement; its negation settles to the magnitude.
    settle();
  }
  std::vector<int> bits;  // most significant first
  for (size_t i = digits.size(); i-- > 0;) {
    for (int b = 31; b >= 0; --b) bits.push_back(static_cast<int>((digits[i] >> b) & 1));
  }
  const auto first = static_cast<size_t>(std::find(bits.begin(), bits.end(), 1) - bits.begin());
  if (first == bits.size()) return 0;
  uint64_t mantissa = 0;
  const size_t stop = std::min(bits.size(), first + 53);
  for (size_t i = first; i < stop; ++i) mantissa = mantissa * 2 + static_cast<uint64_t>(bits[i]);
  if (stop < bits.size() && bits[stop] == 1) {
    const bool more = std::find(bits.begin() + static_cast<std::ptrdiff_t>(stop) + 1, bits.end(),
                                1) != bits.end();
    if (more || (mantissa & 1) != 0) ++mantissa;
  }
  const double out =
      std::ldexp(static_cast<double>(mantissa), static_cast<int>(bits.size() - stop) - 1074);
  return negative ? -out : out;
}

/// Aggregates of a list of rows.
class Aggregates {
 public:
  Aggregates(const column::TableSchema& schema, std::vector<const ModelRow*> rows)
      : schema_(schema), rows_(std::move(rows)) {}

  [[nodiscard]] Cell Count() const { return static_cast<int64_t>(rows_.size()); }
  [[nodiscard]] Cell First(const std::string& column) const {
    for (const ModelRow* row : rows_) {
      if (!IsNull(At(*row, column))) return At(*row, column);
    }
    return {};
  }
  [[nodiscard]] Cell Last(const std::string& column) const {
    Cell out;
    for (const ModelRow* row : rows_) {
      if (!IsNull(At(*row, column))) out = At(*row, column);
    }
    return out;
  }
  [[nodiscard]] Cell Extreme(const std::string& column, bool greatest) const {
    Cell out;
    for (const ModelRow* row : rows_) {
      const Cell& cell = At(*row, column);
      if (IsNull(cell)) continue;
      const bool is_nan =
          std::holds_alternative<double>(cell) && std::isnan(std::get<double>(cell));
      if (IsNull(out)) {
        out = cell;
      } else if (!is_nan) {
        const bool out_nan =
            std::holds_alternative<double>(out) && std::isnan(std::get<double>(out));
        if (out_nan || (greatest ? cell > out : cell < out)) out = cell;
      }
    }
    return out;
  }
  [[nodiscard]] Cell Sum(const std::string& column) const {
    if (IsFloat(column)) {
      const std::vector<double> values = Floats(column);
      if (values.empty()) return {};
      return ExactTotal(values);
    }
    int64_t total = 0;
    bool any = false;
    for (const ModelRow* row : rows_) {
      if (IsNull(At(*row, column))) continue;
      total += std::get<int64_t>(At(*row, column));
      any = true;
    }
    return any ? Cell(total) : Cell();
  }
  [[nodiscard]] Cell Mean(const std::string& column) const {
    int64_t n = 0;
    for (const ModelRow* row : rows_) n += IsNull(At(*row, column)) ? 0 : 1;
    if (n == 0) return {};
    if (IsFloat(column)) return ExactTotal(Floats(column)) / static_cast<double>(n);
    Wide total = 0;
    for (const ModelRow* row : rows_) {
      if (!IsNull(At(*row, column))) total += std::get<int64_t>(At(*row, column));
    }
    return Ratio(total, n, ScaleOf(column));
  }
  [[nodiscard]] Cell Vwap(const std::string& price, const std::string& size) const {
    std::vector<double> products, weights;
    Wide product_total = 0, weight_total = 0;
    for (const ModelRow* row : rows_) {
      const Cell& p = At(*row, price);
      const Cell& s = At(*row, size);
      if (IsNull(p) || IsNull(s)) continue;
      if (IsFloat(price) || IsFloat(size)) {
        weights.push_back(Real(s, size));
        products.push_back(Real(p, price) * Real(s, size));
      } else {
        product_total += static_cast<Wide>(std::get<int64_t>(p)) * std::get<int64_t>(s);
        weight_total += std::get<int64_t>(s);
      }
    }
    if (IsFloat(price) || IsFloat(size)) {
      const double weight = ExactTotal(weights);
      if (weights.empty() || weight == 0) return {};
      return ExactTotal(products) / weight;
    }
    if (weight_total == 0) return {};
    return Ratio(product_total, weight_total, ScaleOf(price));
  }
  /// Over rows from `begin` on.
  [[nodiscard]] Cell Ema(const std::string& column, double alpha, Timestamp begin) const {
    Cell out;
    for (const ModelRow* row : rows_) {
      if (Timestamp(row->ts) < begin || IsNull(At(*row, column))) continue;
      const double x = Real(At(*row, column), column);
      out = IsNull(out) ? x : alpha * x + (1 - alpha) * std::get<double>(out);
    }
    return out;
  }

 private:
  [[nodiscard]] const Cell& At(const ModelRow& row, const std::string& column) const {
    return row.cells[IndexOf(schema_, column)];
  }
  [[nodiscard]] bool IsFloat(const std::string& column) const {
    return column::IsFloat(schema_.columns[IndexOf(schema_, column)].type.kind);
  }
  [[nodiscard]] int ScaleOf(const std::string& column) const {
    return schema_.columns[IndexOf(schema_, column)].type.scale;
  }
  static double Ratio(Wide a, Wide b, int scale) {
    long double power = 1;
    for (int i = 0; i < scale; ++i) power *= 10;
    return static_cast<double>(static_cast<long double>(a) / (static_cast<long double>(b) * power));
  }
  [[nodiscard]] double Real(const Cell& cell, const std::string& column) const {
    if (std::holds_alternative<double>(cell)) return std::get<double>(cell);
    return Ratio(std::get<int64_t>(cell), 1, ScaleOf(column));
  }
  [[nodiscard]] std::vector<double> Floats(const std::string& column) const {
    std::vector<double> out;
    for (const ModelRow* row : rows_) {
      if (!IsNull(At(*row, column))) out.push_back(std::get<double>(At(*row, column)));
    }
    return out;
  }

  const column::TableSchema& schema_;
  std::vector<const ModelRow*> rows_;
};

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
  if (plan.limit.has_value() && out.rows.size() > *plan.limit) out.rows.resize(*plan.limit);
  return out;
}

Answer NaiveModel::Nearest(const LastBy& op, const RowTest& where) const {
  const Table& table = tables_.at(op.from.table);
  const std::vector<ModelRow> rows = Resolved(table, op.from, op.from.symbols, where);
  std::map<std::vector<Cell>, size_t> chosen;
  for (size_t i = 0; i < rows.size(); ++i) {
    if (op.first ? Timestamp(rows[i].ts) < op.at : Timestamp(rows[i].ts) > op.at) continue;
    const auto group = GroupOf(*table.schema, rows[i], op.by);
    if (op.first) {
      chosen.try_emplace(group, i);
    } else {
      chosen[group] = i;
    }
  }
  std::set<size_t> picked;
  for (const auto& [group, i] : chosen) picked.insert(i);
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
    const ModelRow* best = nullptr;
    for (const ModelRow& candidate : right_rows) {
      if (GroupOf(*left.schema, row, op.by) != GroupOf(*right.schema, candidate, op.by)) continue;
      const int64_t distance = op.forward ? candidate.ts - row.ts : row.ts - candidate.ts;
      if (distance < 0 || (op.strict && distance == 0)) continue;
      if (op.tolerance.has_value() && distance > op.tolerance->ns()) continue;
      if (!op.forward || best == nullptr) best = &candidate;
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

Answer NaiveModel::MakeBars(const Bars& op, const RowTest& where) const {
  const Table& table = tables_.at(op.from.table);
  const auto rows = Resolved(table, op.from, op.from.symbols, where);
  // symbol, start, group -> rows
  std::map<std::tuple<std::string, int64_t, std::vector<Cell>>, std::vector<const ModelRow*>> bars;
  std::map<std::vector<Cell>, std::pair<int64_t, int64_t>> extent;
  for (const ModelRow& row : rows) {
    if (!Inside(row.ts, op.begin, op.end)) continue;
    const int64_t start = row.ts / op.interval.ns() * op.interval.ns();
    const auto group = GroupOf(*table.schema, row, op.by);
    bars[{row.symbol, start, group}].push_back(&row);
    const auto [at, added] = extent.try_emplace(group, start, start);
    at->second.first = std::min(at->second.first, start);
    at->second.second = std::max(at->second.second, start);
  }
  if (op.fill_previous) {
    for (const auto& [group, ends] : extent) {
      for (int64_t t = ends.first; t < ends.second; t += op.interval.ns()) {
        bars[{std::get<std::string>(group[0]), t, group}];
      }
    }
  }
  Answer out;
  out.names = {"symbol", "ts"};
  for (const auto& name : op.by) out.names.push_back(name);
  for (const auto& name : op.aggregates) out.names.push_back(name);
  std::map<std::vector<Cell>, Cell> previous;
  for (const auto& [key, members] : bars) {
    const auto& [symbol, start, group] = key;
    const Aggregates of(*table.schema, members);
    std::vector<std::string> line = {symbol, std::to_string(start)};
    for (size_t i = 1; i < group.size(); ++i) line.push_back(FormatCell(group[i]));
    for (const std::string& name : op.aggregates) {
      Cell cell;
      if (members.empty()) {
        const bool zero = name == "volume" || name == "count";
        const bool is_float =
            column::IsFloat(table.schema->columns[IndexOf(*table.schema, op.size)].type.kind);
        if (zero) cell = name == "volume" && is_float ? Cell(0.0) : Cell(int64_t{0});
        if (!zero && name != "vwap") cell = previous[group];
      } else if (name == "open") {
        cell = of.First(op.price);
      } else if (name == "high") {
        cell = of.Extreme(op.price, true);
      } else if (name == "low") {
        cell = of.Extreme(op.price, false);
      } else if (name == "close") {
        cell = of.Last(op.price);
      } else if (name == "volume") {
        cell = of.Sum(op.size);
      } else if (name == "count") {
        cell = of.Count();
      } else {
        cell = of.Vwap(op.price, op.size);
      }
      line.push_back(FormatCell(cell));
    }
    const Cell close = of.Last(op.price);
    if (!IsNull(close)) previous[group] = close;
    out.rows.push_back(line);
  }
  return out;
}

Answer NaiveModel::Roll(const Rolling& op, const RowTest& where) const {
  const Table& table = tables_.at(op.from.table);
  const auto rows = Resolved(table, op.from, op.from.symbols, where);
  Answer out;
  out.names = {"symbol", "ts", "seq"};
  for (const auto& name : Names(*table.schema, op.columns)) out.names.push_back(name);
  for (const auto& name : op.aggregates) out.names.push_back(name);
  for (size_t i = 0; i < rows.size(); ++i) {
    if (!Inside(rows[i].ts, op.begin, op.end)) continue;
    std::vector<const ModelRow*> all;  // of the group, up to this row
    for (size_t j = 0; j <= i; ++j) {
      if (GroupOf(*table.schema, rows[j], op.by) == GroupOf(*table.schema, rows[i], op.by)) {
        all.push_back(&rows[j]);
      }
    }
    std::vector<const ModelRow*> window;
    for (size_t j = 0; j < all.size(); ++j) {
      const bool in = op.window.has_value() ? all[j]->ts >= rows[i].ts - op.window->ns()
                                            : all.size() - j <= op.window_rows.value_or(1);
      if (in) window.push_back(all[j]);
    }
    const Aggregates of(*table.schema, window);
    out.rows.push_back(KeyCells(rows[i]));
    for (const auto& name : Names(*table.schema, op.columns)) {
      out.rows.back().push_back(FormatCell(rows[i].cells[IndexOf(*table.schema, name)]));
    }
    for (const std::string& text : op.aggregates) {
      const size_t open = text.find('(');
      const std::string name = text.substr(0, open);
      const std::string argument =
          open == std::string::npos ? op.price : text.substr(open + 1, text.size() - open - 2);
      Cell cell;
      if (name == "sum") cell = of.Sum(argument);
      if (name == "mean") cell = of.Mean(argument);
      if (name == "min") cell = of.Extreme(argument, false);
      if (name == "max") cell = of.Extreme(argument, true);
      if (name == "count") cell = of.Count();
      if (name == "vwap") cell = of.Vwap(op.price, op.size);
      if (name == "ema") {
        cell = Aggregates(*table.schema, all).Ema(op.price, std::stod(argument), op.begin);
      }
      out.rows.back().push_back(FormatCell(cell));
    }
  }
  return out;
}

}  // namespace proxist::query
