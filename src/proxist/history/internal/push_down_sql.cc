// Sums are of Int128, so that none wraps; floats are taken apart into integers first.
#include "proxist/history/internal/push_down_sql.h"

#include <algorithm>
#include <limits>

namespace proxist::history {
namespace {

using column::ColumnDef;
using column::HistoryNameOf;
using column::TypeKind;

std::string DayList(const std::vector<Day>& days) {
  std::string out;
  for (const Day day : days) {
    out += (out.empty() ? "" : ", ") + ("toDate(" + QuoteText(FormatDay(day)) + ")");
  }
  return out;
}

/// Integers beyond what a column can hold are as good as its ends.
std::string Integer(exec::Int128 value) {
  constexpr exec::Int128 kLeast = std::numeric_limits<int64_t>::min();
  constexpr exec::Int128 kMost = std::numeric_limits<uint64_t>::max();
  value = std::clamp(value, kLeast, kMost);
  if (value > std::numeric_limits<int64_t>::max()) {
    return fmt::format("toInt128({})", static_cast<uint64_t>(value));
  }
  return fmt::format("toInt128({})", static_cast<int64_t>(value));
}

/// The column's values as integers; null stays null.
std::string IntegerOf(const ColumnDef& def) {
  const std::string name = QuoteName(HistoryNameOf(def));
  switch (def.type.kind) {
    case TypeKind::kDecimal:
      // A decimal's own integer: exact, where a division or a literal would have to be scaled.
      return fmt::format("toInt128(reinterpretAsInt64({}))", name);
    case TypeKind::kTimestamp:
      return fmt::format("toInt128(toUnixTimestamp64Nano({}))", name);
    default:
      return fmt::format("toInt128({})", name);
  }
}

std::string ConditionSql(const column::TableSchema& schema,
                         const exec::ColumnCondition& condition) {
  const ColumnDef& def = schema.columns[condition.column];
  if (column::IsText(def.type.kind)) {
    std::string texts;
    for (const std::string& text : condition.texts) {
      texts += (texts.empty() ? "" : ",") + QuoteText(text);
    }
    return texts.empty() ? "0" : fmt::format("{} IN ({})", QuoteName(HistoryNameOf(def)), texts);
  }
  if (condition.low > condition.high) {
    return condition.outside ? fmt::format("isNotNull({})", QuoteName(HistoryNameOf(def))) : "0";
  }
  // Compared as the column's own integers, so that no scale and no sign is converted.
  const std::string value = IntegerOf(def);
  const std::string inside = fmt::format("{0} >= {1} AND {0} <= {2}", value, Integer(condition.low),
                                         Integer(condition.high));
  return condition.outside ? fmt::format("NOT ({})", inside) : inside;
}

/// Of one column in a group; `valid` is true for the rows that have a value.
struct Terms {
  std::string value;
  std::string valid;
};

Terms TermsOf(const ColumnDef& def) {
  ColumnDef plain = def;
  Terms terms;
  const std::string name = QuoteName(HistoryNameOf(def));
  terms.valid = def.nullable ? fmt::format("isNotNull({})", name) : "1";
  if (column::IsFloat(def.type.kind)) {
    terms.value = fmt::format("toFloat64({})", def.nullable ? "assumeNotNull(" + name + ")" : name);
  } else if (def.type.kind == TypeKind::kDecimal) {
    terms.value =
        fmt::format("reinterpretAsInt64({})", def.nullable ? "assumeNotNull(" + name + ")" : name);
  } else {
    terms.value = def.nullable ? "assumeNotNull(" + name + ")" : name;
  }
  return terms;
}

std::string Words(const std::string& sum, const std::string& name) {
  return fmt::format(
      "reinterpretAsUInt64({0}) AS `{1}_lo`, reinterpretAsUInt64(bitShiftRight({0}, 64)) AS "
      "`{1}_hi`",
      sum, name);
}

std::string IntegerSum(const std::string& value, const std::string& valid,
                       const std::string& name) {
  return Words(fmt::format("sumIf(toInt128({}), {})", value, valid), name);
}

/// Two sums of integers that hold a sum of floats exactly, and how many values they can't hold.
std::string FloatSum(const std::string& x, const std::string& valid, const std::string& name) {
  const std::string held = fmt::format(
      "(abs({0}) < exp2({1}) AND reinterpretAsInt64({0}) != toInt64(-9223372036854775808)"
      " AND ({0} - trunc({0} * exp2({2})) / exp2({2})) * exp2({3}) = "
      "trunc(({0} - trunc({0} * exp2({2})) / exp2({2})) * exp2({3})))",
      x, kMostBits, kHighBits, kLowBits);
  // What is not held is not converted: it would not fit.
  const std::string kept = fmt::format("if({}, {}, 0.)", held, x);
  const std::string high = fmt::format("toInt64(trunc(({}) * exp2({})))", kept, kHighBits);
  const std::string low = fmt::format(
      "toInt64((({0}) - trunc(({0}) * exp2({1})) / exp2({1})) * "
      "exp2({2}))",
      kept, kHighBits, kLowBits);
  return fmt::format("{}, {}, toUInt64(countIf({} AND NOT {})) AS `{}_bad`",
                     IntegerSum(high, valid, name + "_high"), IntegerSum(low, valid, name + "_low"),
                     valid, held, name);
}

std::string TotalOf(const ColumnDef& def, const std::string& name) {
  const auto [value, valid] = TermsOf(def);
  std::string out = fmt::format("toUInt64(countIf({})) AS `{}_n`, ", valid, name);
  if (column::IsFloat(def.type.kind)) {
    out += FloatSum(value, valid, name);
  } else {
    out += IntegerSum(value, valid, name);
  }
  // The bits of 64 of an extreme, signed, unsigned or float64 as the column is.
  const bool wide = column::IsFloat(def.type.kind) || def.type.kind == TypeKind::kUint64;
  const std::string bits = wide ? value : fmt::format("toInt64({})", value);
  return out + fmt::format(
                   ", reinterpretAsUInt64(minIf({0}, {1})) AS `{2}_least`, "
                   "reinterpretAsUInt64(maxIf({0}, {1})) AS `{2}_most`",
                   bits, valid, name);
}

std::string WeightedTotal(const ColumnDef& value, const ColumnDef& weight) {
  const Terms v = TermsOf(value);
  const Terms w = TermsOf(weight);
  const std::string both = fmt::format("({} AND {})", v.valid, w.valid);
  std::string out = fmt::format("toUInt64(countIf({})) AS `W_n`, ", both);
  if (column::IsFloat(value.type.kind)) {
    return out + FloatSum(fmt::format("({} * {})", v.value, w.value), both, "P") + ", " +
           FloatSum(w.value, both, "W");
  }
  // Far below what 128 bits hold.
  return out + IntegerSum(fmt::format("toInt128({}) * toInt128({})", v.value, w.value), both, "P") +
         ", " + IntegerSum(w.value, both, "W") +
         fmt::format(", toUInt64(sumIf(abs(toFloat64({}) * toFloat64({})), {}) > 1e37) AS `P_bad`",
                     v.value, w.value, both);
}

HistoryColumn Number(const std::string& name) {
  return {name, "UInt64", {TypeKind::kUint64}, false};
}

void AddWords(const std::string& name, std::vector<HistoryColumn>* out) {
  out->push_back(Number(name + "_lo"));
  out->push_back(Number(name + "_hi"));
}

void AddSum(const std::string& name, bool real, std::vector<HistoryColumn>* out) {
  if (!real) return AddWords(name, out);
  AddWords(name + "_high", out);
  AddWords(name + "_low", out);
  out->push_back(Number(name + "_bad"));
}

/// Groups of a series and an interval.
std::string GroupBy(const TotalsRequest& request) {
  const column::TableSchema& schema = *request.rows.schema;
  std::string out = "`symbol`";
  for (const size_t column : schema.series)
    out += ", " + QuoteName(HistoryNameOf(schema.columns[column]));
  if (request.interval.has_value()) {
    out += fmt::format(", `NS` - positiveModulo(`NS` - toInt64({}), {})", request.origin.ns(),
                       request.interval->ns());
  }
  return out;
}

/// The values of the first and of the last row, as `F_name` and `L_name`.
std::string EndsOf(const HistoryColumn& column, bool key_of_series) {
  const std::string name = QuoteName(column.name);
  if (key_of_series)
    return fmt::format(", any({0}) AS `F_{1}`, `F_{1}` AS `L_{1}`", name, column.name);
  const std::string plain =
      column.type.kind == TypeKind::kSymbol
          ? fmt::format("CAST({} AS {})", name, column.nullable ? "Nullable(String)" : "String")
          : name;
  // Aggregate functions pass over nulls; whether it is one is asked beside.
  if (!column.nullable) {
    return fmt::format(", argMin({0}, `K_first`) AS `F_{1}`, argMax({0}, `K_last`) AS `L_{1}`",
                       plain, column.name);
  }
  return fmt::format(
      ", if(argMin(isNull({0}), `K_first`) = 1, NULL, argMin(assumeNotNull({0}), `K_first`)) AS "
      "`F_{1}`, if(argMax(isNull({0}), `K_last`) = 1, NULL, argMax(assumeNotNull({0}), `K_last`)) "
      "AS "
      "`L_{1}`",
      plain, column.name);
}

}  // namespace

std::string ResolvedSql(const ReadRequest& request, const std::vector<size_t>& declared) {
  const column::TableSchema& schema = *request.schema;
  const std::string names = NameList(ReadColumns(schema, declared));
  std::string conditions;
  for (const exec::ColumnCondition& condition : request.push_down->conditions) {
    conditions += " AND (" + ConditionSql(schema, condition) + ")";
  }
  std::vector<Day> days;
  for (const Day day : request.push_down->rewritten_days) {
    if (day >= DayOf(request.from) && day <= DayOf(request.to)) days.push_back(day);
  }
  const std::string versions = SelectedVersions(request);
  const std::string clean =
      fmt::format("SELECT {} FROM {} WHERE {}{}", names, TableName(schema), versions, conditions);
  if (days.empty()) return clean;
  const std::string rewritten = DayList(days);
  return fmt::format(
      "{0}{1} AND toDate(`ts`) NOT IN ({2}) UNION ALL SELECT {3} FROM (SELECT {3} FROM {4} WHERE "
      "{5} "
      "AND toDate(`ts`) IN ({2}) ORDER BY {6}, `version` DESC LIMIT 1 BY {6}) WHERE `deleted` = "
      "0{1}",
      fmt::format("SELECT {} FROM {} WHERE {}", names, TableName(schema), versions), conditions,
      rewritten, names, TableName(schema), versions, OrderBy(schema));
}

std::vector<HistoryColumn> TotalsColumns(const TotalsRequest& request) {
  const column::TableSchema& schema = *request.rows.schema;
  std::vector<HistoryColumn> out = {Number("END"), Number("ROWS")};
  for (size_t i = 0; i < request.columns.size(); ++i) {
    const std::string name = fmt::format("C{}", i);
    out.push_back(Number(name + "_n"));
    AddSum(name, column::IsFloat(schema.columns[request.columns[i]].type.kind), &out);
    out.push_back(Number(name + "_least"));
    out.push_back(Number(name + "_most"));
  }
  if (request.weighted.has_value()) {
    const bool real = column::IsFloat(schema.columns[request.weighted->first].type.kind);
    out.push_back(Number("W_n"));
    AddSum("P", real, &out);
    AddSum("W", real, &out);
    if (!real) out.push_back(Number("P_bad"));
  }
  return out;
}

std::string TotalsSql(const TotalsRequest& request, const std::vector<size_t>& declared) {
  const column::TableSchema& schema = *request.rows.schema;
  std::string key = "bitOr(bitShiftLeft(toUInt128(`NS`), 64), toUInt128(`seq`))";
  const std::string far = "bitShiftLeft(toUInt128(1), 127)";
  std::string first = key;
  std::string last = key;
  if (request.ends.has_value() && schema.columns[*request.ends].nullable) {
    const std::string name = QuoteName(HistoryNameOf(schema.columns[*request.ends]));
    first = fmt::format("if(isNull({}), bitOr({}, {}), {})", name, key, far, key);
    last = fmt::format("if(isNull({}), {}, bitOr({}, {}))", name, key, key, far);
  }
  std::string groups = "`symbol` AS `F_symbol`, toUInt64(count()) AS `ROWS`";
  std::string out;
  const std::vector<HistoryColumn> columns = ReadColumns(schema, declared);
  for (size_t i = 0; i < columns.size(); ++i) {
    const HistoryColumn& column = columns[i];
    const bool series = std::any_of(schema.series.begin(), schema.series.end(), [&](size_t s) {
      return HistoryNameOf(schema.columns[s]) == column.name;
    });
    if (i == 0) {
      out += "CAST(`F_symbol` AS LowCardinality(String)) AS `symbol`";
      continue;
    }
    groups += EndsOf(column, series);
    out += fmt::format(", CAST(if(`IS_LAST` = 0, `F_{0}`, `L_{0}`) AS {1}) AS {2}", column.name,
                       column.clickhouse_type, QuoteName(column.name));
  }
  for (size_t i = 0; i < request.columns.size(); ++i) {
    groups += ", " + TotalOf(schema.columns[request.columns[i]], fmt::format("C{}", i));
  }
  if (request.weighted.has_value()) {
    groups += ", " + WeightedTotal(schema.columns[request.weighted->first],
                                   schema.columns[request.weighted->second]);
  }
  out += ", toUInt64(`IS_LAST`) AS `END`";
  std::vector<HistoryColumn> totals = TotalsColumns(request);
  totals.erase(totals.begin());  // END, which stands there
  out += ", " + NameList(totals);
  std::string order = "`symbol`";
  for (const size_t column : schema.series)
    order += ", " + QuoteName(HistoryNameOf(schema.columns[column]));
  return fmt::format(
      "SELECT {} FROM (SELECT {} FROM (SELECT *, {} AS `K_first`, {} AS `K_last` FROM (SELECT *, "
      "toUnixTimestamp64Nano(`ts`) AS `NS` FROM ({}))) GROUP BY {}) ARRAY JOIN "
      "if(`F_version` = `L_version`, [0], [0, 1]) AS `IS_LAST` ORDER BY {}, `ts`, `seq` LIMIT {} "
      "FORMAT Native",
      out, groups, first, last, ResolvedSql(request.rows, declared), GroupBy(request), order,
      request.rows.max_rows + 1);
}

}  // namespace proxist::history
