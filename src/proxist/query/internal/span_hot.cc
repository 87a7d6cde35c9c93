// Names are resolved by hand, since a span costs little more than what its words do.
#include "proxist/query/internal/span_hot.h"

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>
#include <vector>

#include "proxist/exec/aggregate.h"
#include "proxist/exec/slices.h"
#include "proxist/query/internal/cut.h"
#include "proxist/query/internal/operators.h"
#include "proxist/query/internal/piece_columns.h"

namespace proxist::query::internal {
namespace {

using column::Type;
using column::TypeKind;

enum class Kind : uint8_t { kRows, kSum, kMean, kMin, kMax, kVwap };

struct Word {
  std::string_view name;
  Kind kind;
  bool takes_columns;    // in parentheses
  bool of_size = false;  // without them: of the size, not of the price
};
constexpr auto kWords = std::to_array<Word>({{"count", Kind::kRows, false},
                                             {"sum", Kind::kSum, true},
                                             {"mean", Kind::kMean, true},
                                             {"min", Kind::kMin, true},
                                             {"max", Kind::kMax, true},
                                             {"vwap", Kind::kVwap, true},
                                             {"high", Kind::kMax, false},
                                             {"low", Kind::kMin, false},
                                             {"volume", Kind::kSum, false, true}});

struct Item {
  Kind kind;
  size_t value = 0;  // of the schema's columns
  size_t size = 0;
  size_t total = 0;  // of SpanTotals::columns
};

/// A column of numbers by a name that no expression reads in another way.
std::optional<size_t> NumbersOf(const column::TableSchema& schema, std::string_view name) {
  constexpr std::string_view kKeywords[] = {"and",  "or",   "not",   "in",      "is",
                                            "null", "true", "false", "between", "as"};
  if (std::ranges::find(kKeywords, name) != std::end(kKeywords)) return std::nullopt;
  const std::optional<size_t> column = schema.Find(name);
  if (!column.has_value() || !column::IsNumeric(schema.columns[*column].type.kind)) {
    return std::nullopt;
  }
  return column;
}

std::optional<Item> ItemOf(const Bars& op, const column::TableSchema& schema,
                           std::string_view text) {
  const size_t open = text.find('(');
  const auto word = std::ranges::find(kWords, text.substr(0, open), &Word::name);
  if (word == kWords.end()) return std::nullopt;
  Item item{word->kind};
  if (word->kind == Kind::kRows) return open == text.npos ? std::optional(item) : std::nullopt;
  std::string_view value = word->of_size ? op.size : op.price;
  std::string_view size = op.size;
  if (open != text.npos) {
    if (!word->takes_columns || text.back() != ')') return std::nullopt;
    value = text.substr(open + 1, text.size() - open - 2);
    const size_t comma = value.find(',');
    if ((comma != value.npos) != (word->kind == Kind::kVwap)) return std::nullopt;
    if (comma != value.npos) {
      size = value.substr(comma + 1);
      value = value.substr(0, comma);
    }
  }
  const std::optional<size_t> value_column = NumbersOf(schema, value);
  if (!value_column.has_value()) return std::nullopt;
  item.value = *value_column;
  if (word->kind != Kind::kVwap) return item;
  // Totals of products exist for two columns only.
  const std::optional<size_t> size_column = NumbersOf(schema, size);
  if (!size_column.has_value() || value != hot::kPriceColumn || size != hot::kSizeColumn) {
    return std::nullopt;
  }
  item.size = *size_column;
  return item;
}

/// What a plan asks of a span.
struct Question {
  std::vector<Item> items;
  hot::SpanTotals totals;
  std::array<Type, 2> weighted_types{};  // of totals.weighted

  bool Parse(const Bars& op, const column::TableSchema& schema) {
    items.reserve(op.aggregates.size());
    for (size_t i = 0; i < op.aggregates.size(); ++i) {
      const auto earlier = op.aggregates.begin() + static_cast<ptrdiff_t>(i);
      if (std::find(op.aggregates.begin(), earlier, *earlier) != earlier) return false;
      const std::optional<Item> item = ItemOf(op, schema, *earlier);
      if (!item.has_value()) return false;
      items.push_back(*item);
      Want(schema, &items.back());
    }
    return !items.empty();
  }

  /// Adds the rows that no total stands for. False: there are nulls among them.
  bool AddRuns() {
    PrefetchRuns();
    for (const hot::RowRun& run : totals.runs) {
      const size_t n = run.end - run.begin;
      for (hot::SpanTotals::Part& part : totals.columns) {
        if (!hot::AllValid(*run.block, part.column, run.begin, run.end)) return false;
        part.total.Add(Values(run, part.column, part.total.type()), n);
      }
      if (!totals.weighted.has_value()) continue;
      if (!hot::AllValid(*run.block, weighted_value, run.begin, run.end) ||
          !hot::AllValid(*run.block, weighted_size, run.begin, run.end)) {
        return false;
      }
      totals.weighted->Add(Values(run, weighted_value, weighted_types[0]),
                           Values(run, weighted_size, weighted_types[1]), n);
    }
    return true;
  }

  [[nodiscard]] uint64_t RowsInRuns() const {
    uint64_t rows = 0;
    for (const hot::RowRun& run : totals.runs) rows += run.end - run.begin;
    return rows;
  }
  /// Of all rows, of which there are some.
  [[nodiscard]] Timestamp First() const {
    Timestamp first = totals.first;
    for (const hot::RowRun& run : totals.runs) {
      first = std::min(first, Timestamp(hot::TimestampsOf(*run.block)[run.begin]));
    }
    return first;
  }
  [[nodiscard]] Timestamp Last() const {
    Timestamp last = totals.last;
    for (const hot::RowRun& run : totals.runs) {
      last = std::max(last, Timestamp(hot::TimestampsOf(*run.block)[run.end - 1]));
    }
    return last;
  }

 private:
  /// Each array that is read from is a cache miss, and of few rows so are all its lines: they
  /// overlap.
  void PrefetchRuns() const {
    constexpr size_t kFewRuns = 8;
    const bool few = totals.runs.size() <= kFewRuns;
    for (const hot::RowRun& run : totals.runs) {
      const auto ask = [&](size_t column, Type type) {
        PrefetchRows(hot::ValuesOf(*run.block, column), column::WidthOf(type.kind), run.begin,
                     few ? run.end : run.begin + 1);
      };
      __builtin_prefetch(hot::TimestampsOf(*run.block) + run.begin);
      for (const hot::SpanTotals::Part& part : totals.columns) ask(part.column, part.total.type());
      if (!totals.weighted.has_value()) continue;
      ask(weighted_value, weighted_types[0]);
      ask(weighted_size, weighted_types[1]);
    }
  }
  static const std::byte* Values(const hot::RowRun& run, size_t column, Type type) {
    return hot::ValuesOf(*run.block, column) + run.begin * column::WidthOf(type.kind);
  }
  void Want(const column::TableSchema& schema, Item* item) {
    if (item->kind == Kind::kRows) return;
    const Type type = schema.columns[item->value].type;
    if (item->kind == Kind::kVwap) {
      weighted_value = item->value;
      weighted_size = item->size;
      weighted_types = {type, schema.columns[item->size].type};
      totals.weighted.emplace(weighted_types[0], weighted_types[1]);
      return;
    }
    const auto known =
        std::ranges::find(totals.columns, item->value, &hot::SpanTotals::Part::column);
    item->total = static_cast<size_t>(known - totals.columns.begin());
    if (known == totals.columns.end()) {
      totals.columns.push_back({item->value, exec::ColumnTotals(type)});
    }
  }

  size_t weighted_value = 0;
  size_t weighted_size = 0;
};

/// The aggregate as a column of one value, by the kernel that other bars use; an error is left to
/// the long way.
StatusOr<exec::Column> ValueOf(const Question& question, const Item& item, uint64_t rows) {
  exec::Slices slices;
  slices.begin = {0};
  slices.end = {0};
  exec::Base base;
  base.rows = static_cast<int64_t>(rows);
  const auto bases = std::span(&base, 1);
  if (item.kind == Kind::kRows) return exec::CountRows(slices, bases);
  if (item.kind == Kind::kVwap) {
    base.weighted = &*question.totals.weighted;
    return exec::Vwap(slices, exec::Column(question.weighted_types[0]),
                      exec::Column(question.weighted_types[1]), "vwap", bases);
  }
  base.column = &question.totals.columns[item.total].total;
  const exec::Column none(base.column->type());
  switch (item.kind) {
    case Kind::kSum:
      return exec::Sum(slices, none, "sum", bases);
    case Kind::kMean:
      return exec::Mean(slices, none, "mean", bases);
    case Kind::kMin:
      return exec::MinValue(slices, none, bases);
    default:
      return exec::MaxValue(slices, none, bases);
  }
}

exec::Column OneValue(TypeKind kind, uint64_t rows, auto value) {
  exec::Column column({kind, 0});
  if (rows > 0) column.Append(value);
  return column;
}

/// The one bar that holds all rows; nothing when there are several.
std::optional<exec::BarGrid::Bar> BarOf(const Bars& op, const Question& question, Span span) {
  const exec::BarGrid grid = op.interval.has_value()
                                 ? exec::BarGrid(*op.interval, op.origin.value_or(Timestamp(0)))
                                 : exec::BarGrid();
  const exec::BarGrid::Bar bar = grid.At(question.First());
  if (bar.end > span.to || question.Last() < bar.end) return bar;
  return std::nullopt;
}

/// Plans whose meaning is read off their names alone.
bool IsPlain(const Bars& op) {
  return op.from.symbols.size() == 1 && op.from.where.empty() && op.by.empty() &&
         op.fill == Fill::kNone && op.zone.empty() &&
         (op.interval.has_value() ? *op.interval > Duration(0) : !op.origin.has_value());
}

}  // namespace

std::optional<ResultBatch> SpanInMemory(const Plan& plan, const Engine::Ports& ports,
                                        Explain* explain) {
  const auto* op = std::get_if<Bars>(&plan.op);
  if (op == nullptr || !IsPlain(*op) || plan.limit.has_value() || !plan.order.empty()) {
    return std::nullopt;
  }
  const StatusOr<column::SchemaPtr> schema = ports.catalog->Find(op->from.tenant, op->from.table);
  Question question;
  if (!schema.ok() || !question.Parse(*op, **schema)) return std::nullopt;
  const std::string& symbol = op->from.symbols[0];
  const ShardView* view = ports.shard_of(column::SlotOf(op->from.tenant, symbol));
  const ShardCut cut(view);
  const uint32_t code = cut.symbols->Code(symbol);
  if ((code & exec::Symbols::kLocalBit) != 0) return std::nullopt;
  Span span = SpanOf(op->begin, op->end);
  span.from = std::max(span.from, FloorOf(ports, **schema));
  std::vector<hot::SeriesSnapshot> series;
  cut.guard.SeriesOf((*schema)->id, code, &series);
  Timestamp floor = Timestamp::Min();
  for (const hot::SeriesSnapshot& one : series) floor = std::max(floor, one.floor());
  if (series.empty() || span.from <= floor || span.from > span.to) return std::nullopt;
  for (const hot::SeriesSnapshot& one : series) {
    one.Totals(span.from, span.to == Timestamp::Max() ? span.to : After(span.to), &question.totals);
  }
  if (!cut.guard.ShowsPlainly(**schema)) return std::nullopt;
  const uint64_t in_runs = question.RowsInRuns();
  const uint64_t rows = in_runs + question.totals.rows;
  std::optional<exec::BarGrid::Bar> bar;
  if (rows > 0) {
    if (!question.AddRuns()) return std::nullopt;
    bar = BarOf(*op, question, span);
    if (!bar.has_value()) return std::nullopt;
  }
  ResultBatch batch;
  batch.columns.reserve(2 + question.items.size());
  batch.columns.push_back({"symbol", OneValue(TypeKind::kSymbol, rows, code)});
  if (op->interval.has_value()) {
    const int64_t start = bar.has_value() ? bar->start.ns() : 0;
    batch.columns.push_back({"ts", OneValue(TypeKind::kTimestamp, rows, start)});
  }
  for (size_t i = 0; i < question.items.size(); ++i) {
    StatusOr<exec::Column> value = ValueOf(question, question.items[i], rows);
    if (!value.ok()) return std::nullopt;
    if (rows == 0) *value = exec::Column(value->type());
    batch.columns.push_back({op->aggregates[i], std::move(*value)});
  }
  if (explain != nullptr) {
    explain->attempts = 1;
    explain->rows_hot = in_runs;
    explain->rows_in_totals = question.totals.rows;
    explain->seams.push_back(
        {view->id(), (*schema)->name, cut.guard.cut(), cut.guard.persisted(), floor});
  }
  batch.symbols = cut.symbols;
  return batch;
}

}  // namespace proxist::query::internal
