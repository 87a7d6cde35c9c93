// Rolling: for each selected row, aggregates of the window around it.
#include <algorithm>

#include "proxist/exec/group.h"
#include "proxist/exec/slices.h"
#include "proxist/query/internal/aggregates.h"
#include "proxist/query/internal/beyond.h"
#include "proxist/query/internal/operators.h"
#include "proxist/query/internal/rolling_hot.h"
#include "proxist/query/internal/series_totals.h"

namespace proxist::query::internal {
namespace {

class RollingWindows {
 public:
  RollingWindows(const Rolling& plan, Side side, const Run& run)
      : plan_(plan), side_(std::move(side)), run_(run), span_(SpanOf(plan.begin, plan.end)) {}

  Status Start() {
    PX_ASSIGN_OR_RETURN(choice_, Choice::Make(&side_, plan_.columns));
    PX_ASSIGN_OR_RETURN(by_, side_.GroupSlots(plan_.by));
    const AggregateScope scope{"rolling", plan_.price, plan_.size,
                               /*averages=*/true};
    PX_ASSIGN_OR_RETURN(Aggregates aggregates, Aggregates::Make(&side_, scope, plan_.aggregates));
    aggregates_ = std::move(aggregates);
    PX_RETURN_IF_ERROR(ResolveWindow());
    AddColumns();
    Span read = span_;
    if (window_.span.has_value()) {
      read.from = std::max(read.from.Minus(*window_.span), kMinRowTimestamp);
      read.to = read.to.Plus(window_.ahead.value_or(Duration(0)));
    }
    std::optional<RollingInMemory> in_memory = InMemory();
    return ForEachSymbol(
        run_, &side_, [&](const SymbolScan&) { return read; },
        [&](SymbolScan& symbol) -> Status {
          if (span_.from > span_.to) return OkStatus();
          if (std::optional<TotalsWish> wish = SharedTotals(symbol)) {
            SeriesTotals totals(side_, std::move(*wish));
            PX_ASSIGN_OR_RETURN(exec::Frame frame, symbol.ReadWithTotals(read, &totals));
            return OneSymbol(symbol, std::move(frame), &totals);
          }
          if (in_memory.has_value()) {
            const Stopwatch watch(run_.context->budget->clock(), &run_.context->explain->compute);
            PX_ASSIGN_OR_RETURN(const bool done, in_memory->Append(symbol, read.from, span_));
            if (done) return OkStatus();
          }
          PX_ASSIGN_OR_RETURN(exec::Frame frame, symbol.Read(read, {}));
          if (plan_.window_rows.has_value() && aggregates_->needs_window()) {
            PX_RETURN_IF_ERROR(ReadRowsBeyond(symbol, &frame));
          }
          return OneSymbol(symbol, std::move(frame), nullptr);
        },
        [&](std::span<SymbolScan* const> symbols) -> Status {
          if (in_memory.has_value()) in_memory->Open(symbols);
          return OkStatus();
        });
  }

 private:
  Status ResolveWindow() {
    if (plan_.window.has_value() && plan_.window_rows.has_value()) {
      return InvalidArgument("rolling: a window is given by time or by rows, not both");
    }
    if (aggregates_->needs_window() && !plan_.window.has_value() &&
        !plan_.window_rows.has_value()) {
      return InvalidArgument("rolling: a window is needed, as 5m or 100rows");
    }
    if (plan_.window.has_value() && *plan_.window < Duration(0)) {
      return InvalidArgument("rolling: a window may not be negative");
    }
    if (plan_.window_rows.has_value() && *plan_.window_rows == 0) {
      return InvalidArgument("rolling: a window by rows holds at least 1 row");
    }
    const uint64_t rows = plan_.window_rows.value_or(1);
    window_.span = plan_.window;
    window_.rows = rows;
    if (!plan_.centred) return OkStatus();
    if (window_.span.has_value()) {
      window_.span = window_.ahead = Duration(plan_.window->ns() / 2);
    }
    window_.rows = rows / 2 + 1;
    window_.rows_ahead = (rows - 1) / 2;
    return OkStatus();
  }

  void AddColumns() {
    Output& output = *run_.output;
    output.AddColumn("symbol", {column::TypeKind::kSymbol, 0});
    output.AddColumn("ts", {column::TypeKind::kTimestamp, 0});
    output.AddColumn("seq", {column::TypeKind::kUint64, 0});
    for (size_t i = 0; i < choice_.size(); ++i) output.AddColumn(choice_.name(i), choice_.type(i));
    for (size_t i = 0; i < aggregates_->size(); ++i) {
      output.AddColumn(aggregates_->name(i), aggregates_->type(i));
    }
  }

  /// The way of rows in memory that need no frame, if there is one.
  [[nodiscard]] std::optional<RollingInMemory> InMemory() {
    if (!BlockFilter::Fits(side_) || side_.given() != nullptr || !by_.empty() || plan_.centred) {
      return std::nullopt;
    }
    if (aggregates_->needs_window() && !window_.span.has_value()) return std::nullopt;
    const std::optional<std::vector<size_t>> slots = choice_.Slots();
    if (!slots.has_value()) return std::nullopt;
    std::vector<FixedColumn> columns;
    for (const size_t slot : *slots) {
      const column::TypeKind kind = side_.DefOf(slot).type.kind;
      if (kind == column::TypeKind::kString) return std::nullopt;
      columns.push_back({side_.ColumnOf(slot), column::WidthOf(kind)});
    }
    std::optional<BlockAggregates> aggregates =
        BlockAggregates::Make(side_, *aggregates_, /*overlapping=*/true);
    if (!aggregates.has_value()) return std::nullopt;
    const std::optional<Duration> window =
        aggregates_->needs_window() ? window_.span : std::nullopt;
    return RollingInMemory(std::move(*aggregates),
                           side_.has_where() ? std::nullopt : SweptSums::Make(side_, *aggregates_),
                           BlockFilter::Of(&side_), window, std::move(columns), run_.output);
  }

  /// Totals of the closed span before `--from` that lies in the window of every
  /// selected row, when they may stand for its rows: these then count in all
  /// windows alike.
  [[nodiscard]] std::optional<TotalsWish> SharedTotals(const SymbolScan& symbol) const {
    if (!window_.span.has_value() || span_.from <= kMinRowTimestamp ||
        !aggregates_->needs_window() || !side_.TotalsFit(by_)) {
      return std::nullopt;
    }
    std::optional<TotalsWish> wish = aggregates_->TotalsFor(/*bars=*/false, std::nullopt);
    if (!wish.has_value()) return std::nullopt;
    // No selected row is later than this.
    Timestamp last = symbol.GreatestFloor({});
    if (const auto hot = symbol.StepBack(span_.to, 1, {})) last = std::max(last, *hot);
    last = std::min(last, span_.to);
    const Timestamp begin = std::max(last.Minus(*window_.span), kMinRowTimestamp);
    if (begin >= span_.from) return std::nullopt;
    wish->whole = Span{begin, Before(span_.from)};
    return wish;
  }

  /// The totals that all windows of a group share, by group; nullptr: none.
  static std::vector<const hot::SpanTotals*> ByGroup(const exec::Frame& frame,
                                                     const std::vector<uint32_t>& ids,
                                                     size_t groups, const GroupTotals& totals) {
    std::vector<const hot::SpanTotals*> out(groups);
    std::vector<bool> known(groups);
    for (size_t row = 0; row < frame.rows(); ++row) {
      if (known[ids[row]]) continue;
      known[ids[row]] = true;
      out[ids[row]] = totals.Find(frame, row, 0);
    }
    return out;
  }

  /// Puts in front of `frame` and after it what the windows of its outer rows
  /// reach to.
  Status ReadRowsBeyond(SymbolScan& symbol, exec::Frame* frame) {
    std::vector<uint32_t> rows;
    side_.Select(*frame, symbol, &rows);
    if (rows.empty()) return OkStatus();
    exec::Grouping grouping;
    std::ignore = grouping.Assign(ColumnsAt(*frame, by_), rows);
    BeyondRequest request{&side_, &symbol, by_, &grouping, grouping.size(), window_.rows - 1};
    PX_ASSIGN_OR_RETURN(exec::Frame all, ReadBeyond(request, Direction::kBackward,
                                                    {Timestamp::Min(), Before(span_.from)}));
    AppendFrame(*frame, &all);
    if (span_.to != Timestamp::Max()) {
      request.rows = window_.rows_ahead;
      PX_ASSIGN_OR_RETURN(const exec::Frame after, ReadBeyond(request, Direction::kForward,
                                                              {After(span_.to), Timestamp::Max()}));
      AppendFrame(after, &all);
    }
    *frame = std::move(all);
    return OkStatus();
  }

  /// When the last value of each slice stops to hold: with the window, or at
  /// its last row.
  [[nodiscard]] std::vector<int64_t> Ends(const exec::Frame& frame,
                                          const exec::Slices& slices) const {
    std::vector<int64_t> out(slices.size());
    for (size_t k = 0; k < out.size(); ++k) {
      const Timestamp at(frame.ts[slices.order[k]]);
      out[k] = window_.span.has_value() ? at.Plus(window_.ahead.value_or(Duration(0))).ns()
                                        : frame.ts[slices.order[slices.end[k] - 1]];
    }
    return out;
  }

  /// `read`: what stands for rows that the frame does not hold, if anything.
  Status OneSymbol(SymbolScan& symbol, exec::Frame frame, const SeriesTotals* read) {
    const Stopwatch watch(run_.context->budget->clock(), &run_.context->explain->compute);
    if (side_.has_where()) {
      std::vector<uint32_t> selected;
      side_.Select(frame, symbol, &selected);
      frame = PickRows(frame, {selected.begin(), selected.end()});
    }
    std::vector<uint32_t> all(frame.rows());
    for (uint32_t i = 0; i < all.size(); ++i) all[i] = i;
    exec::Grouping grouping;
    const std::vector<uint32_t> ids = grouping.Assign(ColumnsAt(frame, by_), all);
    const exec::Slices slices = exec::RollingSlices(frame.ts, ids, grouping.size(), window_);
    const auto at = [&](Timestamp ts, bool after) {
      const auto found = after ? std::upper_bound(frame.ts.begin(), frame.ts.end(), ts.ns())
                               : std::lower_bound(frame.ts.begin(), frame.ts.end(), ts.ns());
      return static_cast<size_t>(found - frame.ts.begin());
    };
    const size_t first = at(span_.from, false);
    const size_t last = at(span_.to, true);
    std::optional<GroupTotals> groups;
    std::vector<const hot::SpanTotals*> totals;
    if (read != nullptr && !read->parts().empty()) {
      groups.emplace(side_, symbol, by_, *read);
      const auto shared = ByGroup(frame, ids, grouping.size(), *groups);
      totals.resize(slices.size());
      for (size_t k = 0; k < slices.size(); ++k) {
        const uint32_t row = slices.order[k];
        if (row >= first) totals[k] = shared[ids[row]];
      }
    }
    const std::vector<int64_t> ends = Ends(frame, slices);
    const Aggregates::Rows of{&frame, &symbol, &slices, ends, ids, first, totals, read};
    PX_ASSIGN_OR_RETURN(std::vector<exec::Column> values, aggregates_->Compute(of));
    if (grouping.size() > 1) InRowOrder(slices, &values);
    return Emit(symbol, frame, first, last, std::move(values));
  }

  /// Aggregates come in the order of the slices; the answer is in row order.
  static void InRowOrder(const exec::Slices& slices, std::vector<exec::Column>* values) {
    std::vector<int64_t> position(slices.size());
    for (size_t k = 0; k < slices.size(); ++k) {
      position[slices.order[k]] = static_cast<int64_t>(k);
    }
    for (exec::Column& column : *values) {
      exec::Column ordered(column.type());
      ordered.AppendGather(column, position.data(), position.size());
      column = std::move(ordered);
    }
  }

  /// The rows from `first` to before `last`.
  Status Emit(SymbolScan& symbol, const exec::Frame& frame, size_t first, size_t last,
              std::vector<exec::Column> values) {
    std::vector<int64_t> rows;
    rows.reserve(last - first);
    for (size_t row = first; row < last; ++row) rows.push_back(static_cast<int64_t>(row));
    std::vector<exec::Column> columns = KeyColumns(frame, symbol.code(), rows);
    choice_.Append(frame, symbol, rows, &columns);
    for (exec::Column& of : values) {
      if (rows.size() == frame.rows()) {
        columns.push_back(std::move(of));
      } else {
        columns.emplace_back(of.type()).AppendRange(of, first, last);
      }
    }
    return run_.output->Append(std::move(columns), symbol.table().cut().symbols);
  }

  const Rolling& plan_;
  Side side_;
  const Run& run_;
  Span span_;
  exec::Window window_;
  Choice choice_;
  std::vector<size_t> by_;
  std::optional<Aggregates> aggregates_;
};

}  // namespace

Status RunRolling(const Rolling& plan, Side side, const Run& run) {
  return RollingWindows(plan, std::move(side), run).Start();
}

}  // namespace proxist::query::internal
