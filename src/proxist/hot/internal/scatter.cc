// Puts a batch's rows into chunks and overlays, past what readers see.
#include <algorithm>

#include "proxist/base/check.h"
#include "proxist/base/planted.h"
#include "proxist/column/widen.h"
#include "proxist/hot/internal/in_order.h"
#include "proxist/hot/internal/reading.h"
#include "proxist/hot/internal/store_state.h"

namespace proxist::hot {

using internal::BatchSource;
using internal::ChunkList;
using internal::ChunkView;
using internal::KeyOf;
using internal::Position;
using internal::RowKey;
using internal::RowRef;
using internal::Series;
using internal::SeriesKey;
using internal::SeriesState;
using internal::Table;

namespace {

constexpr uint32_t kFirstChunkRows = 16;
constexpr uint32_t kChunkGrowth = 4;
// How many series ahead memory is asked for: the series, then its state, then the overlay's header,
// then its rows.
constexpr size_t kSeriesAhead = 5;
constexpr size_t kStateAhead = 4;
constexpr size_t kOverlayAhead = 3;
constexpr size_t kRowsAhead = 1;
// What is retired waits for Maintain up to here, so that small batches free nothing.
constexpr size_t kMostWaiting = 1024;

/// Whether a version of `key`, above the floor, is there or may have been. A row that is late has a
/// new seq, most often.
bool MayExist(const Series& series, RowKey key) {
  if (series.MayBeDropped(key.ts)) return true;
  if (key.seq > series.max_seq) return false;
  const SeriesState& state = series.current();
  if (state.overlay != nullptr) {
    const uint32_t row = internal::OverlayLowerBound(*state.overlay, key);
    if (row < state.overlay->rows() && KeyOf(*state.overlay, row) == key) return true;
  }
  const ChunkView view(state, internal::kSeeAll);
  const Position at = view.LowerBound(key);
  return at != view.End() && view.Key(at) == key;
}

}  // namespace

ScatterResult Store::Scatter(const column::Batch& batch, Lsn first, Timestamp now) {
  ScatterResult result;
  if (batch.rows == 0) return result;
  Impl& store = *impl_;
  Table* table = store.TakeSchema(batch.schema);
  if (batch.schema->version < table->current().version &&
      column::IsNarrower(batch, table->current())) {
    return Scatter(column::Widen(batch, table->current()), first, now);
  }
  BatchSource source(batch, first.value(), &store.dictionary);
  Impl::Scattered scattered{.rewritten = &result.rewritten_days};
  const size_t waiting = store.epochs.waiting();
  result.new_series = store.ScatterGroups(table, &source, now.ns(), &scattered);
  table->rows.fetch_add(scattered.rows, std::memory_order_relaxed);
  if (scattered.max_ts > table->max_ts.load(std::memory_order_relaxed)) {
    table->max_ts.store(scattered.max_ts, std::memory_order_relaxed);
  }
  std::sort(result.rewritten_days.begin(), result.rewritten_days.end());
  result.rewritten_days.erase(
      std::unique(result.rewritten_days.begin(), result.rewritten_days.end()),
      result.rewritten_days.end());
  store.dictionary_bytes.store(store.dictionary.SizeBytes(), std::memory_order_relaxed);
  store.ReclaimAfter(store.epochs.waiting() - waiting);
  return result;
}

void Store::Impl::ReclaimAfter(size_t retired) {
  // Twice as many, or batches that come faster than Maintain is called would pile them up.
  if (retired > 0 && epochs.waiting() > kMostWaiting) epochs.Reclaim(2 * retired);
}

uint32_t Store::Impl::ScatterGroups(Table* table, BatchSource* source, int64_t now,
                                    Scattered* scattered) {
  grouping.Run(table, source, dictionary, &epochs);
  source->TouchRows();
  internal::InOrder append(*table->layout, grouping, source, now);
  late_groups.clear();
  for (size_t group = 0; group < grouping.groups().size(); ++group) {
    const std::span<const uint32_t> rows = grouping.rows(group);
    switch (append.Append(group)) {
      case internal::InOrder::Result::kAppended:
        scattered->rows += rows.size();
        scattered->max_ts = std::max(scattered->max_ts, source->ts(rows.back()));
        break;
      case internal::InOrder::Result::kNoRoom:
        ScatterSeries(grouping.groups()[group], source, rows, now, scattered);
        break;
      case internal::InOrder::Result::kLate:
        late_groups.push_back(group);
        break;
    }
  }
  for (size_t i = 0; i < late_groups.size(); ++i) {
    PrefetchLate(i);
    const size_t group = late_groups[i];
    ScatterSeries(grouping.groups()[group], source, grouping.rows(group), now, scattered);
  }
  return grouping.new_series();
}

void Store::Impl::PrefetchLate(size_t at) const {
  const auto ahead = [&](size_t by) -> const Series* {
    return at + by < late_groups.size() ? grouping.groups()[late_groups[at + by]] : nullptr;
  };
  if (const Series* series = ahead(kSeriesAhead)) {
    __builtin_prefetch(&series->state);
    __builtin_prefetch(&series->overlay_copied, 1);
  }
  if (const Series* series = ahead(kStateAhead)) {
    __builtin_prefetch(&series->current());
    __builtin_prefetch(&series->current().overlay);
  }
  if (const Series* series = ahead(kOverlayAhead)) {
    const RowBlock* overlay = series->current().overlay;
    if (overlay != nullptr) internal::Blocks::PrefetchHeader(*overlay);
  }
  if (const Series* series = ahead(kRowsAhead)) {
    const RowBlock* overlay = series->current().overlay;
    if (overlay != nullptr) internal::Blocks::PrefetchRows(*overlay);
  }
}

void Store::Impl::ScatterSeries(Series* series, BatchSource* source, std::span<const uint32_t> rows,
                                int64_t now, Scattered* scattered) {
  const int64_t floor = series->floor;
  const uint64_t in_history = persisted.load(std::memory_order_relaxed);
  in_order.clear();
  others.clear();
  bool late_rows = false;
  bool skipped = false;
  int64_t max_ts = INT64_MIN;
  for (const uint32_t row : rows) {
    const RowKey key = source->key(row);
    bool rewrites = false;
    if (key.ts <= floor) {
      if (source->lsn(row) <= in_history) {
        skipped = true;
        continue;
      }
      others.push_back(row);
      late_rows = rewrites = true;
    } else if (source->batch().OpAt(row) == column::Op::kPut &&
               (!series->has_last || key > series->last)) {
      in_order.push_back(row);
      series->has_last = true;
      series->last = key;
      rewrites =
          key.ts <= series->watch_ts.load(std::memory_order_relaxed) && MayExist(*series, key);
    } else {
      others.push_back(row);
      rewrites = source->batch().OpAt(row) != column::Op::kPut || MayExist(*series, key);
    }
    max_ts = std::max(max_ts, key.ts);
    series->Met(key.seq);
    if (rewrites) {
      const Day day = DayOf(Timestamp(key.ts));
      std::vector<Day>& days = *scattered->rewritten;
      if (days.empty() || days.back() != day) days.push_back(day);
    }
  }
  if (skipped) ForgetBoundary(series);
  const size_t taken = in_order.size() + others.size();
  if (taken == 0) return;
  AppendInOrder(series, source, in_order, now);
  if (!others.empty()) MergeOverlay(series, source, &others, now, late_rows);
  scattered->rows += taken;
  scattered->max_ts = std::max(scattered->max_ts, max_ts);
}

void Store::Impl::ForgetBoundary(Series* series) {
  // A boundary that a snapshot brought back does not know what the skipped row did to it.
  SeriesState next = series->current();
  if (next.boundary.kind == internal::Boundary::Kind::kUnknown) return;
  next.boundary = {.kind = internal::Boundary::Kind::kUnknown};
  Swap(series, next);
}

void Store::Impl::AppendInOrder(Series* series, BatchSource* source, std::span<const uint32_t> rows,
                                int64_t now) {
  const internal::Layout& layout = *series->table->layout;
  while (!rows.empty()) {
    RowBlock* chunk = series->open;
    const bool usable = chunk != nullptr && internal::Blocks::RoomFor(*chunk, layout) > 0 &&
                        internal::Blocks::FitsLsn(*chunk, source->lsn(rows.front()));
    if (!usable) {
      const uint32_t capacity = std::min(
          options.chunk_rows,
          series->last_capacity == 0 ? kFirstChunkRows : series->last_capacity * kChunkGrowth);
      chunk =
          blocks.NewChunk(layout, capacity, source->lsn(rows.front()),
                          series->table->SeriesValues(series, capacity), &series->table->account);
      series->last_capacity = capacity;
    }
    size_t take = std::min<size_t>(rows.size(), chunk->capacity() - chunk->rows());
    while (!internal::Blocks::FitsLsn(*chunk, source->lsn(rows[take - 1]))) --take;
    internal::Blocks::AppendInOrder(chunk, layout, source, rows.first(take), now);
    if (!usable) PushChunk(series, chunk);
    rows = rows.subspan(take);
  }
}

void Store::Impl::PushChunk(Series* series, RowBlock* chunk) {
  const SeriesState& state = series->current();
  const internal::ChunkEntry entry{chunk, chunk->ts()[0]};
  const uint32_t count =
      state.chunks == nullptr ? 0 : state.chunks->count.load(std::memory_order_relaxed);
  internal::Account* account = &series->table->account;
  if (series->open != nullptr) internal::Blocks::Seal(series->open, *series->table->layout);
  series->open = chunk;
  if (state.chunks != nullptr && count < state.chunks->capacity) {
    state.chunks->entries[count] = entry;
    state.chunks->totals.Complete(state.chunks->entries.get(), state.first, count);
    state.chunks->count.store(count + 1, std::memory_order_release);
    return;
  }
  // Evicted entries stay in front as far as nodes over chunks need, to keep their places.
  SeriesState next = state;
  next.first = state.first % internal::TotalsTree::kFanOut;
  const uint32_t dropped = state.first - next.first;
  const uint32_t kept = count - dropped;
  auto* larger = new ChunkList(std::max<uint32_t>(2, kept * 2), account);
  if (kept > 0) {
    std::copy_n(state.chunks->entries.get() + dropped, kept, larger->entries.get());
    larger->totals.Build(larger->entries.get(), next.first, kept, &state.chunks->totals, dropped,
                         kept);
  }
  larger->entries[kept] = entry;
  larger->count.store(kept + 1, std::memory_order_release);
  next.chunks = larger;
  Swap(series, next);
}

void Store::Impl::MergeOverlay(Series* series, BatchSource* source, std::vector<uint32_t>* rows,
                               int64_t now, bool late_rows) {
  // Keys of a batch do not repeat, so (ts, seq) decides among its rows.
  if (!Planted(PlantedBug::kUnsortedLateMerge)) {
    std::sort(rows->begin(), rows->end(),
              [source](uint32_t a, uint32_t b) { return source->key(a) < source->key(b); });
  }
  Table* table = series->table;
  const internal::Layout& layout = *table->layout;
  SeriesState next = series->current();
  const RowBlock* old = next.overlay;
  const uint32_t old_rows = old == nullptr ? 0 : old->rows();
  const uint32_t count = old_rows + static_cast<uint32_t>(rows->size());
  next.overlay = blocks.NewOverlay(layout, count, &table->account);
  std::span<const uint32_t> left = *rows;
  for (uint32_t from = 0; from < old_rows || !left.empty();) {
    // Older versions of a key have smaller LSNs and stand first.
    uint32_t to = from;
    while (to < old_rows && (left.empty() || KeyOf(*old, to) <= source->key(left.front()))) ++to;
    if (to > from) blocks.Append(next.overlay, layout, RowRun{old, from, to});
    from = to;
    size_t taken = 0;
    while (taken < left.size() &&
           (from == old_rows || source->key(left[taken]) < KeyOf(*old, from))) {
      ++taken;
    }
    blocks.Append(next.overlay, layout, source, left.first(taken), now);
    left = left.subspan(taken);
  }
  if (late_rows) {
    next.boundary = {.kind = internal::Boundary::Kind::kUnknown};
    if (!series->has_late) late.push_back(series);
    series->has_late = true;
  }
  series->Watch(next.overlay->ts()[count - 1]);
  Swap(series, next);
  table->overlay_rows.fetch_add(rows->size(), std::memory_order_relaxed);
  series->overlay_copied += count;
  if (count > options.overlay_compact_rows && series->MayCompact(count) &&
      !series->compaction_due) {
    series->compaction_due = true;
    due.push_back(series);
  }
}

}  // namespace proxist::hot
