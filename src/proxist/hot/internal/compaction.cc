// Merges overlay rows that every reader sees into new chunks, copy-on-write.
#include <algorithm>

#include "proxist/hot/internal/reading.h"
#include "proxist/hot/internal/store_state.h"

namespace proxist::hot {

using internal::Blocks;
using internal::ChunkEntry;
using internal::ChunkList;
using internal::ChunkView;
using internal::KeyOf;
using internal::Position;
using internal::RowKey;
using internal::RowRef;
using internal::Series;
using internal::SeriesState;
using internal::Table;

namespace {

// Chunks rewritten by one step; bounds what Maintain does in a call.
constexpr uint32_t kStepChunks = 16;
constexpr size_t kCapacityUnit = 64;

/// A change of the chunk rows at one place: `insert` goes before it, or in its stead.
struct Edit {
  uint32_t chunk;  // whose rewriting takes it up
  Position place;
  bool replaces;  // the row at `place` goes
  RowRef insert;  // block nullptr: nothing
};

/// What one step will do to a series.
struct Work {
  std::vector<Edit> edits;   // by key
  std::vector<RowRef> kept;  // the overlay's rows that stay, in order
  uint32_t chunks = 0;       // to rewrite
  uint64_t rows_before = 0;  // of the overlay
  int64_t dropped_rows = 0;  // versions and cancels that nobody needs any more
  bool more = false;         // the step's bound was reached
  RowKey next;               // where the next step begins
};

/// The chunk that takes up a row put at `place`.
uint32_t HomeOf(const ChunkView& view, Position place) {
  return place.row == 0 && place.chunk > view.first() ? place.chunk - 1 : place.chunk;
}

class Planner {
 public:
  Planner(const Series& series, uint64_t cut, uint64_t persisted)
      : series_(series),
        state_(series.current()),
        overlay_(*state_.overlay),
        view_(state_, internal::kSeeAll),
        cut_(cut),
        persisted_(persisted) {}

  Work Run(uint32_t max_chunks, Series* forgetting) {
    Work work;
    work.rows_before = overlay_.rows();
    const Position stop = FirstUnseen();
    uint32_t row = 0;
    while (row < overlay_.rows()) {
      const uint32_t end = internal::VersionsEnd(overlay_, row);
      const RowKey key = KeyOf(overlay_, row);
      const bool in_reach = key.ts > state_.floor && key >= series_.compact_from && !work.more &&
                            (stop == view_.End() || key < view_.Key(stop));
      if (!in_reach || !Resolve(row, end, max_chunks, &work, forgetting)) {
        for (uint32_t version = row; version < end; ++version) {
          work.kept.push_back({&overlay_, version});
        }
      }
      row = end;
    }
    return work;
  }

 private:
  /// The first chunk row that some reader does not see; keys from there on stay as they are, so
  /// that what a reader does not see remains the chunks' end.
  Position FirstUnseen() const {
    const ChunkView seen(state_, cut_);
    if (seen.last() == seen.first()) return view_.Begin();
    const uint32_t chunk = seen.last() - 1;
    const uint32_t rows = seen.Rows(chunk);
    return rows < view_.Rows(chunk) ? Position{chunk, rows} : Position{chunk + 1, 0};
  }

  /// Resolves overlay rows [row, end), the versions of one key; false when they have to stay.
  bool Resolve(uint32_t row, uint32_t end, uint32_t max_chunks, Work* work, Series* forgetting) {
    const RowKey key = KeyOf(overlay_, row);
    uint32_t seen_end = row;
    while (seen_end < end && overlay_.lsn(seen_end) <= cut_) ++seen_end;
    if (seen_end == row) return false;
    const uint32_t newest = seen_end - 1;
    const Position place = view_.LowerBound(key);
    const bool in_chunk = place != view_.End() && view_.Key(place) == key;
    const uint64_t chunk_lsn = in_chunk ? view_.Block(place.chunk).lsn(place.row) : 0;
    const bool chunk_wins = chunk_lsn > overlay_.lsn(newest);
    const bool cancelled = !chunk_wins && overlay_.op(newest) == column::Op::kCancel;

    // The greatest LSN that would be forgotten; history must have it.
    uint64_t forgotten = newest > row ? overlay_.lsn(newest - 1) : 0;
    if (chunk_wins || cancelled) forgotten = overlay_.lsn(newest);
    if (!chunk_wins) forgotten = std::max(forgotten, chunk_lsn);
    if (forgotten > persisted_) return false;

    const bool rewrites = !chunk_wins && (in_chunk || !cancelled);
    if (rewrites) {
      const uint32_t home = in_chunk ? place.chunk : HomeOf(view_, place);
      if (work->edits.empty() || work->edits.back().chunk != home) {
        if (work->chunks == max_chunks) {
          work->more = true;
          work->next = key;
          return false;
        }
        ++work->chunks;
      }
      const RowRef insert = cancelled ? RowRef{nullptr, 0} : RowRef{&overlay_, newest};
      work->edits.push_back({home, place, in_chunk, insert});
    }
    for (uint32_t later = seen_end; later < end; ++later) work->kept.push_back({&overlay_, later});
    work->dropped_rows += (seen_end - row) + (in_chunk ? 1 : 0) - (cancelled ? 0 : 1);
    if (cancelled && forgetting != nullptr) {
      forgetting->MarkDropped(key.ts, key.ts);
    }
    return true;
  }

  const Series& series_;
  const SeriesState& state_;
  const RowBlock& overlay_;
  const ChunkView view_;
  const uint64_t cut_;
  const uint64_t persisted_;
};

/// Writes the new chunks and the list that holds them.
class Rewriter {
 public:
  Rewriter(Series* series, size_t chunk_rows, Blocks* blocks)
      : series_(series),
        view_(series->current(), internal::kSeeAll),
        chunk_rows_(chunk_rows),
        blocks_(blocks) {}

  void Run(std::span<const Edit> edits) {
    // Evicted entries stay in front as far as nodes over chunks need, to keep their places.
    dropped_ = view_.first() - first();
    for (uint32_t evicted = dropped_; evicted < view_.first(); ++evicted) {
      entries_.push_back(view_.Entry(evicted));
    }
    same_ = edits.front().chunk - dropped_;
    uint32_t chunk = view_.first();
    while (!edits.empty()) {
      for (; chunk < edits.front().chunk; ++chunk) entries_.push_back(view_.Entry(chunk));
      // Neighbours are rewritten as one span, so that they share out their rows.
      std::vector<RowRef> rows;
      while (!edits.empty() && edits.front().chunk == chunk) {
        size_t n = 0;
        while (n < edits.size() && edits[n].chunk == chunk) ++n;
        Gather(chunk, edits.first(n), &rows);
        edits = edits.subspan(n);
        if (chunk < view_.last()) replaced_.push_back(&view_.Block(chunk++));
      }
      Write(rows, chunk == view_.last());
    }
    for (; chunk < view_.last(); ++chunk) entries_.push_back(view_.Entry(chunk));
  }
  [[nodiscard]] const std::vector<RowBlock*>& replaced() const { return replaced_; }
  /// How many evicted entries the new list begins with.
  [[nodiscard]] uint32_t first() const { return view_.first() % internal::TotalsTree::kFanOut; }
  [[nodiscard]] ChunkList* MakeList() const {
    const auto count = static_cast<uint32_t>(entries_.size());
    if (count == first()) return nullptr;
    auto* list = new ChunkList(count + std::max<uint32_t>(2, count / 4), &series_->table->account);
    std::copy(entries_.begin(), entries_.end(), list->entries.get());
    const ChunkList* before = series_->current().chunks;
    list->totals.Build(list->entries.get(), first(), count - 1,
                       before == nullptr ? nullptr : &before->totals, dropped_, same_);
    list->count.store(count, std::memory_order_release);
    return list;
  }

 private:
  void Gather(uint32_t chunk, std::span<const Edit> edits, std::vector<RowRef>* rows) const {
    const int64_t floor = series_->current().floor;
    const uint32_t end = chunk < view_.last() ? view_.Rows(chunk) : 0;
    const RowBlock* block = chunk < view_.last() ? &view_.Block(chunk) : nullptr;
    uint32_t row = 0;
    const auto copy_to = [&](uint32_t stop) {
      for (; row < stop; ++row) {
        if (block->ts()[row] > floor) rows->push_back({block, row});
      }
    };
    for (const Edit& edit : edits) {
      copy_to(edit.place.chunk == chunk ? edit.place.row : end);
      if (edit.insert.block != nullptr) rows->push_back(edit.insert);
      if (edit.replaces) ++row;
    }
    copy_to(end);
  }

  void Write(std::span<const RowRef> rows, bool at_end) {
    if (at_end) series_->open = nullptr;
    size_t chunks = (rows.size() + chunk_rows_ - 1) / chunk_rows_;
    while (!rows.empty()) {
      // Equal shares leave every chunk room to be split less often.
      size_t take = (rows.size() + chunks - 1) / chunks;
      uint64_t least = UINT64_MAX;
      uint64_t greatest = 0;
      for (size_t i = 0; i < take; ++i) {
        const uint64_t lsn = rows[i].block->lsn(rows[i].row);
        const uint64_t low = std::min(least, lsn);
        const uint64_t high = std::max(greatest, lsn);
        if (high - low > UINT32_MAX) {
          take = i;
          ++chunks;
          break;
        }
        least = low;
        greatest = high;
      }
      const bool last = take == rows.size();
      const uint32_t capacity = CapacityFor(take, at_end && last);
      Table* table = series_->table;
      RowBlock* chunk = blocks_->NewChunk(*table->layout, capacity, least,
                                          table->SeriesValues(series_, capacity), &table->account);
      blocks_->Append(chunk, *table->layout, rows.first(take));
      entries_.push_back({chunk, chunk->ts()[0]});
      if (!at_end || !last) Blocks::Seal(chunk, *table->layout);
      if (at_end && last) {
        series_->open = chunk;
        series_->last_capacity = std::max(series_->last_capacity, capacity);
      }
      rows = rows.subspan(take);
      if (chunks > 1) --chunks;
    }
  }

  [[nodiscard]] uint32_t CapacityFor(size_t rows, bool open) const {
    const size_t unit = std::min<size_t>(kCapacityUnit, chunk_rows_);
    const auto rounded = static_cast<uint32_t>((rows + unit - 1) / unit * unit);
    return open ? std::max(rounded, series_->last_capacity) : rounded;
  }

  Series* series_;
  const ChunkView view_;
  const size_t chunk_rows_;
  Blocks* blocks_;
  std::vector<ChunkEntry> entries_;
  std::vector<RowBlock*> replaced_;
  uint32_t dropped_ = 0;  // evicted entries that the new list does not begin with
  uint32_t same_ = 0;     // entries of the new list before the first changed one
};

/// Chunk rows that lie in chunks which some overlay row falls into.
uint64_t RowsToRewrite(const SeriesState& state) {
  const ChunkView view(state, internal::kSeeAll);
  const RowBlock& overlay = *state.overlay;
  uint64_t rows = 0;
  uint32_t counted = UINT32_MAX;
  for (uint32_t row = internal::OverlayAfterTs(overlay, state.floor); row < overlay.rows(); ++row) {
    const uint32_t home = HomeOf(view, view.LowerBound(KeyOf(overlay, row)));
    if (home == counted || home >= view.last()) continue;
    counted = home;
    rows += view.Rows(home);
  }
  return rows;
}

}  // namespace

Store::Impl::Step Store::Impl::Compact(Series* series) {
  const SeriesState& state = series->current();
  const bool under_way = series->compact_from != RowKey{INT64_MIN, 0};
  if (state.overlay == nullptr) return Step::kDone;
  const uint64_t cut = epochs.LeastCut(published.load(std::memory_order_relaxed));
  const uint64_t in_history = persisted.load(std::memory_order_relaxed);
  if (!under_way) {
    const uint64_t rows = state.overlay->rows();
    if (rows <= options.overlay_compact_rows) return Step::kDone;
    if (cut == series->tried_cut && in_history == series->tried_persisted) return Step::kUntried;
    const uint64_t rewritten = RowsToRewrite(state);
    if (rows * internal::kRewriteFactor < rewritten && series->overlay_copied < rewritten) {
      series->compact_at = rewritten;
      return Step::kDone;
    }
  }
  const Work work = Planner(*series, cut, in_history).Run(kStepChunks, series);
  series->compact_from = work.more ? work.next : RowKey{INT64_MIN, 0};
  if (work.kept.size() == work.rows_before) {
    if (work.more) return Step::kMore;
    series->tried_cut = cut;
    series->tried_persisted = in_history;
    return Step::kNothing;
  }
  series->overlay_copied = 0;
  series->compact_at = 0;
  Table* table = series->table;
  SeriesState next = state;
  Rewriter rewriter(series, options.chunk_rows, &blocks);
  if (!work.edits.empty()) {
    rewriter.Run(work.edits);
    next.chunks = rewriter.MakeList();
    next.first = next.chunks == nullptr ? 0 : rewriter.first();
  }
  next.overlay = nullptr;
  if (!work.kept.empty()) {
    next.overlay =
        blocks.NewOverlay(*table->layout, static_cast<uint32_t>(work.kept.size()), &table->account);
    blocks.Append(next.overlay, *table->layout, work.kept);
  }
  Swap(series, next);
  for (RowBlock* block : rewriter.replaced()) Retire(block);
  table->rows.fetch_sub(static_cast<uint64_t>(work.dropped_rows), std::memory_order_relaxed);
  table->overlay_rows.fetch_sub(work.rows_before - work.kept.size(), std::memory_order_relaxed);
  return work.more ? Step::kMore : Step::kDone;
}

}  // namespace proxist::hot
