// Bars: aggregates of the selected rows by interval and group.
#include <algorithm>
#include <numeric>

#include "proxist/exec/aggregate.h"
#include "proxist/exec/group.h"
#include "proxist/exec/slices.h"
#include "proxist/query/internal/aggregates.h"
#include "proxist/query/internal/bar_fill.h"
#include "proxist/query/internal/bars_hot.h"
#include "proxist/query/internal/cold_totals.h"
#include "proxist/query/internal/operators.h"
#include "proxist/query/internal/series_totals.h"

namespace proxist::query::internal {
namespace {

const std::vector<std::string>& StandardAggregates() {
  static const std::vector<std::string> kNames = {"open",   "high",  "low", "close",
                                                  "volume", "count", "vwap"};
  return kNames;
}

StatusOr<exec::BarGrid> GridOf(const Bars& plan) {
  if (!plan.interval.has_value()) {
    if (plan.fill == Fill::kNone && plan.zone.empty() && !plan.origin.has_value()) {
      return exec::BarGrid();
    }
    return InvalidArgument("bars: fill, origin and zone need an interval");
  }
  if (*plan.interval <= Duration(0)) {
    return InvalidArgument("bars: the interval must be above 0");
  }
  const Timestamp origin = plan.origin.value_or(Timestamp(0));
  if (plan.zone.empty()) return exec::BarGrid(*plan.interval, origin);
  StatusOr<TimeZone> zone = TimeZone::Load(plan.zone);
  if (!zone.ok()) return Annotate(zone.status(), "bars");
  // Without an origin days begin at midnight, of the zone.
  return exec::BarGrid(*plan.interval, *zone,
                       plan.origin.has_value() ? origin : zone->At(0, Duration(0)));
}

class BarMaker {
 public:
  BarMaker(const Bars& plan, Side side, const Run& run)
      : plan_(plan), side_(std::move(side)), run_(run) {}

  Status Start() {
    PX_RETURN_IF_ERROR(Resolve());
    Output& output = *run_.output;
    output.AddColumn("symbol", {column::TypeKind::kSymbol, 0});
    if (plan_.interval.has_value()) output.AddColumn("ts", {column::TypeKind::kTimestamp, 0});
    for (const size_t slot : by_) output.AddColumn(side_.DefOf(slot).name, side_.DefOf(slot).type);
    for (size_t i = 0; i < aggregates_->size(); ++i) {
      output.AddColumn(aggregates_->name(i), aggregates_->type(i));
    }
    std::optional<TotalsWish> wish;
    if (side_.TotalsFit(by_)) {
      wish = aggregates_->TotalsFor(
          /*bars=*/true,
          plan_.fill == Fill::kPrevious && price_.has_value() ? price_->slot() : std::nullopt);
    }
    if (wish.has_value()) {
      wish->grid = grid_;
      if (plan_.zone.empty()) wish->regular = {plan_.interval, plan_.origin.value_or(Timestamp(0))};
    }
    const Span span = SpanOf(plan_.begin, plan_.end);
    std::optional<BarsInMemory> in_memory = InMemory(wish.has_value());
    return ForEachSymbol(
        run_, &side_,
        // With totals, what is read of history is known later.
        [&](const SymbolScan&) {
          return wish.has_value() ? Span{Timestamp::Max(), span.to} : span;
        },
        [&](SymbolScan& symbol) -> Status {
          if (in_memory.has_value()) {
            const Stopwatch watch(run_.context->budget->clock(), &run_.context->explain->compute);
            PX_ASSIGN_OR_RETURN(const bool done, in_memory->Append(symbol, span));
            if (done) return OkStatus();
          }
          if (!wish.has_value()) {
            PX_ASSIGN_OR_RETURN(const exec::Frame frame, symbol.Read(span, {}));
            return OneSymbol(symbol, frame, nullptr);
          }
          SeriesTotals totals(side_, *wish);
          PX_ASSIGN_OR_RETURN(const exec::Frame frame, symbol.ReadWithTotals(span, &totals));
          return OneSymbol(symbol, frame, &totals);
        },
        [&](std::span<SymbolScan* const> symbols) -> Status {
          if (in_memory.has_value()) in_memory->Open(symbols);
          if (!wish.has_value()) return OkStatus();
          return PrefetchWithTotals(symbols, span, SeriesTotals(side_, *wish));
        });
  }

 private:
  /// Names to slots; checks that aggregates suit their columns.
  Status Resolve() {
    PX_ASSIGN_OR_RETURN(grid_, GridOf(plan_));
    const AggregateScope scope{"bars", plan_.price, plan_.size};
    PX_ASSIGN_OR_RETURN(
        Aggregates aggregates,
        Aggregates::Make(&side_, scope,
                         plan_.aggregates.empty() ? StandardAggregates() : plan_.aggregates));
    aggregates_ = std::move(aggregates);
    for (size_t i = 0; i < aggregates_->size(); ++i) {
      if (aggregates_->emptiness(i) == Aggregates::Emptiness::kPrice && !price_.has_value()) {
        PX_ASSIGN_OR_RETURN(Value price, Value::Make(&side_, plan_.price, "bars"));
        price_ = std::move(price);
      }
    }
    PX_ASSIGN_OR_RETURN(by_, side_.GroupSlots(plan_.by));
    return OkStatus();
  }

  /// The way of rows in memory that need no frame, if there is one.
  [[nodiscard]] std::optional<BarsInMemory> InMemory(bool totals) {
    if (!BlockFilter::Fits(side_) || side_.given() != nullptr || !by_.empty() ||
        plan_.fill != Fill::kNone) {
      return std::nullopt;
    }
    std::optional<BlockAggregates> aggregates =
        BlockAggregates::Make(side_, *aggregates_, /*overlapping=*/false);
    if (!aggregates.has_value()) return std::nullopt;
    return BarsInMemory(
        std::move(*aggregates),
        side_.has_where() ? std::nullopt : SweptBars::Make(side_, *aggregates_, grid_),
        BlockFilter::Of(&side_), &grid_, plan_.interval.has_value(), totals, run_.output);
  }

  /// `read`: what stands for rows that the frame does not hold, if anything.
  Status OneSymbol(SymbolScan& symbol, const exec::Frame& frame, const SeriesTotals* read) {
    const Stopwatch watch(run_.context->budget->clock(), &run_.context->explain->compute);
    std::vector<uint32_t> rows;
    side_.Select(frame, symbol, &rows);
    exec::Grouping grouping;
    const std::vector<uint32_t> ids = grouping.Assign(ColumnsAt(frame, by_), rows);
    std::vector<int64_t> ts;
    ts.reserve(rows.size());
    for (const uint32_t row : rows) ts.push_back(frame.ts[row]);
    exec::BarSlices bars = exec::MakeBarSlices(ts, ids, grouping.size(), grid_);
    for (uint32_t& row : bars.slices.order) row = rows[row];  // back to rows of the frame
    std::vector<const hot::SpanTotals*> totals;
    std::optional<GroupTotals> groups;  // that `totals` point into
    if (read != nullptr && !read->parts().empty()) {
      groups.emplace(side_, symbol, by_, *read);
      for (size_t bar = 0; bar < bars.start.size(); ++bar) {
        totals.push_back(
            groups->Find(frame, bars.slices.order[bars.slices.begin[bar]], bars.start[bar]));
      }
    }
    const std::vector<int64_t> ends = Ends(frame, bars);
    Aggregates::Rows of{&frame, &symbol, &bars.slices, ends, {}, 0, totals, read};
    PX_ASSIGN_OR_RETURN(const std::vector<exec::Column> values, aggregates_->Compute(of));
    PX_ASSIGN_OR_RETURN(const std::vector<BarLine> lines,
                        LinesOf(bars, RankGroups(symbol, frame, bars)));
    return Emit(symbol, frame, bars, lines, values);
  }

  /// When the last value of each bar stops to hold: at the bar's end, at --to, or at its last row.
  [[nodiscard]] std::vector<int64_t> Ends(const exec::Frame& frame,
                                          const exec::BarSlices& bars) const {
    std::vector<int64_t> out(bars.end.size());
    for (size_t bar = 0; bar < out.size(); ++bar) {
      out[bar] = std::min(bars.end[bar], plan_.end.ns());
      if (out[bar] == INT64_MAX) out[bar] = frame.ts[bars.slices.order[bars.slices.end[bar] - 1]];
    }
    return out;
  }

  /// Where each group stands among the symbol's groups, by the values of the by columns.
  [[nodiscard]] std::vector<uint32_t> RankGroups(const SymbolScan& symbol, const exec::Frame& frame,
                                                 const exec::BarSlices& bars) const {
    std::vector<uint32_t> groups;  // in order of their ids
    std::vector<uint32_t> sample;  // a row of each
    for (size_t bar = 0; bar < bars.start.size(); ++bar) {
      if (bar > 0 && bars.group[bar] == bars.group[bar - 1]) continue;
      groups.push_back(bars.group[bar]);
      sample.push_back(bars.slices.order[bars.slices.begin[bar]]);
    }
    std::vector<uint32_t> order(groups.size());
    std::iota(order.begin(), order.end(), 0);
    const exec::Symbols& symbols = *symbol.table().cut().symbols;
    std::sort(order.begin(), order.end(), [&](uint32_t a, uint32_t b) {
      for (const size_t slot : by_) {
        const exec::Column& column = frame.columns[slot];
        const int sign = exec::CompareValues(column, sample[a], column, sample[b], symbols);
        if (sign != 0) return sign < 0;
      }
      return a < b;
    });
    std::vector<uint32_t> rank(groups.size());
    for (uint32_t i = 0; i < order.size(); ++i) rank[groups[order[i]]] = i;
    return rank;
  }

  StatusOr<std::vector<BarLine>> LinesOf(const exec::BarSlices& bars,
                                         const std::vector<uint32_t>& rank) {
    const uint64_t line_bytes = sizeof(BarLine) + 16 * (by_.size() + aggregates_->size() + 2);
    std::vector<BarLine> lines;
    for (size_t bar = 0; bar < bars.start.size(); ++bar) {
      const uint32_t group_rank = rank[bars.group[bar]];
      const size_t first = lines.size();
      if (plan_.fill != Fill::kNone && bar > 0 && bars.group[bar] == bars.group[bar - 1]) {
        for (int64_t start = bars.end[bar - 1]; start < bars.start[bar];
             start = grid_.At(Timestamp(start)).end.ns()) {
          PX_RETURN_IF_ERROR(run_.context->budget->Charge(line_bytes));
          lines.push_back({start, group_rank, bar - 1, lines.size() - first + 1, 0});
        }
        for (size_t i = first; i < lines.size(); ++i) lines[i].steps = lines.size() - first + 1;
      }
      lines.push_back({bars.start[bar], group_rank, bar, 0, 0});
    }
    if (rank.size() == 1) return lines;  // in order
    std::sort(lines.begin(), lines.end(), [](const BarLine& a, const BarLine& b) {
      return a.start != b.start ? a.start < b.start : a.rank < b.rank;
    });
    return lines;
  }

  Status Emit(SymbolScan& symbol, const exec::Frame& frame, const exec::BarSlices& bars,
              const std::vector<BarLine>& lines, const std::vector<exec::Column>& values) {
    std::vector<exec::Column> columns;
    columns.reserve(2 + by_.size() + values.size());
    exec::Column& symbols = columns.emplace_back(column::Type{column::TypeKind::kSymbol, 0});
    exec::Column starts(column::Type{column::TypeKind::kTimestamp, 0});
    std::vector<int64_t> sample;
    sample.reserve(lines.size());
    std::fill_n(reinterpret_cast<uint32_t*>(symbols.ExtendUnset(lines.size())), lines.size(),
                symbol.code());
    auto* start = reinterpret_cast<int64_t*>(starts.ExtendUnset(lines.size()));
    for (const BarLine& line : lines) {
      *start++ = line.start;
      sample.push_back(bars.slices.order[bars.slices.begin[line.bar]]);
    }
    if (plan_.interval.has_value()) columns.push_back(std::move(starts));
    for (const size_t slot : by_) columns.push_back(PickColumn(frame, slot, sample));
    exec::Column own;
    exec::Column close;
    if (plan_.fill == Fill::kPrevious && price_.has_value()) {
      close = exec::LastValue(bars.slices, price_->Of(frame, symbol, &own));
    }
    for (size_t i = 0; i < values.size(); ++i) {
      columns.push_back(
          FillColumn(plan_.fill, aggregates_->emptiness(i), lines, bars, values[i], close));
    }
    return run_.output->Append(std::move(columns), symbol.table().cut().symbols);
  }

  const Bars& plan_;
  Side side_;
  const Run& run_;
  exec::BarGrid grid_;
  std::optional<Aggregates> aggregates_;
  std::optional<Value> price_;  // when a bar's price is asked for
  std::vector<size_t> by_;
};

}  // namespace

Status RunBars(const Bars& plan, Side side, const Run& run) {
  return BarMaker(plan, std::move(side), run).Start();
}

}  // namespace proxist::query::internal
