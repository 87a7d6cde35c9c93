// Bars: aggregates of the selected rows by interval and group.
#include <algorithm>
#include <array>
#include <numeric>

#include "proxist/exec/aggregate.h"
#include "proxist/exec/group.h"
#include "proxist/exec/slices.h"
#include "proxist/query/internal/operators.h"
#include "proxist/query/internal/series_totals.h"

namespace proxist::query::internal {
namespace {

enum class Aggregate : uint8_t { kOpen, kHigh, kLow, kClose, kVolume, kCount, kVwap };
constexpr std::array<std::string_view, 7> kNames = {"open",   "high",  "low", "close",
                                                    "volume", "count", "vwap"};

bool IsPrice(Aggregate a) { return a <= Aggregate::kClose; }

class BarMaker {
 public:
  BarMaker(const Bars& plan, Side side, const Run& run)
      : plan_(plan), side_(std::move(side)), run_(run) {}

  Status Start() {
    PX_RETURN_IF_ERROR(Resolve());
    Output& output = *run_.output;
    output.AddColumn("symbol", {column::TypeKind::kSymbol, 0});
    output.AddColumn("ts", {column::TypeKind::kTimestamp, 0});
    for (const size_t slot : by_) output.AddColumn(side_.DefOf(slot).name, side_.DefOf(slot).type);
    for (const Aggregate aggregate : aggregates_) {
      output.AddColumn(std::string(kNames[static_cast<size_t>(aggregate)]), TypeOf(aggregate));
    }
    const Span span = SpanOf(plan_.begin, plan_.end);
    return ForEachSymbol(
        run_, &side_, [&](const SymbolScan&) { return span; },
        [&](SymbolScan& symbol) -> Status {
          if (!UsesTotals()) {
            PX_ASSIGN_OR_RETURN(const exec::Frame frame, symbol.Read(span, {}));
            return OneSymbol(symbol, frame, nullptr);
          }
          SeriesTotals totals(side_, Wish());
          PX_ASSIGN_OR_RETURN(const exec::Frame frame, symbol.ReadWithTotals(span, &totals));
          return OneSymbol(symbol, frame, &totals);
        });
  }

 private:
  [[nodiscard]] bool Wants(Aggregate aggregate) const {
    return std::find(aggregates_.begin(), aggregates_.end(), aggregate) != aggregates_.end();
  }

  /// Totals of products exist for two columns only.
  [[nodiscard]] bool UsesTotals() const {
    return side_.TotalsFit(by_) && (!Wants(Aggregate::kVwap) || (plan_.price == hot::kPriceColumn &&
                                                                 plan_.size == hot::kSizeColumn));
  }

  [[nodiscard]] TotalsWish Wish() const {
    TotalsWish wish;
    wish.interval = plan_.interval;
    if (Wants(Aggregate::kHigh) || Wants(Aggregate::kLow)) wish.slots.push_back(price_);
    if (Wants(Aggregate::kVolume) && wish.slots != std::vector<size_t>{size_}) {
      wish.slots.push_back(size_);
    }
    wish.weighted = Wants(Aggregate::kVwap);
    if (Wants(Aggregate::kOpen) || Wants(Aggregate::kClose) || plan_.fill_previous) {
      wish.ends = price_;
    }
    return wish;
  }

  /// Names to slots; checks that aggregates suit their columns.
  Status Resolve() {
    if (plan_.interval <= Duration(0)) return InvalidArgument("bars: the interval must be above 0");
    bool price = false;
    bool size = false;
    std::vector<std::string> names = plan_.aggregates;
    if (names.empty()) names.assign(kNames.begin(), kNames.end());
    for (const std::string& name : names) {
      const auto at = std::find(kNames.begin(), kNames.end(), name);
      if (at == kNames.end()) {
        return InvalidArgument("bars: unknown aggregate '{}'; there are {}", name,
                               Joined({kNames.begin(), kNames.end()}));
      }
      const auto aggregate = static_cast<Aggregate>(at - kNames.begin());
      if (std::find(aggregates_.begin(), aggregates_.end(), aggregate) != aggregates_.end()) {
        return InvalidArgument("bars: aggregate '{}' is named twice", name);
      }
      aggregates_.push_back(aggregate);
      price = price || IsPrice(aggregate) || aggregate == Aggregate::kVwap;
      size = size || aggregate == Aggregate::kVolume || aggregate == Aggregate::kVwap;
    }
    price = price || plan_.fill_previous;
    if (price) PX_RETURN_IF_ERROR(Numeric(plan_.price, "price", &price_));
    if (size) PX_RETURN_IF_ERROR(Numeric(plan_.size, "size", &size_));
    PX_ASSIGN_OR_RETURN(by_, side_.GroupSlots(plan_.by));
    return OkStatus();
  }

  Status Numeric(const std::string& name, std::string_view what, size_t* slot) {
    PX_ASSIGN_OR_RETURN(*slot, side_.Slot(name, fmt::format("bars: {}", what)));
    const column::Type type = side_.DefOf(*slot).type;
    if (column::IsNumeric(type.kind)) return OkStatus();
    return InvalidArgument("bars: {} column '{}' is {}, not a number", what, name,
                           column::FormatType(type));
  }

  [[nodiscard]] column::Type TypeOf(Aggregate aggregate) const {
    if (IsPrice(aggregate)) return side_.DefOf(price_).type;
    if (aggregate == Aggregate::kVolume) return exec::SumType(side_.DefOf(size_).type);
    if (aggregate == Aggregate::kVwap) return {column::TypeKind::kFloat64, 0};
    return {column::TypeKind::kInt64, 0};
  }

  /// What each bar's aggregates start from; empty when no bar has totals.
  struct Totals {
    std::vector<exec::Base> price;
    std::vector<exec::Base> size;
  };
  [[nodiscard]] Totals TotalsOf(const exec::Frame& frame, const exec::BarSlices& bars,
                                const SeriesTotals& read, const GroupTotals& groups) const {
    Totals out;
    if (groups.empty()) return out;
    const auto base = [&](const hot::SpanTotals& totals, size_t slot, bool wanted) {
      exec::Base one;
      one.rows = static_cast<int64_t>(totals.rows);
      if (wanted) one.column = &totals.columns[read.IndexOf(slot)].total;
      if (totals.weighted.has_value()) one.weighted = &*totals.weighted;
      return one;
    };
    out.price.resize(bars.start.size());
    out.size.resize(bars.start.size());
    for (size_t bar = 0; bar < bars.start.size(); ++bar) {
      const uint32_t row = bars.slices.order[bars.slices.begin[bar]];
      const hot::SpanTotals* totals = groups.Find(frame, row, bars.start[bar]);
      if (totals == nullptr) continue;
      out.price[bar] = base(*totals, price_, Wants(Aggregate::kHigh) || Wants(Aggregate::kLow));
      out.size[bar] = base(*totals, size_, Wants(Aggregate::kVolume));
    }
    return out;
  }

  StatusOr<exec::Column> Compute(Aggregate aggregate, const exec::Slices& slices,
                                 const exec::Frame& frame, const Totals& totals) const {
    switch (aggregate) {
      case Aggregate::kOpen:
        return exec::FirstValue(slices, frame.columns[price_]);
      case Aggregate::kHigh:
        return exec::MaxValue(slices, frame.columns[price_], totals.price);
      case Aggregate::kLow:
        return exec::MinValue(slices, frame.columns[price_], totals.price);
      case Aggregate::kClose:
        return exec::LastValue(slices, frame.columns[price_]);
      case Aggregate::kVolume:
        return exec::Sum(slices, frame.columns[size_], "volume", totals.size);
      case Aggregate::kCount:
        return exec::CountRows(slices, totals.price);
      case Aggregate::kVwap:
        return exec::Vwap(slices, frame.columns[price_], frame.columns[size_], "vwap",
                          totals.price);
    }
    return Internal("bars: unknown aggregate");
  }

  /// One line of the answer: a bar with rows, or an empty one that repeats the close of `bar`.
  struct Line {
    int64_t start;
    uint32_t rank;  // of the group, by its values
    size_t bar;     // in the bar slices
    int64_t close;  // of an empty bar: the bar whose close it repeats, or -1
    bool empty;
  };

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
    exec::BarSlices bars = exec::MakeBarSlices(ts, ids, grouping.size(), plan_.interval);
    for (uint32_t& row : bars.slices.order) row = rows[row];  // back to rows of the frame
    PX_ASSIGN_OR_RETURN(const std::vector<Line> lines, Lines(symbol, frame, bars));
    if (read == nullptr) return Emit(symbol, frame, bars, lines, {});
    const GroupTotals groups(side_, symbol, by_, *read);
    return Emit(symbol, frame, bars, lines, TotalsOf(frame, bars, *read, groups));
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

  StatusOr<std::vector<Line>> Lines(const SymbolScan& symbol, const exec::Frame& frame,
                                    const exec::BarSlices& bars) {
    const std::vector<uint32_t> rank = RankGroups(symbol, frame, bars);
    std::vector<int64_t> closes;
    if (plan_.fill_previous) closes = BarsWithClose(frame, bars);
    std::vector<Line> lines;
    for (size_t bar = 0; bar < bars.start.size(); ++bar) {
      const uint32_t group_rank = rank[bars.group[bar]];
      if (plan_.fill_previous && bar > 0 && bars.group[bar] == bars.group[bar - 1]) {
        const int64_t gap = bars.start[bar] - bars.start[bar - 1];
        const auto missing = static_cast<uint64_t>(gap / plan_.interval.ns()) - 1;
        PX_RETURN_IF_ERROR(run_.context->budget->Charge(
            missing * (sizeof(Line) + 16 * (by_.size() + aggregates_.size() + 2))));
        for (int64_t start = bars.start[bar - 1] + plan_.interval.ns(); start < bars.start[bar];
             start += plan_.interval.ns()) {
          lines.push_back({start, group_rank, bar - 1, closes[bar - 1], true});
        }
      }
      lines.push_back({bars.start[bar], group_rank, bar, -1, false});
    }
    std::sort(lines.begin(), lines.end(), [](const Line& a, const Line& b) {
      return a.start != b.start ? a.start < b.start : a.rank < b.rank;
    });
    return lines;
  }

  /// For each bar, itself or the last bar of its group before it that has a close; -1 when none.
  [[nodiscard]] std::vector<int64_t> BarsWithClose(const exec::Frame& frame,
                                                   const exec::BarSlices& bars) const {
    const exec::Column close = exec::LastValue(bars.slices, frame.columns[price_]);
    std::vector<int64_t> out(bars.start.size(), -1);
    for (size_t bar = 0; bar < out.size(); ++bar) {
      if (close.IsValid(bar)) {
        out[bar] = static_cast<int64_t>(bar);
      } else if (bar > 0 && bars.group[bar] == bars.group[bar - 1]) {
        out[bar] = out[bar - 1];
      }
    }
    return out;
  }

  Status Emit(SymbolScan& symbol, const exec::Frame& frame, const exec::BarSlices& bars,
              const std::vector<Line>& lines, const Totals& totals) {
    std::vector<exec::Column> columns;
    columns.reserve(2 + by_.size() + aggregates_.size());
    exec::Column& symbols = columns.emplace_back(column::Type{column::TypeKind::kSymbol, 0});
    exec::Column& starts = columns.emplace_back(column::Type{column::TypeKind::kTimestamp, 0});
    std::vector<int64_t> sample;
    std::vector<int64_t> own;    // the bar, or -1 where the line is empty
    std::vector<int64_t> price;  // the bar that a price comes from
    for (const Line& line : lines) {
      symbols.Append(symbol.code());
      starts.Append(line.start);
      sample.push_back(bars.slices.order[bars.slices.begin[line.bar]]);
      own.push_back(line.empty ? -1 : static_cast<int64_t>(line.bar));
      price.push_back(line.close);
    }
    for (const size_t slot : by_) columns.push_back(PickColumn(frame, slot, sample));
    exec::Column close;
    if (plan_.fill_previous) close = exec::LastValue(bars.slices, frame.columns[price_]);
    for (const Aggregate aggregate : aggregates_) {
      PX_ASSIGN_OR_RETURN(const exec::Column values,
                          Compute(aggregate, bars.slices, frame, totals));
      exec::Column& out = columns.emplace_back(values.type());
      for (size_t i = 0; i < lines.size(); ++i) {
        if (!lines[i].empty) {
          out.AppendGather(values, &own[i], 1);
        } else if (IsPrice(aggregate)) {
          out.AppendGather(close, &price[i], 1);
        } else if (aggregate == Aggregate::kVwap) {
          out.AppendNull();
        } else {
          out.Extend(1);  // volume and count: 0
        }
      }
    }
    return run_.output->Append(std::move(columns), symbol.table().cut().symbols);
  }

  const Bars& plan_;
  Side side_;
  const Run& run_;
  std::vector<Aggregate> aggregates_;
  std::vector<size_t> by_;
  size_t price_ = 0;
  size_t size_ = 0;
};

}  // namespace

Status RunBars(const Bars& plan, Side side, const Run& run) {
  return BarMaker(plan, std::move(side), run).Start();
}

}  // namespace proxist::query::internal
