// Where to look next, and how far.
#include "proxist/query/internal/cursor.h"

#include <algorithm>
#include <array>
#include <memory>

namespace proxist::query::internal {
namespace {

constexpr size_t kMaxStepRows = 65536;
// Windows of history; after the last, day by day.
constexpr std::array<Duration, 3> kWindows = {Duration::Seconds(60), Duration::Hours(1),
                                              Duration::Days(1)};

Timestamp EndOf(Day day) { return Before(StartOf(day.Next())); }

}  // namespace

Cursor::Cursor(SymbolScan* symbol, std::vector<uint32_t> series, Direction direction, Span span,
               size_t rows)
    : symbol_(symbol),
      series_(std::move(series)),
      direction_(direction),
      left_{std::max(span.from, symbol->table().least()), span.to},
      rows_(std::max<size_t>(rows, 1)) {
  done_ = left_.from > left_.to;
}

void Cursor::MoveBeyond(Span span) {
  if (direction_ == Direction::kBackward) {
    done_ = span.from <= left_.from;
    left_.to = Before(span.from);
  } else {
    done_ = span.to >= left_.to;
    left_.from = After(span.to);
  }
}

std::optional<Span> Cursor::NextHot() {
  if (done_) return std::nullopt;
  const Timestamp hot_from = std::max(symbol_->HotFrom(series_), left_.from);
  Span span = left_;
  if (direction_ == Direction::kBackward) {
    if (left_.to < hot_from) return std::nullopt;
    span.from = std::max(symbol_->StepBack(left_.to, rows_, series_).value_or(hot_from), hot_from);
  } else {
    if (left_.from < hot_from) return std::nullopt;
    span.to =
        std::min(symbol_->StepForward(left_.from, rows_, series_).value_or(left_.to), left_.to);
  }
  rows_ = std::min(rows_ * 4, std::max(rows_, kMaxStepRows));
  MoveBeyond(span);
  return span;
}

StatusOr<std::optional<Timestamp>> Cursor::Nearest() {
  std::optional<Timestamp> nearest;
  PX_ASSIGN_OR_RETURN(const std::span<const Day> days, symbol_->table().Days());
  if (symbol_->table().context().without_history) {
    symbol_->table().NoteMissing({left_.from, std::min(left_.to, symbol_->GreatestFloor(series_))});
  }
  if (direction_ == Direction::kBackward) {
    const auto see = [&](std::optional<Timestamp> ts) {
      if (ts.has_value()) nearest = std::max(nearest.value_or(*ts), *ts);
    };
    see(symbol_->LateBefore(left_.to, series_));
    see(symbol_->StepBack(left_.to, 1, series_));
    const Timestamp at = std::min(left_.to, symbol_->GreatestFloor(series_));
    const auto after = std::upper_bound(days.begin(), days.end(), DayOf(at));
    if (after != days.begin()) see(std::min(at, EndOf(*(after - 1))));
    if (nearest.has_value() && *nearest < left_.from) nearest.reset();
    return nearest;
  }
  const auto see = [&](std::optional<Timestamp> ts) {
    if (ts.has_value()) nearest = std::min(nearest.value_or(*ts), *ts);
  };
  see(symbol_->LateAfter(left_.from, series_));
  see(symbol_->StepForward(left_.from, 1, series_));
  const auto at = std::lower_bound(days.begin(), days.end(), DayOf(left_.from));
  if (at != days.end()) {
    const Timestamp ts = std::max(left_.from, StartOf(*at));
    if (ts <= symbol_->GreatestFloor(series_)) see(ts);
  }
  if (nearest.has_value() && *nearest > left_.to) nearest.reset();
  return nearest;
}

Span Cursor::WindowAt(Timestamp nearest) {
  Span span = left_;
  if (direction_ == Direction::kBackward) {
    span.to = nearest;
    const Timestamp from = window_ < kWindows.size() ? After(nearest.Minus(kWindows[window_]))
                                                     : StartOf(DayOf(nearest));
    span.from = std::max(from, left_.from);
  } else {
    span.from = nearest;
    const Timestamp to =
        window_ < kWindows.size() ? Before(nearest.Plus(kWindows[window_])) : EndOf(DayOf(nearest));
    span.to = std::min(to, left_.to);
  }
  ++window_;
  return span;
}

StatusOr<std::optional<Span>> Cursor::NextCold() {
  if (done_) return std::optional<Span>();
  PX_ASSIGN_OR_RETURN(const std::optional<Timestamp> nearest, Nearest());
  if (!nearest.has_value()) {
    done_ = true;
    return std::optional<Span>();
  }
  const Span span = WindowAt(*nearest);
  MoveBeyond(span);
  return std::optional<Span>(span);
}

Status Walk(std::span<Cursor> cursors,
            const std::function<Status(size_t, const exec::Frame&)>& take) {
  const auto read = [&](size_t i, Span span) -> Status {
    Cursor& cursor = cursors[i];
    Budget& budget = *cursor.symbol().table().context().budget;
    const uint64_t held = budget.held();
    PX_ASSIGN_OR_RETURN(const exec::Frame frame, cursor.symbol().Read(span, cursor.series()));
    PX_RETURN_IF_ERROR(take(i, frame));
    budget.ReleaseTo(held);
    return OkStatus();
  };
  std::vector<size_t> pending;
  for (size_t i = 0; i < cursors.size(); ++i) {
    while (const std::optional<Span> span = cursors[i].NextHot()) {
      PX_RETURN_IF_ERROR(read(i, *span));
    }
    if (!cursors[i].done()) pending.push_back(i);
  }
  while (!pending.empty()) {
    TableScan& table = cursors[pending[0]].symbol().table();
    Budget& budget = *table.context().budget;
    PX_RETURN_IF_ERROR(budget.CheckDeadline());
    const uint64_t held = budget.held();
    std::vector<TableScan::Request> requests;
    std::vector<size_t> reading;
    for (const size_t i : pending) {
      PX_ASSIGN_OR_RETURN(const std::optional<Span> span, cursors[i].NextCold());
      if (!span.has_value()) continue;
      requests.push_back({&cursors[i].symbol(), *span, cursors[i].series()});
      reading.push_back(i);
    }
    PX_RETURN_IF_ERROR(table.Prefetch(requests));
    for (size_t r = 0; r < reading.size(); ++r) {
      PX_RETURN_IF_ERROR(read(reading[r], requests[r].span));
      // A forward walk may have come to where memory is enough.
      while (const std::optional<Span> span = cursors[reading[r]].NextHot()) {
        PX_RETURN_IF_ERROR(read(reading[r], *span));
      }
    }
    for (const TableScan::Request& request : requests) request.symbol->DropHistory();
    budget.ReleaseTo(held);
    std::erase_if(pending, [&](size_t i) { return cursors[i].done(); });
  }
  return OkStatus();
}

}  // namespace proxist::query::internal
