// Puts a batch's rows into chunks and overlays, past what readers see.
#include <algorithm>
#include <numeric>

#include "proxist/base/check.h"
#include "proxist/base/planted.h"
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
// Up to so many combinations of codes a table by combination costs less than a hash map.
constexpr uint64_t kDenseRatio = 4;
constexpr uint64_t kDenseAlways = 16384;
// How many series ahead memory is asked for: the series, then its open chunk, then the chunk's end.
// A batch touches many series in no order, and each step is a cache miss that depends on the one
// before.
constexpr size_t kSeriesAhead = 18;
constexpr size_t kChunkAhead = 12;
constexpr size_t kTailAhead = 6;

/// Rows of a batch by series: groups[i] owns rows[offsets[i]..offsets[i + 1]), ascending.
struct Grouping {
  std::vector<Series*> groups;
  std::vector<uint32_t> offsets;
  std::vector<uint32_t> rows;
  uint32_t new_series = 0;
};

/// Finds a row's group by its batch-local codes, looking in the store once per combination.
class Grouper {
 public:
  Grouper(Table* table, BatchSource* source, const column::Dictionary& dictionary,
          internal::Epochs* epochs)
      : table_(table), source_(source), dictionary_(dictionary), epochs_(epochs) {
    const column::Batch& batch = source->batch();
    uint64_t combinations = batch.symbol.dictionary.size();
    for (const size_t column : batch.schema->series) {
      combinations *= std::max<uint64_t>(1, batch.columns[column].dictionary.size());
      combinations = std::min<uint64_t>(combinations, UINT32_MAX);
    }
    if (combinations <= kDenseRatio * batch.rows + kDenseAlways) {
      dense_.assign(combinations, UINT32_MAX);
    }
  }

  Grouping Run() {
    const auto rows = static_cast<uint32_t>(source_->batch().rows);
    std::vector<uint32_t> group_of(rows);
    std::vector<uint32_t> counts;
    for (uint32_t row = 0; row < rows; ++row) {
      const uint32_t group = GroupOf(row);
      if (group == counts.size()) counts.push_back(0);
      ++counts[group];
      group_of[row] = group;
    }
    FindSeries();
    Grouping out;
    out.offsets.resize(counts.size() + 1);
    std::partial_sum(counts.begin(), counts.end(), out.offsets.begin() + 1);
    std::vector<uint32_t> next(out.offsets.begin(), out.offsets.end() - 1);
    out.rows.resize(rows);
    for (uint32_t row = 0; row < rows; ++row) out.rows[next[group_of[row]]++] = row;
    out.groups = std::move(groups_);
    out.new_series = new_series_;
    return out;
  }

 private:
  uint32_t GroupOf(uint32_t row) {
    const column::Batch& batch = source_->batch();
    SeriesKey local{batch.symbol.At<uint32_t>(row)};
    size_t index = local[0];
    for (size_t i = 0; i < batch.schema->series.size(); ++i) {
      const column::ColumnView& view = batch.columns[batch.schema->series[i]];
      local[i + 1] = view.At<uint32_t>(row);
      index = index * view.dictionary.size() + local[i + 1];
    }
    uint32_t& group =
        dense_.empty() ? sparse_.try_emplace(local, UINT32_MAX).first->second : dense_[index];
    if (group == UINT32_MAX) group = NewGroup(local);
    return group;
  }

  uint32_t NewGroup(const SeriesKey& local) {
    const column::Batch& batch = source_->batch();
    SeriesKey key{source_->SymbolCode(local[0])};
    for (size_t i = 0; i < batch.schema->series.size(); ++i) {
      key[i + 1] = source_->ColumnCode(batch.schema->series[i], local[i + 1]);
    }
    keys_.push_back(key);
    return static_cast<uint32_t>(keys_.size() - 1);
  }

  /// The series of all keys met; absent ones are added.
  void FindSeries() {
    std::vector<size_t> hashes(keys_.size());
    for (size_t i = 0; i < keys_.size(); ++i) {
      hashes[i] = internal::SeriesKeyHash{}(keys_[i]);
      table_->by_key.Prefetch(hashes[i]);
    }
    groups_.reserve(keys_.size());
    for (size_t i = 0; i < keys_.size(); ++i) {
      Series* series = table_->by_key.Find(keys_[i], hashes[i]);
      if (series == nullptr) {
        series = table_->Add(keys_[i], INT64_MIN, dictionary_, epochs_);
        ++new_series_;
      }
      groups_.push_back(series);
    }
  }

  Table* table_;
  BatchSource* source_;
  const column::Dictionary& dictionary_;
  internal::Epochs* epochs_;
  std::vector<uint32_t> dense_;
  std::unordered_map<SeriesKey, uint32_t, internal::SeriesKeyHash> sparse_;
  std::vector<SeriesKey> keys_;
  std::vector<Series*> groups_;
  uint32_t new_series_ = 0;
};

/// Asks for the memory that scattering to groups a little ahead of `g` needs.
void PrefetchAhead(const internal::Layout& layout, const std::vector<Series*>& groups, size_t g) {
  constexpr size_t kLine = 64;
  if (g + kSeriesAhead < groups.size()) {
    const auto* series = reinterpret_cast<const std::byte*>(groups[g + kSeriesAhead]);
    for (size_t at = 0; at < sizeof(Series); at += kLine) __builtin_prefetch(series + at, 1);
  }
  if (g + kChunkAhead < groups.size()) {
    const Series* series = groups[g + kChunkAhead];
    __builtin_prefetch(series->state.load(std::memory_order_relaxed));
    if (series->open != nullptr) internal::Blocks::PrefetchHeader(*series->open);
  }
  if (g + kTailAhead < groups.size() && groups[g + kTailAhead]->open != nullptr) {
    internal::Blocks::PrefetchTail(*groups[g + kTailAhead]->open, layout);
  }
}

/// Whether a version of `key` is there or may have been.
bool MayExist(const Series& series, RowKey key) {
  if (series.MayBeDropped(key.ts)) return true;
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
  Table* table = impl_->TakeSchema(batch.schema);
  BatchSource source(batch, first.value(), &impl_->dictionary);
  Grouping grouping = Grouper(table, &source, impl_->dictionary, &impl_->epochs).Run();
  result.new_series = grouping.new_series;
  for (size_t g = 0; g < grouping.groups.size(); ++g) {
    PrefetchAhead(*table->layout, grouping.groups, g);
    const std::span rows(grouping.rows.data() + grouping.offsets[g],
                         grouping.offsets[g + 1] - grouping.offsets[g]);
    impl_->ScatterSeries(grouping.groups[g], &source, rows, now.ns(), &result.rewritten_days);
  }
  std::sort(result.rewritten_days.begin(), result.rewritten_days.end());
  result.rewritten_days.erase(
      std::unique(result.rewritten_days.begin(), result.rewritten_days.end()),
      result.rewritten_days.end());
  impl_->dictionary_bytes.store(impl_->dictionary.SizeBytes(), std::memory_order_relaxed);
  return result;
}

void Store::Impl::ScatterSeries(Series* series, BatchSource* source, std::span<const uint32_t> rows,
                                int64_t now, std::vector<Day>* rewritten) {
  const int64_t floor = series->current().floor;
  const uint64_t in_history = persisted.load(std::memory_order_relaxed);
  in_order.clear();
  others.clear();
  bool late_rows = false;
  bool skipped = false;
  int64_t max_ts = INT64_MIN;
  for (const uint32_t row : rows) {
    const RowKey key{source->ts(row), source->seq(row)};
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
    if (rewrites) {
      const Day day = DayOf(Timestamp(key.ts));
      if (rewritten->empty() || rewritten->back() != day) rewritten->push_back(day);
    }
  }
  if (skipped) ForgetBoundary(series);
  const size_t taken = in_order.size() + others.size();
  if (taken == 0) return;
  AppendInOrder(series, source, in_order, now);
  if (!others.empty()) MergeOverlay(series, source, &others, now, late_rows);
  Table* table = series->table;
  table->rows.fetch_add(taken, std::memory_order_relaxed);
  if (max_ts > table->max_ts.load(std::memory_order_relaxed)) {
    table->max_ts.store(max_ts, std::memory_order_relaxed);
  }
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
    const bool usable = chunk != nullptr && chunk->rows() < chunk->capacity() &&
                        chunk->column_count() == layout.columns.size() &&
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
    blocks.Append(chunk, layout, source, rows.first(take), now);
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
    std::sort(rows->begin(), rows->end(), [source](uint32_t a, uint32_t b) {
      return RowKey{source->ts(a), source->seq(a)} < RowKey{source->ts(b), source->seq(b)};
    });
  }
  Table* table = series->table;
  const internal::Layout& layout = *table->layout;
  RowBlock* fresh = blocks.NewOverlay(layout, static_cast<uint32_t>(rows->size()), &table->account);
  blocks.Append(fresh, layout, source, *rows, now);
  SeriesState next = series->current();
  if (const RowBlock* old = next.overlay; old != nullptr) {
    std::vector<RowRef> refs;
    refs.reserve(old->rows() + fresh->rows());
    uint32_t i = 0;
    for (uint32_t j = 0; j < fresh->rows(); ++j) {
      // Older versions of a key have smaller LSNs and stand first.
      while (i < old->rows() && KeyOf(*old, i) <= KeyOf(*fresh, j)) refs.push_back({old, i++});
      refs.push_back({fresh, j});
    }
    while (i < old->rows()) refs.push_back({old, i++});
    next.overlay = blocks.NewOverlay(layout, static_cast<uint32_t>(refs.size()), &table->account);
    blocks.Append(next.overlay, layout, refs);
    blocks.Free(fresh);
  } else {
    next.overlay = fresh;
  }
  if (late_rows) {
    next.boundary = {.kind = internal::Boundary::Kind::kUnknown};
    if (!series->has_late) late.push_back(series);
    series->has_late = true;
  }
  const uint32_t count = next.overlay->rows();
  series->Watch(next.overlay->ts()[count - 1]);
  Swap(series, next);
  table->overlay_rows.fetch_add(rows->size(), std::memory_order_relaxed);
  if (count > options.overlay_compact_rows && !series->compaction_due) {
    series->compaction_due = true;
    due.push_back(series);
  }
}

}  // namespace proxist::hot
