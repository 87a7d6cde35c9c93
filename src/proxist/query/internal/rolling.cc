// Rolling: for each selected row, aggregates of the window that trails it.
#include <algorithm>
#include <charconv>
#include <cmath>

#include "proxist/exec/aggregate.h"
#include "proxist/exec/group.h"
#include "proxist/exec/slices.h"
#include "proxist/query/internal/cursor.h"
#include "proxist/query/internal/operators.h"
#include "proxist/query/internal/series_totals.h"

namespace proxist::query::internal {
namespace {

enum class Aggregate : uint8_t { kSum, kMean, kMin, kMax, kCount, kVwap, kEma };

struct Wanted {
  Aggregate aggregate;
  std::string name;  // as written, without spaces
  size_t slot = 0;   // of the value
  double alpha = 0;
};

/// "sum(bid)" as "sum" and "bid"; no parentheses: an empty argument.
struct Call {
  std::string name;
  std::string argument;
  bool has_argument = false;
};
StatusOr<Call> ParseCall(std::string_view text) {
  Call call;
  std::string packed;
  for (const char c : text) {
    if (c != ' ' && c != '\t') packed.push_back(c);
  }
  const size_t open = packed.find('(');
  call.name = packed.substr(0, open);
  if (open == std::string::npos) return call;
  if (packed.back() != ')' || open + 2 >= packed.size() + 0 ||
      packed.find('(', open + 1) != std::string::npos) {
    return InvalidArgument("rolling: '{}' is not an aggregate: expected NAME or NAME(ARGUMENT)",
                           text);
  }
  call.argument = packed.substr(open + 1, packed.size() - open - 2);
  call.has_argument = true;
  return call;
}

class RollingWindows {
 public:
  RollingWindows(const Rolling& plan, Side side, const Run& run)
      : plan_(plan), side_(std::move(side)), run_(run), span_(SpanOf(plan.begin, plan.end)) {}

  Status Start() {
    PX_ASSIGN_OR_RETURN(slots_, ChosenSlots(&side_, plan_.columns));
    PX_ASSIGN_OR_RETURN(by_, side_.GroupSlots(plan_.by));
    PX_RETURN_IF_ERROR(ResolveAggregates());
    PX_RETURN_IF_ERROR(ResolveWindow());
    AddColumns();
    Span read = span_;
    if (plan_.window.has_value()) {
      read.from = std::max(read.from.Minus(*plan_.window), kMinRowTimestamp);
    }
    return ForEachSymbol(
        run_, &side_, [&](const SymbolScan&) { return read; },
        [&](SymbolScan& symbol) -> Status {
          if (span_.from > span_.to) return OkStatus();
          if (const std::optional<Span> shared = SharedSpan(symbol)) {
            SeriesTotals totals(side_, Wish(*shared));
            PX_ASSIGN_OR_RETURN(const exec::Frame frame, symbol.ReadWithTotals(read, &totals));
            return OneSymbol(symbol, frame, &totals);
          }
          PX_ASSIGN_OR_RETURN(exec::Frame frame, symbol.Read(read, {}));
          if (plan_.window_rows.has_value() && *plan_.window_rows > 1 && needs_window_) {
            PX_RETURN_IF_ERROR(ReadRowsBefore(symbol, &frame));
          }
          return OneSymbol(symbol, frame, nullptr);
        });
  }

 private:
  Status ResolveAggregates() {
    if (plan_.aggregates.empty()) return InvalidArgument("rolling: name at least one aggregate");
    for (const std::string& text : plan_.aggregates) {
      PX_ASSIGN_OR_RETURN(const Call call, ParseCall(text));
      Wanted wanted;
      wanted.name = call.has_argument ? fmt::format("{}({})", call.name, call.argument) : call.name;
      for (const Wanted& other : aggregates_) {
        if (other.name == wanted.name) {
          return InvalidArgument("rolling: aggregate '{}' is named twice", wanted.name);
        }
      }
      static const std::map<std::string, Aggregate> kNames = {
          {"sum", Aggregate::kSum}, {"mean", Aggregate::kMean},   {"min", Aggregate::kMin},
          {"max", Aggregate::kMax}, {"count", Aggregate::kCount}, {"vwap", Aggregate::kVwap},
          {"ema", Aggregate::kEma}};
      const auto known = kNames.find(call.name);
      if (known == kNames.end()) {
        return InvalidArgument(
            "rolling: unknown aggregate '{}'; there are sum, mean, min, max, count, vwap and "
            "ema(ALPHA)",
            text);
      }
      wanted.aggregate = known->second;
      PX_RETURN_IF_ERROR(ResolveValue(call, &wanted));
      aggregates_.push_back(wanted);
    }
    return OkStatus();
  }

  Status ResolveValue(const Call& call, Wanted* wanted) {
    needs_window_ = needs_window_ || wanted->aggregate != Aggregate::kEma;
    switch (wanted->aggregate) {
      case Aggregate::kCount:
        if (call.has_argument) return InvalidArgument("rolling: count takes no argument");
        return OkStatus();
      case Aggregate::kVwap:
        if (call.has_argument) {
          return InvalidArgument(
              "rolling: vwap takes no argument: name its price and size columns");
        }
        PX_RETURN_IF_ERROR(Numeric(plan_.size, &size_));
        return Numeric(plan_.price, &wanted->slot);
      case Aggregate::kEma: {
        const char* begin = call.argument.data();
        const char* end = begin + call.argument.size();
        const auto [stop, error] = std::from_chars(begin, end, wanted->alpha);
        if (error != std::errc() || stop != end || !(wanted->alpha > 0 && wanted->alpha <= 1)) {
          return InvalidArgument("rolling: ema needs an alpha above 0 and at most 1, as ema(0.1)");
        }
        return Numeric(plan_.price, &wanted->slot);
      }
      default:
        return Numeric(call.has_argument ? call.argument : plan_.price, &wanted->slot);
    }
  }

  Status Numeric(const std::string& name, size_t* slot) {
    PX_ASSIGN_OR_RETURN(*slot, side_.Slot(name, "rolling"));
    const column::Type type = side_.DefOf(*slot).type;
    if (column::IsNumeric(type.kind)) return OkStatus();
    return InvalidArgument("rolling: column '{}' is {}, not a number", name,
                           column::FormatType(type));
  }

  Status ResolveWindow() const {
    if (plan_.window.has_value() && plan_.window_rows.has_value()) {
      return InvalidArgument("rolling: a window is given by time or by rows, not both");
    }
    if (needs_window_ && !plan_.window.has_value() && !plan_.window_rows.has_value()) {
      return InvalidArgument("rolling: a window is needed, as 5m or 100rows");
    }
    if (plan_.window.has_value() && *plan_.window < Duration(0)) {
      return InvalidArgument("rolling: a window may not be negative");
    }
    if (plan_.window_rows.has_value() && *plan_.window_rows == 0) {
      return InvalidArgument("rolling: a window by rows holds at least 1 row");
    }
    return OkStatus();
  }

  [[nodiscard]] column::Type TypeOf(const Wanted& wanted) const {
    const column::Type type = side_.DefOf(wanted.slot).type;
    switch (wanted.aggregate) {
      case Aggregate::kSum:
        return exec::SumType(type);
      case Aggregate::kMin:
      case Aggregate::kMax:
        return type;
      case Aggregate::kCount:
        return {column::TypeKind::kInt64, 0};
      default:
        return {column::TypeKind::kFloat64, 0};
    }
  }

  void AddColumns() {
    Output& output = *run_.output;
    output.AddColumn("symbol", {column::TypeKind::kSymbol, 0});
    output.AddColumn("ts", {column::TypeKind::kTimestamp, 0});
    output.AddColumn("seq", {column::TypeKind::kUint64, 0});
    for (const size_t slot : slots_) {
      output.AddColumn(side_.DefOf(slot).name, side_.DefOf(slot).type);
    }
    for (const Wanted& wanted : aggregates_) {
      output.AddColumn(wanted.name, wanted.aggregate == Aggregate::kCount
                                        ? column::Type{column::TypeKind::kInt64, 0}
                                        : TypeOf(wanted));
    }
  }

  /// The closed span before `--from` that lies in the window of every selected row, when totals may
  /// stand for its rows: they then count in all windows alike.
  [[nodiscard]] std::optional<Span> SharedSpan(const SymbolScan& symbol) const {
    if (!plan_.window.has_value() || !needs_window_ || !side_.TotalsFit(by_)) return std::nullopt;
    for (const Wanted& wanted : aggregates_) {
      // Totals of products exist for two columns only.
      if (wanted.aggregate == Aggregate::kVwap &&
          (plan_.price != hot::kPriceColumn || plan_.size != hot::kSizeColumn)) {
        return std::nullopt;
      }
    }
    // No selected row is later than this.
    Timestamp last = symbol.GreatestFloor({});
    if (const auto hot = symbol.StepBack(span_.to, 1, {})) last = std::max(last, *hot);
    last = std::min(last, span_.to);
    const Timestamp begin = std::max(last.Minus(*plan_.window), kMinRowTimestamp);
    if (begin >= span_.from) return std::nullopt;
    return Span{begin, Before(span_.from)};
  }

  [[nodiscard]] TotalsWish Wish(Span shared) const {
    TotalsWish wish;
    wish.whole = shared;
    for (const Wanted& wanted : aggregates_) {
      if (wanted.aggregate == Aggregate::kVwap) {
        wish.weighted = true;
      } else if (UsesColumnTotals(wanted) &&
                 std::find(wish.slots.begin(), wish.slots.end(), wanted.slot) == wish.slots.end()) {
        wish.slots.push_back(wanted.slot);
      }
    }
    return wish;
  }

  static bool UsesColumnTotals(const Wanted& wanted) {
    return wanted.aggregate == Aggregate::kSum || wanted.aggregate == Aggregate::kMean ||
           wanted.aggregate == Aggregate::kMin || wanted.aggregate == Aggregate::kMax;
  }

  /// The totals that all windows of a group share, by group; nullptr: none.
  using Shared = std::vector<const hot::SpanTotals*>;
  static Shared SharedTotals(const exec::Frame& frame, const std::vector<uint32_t>& ids,
                             size_t groups, const GroupTotals& totals) {
    Shared out(groups);
    if (totals.empty()) return out;
    std::vector<bool> known(groups);
    for (size_t row = 0; row < frame.rows(); ++row) {
      if (known[ids[row]]) continue;
      known[ids[row]] = true;
      out[ids[row]] = totals.Find(frame, row, 0);
    }
    return out;
  }

  /// What the windows of the rows from `first` on start from, in the order of the slices.
  [[nodiscard]] static std::vector<exec::Base> BasesOf(const Wanted& wanted,
                                                       const exec::Slices& slices,
                                                       const std::vector<uint32_t>& ids,
                                                       size_t first, const SeriesTotals& read,
                                                       const Shared& shared) {
    std::vector<exec::Base> out;
    if (read.parts().empty() || wanted.aggregate == Aggregate::kEma) return out;
    out.resize(slices.size());
    for (size_t k = 0; k < slices.size(); ++k) {
      const uint32_t row = slices.order[k];
      const hot::SpanTotals* totals = row < first ? nullptr : shared[ids[row]];
      if (totals == nullptr) continue;
      out[k].rows = static_cast<int64_t>(totals->rows);
      if (UsesColumnTotals(wanted)) {
        out[k].column = &totals->columns[read.IndexOf(wanted.slot)].total;
      }
      if (totals->weighted.has_value()) out[k].weighted = &*totals->weighted;
    }
    return out;
  }

  /// Puts in front of `frame` what the windows of its first rows reach back to: up to n - 1
  /// selected rows of each group that has selected rows in it.
  Status ReadRowsBefore(SymbolScan& symbol, exec::Frame* frame) {
    std::vector<uint32_t> rows;
    side_.Select(*frame, symbol, &rows);
    exec::Grouping grouping;
    std::ignore = grouping.Assign(ColumnsAt(*frame, by_), rows);
    const size_t groups = rows.empty() ? 0 : grouping.size();
    if (groups == 0) return OkStatus();
    const uint64_t most = *plan_.window_rows - 1;
    std::vector<uint64_t> missing(groups, most);
    size_t open = groups;
    std::vector<exec::Frame> before;  // nearest first
    Cursor cursor(&symbol, {}, Direction::kBackward, {Timestamp::Min(), Before(span_.from)},
                  std::min<uint64_t>(most, 65536) * (by_.empty() ? 1 : 4));
    const auto take = [&](size_t, const exec::Frame& step) -> Status {
      std::vector<uint32_t> found;
      side_.Select(step, symbol, &found);
      std::reverse(found.begin(), found.end());
      const std::vector<uint32_t> ids = grouping.Assign(ColumnsAt(step, by_), found);
      std::vector<int64_t> kept;
      for (size_t i = 0; i < found.size() && open > 0; ++i) {
        if (ids[i] >= groups || missing[ids[i]] == 0) continue;
        kept.push_back(found[i]);
        if (--missing[ids[i]] == 0) --open;
      }
      std::reverse(kept.begin(), kept.end());
      if (!kept.empty()) before.push_back(Rows(step, kept));
      if (open == 0) cursor.Stop();
      return OkStatus();
    };
    PX_RETURN_IF_ERROR(Walk({&cursor, 1}, take));
    if (before.empty()) return OkStatus();
    exec::Frame all;
    for (const exec::Column& column : frame->columns) all.columns.emplace_back(column.type());
    for (auto part = before.rbegin(); part != before.rend(); ++part) Extend(*part, &all);
    Extend(*frame, &all);
    *frame = std::move(all);
    return OkStatus();
  }

  static exec::Frame Rows(const exec::Frame& frame, const std::vector<int64_t>& rows) {
    exec::Frame out;
    out.keepalive = frame.keepalive;
    for (const int64_t row : rows) {
      out.ts.push_back(frame.ts[static_cast<size_t>(row)]);
      out.seq.push_back(frame.seq[static_cast<size_t>(row)]);
    }
    for (size_t c = 0; c < frame.columns.size(); ++c)
      out.columns.push_back(PickColumn(frame, c, rows));
    return out;
  }

  static void Extend(const exec::Frame& part, exec::Frame* all) {
    all->ts.insert(all->ts.end(), part.ts.begin(), part.ts.end());
    all->seq.insert(all->seq.end(), part.seq.begin(), part.seq.end());
    for (size_t c = 0; c < part.columns.size(); ++c) {
      all->columns[c].AppendRange(part.columns[c], 0, part.rows());
    }
    all->keepalive.insert(all->keepalive.end(), part.keepalive.begin(), part.keepalive.end());
  }

  /// `read`: what stands for rows that the frame does not hold, if anything.
  Status OneSymbol(SymbolScan& symbol, const exec::Frame& everything, const SeriesTotals* read) {
    const Stopwatch watch(run_.context->budget->clock(), &run_.context->explain->compute);
    std::vector<uint32_t> selected;
    side_.Select(everything, symbol, &selected);
    const exec::Frame frame = Rows(everything, {selected.begin(), selected.end()});
    std::vector<uint32_t> all(frame.rows());
    for (uint32_t i = 0; i < all.size(); ++i) all[i] = i;
    exec::Grouping grouping;
    const std::vector<uint32_t> ids = grouping.Assign(ColumnsAt(frame, by_), all);
    exec::Window window{plan_.window, plan_.window_rows.value_or(1)};
    const exec::Slices slices = exec::RollingSlices(frame.ts, ids, grouping.size(), window);
    const auto first = static_cast<size_t>(
        std::lower_bound(frame.ts.begin(), frame.ts.end(), span_.from.ns()) - frame.ts.begin());
    // Kernels answer in the order of the slices; the answer is in row order, from `first` on.
    std::vector<int64_t> position(frame.rows());
    for (size_t k = 0; k < slices.size(); ++k) {
      position[slices.order[k]] = static_cast<int64_t>(k);
    }
    position.erase(position.begin(), position.begin() + static_cast<std::ptrdiff_t>(first));
    std::vector<int64_t> rows;
    for (size_t row = first; row < frame.rows(); ++row) rows.push_back(static_cast<int64_t>(row));
    std::vector<exec::Column> columns = KeyColumns(frame, symbol.code(), rows);
    for (const size_t slot : slots_) columns.push_back(PickColumn(frame, slot, rows));
    std::optional<GroupTotals> totals;
    if (read != nullptr) totals.emplace(side_, symbol, by_, *read);
    Shared shared;
    if (read != nullptr) shared = SharedTotals(frame, ids, grouping.size(), *totals);
    for (const Wanted& wanted : aggregates_) {
      std::vector<exec::Base> bases;
      if (read != nullptr) bases = BasesOf(wanted, slices, ids, first, *read, shared);
      PX_ASSIGN_OR_RETURN(const exec::Column values,
                          Compute(wanted, slices, frame, ids, first, bases));
      exec::Column& out = columns.emplace_back(values.type());
      out.AppendGather(values, position.data(), position.size());
    }
    return run_.output->Append(std::move(columns), symbol.table().cut().symbols);
  }

  StatusOr<exec::Column> Compute(const Wanted& wanted, const exec::Slices& slices,
                                 const exec::Frame& frame, const std::vector<uint32_t>& ids,
                                 size_t first, std::span<const exec::Base> bases) const {
    if (wanted.aggregate == Aggregate::kCount) return exec::CountRows(slices, bases);
    const exec::Column& values = frame.columns[wanted.slot];
    switch (wanted.aggregate) {
      case Aggregate::kSum:
        return exec::Sum(slices, values, wanted.name, bases);
      case Aggregate::kMean:
        return exec::Mean(slices, values, wanted.name, bases);
      case Aggregate::kMin:
        return exec::MinValue(slices, values, bases);
      case Aggregate::kMax:
        return exec::MaxValue(slices, values, bases);
      case Aggregate::kVwap:
        return exec::Vwap(slices, values, frame.columns[size_], wanted.name, bases);
      default:
        return exec::Ema(slices, values, ids, first, wanted.alpha);
    }
  }

  const Rolling& plan_;
  Side side_;
  const Run& run_;
  Span span_;
  std::vector<size_t> slots_;
  std::vector<size_t> by_;
  std::vector<Wanted> aggregates_;
  size_t size_ = 0;
  bool needs_window_ = false;
};

}  // namespace

Status RunRolling(const Rolling& plan, Side side, const Run& run) {
  return RollingWindows(plan, std::move(side), run).Start();
}

}  // namespace proxist::query::internal
