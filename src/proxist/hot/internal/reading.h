// Reads one series state at a cut: positions in its chunks, and runs merged with its overlay.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "proxist/hot/internal/series.h"

namespace proxist::hot::internal {

/// Sees every row, published or not; for the writer.
inline constexpr uint64_t kSeeAll = UINT64_MAX;

/// A row of a chunk. Normal form: `row` is below the chunk's rows, or the position is the end.
struct Position {
  uint32_t chunk = 0;
  uint32_t row = 0;
  bool operator==(const Position&) const = default;
};

/// The chunk rows of a state with lsn <= cut. Those past the cut are a suffix, which is left out.
class ChunkView {
 public:
  ChunkView(const SeriesState& state, uint64_t cut) : ChunkView(state, CountOf(state), cut) {}
  /// The same of the first `count` chunks of its list, all that it had when that was loaded.
  ChunkView(const SeriesState& state, uint32_t count, uint64_t cut);
  /// Chunks of the state's list by now.
  static uint32_t CountOf(const SeriesState& state) {
    return state.chunks == nullptr ? 0 : state.chunks->count.load(std::memory_order_acquire);
  }
  [[nodiscard]] Position Begin() const { return {first_, 0}; }
  [[nodiscard]] Position End() const { return {last_, 0}; }
  [[nodiscard]] uint32_t first() const { return first_; }
  [[nodiscard]] uint32_t last() const { return last_; }
  [[nodiscard]] RowBlock& Block(uint32_t chunk) const { return *entries_[chunk].block; }
  [[nodiscard]] const ChunkEntry* Entries() const { return entries_; }
  [[nodiscard]] const ChunkEntry& Entry(uint32_t chunk) const { return entries_[chunk]; }
  [[nodiscard]] uint32_t Rows(uint32_t chunk) const {
    return chunk + 1 == last_ ? tail_rows_ : entries_[chunk].block->rows();
  }
  [[nodiscard]] RowKey Key(Position at) const { return KeyOf(Block(at.chunk), at.row); }
  /// The first row with key >= `key`.
  [[nodiscard]] Position LowerBound(RowKey key) const;
  /// The first row with ts > `ts`.
  [[nodiscard]] Position AfterTs(int64_t ts) const {
    return ts == INT64_MAX ? End() : LowerBound({ts + 1, 0});
  }
  [[nodiscard]] Position Next(Position at) const;
  /// Goes `*rows` rows back, not below `limit`; `*rows` becomes the rows gone.
  [[nodiscard]] Position Back(Position from, Position limit, size_t* rows) const;
  /// The same forward, not past the end.
  [[nodiscard]] Position Forward(Position from, size_t* rows) const;

 private:
  const ChunkEntry* entries_ = nullptr;
  uint32_t first_ = 0;
  uint32_t last_ = 0;       // past the last chunk with a visible row
  uint32_t tail_rows_ = 0;  // visible rows of the last one
};

/// The first overlay row of [0, rows) with key >= `key`.
uint32_t OverlayLowerBound(const RowBlock& overlay, RowKey key);
/// The first one with ts > `ts`.
inline uint32_t OverlayAfterTs(const RowBlock& overlay, int64_t ts) {
  return ts == INT64_MAX ? overlay.rows() : OverlayLowerBound(overlay, {ts + 1, 0});
}
/// The end of the versions of overlay row `begin`'s key.
uint32_t VersionsEnd(const RowBlock& overlay, uint32_t begin);

/// Appends runs of the resolved rows with low <= ts <= high above the floor.
void AppendRuns(const SeriesState& state, uint64_t cut, int64_t low, int64_t high,
                std::vector<RowRun>* out);
/// The same as runs and totals.
void AppendTotals(const SeriesState& state, uint64_t cut, int64_t low, int64_t high,
                  SpanTotals* out);
/// The last resolved row with ts <= at above the floor, as a run of one; no block: there is none.
RowRun LastRowOf(const SeriesState& state, uint64_t cut, int64_t at);
/// The same, from the last chunk row with ts <= at; without a block when it is not known.
RowRun LastRowFrom(const SeriesState& state, const RowRun& chunk_row, uint64_t cut, int64_t at);
/// Joins a series' last row to that of its symbol; the series come in the order of their values.
void AddLastRow(const SeriesState& state, const RowRun& run, LastRow* last);
std::optional<int64_t> StepBack(const SeriesState& state, uint64_t cut, int64_t at, size_t rows);
std::optional<int64_t> StepForward(const SeriesState& state, uint64_t cut, int64_t at, size_t rows);

}  // namespace proxist::hot::internal
