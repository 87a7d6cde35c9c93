// Raises floors over persisted rows and keeps the boundary.
#include <algorithm>
#include <optional>

#include "proxist/base/check.h"
#include "proxist/base/planted.h"
#include "proxist/hot/internal/reading.h"
#include "proxist/hot/internal/store_state.h"

namespace proxist::hot {

using internal::Blocks;
using internal::Boundary;
using internal::ChunkView;
using internal::Position;
using internal::RowRef;
using internal::Series;
using internal::SeriesKey;
using internal::SeriesState;
using internal::Table;

namespace {

/// What stands in the way of a series' floor.
struct Extent {
  std::optional<int64_t> least;    // ts of any row above the floor
  std::optional<int64_t> blocked;  // least ts of one that must stay
  int64_t greatest = INT64_MIN;    // ts of any row above the floor
};

/// Rows must stay that are above `persisted` or were published after `published`.
Extent ExtentOf(const SeriesState& state, uint64_t persisted, int64_t published) {
  Extent out;
  const auto lower = [](std::optional<int64_t>* least, int64_t ts) {
    if (!least->has_value() || ts < **least) *least = ts;
  };
  const ChunkView view(state, internal::kSeeAll);
  const Position begin = view.AfterTs(state.floor);
  if (begin != view.End()) {
    out.least = view.Key(begin).ts;
    const RowBlock& last = view.Block(view.last() - 1);
    out.greatest = last.ts()[last.rows() - 1];
  }
  for (uint32_t c = begin.chunk; c < view.last() && !out.blocked; ++c) {
    const RowBlock& block = view.Block(c);
    uint32_t row = c == begin.chunk ? begin.row : 0;
    if (Blocks::LastPublished(block) > published) {
      out.blocked = block.ts()[row];
    } else if (Blocks::MaxLsn(block) > persisted) {
      while (row < block.rows() && block.lsn(row) <= persisted) ++row;
      if (row < block.rows()) out.blocked = block.ts()[row];
    }
  }
  if (state.overlay == nullptr) return out;
  const RowBlock& overlay = *state.overlay;
  for (uint32_t row = internal::OverlayAfterTs(overlay, state.floor); row < overlay.rows(); ++row) {
    const int64_t ts = overlay.ts()[row];
    lower(&out.least, ts);
    out.greatest = std::max(out.greatest, ts);
    if (overlay.lsn(row) > persisted || Blocks::PublishedAt(overlay, row) > published) {
      lower(&out.blocked, ts);
    }
  }
  return out;
}

/// False: no row was published at or before `published`, so that none may leave. Looks at less
/// memory than ExtentOf does.
bool AnyPublishedBy(const SeriesState& state, int64_t published) {
  if (state.chunks != nullptr) {
    const uint32_t count = state.chunks->count.load(std::memory_order_relaxed);
    if (state.first < count &&
        Blocks::LastPublished(*state.chunks->entries[state.first].block) <= published) {
      return true;
    }
  }
  const uint32_t rows = state.overlay == nullptr ? 0 : state.overlay->rows();
  for (uint32_t row = 0; row < rows; ++row) {
    if (Blocks::PublishedAt(*state.overlay, row) <= published) return true;
  }
  return false;
}

/// Asks for what AnyPublishedBy needs of the series that follow `at`: each step depends on the one
/// before.
void AskAhead(std::span<Series* const> all, size_t at) {
  constexpr size_t kStep = 8;
  const auto state = [&](size_t steps) -> const SeriesState* {
    const size_t series = at + steps * kStep;
    return series < all.size() ? &all[series]->current() : nullptr;
  };
  if (at + 5 * kStep < all.size()) __builtin_prefetch(&all[at + 5 * kStep]->state);
  if (const SeriesState* far = state(4)) __builtin_prefetch(far);
  if (const SeriesState* next = state(3); next != nullptr && next->chunks != nullptr) {
    __builtin_prefetch(next->chunks);
  }
  if (const SeriesState* next = state(2); next != nullptr && next->chunks != nullptr) {
    __builtin_prefetch(next->chunks->entries.get() + next->first);
  }
  if (const SeriesState* next = state(1); next != nullptr && next->chunks != nullptr) {
    if (next->first < next->chunks->count.load(std::memory_order_relaxed)) {
      Blocks::PrefetchHeader(*next->chunks->entries[next->first].block);
    }
  }
}

/// Rows of chunks with floor < ts <= `ts`.
uint64_t ChunkRowsUpTo(const ChunkView& view, int64_t floor, int64_t ts) {
  size_t rows = SIZE_MAX;
  static_cast<void>(view.Back(view.AfterTs(ts), view.AfterTs(floor), &rows));
  return rows;
}

SeriesRecord RecordOf(const Table& table, const Series& series,
                      const column::Dictionary& dictionary, int64_t floor) {
  SeriesRecord record;
  record.symbol = dictionary.At(series.key[0]);
  for (size_t i = 0; i < table.current().series.size(); ++i) {
    record.series.emplace_back(dictionary.At(series.key[i + 1]));
  }
  record.floor = Timestamp(floor);
  return record;
}

std::optional<SeriesKey> KeyOfRecord(const SeriesRecord& record,
                                     const column::Dictionary& dictionary) {
  SeriesKey key{};
  const auto symbol = dictionary.Find(record.symbol);
  if (!symbol || record.series.size() >= key.size()) return std::nullopt;
  key[0] = *symbol;
  for (size_t i = 0; i < record.series.size(); ++i) {
    const auto code = dictionary.Find(record.series[i]);
    if (!code) return std::nullopt;
    key[i + 1] = *code;
  }
  return key;
}

/// The boundary after the rows with floor < ts <= `floor` leave.
Boundary BoundaryAt(const SeriesState& state, int64_t floor, uint64_t as_of, const Table& table,
                    Blocks* blocks, internal::Account* account) {
  const auto last = internal::StepBack(state, internal::kSeeAll, floor, 1);
  Boundary out = state.boundary;
  out.as_of = as_of;
  if (!last) return out;  // no row left, or cancelled ones only
  std::vector<RowRun> runs;
  internal::AppendRuns(state, internal::kSeeAll, *last, floor, &runs);
  std::vector<RowRef> rows;
  for (const RowRun& run : runs) {
    for (uint32_t row = run.begin; row < run.end; ++row) rows.push_back({run.block, row});
  }
  out.kind = Boundary::Kind::kKnown;
  out.block = blocks->NewOverlay(*table.layout, static_cast<uint32_t>(rows.size()), account);
  blocks->Append(out.block, *table.layout, rows);
  out.run = {out.block, 0, out.block->rows()};
  return out;
}

}  // namespace

std::vector<SeriesRecord> Store::PlanEviction(TableId id, Timestamp before,
                                              Timestamp published) const {
  std::vector<SeriesRecord> plan;
  const Table* table = impl_->Find(id);
  if (table == nullptr || before == Timestamp::Min()) return plan;
  const uint64_t persisted = impl_->MayLeave();
  for (size_t i = 0; i < table->all.size(); ++i) {
    AskAhead(table->all, i);
    const Series* series = table->all[i];
    const SeriesState& state = series->current();
    if (!AnyPublishedBy(state, published.ns())) continue;
    const Extent extent = ExtentOf(state, persisted, published.ns());
    if (!extent.least) continue;
    // A floor above the last row would only make rows to come late.
    int64_t floor = std::min(before.ns() - 1, extent.greatest);
    if (extent.blocked) floor = std::min(floor, *extent.blocked - 1);
    if (floor >= *extent.least) {
      plan.push_back(RecordOf(*table, *series, impl_->dictionary, floor));
    }
  }
  return plan;
}

EvictResult Store::Evict(TableId id, std::span<const SeriesRecord> plan) {
  EvictResult result;
  const Table* table = impl_->Find(id);
  if (table == nullptr) return result;
  for (const SeriesRecord& record : plan) {
    const auto key = KeyOfRecord(record, impl_->dictionary);
    Series* series = key ? table->Find(*key) : nullptr;
    if (series != nullptr && impl_->EvictSeries(series, record.floor.ns(), &result)) {
      ++result.series;
    }
  }
  impl_->epochs.Reclaim(SIZE_MAX);
  return result;
}

uint64_t Store::Impl::MayLeave() const {
  return (Planted(PlantedBug::kEvictBeforePersist) ? published : persisted)
      .load(std::memory_order_relaxed);
}

bool Store::Impl::EvictSeries(Series* series, int64_t floor, EvictResult* result) {
  const SeriesState& state = series->current();
  const uint64_t in_history = MayLeave();
  const Extent extent = ExtentOf(state, in_history, INT64_MAX);
  if (extent.blocked) floor = std::min(floor, *extent.blocked - 1);
  if (floor <= state.floor) return false;
  series->compact_at = 0;  // there will be less to rewrite
  Table* table = series->table;
  SeriesState next = state;
  next.floor = floor;
  next.boundary = BoundaryAt(state, floor, in_history, *table, &blocks, &table->account);

  const ChunkView view(state, internal::kSeeAll);
  uint64_t rows = ChunkRowsUpTo(view, state.floor, floor);
  uint64_t bytes = 0;
  next.first = view.AfterTs(floor).chunk;
  std::vector<RowBlock*> leaving;
  for (uint32_t c = view.first(); c < next.first; ++c) leaving.push_back(&view.Block(c));
  if (!leaving.empty() && leaving.back() == series->open) series->open = nullptr;

  if (state.overlay != nullptr) {
    // Rows that leave are persisted; late ones stay until Maintain drops them.
    const uint32_t begin = internal::OverlayAfterTs(*state.overlay, state.floor);
    const uint32_t end = internal::OverlayAfterTs(*state.overlay, floor);
    if (end > begin) {
      std::vector<RowRef> kept;
      for (uint32_t row = 0; row < state.overlay->rows(); ++row) {
        if (row < begin || row >= end) kept.push_back({state.overlay, row});
      }
      bytes += Blocks::BytesOf(*state.overlay);
      next.overlay = nullptr;
      if (!kept.empty()) {
        next.overlay =
            blocks.NewOverlay(*table->layout, static_cast<uint32_t>(kept.size()), &table->account);
        blocks.Append(next.overlay, *table->layout, kept);
        bytes -= std::min<uint64_t>(bytes, Blocks::BytesOf(*next.overlay));
      }
      rows += end - begin;
      table->overlay_rows.fetch_sub(end - begin, std::memory_order_relaxed);
    }
  }
  Swap(series, next);
  for (RowBlock* block : leaving) {
    bytes += Blocks::BytesOf(*block);
    Retire(block);
  }
  table->rows.fetch_sub(rows, std::memory_order_relaxed);
  result->rows += rows;
  result->bytes += bytes;
  return true;
}

std::vector<SeriesRecord> Store::Manifest(TableId id) const {
  std::vector<SeriesRecord> out;
  const Table* table = impl_->Find(id);
  if (table == nullptr) return out;
  out.reserve(table->all.size());
  for (const Series* series : table->all) {
    out.push_back(RecordOf(*table, *series, impl_->dictionary, series->current().floor));
  }
  return out;
}

void Store::RestoreSeries(TableId id, const SeriesRecord& record) {
  Table* table = impl_->Find(id);
  PX_CHECK(table != nullptr && record.series.size() == table->current().series.size());
  SeriesKey key{impl_->dictionary.Intern(record.symbol)};
  for (size_t i = 0; i < record.series.size(); ++i) {
    key[i + 1] = impl_->dictionary.Intern(record.series[i]);
  }
  if (Series* series = table->Find(key); series != nullptr) {
    PX_CHECK(series->current().floor == record.floor.ns());
    return;
  }
  table->Add(key, record.floor.ns(), impl_->dictionary, &impl_->epochs);
}

}  // namespace proxist::hot
