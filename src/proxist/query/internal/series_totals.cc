// Which spans are worth their totals, and who they belong to.
#include "proxist/query/internal/series_totals.h"

#include <algorithm>

#include "proxist/base/check.h"
#include "proxist/exec/slices.h"

namespace proxist::query::internal {
namespace {

// A bar of fewer rows than this has about one chunk between its edges: its rows are read.
constexpr size_t kLongBarRows = 3 * hot::kChunkRows;

Timestamp LastBefore(Timestamp end) { return end == Timestamp::Max() ? end : Before(end); }

}  // namespace

SeriesTotals::SeriesTotals(const Side& side, TotalsWish wish) : wish_(std::move(wish)) {
  PX_CHECK(wish_.grid.has_value() != wish_.whole.has_value());
  const column::TableSchema& schema = *side.schema();
  for (const size_t slot : wish_.slots) {
    blank_.columns.push_back({side.ColumnOf(slot), exec::ColumnTotals(side.DefOf(slot).type)});
  }
  if (wish_.weighted) {
    weighted_columns_.emplace(schema.Find(hot::kPriceColumn).value(),
                              schema.Find(hot::kSizeColumn).value());
    one_kind_ = column::IsFloat(schema.columns[weighted_columns_->first].type.kind) ==
                column::IsFloat(schema.columns[weighted_columns_->second].type.kind);
    blank_.weighted.emplace(schema.columns[weighted_columns_->first].type,
                            schema.columns[weighted_columns_->second].type);
  }
  if (wish_.ends.has_value()) ends_column_ = side.ColumnOf(*wish_.ends);
}

void SeriesTotals::Read(const hot::SeriesSnapshot& snapshot, uint32_t series, Timestamp from,
                        Timestamp end, std::vector<hot::RowRun>* runs) {
  if (wish_.grid.has_value()) {
    ReadBars(snapshot, series, from, end, runs);
    return;
  }
  const Timestamp begin = std::max(from, wish_.whole->from);
  const Timestamp stop = std::min(end, After(wish_.whole->to));
  if (begin >= stop) {
    snapshot.Runs(from, end, runs);
    return;
  }
  Part part{series, 0, blank_};
  part.totals.runs = std::move(*runs);
  snapshot.Runs(from, begin, &part.totals.runs);
  snapshot.Totals(begin, stop, &part.totals);
  if (stop < end) snapshot.Runs(stop, end, &part.totals.runs);
  *runs = std::move(part.totals.runs);
  if (part.totals.rows > 0) parts_.push_back(std::move(part));
}

void SeriesTotals::ReadBars(const hot::SeriesSnapshot& snapshot, uint32_t series, Timestamp from,
                            Timestamp end, std::vector<hot::RowRun>* runs) {
  Timestamp pending = from;  // rows from here on are still to be read
  for (Timestamp at = from; at < end;) {
    const std::optional<Timestamp> first = snapshot.StepForward(at, 1);
    const std::optional<Timestamp> far = snapshot.StepForward(at, kLongBarRows);
    if (!far.has_value() || *far >= end) break;
    const Timestamp bar_end = std::min(end, wish_.grid->At(*first).end);
    if (*far < bar_end) {
      if (pending < *first) snapshot.Runs(pending, *first, runs);
      ReadBar(snapshot, series, *first, bar_end, runs);
      at = pending = bar_end;
    } else {
      at = wish_.grid->At(*far).start;
    }
  }
  if (pending < end) snapshot.Runs(pending, end, runs);
}

void SeriesTotals::ReadBar(const hot::SeriesSnapshot& snapshot, uint32_t series, Timestamp from,
                           Timestamp end, std::vector<hot::RowRun>* runs) {
  // The first and the last row stay rows: they say that the bar is there, and open and close it.
  const std::optional<Timestamp> last = snapshot.StepBack(LastBefore(end), 1);
  Part part{series, wish_.grid->At(from).start.ns(), blank_};
  if (last.has_value() && *last > After(from)) {
    snapshot.Runs(from, After(from), &part.totals.runs);
    snapshot.Totals(After(from), *last, &part.totals);
    snapshot.Runs(*last, end, &part.totals.runs);
  }
  if (part.totals.rows == 0 || !EndsKnown(part.totals)) {
    snapshot.Runs(from, end, runs);
    return;
  }
  runs->insert(runs->end(), part.totals.runs.begin(), part.totals.runs.end());
  part.totals.runs = {};
  parts_.push_back(std::move(part));
}

bool SeriesTotals::EndsKnown(const hot::SpanTotals& totals) const {
  if (!ends_column_.has_value()) return true;
  bool before = false;
  bool after = false;
  for (const hot::RowRun& run : totals.runs) {
    for (uint32_t row = run.begin; row < run.end && !(before && after); ++row) {
      const Timestamp ts(hot::TimestampsOf(*run.block)[row]);
      if (!hot::IsValid(*run.block, *ends_column_, row)) continue;
      before = before || ts < totals.first;
      after = after || ts > totals.last;
    }
  }
  return before && after;
}

std::optional<history::TotalsRequest> SeriesTotals::ColdRequest(Span span) const {
  // So many groups at most; where bars are short, their rows are few.
  constexpr int64_t kMostBars = 200'000;
  if (!wish_.regular.has_value()) return std::nullopt;
  const std::optional<Duration> interval = wish_.regular->interval;
  // Far from the epoch, times relative to the origin would not fit.
  if (StartOf(DayOf(wish_.regular->origin)) < kMinRowTimestamp ||
      wish_.regular->origin > kMaxRowTimestamp ||
      (interval.has_value() && (span.to.ns() - span.from.ns()) / interval->ns() > kMostBars)) {
    return std::nullopt;
  }
  history::TotalsRequest request;
  request.interval = interval;
  request.origin = wish_.regular->origin;
  request.ends = ends_column_;
  for (const hot::SpanTotals::Part& part : blank_.columns) request.columns.push_back(part.column);
  if (weighted_columns_.has_value()) {
    if (!one_kind_) return std::nullopt;
    request.weighted = weighted_columns_;
  }
  return request;
}

void SeriesTotals::AddCold(uint32_t series, Timestamp at, const history::TotalsGroup& group) {
  if (group.rows == 0) return;
  Part& part = parts_.emplace_back(Part{series, wish_.grid->At(at).start.ns(), blank_});
  part.totals.rows = group.rows;
  for (size_t i = 0; i < group.columns.size(); ++i) {
    part.totals.columns[i].total.Add(group.columns[i]);
  }
  if (group.weighted.has_value()) part.totals.weighted->Add(*group.weighted);
}

uint64_t SeriesTotals::rows() const {
  uint64_t rows = 0;
  for (const Part& part : parts_) rows += part.totals.rows;
  return rows;
}

uint64_t SeriesTotals::bytes() const {
  return parts_.size() * (sizeof(Part) + wish_.slots.size() * sizeof(hot::SpanTotals::Part));
}

size_t SeriesTotals::IndexOf(size_t slot) const {
  const auto at = std::find(wish_.slots.begin(), wish_.slots.end(), slot);
  PX_CHECK(at != wish_.slots.end());
  return static_cast<size_t>(at - wish_.slots.begin());
}

GroupTotals::GroupTotals(const Side& side, const SymbolScan& symbol, std::vector<size_t> by,
                         const SeriesTotals& read)
    : by_(std::move(by)) {
  if (read.parts().empty()) return;
  const auto groups = side.SeriesGroups(symbol, by_);
  PX_CHECK(groups.has_value());
  std::vector<const std::vector<uint32_t>*> key_of(symbol.series_count());
  for (const Side::SeriesGroup& group : *groups) {
    for (const uint32_t series : group.series) key_of[series] = &group.key;
  }
  for (const SeriesTotals::Part& part : read.parts()) {
    const auto [at, fresh] = sums_.try_emplace({*key_of[part.series], part.start}, part.totals);
    if (fresh) continue;
    hot::SpanTotals& sum = at->second;
    sum.rows += part.totals.rows;
    for (size_t i = 0; i < sum.columns.size(); ++i) {
      sum.columns[i].total.Add(part.totals.columns[i].total);
    }
    if (sum.weighted.has_value()) sum.weighted->Add(*part.totals.weighted);
  }
}

const hot::SpanTotals* GroupTotals::Find(const exec::Frame& frame, size_t row,
                                         int64_t start) const {
  if (sums_.empty()) return nullptr;
  Key key{{}, start};
  for (const size_t slot : by_) key.first.push_back(frame.columns[slot].data<uint32_t>()[row]);
  const auto at = sums_.find(key);
  return at == sums_.end() ? nullptr : &at->second;
}

}  // namespace proxist::query::internal
