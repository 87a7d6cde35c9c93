// Binary searches over chunks, and the merge that resolves versions by key.
#include "proxist/hot/internal/reading.h"

#include <algorithm>

namespace proxist::hot::internal {
namespace {

/// The first row of [0, rows) with key >= `key`.
uint32_t LowerBoundIn(const RowBlock& block, uint32_t rows, RowKey key) {
  const int64_t* ts = block.ts();
  const uint64_t* seq = block.seq();
  uint32_t at = 0;
  for (uint32_t left = rows; left > 0;) {
    const uint32_t half = left / 2;
    const uint32_t middle = at + half;
    const bool below = ts[middle] != key.ts ? ts[middle] < key.ts : seq[middle] < key.seq;
    at = below ? middle + 1 : at;
    left = below ? left - half - 1 : half;
  }
  return at;
}

/// Collects runs, joining neighbours, and totals of whole chunks if they are wanted.
class RunSink {
 public:
  explicit RunSink(std::vector<RowRun>* out) : out_(out), start_(out->size()) {}
  RunSink(const TotalsTree* tree, SpanTotals* totals)
      : out_(&totals->runs), start_(totals->runs.size()), tree_(tree), totals_(totals) {}
  void Add(const RowBlock& block, uint32_t begin, uint32_t end) {
    if (begin >= end) return;
    if (out_->size() > start_ && out_->back().block == &block && out_->back().end == begin) {
      out_->back().end = end;
      return;
    }
    out_->push_back({&block, begin, end});
  }
  void AddChunks(const ChunkView& view, Position from, Position to) {
    const uint32_t whole = from.row == 0 ? from.chunk : from.chunk + 1;
    // The last chunk that the cut shows may be open, or hold rows that it does not show.
    const uint32_t end = std::min(to.chunk, view.last() == 0 ? 0 : view.last() - 1);
    if (totals_ == nullptr || whole >= end) {
      AddRows(view, from, to);
      return;
    }
    AddRows(view, from, {whole, 0});
    tree_->Add(view.Entries(), whole, end, totals_, [&](uint32_t chunk) {
      AddRows(view, {chunk, 0}, {chunk + 1, 0});
    });
    AddRows(view, {end, 0}, to);
  }

 private:
  void AddRows(const ChunkView& view, Position from, Position to) {
    // Each chunk's header is a cache miss of its own; where its columns lie stands behind it, and
    // is what readers of a run look at next.
    constexpr uint32_t kAhead = 16;
    const auto ask = [&view](uint32_t chunk) { Blocks::TouchHeader(view.Block(chunk)); };
    for (uint32_t chunk = from.chunk; chunk < std::min(to.chunk, from.chunk + kAhead); ++chunk) {
      ask(chunk);
    }
    while (from.chunk < to.chunk) {
      if (from.chunk + kAhead < to.chunk) ask(from.chunk + kAhead);
      Add(view.Block(from.chunk), from.row, view.Rows(from.chunk));
      from = {from.chunk + 1, 0};
    }
    if (from.chunk < view.last()) Add(view.Block(from.chunk), from.row, to.row);
  }

  std::vector<RowRun>* out_;
  const size_t start_;
  const TotalsTree* tree_ = nullptr;
  SpanTotals* totals_ = nullptr;
};

/// The row of [begin, end), versions of one key in LSN order, that a cut shows; `end` if none.
uint32_t VisibleVersion(const RowBlock& overlay, uint32_t begin, uint32_t end, uint64_t cut) {
  for (uint32_t row = end; row > begin; --row) {
    if (overlay.lsn(row - 1) <= cut) return row - 1;
  }
  return end;
}

size_t RowsIn(const std::vector<RowRun>& runs) {
  size_t rows = 0;
  for (const RowRun& run : runs) rows += run.end - run.begin;
  return rows;
}

bool OverlayTouches(const SeriesState& state, int64_t low, int64_t high) {
  if (state.overlay == nullptr) return false;
  const RowBlock& overlay = *state.overlay;
  const uint32_t row = OverlayLowerBound(overlay, {low, 0});
  return row < overlay.rows() && overlay.ts()[row] <= high;
}

}  // namespace

ChunkView::ChunkView(const SeriesState& state, uint32_t count, uint64_t cut) {
  if (state.chunks == nullptr) return;
  entries_ = state.chunks->entries.get();
  first_ = state.first;
  last_ = count;
  // Where searches begin.
  __builtin_prefetch(entries_ + first_);
  for (; last_ > first_; --last_) {
    const RowBlock& block = *entries_[last_ - 1].block;
    tail_rows_ = block.rows();
    if (tail_rows_ == 0) continue;
    __builtin_prefetch(block.ts() + tail_rows_ - 1);
    if (block.lsn(tail_rows_ - 1) <= cut) return;
    if (block.lsn(0) > cut) continue;
    uint32_t visible = 1;
    for (uint32_t past = tail_rows_ - 1; visible < past;) {
      const uint32_t middle = visible + (past - visible) / 2;
      if (block.lsn(middle) <= cut) {
        visible = middle + 1;
      } else {
        past = middle;
      }
    }
    tail_rows_ = visible;
    return;
  }
  last_ = first_;
}

Position ChunkView::LowerBound(RowKey key) const {
  if (first_ == last_) return End();
  // The last row is a cache miss that a span from the beginning does without.
  if (key.ts < entries_[first_].first_ts) return Begin();
  if (KeyOf(Block(last_ - 1), tail_rows_ - 1) < key) return End();
  const ChunkEntry* begin = entries_ + first_;
  const ChunkEntry* end = entries_ + last_;
  const ChunkEntry* entry = std::partition_point(begin, end, [key](const ChunkEntry& e) {
    return e.first_ts != key.ts ? e.first_ts < key.ts : e.block->seq()[0] < key.seq;
  });
  const auto chunk = static_cast<uint32_t>(entry - entries_);
  if (entry == begin) return {chunk, 0};
  const uint32_t rows = Rows(chunk - 1);
  const uint32_t row = LowerBoundIn(Block(chunk - 1), rows, key);
  return row < rows ? Position{chunk - 1, row} : Position{chunk, 0};
}

Position ChunkView::Next(Position at) const {
  return at.row + 1 < Rows(at.chunk) ? Position{at.chunk, at.row + 1} : Position{at.chunk + 1, 0};
}

Position ChunkView::Back(Position from, Position limit, size_t* rows) const {
  const size_t wanted = *rows;
  size_t left = wanted;
  while (left > 0 && from != limit) {
    if (from.row == 0) from = {from.chunk - 1, Rows(from.chunk - 1)};
    const uint32_t least = from.chunk == limit.chunk ? limit.row : 0;
    const auto step = static_cast<uint32_t>(std::min<size_t>(left, from.row - least));
    from.row -= step;
    left -= step;
  }
  *rows = wanted - left;
  return from;
}

Position ChunkView::Forward(Position from, size_t* rows) const {
  const size_t wanted = *rows;
  size_t left = wanted;
  while (left > 0 && from.chunk < last_) {
    const uint32_t here = Rows(from.chunk) - from.row;
    if (left < here) {
      from.row += static_cast<uint32_t>(left);
      left = 0;
    } else {
      left -= here;
      from = {from.chunk + 1, 0};
    }
  }
  *rows = wanted - left;
  return from;
}

uint32_t OverlayLowerBound(const RowBlock& overlay, RowKey key) {
  return LowerBoundIn(overlay, overlay.rows(), key);
}

uint32_t VersionsEnd(const RowBlock& overlay, uint32_t begin) {
  const RowKey key = KeyOf(overlay, begin);
  uint32_t end = begin + 1;
  while (end < overlay.rows() && KeyOf(overlay, end) == key) ++end;
  return end;
}

namespace {

void Resolve(const SeriesState& state, uint64_t cut, int64_t low, int64_t high, RunSink sink) {
  if (state.floor == INT64_MAX) return;
  low = std::max(low, state.floor + 1);
  if (low > high) return;
  const ChunkView view(state, cut);
  Position at = view.LowerBound({low, 0});
  const Position end = view.AfterTs(high);
  if (state.overlay != nullptr) {
    const RowBlock& overlay = *state.overlay;
    const uint32_t stop = OverlayAfterTs(overlay, high);
    uint32_t row = OverlayLowerBound(overlay, {low, 0});
    while (row < stop) {
      const uint32_t next = VersionsEnd(overlay, row);
      const uint32_t version = VisibleVersion(overlay, row, next, cut);
      const RowKey key = KeyOf(overlay, row);
      row = next;
      if (version == next) continue;
      const Position place = view.LowerBound(key);
      sink.AddChunks(view, at, place);
      at = place;
      if (place != end && view.Key(place) == key) {
        if (view.Block(place.chunk).lsn(place.row) > overlay.lsn(version)) continue;
        at = view.Next(place);
      }
      if (overlay.op(version) == column::Op::kPut) sink.Add(overlay, version, version + 1);
    }
  }
  sink.AddChunks(view, at, end);
}

}  // namespace

void AppendRuns(const SeriesState& state, uint64_t cut, int64_t low, int64_t high,
                std::vector<RowRun>* out) {
  Resolve(state, cut, low, high, RunSink(out));
}

void AppendTotals(const SeriesState& state, uint64_t cut, int64_t low, int64_t high,
                  SpanTotals* out) {
  const TotalsTree* tree = state.chunks == nullptr ? nullptr : &state.chunks->totals;
  if (tree != nullptr) tree->PrefetchLevels();
  Resolve(state, cut, low, high, RunSink(tree, out));
}

std::optional<int64_t> StepBack(const SeriesState& state, uint64_t cut, int64_t at, size_t rows) {
  if (rows == 0) return at;
  if (at <= state.floor) return std::nullopt;
  const int64_t lowest = state.floor + 1;
  const ChunkView view(state, cut);
  const Position end = view.AfterTs(at);
  const Position limit = view.LowerBound({lowest, 0});
  std::vector<RowRun> runs;
  for (size_t want = rows;; want *= 2) {
    size_t gone = want;
    const Position position = view.Back(end, limit, &gone);
    const bool whole = gone < want;
    const int64_t low = whole ? lowest : view.Key(position).ts;
    if (want == rows && !OverlayTouches(state, low, at)) {
      return whole ? std::nullopt : std::optional(low);
    }
    runs.clear();
    AppendRuns(state, cut, low, at, &runs);
    if (RowsIn(runs) >= rows) break;
    if (whole) return std::nullopt;
  }
  size_t left = rows;
  auto run = runs.rbegin();
  for (; left > run->end - run->begin; ++run) left -= run->end - run->begin;
  return run->block->ts()[run->end - left];
}

std::optional<int64_t> StepForward(const SeriesState& state, uint64_t cut, int64_t at,
                                   size_t rows) {
  if (rows == 0) return at;
  if (state.floor == INT64_MAX) return std::nullopt;
  const int64_t low = std::max(at, state.floor + 1);
  const ChunkView view(state, cut);
  const Position begin = view.LowerBound({low, 0});
  std::vector<RowRun> runs;
  for (size_t want = rows;; want *= 2) {
    size_t gone = want - 1;
    const Position position = view.Forward(begin, &gone);
    const bool whole = position == view.End();
    const int64_t high = whole ? INT64_MAX : view.Key(position).ts;
    if (want == rows && !OverlayTouches(state, low, high)) {
      return whole ? std::nullopt : std::optional(high);
    }
    runs.clear();
    AppendRuns(state, cut, low, high, &runs);
    if (RowsIn(runs) >= rows) break;
    if (whole) return std::nullopt;
  }
  size_t left = rows;
  auto run = runs.begin();
  for (; left > run->end - run->begin; ++run) left -= run->end - run->begin;
  return run->block->ts()[run->begin + left - 1];
}

namespace {

constexpr uint32_t kFan = 8;  // places that a step of a search looks at: their misses overlap

/// The last of `n` > 0 entries whose chunk begins at or before `at`; the first one does.
const ChunkEntry* LastEntry(const ChunkEntry* entry, uint32_t n, int64_t at) {
  while (n > kFan) {
    const uint32_t step = n / kFan;
    uint32_t before = 0;
    for (uint32_t i = 1; i < kFan; ++i) before += entry[i * step].first_ts <= at ? 1 : 0;
    entry += before * step;
    n = before + 1 == kFan ? n - before * step : step;
  }
  uint32_t before = 0;
  for (uint32_t i = 1; i < n; ++i) before += entry[i].first_ts <= at ? 1 : 0;
  return entry + before;
}

/// How many of `rows` ascending times are at or before `at`: every 64th, then every 8th between
/// two of these, then one by one.
uint32_t CountUpTo(const int64_t* ts, uint32_t rows, int64_t at) {
  uint32_t begin = 0;
  for (uint32_t step = kFan * kFan; step > 0; step /= kFan) {
    const uint32_t end = std::min(rows, begin + kFan * step);
    uint32_t before = 0;
    for (uint32_t row = begin + step - 1; row < end; row += step) before += ts[row] <= at ? 1 : 0;
    begin += before * step;
  }
  return begin;
}

/// The last row of the chunks with ts <= at, whether the cut shows it or not; else no block.
RowRun LastChunkRow(const SeriesState& state, int64_t at) {
  if (state.chunks == nullptr) return {};
  const uint32_t count = state.chunks->count.load(std::memory_order_acquire);
  if (count == state.first) return {};
  const ChunkEntry* entry = state.chunks->entries.get() + count - 1;
  if (entry->first_ts > at) {
    const ChunkEntry* begin = state.chunks->entries.get() + state.first;
    if (begin->first_ts > at) return {};
    entry = LastEntry(begin, count - state.first, at);
  }
  const RowBlock& block = *entry->block;
  const int64_t* ts = block.ts();
  uint32_t rows = block.rows();
  if (rows > 0 && ts[rows - 1] > at) rows = CountUpTo(ts, rows, at);
  return rows == 0 ? RowRun{} : RowRun{&block, rows - 1, rows};
}

}  // namespace

RowRun LastRowFrom(const SeriesState& state, const RowRun& chunk_row, uint64_t cut, int64_t at) {
  if (at <= state.floor) return {};
  if (chunk_row.block != nullptr && chunk_row.block->lsn(chunk_row.begin) <= cut) {
    // No later row of the chunks is that early, so the floor alone can hide it, and what the
    // overlay says from there on.
    const int64_t ts = chunk_row.block->ts()[chunk_row.begin];
    if (!OverlayTouches(state, ts, at)) return ts > state.floor ? chunk_row : RowRun{};
  }
  const std::optional<int64_t> low = StepBack(state, cut, at, 1);
  if (!low.has_value()) return {};
  std::vector<RowRun> runs;
  AppendRuns(state, cut, *low, at, &runs);
  return {runs.back().block, runs.back().end - 1, runs.back().end};
}

RowRun LastRowOf(const SeriesState& state, uint64_t cut, int64_t at) {
  return LastRowFrom(state, LastChunkRow(state, at), cut, at);
}

void AddLastRow(const SeriesState& state, const RowRun& run, LastRow* last) {
  last->floor = std::max(last->floor, Timestamp(state.floor));
  if (run.block == nullptr) {
    if (state.floor != INT64_MIN) last->known = false;
  } else if (last->run.block == nullptr ||
             KeyOf(*run.block, run.begin) >= KeyOf(*last->run.block, last->run.begin)) {
    last->run = run;
  }
}

}  // namespace proxist::hot::internal
