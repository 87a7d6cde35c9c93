// Every aggregate of docs/queries.md once more, sharing nothing with the engine.
#include "tests/unit/query/naive_aggregates.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "proxist/column/schema.h"

namespace proxist::query {
namespace {

__extension__ using Wide = __int128;
__extension__ using Quad = __float128;

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
class NaiveAggregates {
 public:
  NaiveAggregates(const column::TableSchema& schema, std::vector<const ModelRow*> rows)
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
  [[nodiscard]] Cell CountOf(const std::string& column) const {
    int64_t n = 0;
    for (const ModelRow* row : rows_) n += IsNull(At(*row, column)) ? 0 : 1;
    return n;
  }
  [[nodiscard]] Cell Distinct(const std::string& column) const {
    std::set<Cell> values;
    bool nan = false;
    for (const ModelRow* row : rows_) {
      Cell cell = At(*row, column);
      if (IsNull(cell)) continue;
      const auto* real = std::get_if<double>(&cell);
      if (real != nullptr && std::isnan(*real)) {
        nan = true;
      } else {
        values.insert(real != nullptr && *real == 0 ? Cell(0.0) : cell);
      }
    }
    return static_cast<int64_t>(values.size()) + (nan ? 1 : 0);
  }
  /// Whole numbers, or floats whose squares add up exactly in 113 bits.
  [[nodiscard]] Cell Variance(const std::string& column, bool sample) const {
    Quad sum = 0, squares = 0, unit = 1;
    int64_t n = 0;
    for (const ModelRow* row : rows_) {
      const Cell& cell = At(*row, column);
      if (IsNull(cell)) continue;
      const Quad x = IsFloat(column) ? Quad(std::get<double>(cell)) : Quad(std::get<int64_t>(cell));
      sum += x;
      squares += x * x;
      ++n;
    }
    if (n < (sample ? 2 : 1)) return {};
    for (int i = 0; !IsFloat(column) && i < 2 * ScaleOf(column); ++i) unit *= 10;
    return static_cast<double>((n * squares - sum * sum) / (Quad(n) * (sample ? n - 1 : n) * unit));
  }
  [[nodiscard]] Cell Quantile(const std::string& column, double p) const {
    std::vector<double> sorted;
    bool nan = false;
    for (const ModelRow* row : rows_) {
      if (IsNull(At(*row, column))) continue;
      const double x = Real(At(*row, column), column);
      nan = nan || std::isnan(x);
      if (!std::isnan(x)) sorted.push_back(x);
    }
    if (sorted.empty()) return nan ? Cell(std::nan("")) : Cell();
    std::sort(sorted.begin(), sorted.end());
    const double at = p * static_cast<double>(sorted.size() - 1);
    const double below = std::floor(at);
    const double low = sorted[static_cast<size_t>(below)];
    if (at == below) return low;
    const double high = sorted[static_cast<size_t>(below) + 1];
    return low == high ? low : low + (high - low) * (at - below);
  }
  [[nodiscard]] Cell Twap(const std::string& column, int64_t end) const {
    std::vector<double> products;
    int64_t first = 0;
    const ModelRow* held = nullptr;
    const auto hold = [&](int64_t until) {
      products.push_back(Real(At(*held, column), column) * static_cast<double>(until - held->ts));
    };
    for (const ModelRow* row : rows_) {
      if (IsNull(At(*row, column))) continue;
      if (held == nullptr) first = row->ts;
      if (held != nullptr && row->ts > held->ts) hold(row->ts);
      held = row;
    }
    if (held == nullptr) return {};
    if (end <= first) return Real(At(*held, column), column);
    if (end > held->ts) hold(end);
    return ExactTotal(products) / static_cast<double>(end - first);
  }
  [[nodiscard]] Cell TimeEma(const std::string& column, int64_t half_life, Timestamp begin) const {
    Cell out;
    int64_t before = 0;
    for (const ModelRow* row : rows_) {
      if (Timestamp(row->ts) < begin || IsNull(At(*row, column))) continue;
      const double x = Real(At(*row, column), column);
      const double weight =
          std::exp2(-static_cast<double>(row->ts - before) / static_cast<double>(half_life));
      out = IsNull(out) ? x : weight * std::get<double>(out) + (1 - weight) * x;
      before = row->ts;
    }
    return out;
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

struct Parts {
  std::string name;
  std::vector<std::string> arguments;
};
Parts PartsOf(const std::string& text) {
  Parts out;
  const size_t open = text.find('(');
  out.name = text.substr(0, open);
  if (open == std::string::npos) return out;
  std::string inner = text.substr(open + 1, text.size() - open - 2);
  for (size_t comma = inner.find(','); comma != std::string::npos; comma = inner.find(',')) {
    out.arguments.push_back(inner.substr(0, comma));
    inner = inner.substr(comma + 1);
  }
  out.arguments.push_back(inner);
  return out;
}

/// The column that is not named: the size for volume, else the price.
std::string ColumnOf(const Parts& parts, const NaiveScope& scope) {
  const bool parameter = parts.name.starts_with("ema") || parts.name == "quantile";
  if (parts.arguments.size() > (parameter ? 1 : 0)) return parts.arguments[0];
  return parts.name == "volume" ? scope.size : scope.price;
}

Cell MovingAverage(const Parts& parts, const std::string& column, const column::TableSchema& schema,
                   const NaiveScope& scope) {
  const NaiveAggregates all(schema, scope.all);
  const std::string& parameter = parts.arguments.back();
  if (parts.name == "ema_time") {
    const std::string text = parameter.substr(1, parameter.size() - 2);
    return all.TimeEma(column, ParseDuration(text).value().ns(), scope.begin);
  }
  const double x = std::stod(parameter);
  if (parts.name == "ema_span") return all.Ema(column, 2 / (x + 1), scope.begin);
  if (parts.name == "ema_half_life") return all.Ema(column, 1 - std::exp2(-1 / x), scope.begin);
  return all.Ema(column, x, scope.begin);
}

}  // namespace

bool IsNull(const Cell& cell) { return std::holds_alternative<std::monostate>(cell); }

size_t IndexOf(const column::TableSchema& schema, const std::string& name) {
  return schema.Find(name).value();
}

Cell NaiveAggregate(const std::string& text, const column::TableSchema& schema,
                    const std::vector<const ModelRow*>& rows, const NaiveScope& scope) {
  if (const size_t minus = text.find(")-"); minus != std::string::npos) {
    const Cell a = NaiveAggregate(text.substr(0, minus + 1), schema, rows, scope);
    const Cell b = NaiveAggregate(text.substr(minus + 2), schema, rows, scope);
    if (IsNull(a) || IsNull(b)) return {};
    if (std::holds_alternative<double>(a)) return std::get<double>(a) - std::get<double>(b);
    return std::get<int64_t>(a) - std::get<int64_t>(b);
  }
  const NaiveAggregates of(schema, rows);
  const Parts parts = PartsOf(text);
  const std::string& name = parts.name;
  const std::string column = ColumnOf(parts, scope);
  if (name == "count") return parts.arguments.empty() ? of.Count() : of.CountOf(column);
  if (name == "open" || name == "first") return of.First(column);
  if (name == "close" || name == "last") return of.Last(column);
  if (name == "high" || name == "max") return of.Extreme(column, true);
  if (name == "low" || name == "min") return of.Extreme(column, false);
  if (name == "volume" || name == "sum") return of.Sum(column);
  if (name == "mean") return of.Mean(column);
  if (name == "vwap") return of.Vwap(scope.price, scope.size);
  if (name == "twap") return of.Twap(column, scope.end);
  if (name == "median") return of.Quantile(column, 0.5);
  if (name == "quantile") return of.Quantile(column, std::stod(parts.arguments.back()));
  if (name == "distinct") return of.Distinct(column);
  if (name == "var") return of.Variance(column, true);
  if (name == "var_pop") return of.Variance(column, false);
  if (name == "stddev" || name == "stddev_pop") {
    const Cell variance = of.Variance(column, name == "stddev");
    return IsNull(variance) ? variance : Cell(std::sqrt(std::get<double>(variance)));
  }
  return MovingAverage(parts, column, schema, scope);
}

column::Type NaiveType(const std::string& text, const column::TableSchema& schema,
                       const NaiveScope& scope) {
  const Parts parts = PartsOf(
      text.substr(0, text.find(")-") + 1).empty() ? text : text.substr(0, text.find(")-") + 1));
  const column::Type real{column::TypeKind::kFloat64, 0};
  const column::Type whole{column::TypeKind::kInt64, 0};
  if (parts.name == "count" || parts.name == "distinct") return whole;
  const column::Type type = schema.columns[IndexOf(schema, ColumnOf(parts, scope))].type;
  static const std::set<std::string> kKeep = {"open",  "close", "high", "low",
                                              "first", "last",  "max",  "min"};
  if (kKeep.contains(parts.name)) return type;
  if (parts.name != "sum" && parts.name != "volume") return real;
  if (type.kind == column::TypeKind::kDecimal) return type;
  return column::IsFloat(type.kind) ? real : whole;
}

}  // namespace proxist::query
