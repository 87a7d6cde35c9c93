// A series: the immutable state that readers load, and what only the writer knows.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "proxist/hot/internal/blocks.h"
#include "proxist/hot/internal/totals.h"
#include "proxist/hot/row_block.h"
#include "proxist/hot/store.h"

namespace proxist::hot::internal {

inline RowKey KeyOf(const RowBlock& block, uint32_t row) {
  return {block.ts()[row], block.seq()[row]};
}

struct ChunkEntry {
  RowBlock* block;
  int64_t first_ts;
};

/// Chunks in key order. Grows at its end; entries below `count` never change. All but the last have
/// totals, and so have whole groups of them.
struct ChunkList {
  uint32_t capacity = 0;
  std::atomic<uint32_t> count{0};
  std::unique_ptr<ChunkEntry[]> entries;
  TotalsTree totals;
  uint64_t made = 0;  // the epoch in which readers got it
  ChunkList(uint32_t size, Account* account)
      : capacity(size),
        entries(std::make_unique_for_overwrite<ChunkEntry[]>(size)),
        totals(size, account) {}
};

/// The row(s) at the greatest ts at or below the floor.
struct Boundary {
  enum class Kind : uint8_t { kNone, kKnown, kUnknown };
  Kind kind = Kind::kNone;
  RowBlock* block = nullptr;  // kKnown
  RowRun run;
  uint64_t as_of = 0;  // a reader with a smaller cut may see other versions
};

/// What readers load with one pointer. Immutable, but for the growing list and the open chunk, of
/// which a cut shows a fixed part. The newest state owns what it points at; what a newer state
/// drops is retired.
struct SeriesState {
  ChunkList* chunks = nullptr;
  uint32_t first = 0;  // chunks before it were evicted
  RowBlock* overlay = nullptr;
  int64_t floor = INT64_MIN;
  Boundary boundary;
  uint64_t made = 0;  // the epoch in which readers got it
};

/// A compaction pays when the overlay has at least one row for so many chunk rows to rewrite, or
/// when merges into the overlay have copied as many rows: then both together cost at most twice the
/// least.
inline constexpr uint64_t kRewriteFactor = 16;

using SeriesKey = std::array<uint32_t, 1 + column::kMaxSeriesColumns>;

struct Table;

/// Two cache lines that scattering reads and, behind them, what it seldom does.
struct alignas(64) Series {
  // Any thread.
  std::atomic<const SeriesState*> state{nullptr};
  SeriesKey key{};  // symbol, then series columns; unused ones are 0
  Table* table = nullptr;
  /// Keys in [dropped_low, dropped_high] may have been cancelled and forgotten. The writer changes
  /// these and `watch_ts` before the state that made it do so; snapshots read them after a state,
  /// so that they get at least what holds for it.
  std::atomic<int64_t> dropped_low{INT64_MAX};
  std::atomic<int64_t> dropped_high{INT64_MIN};

  // The writer's line: enough to append a row in order.
  alignas(64) RowBlock* open = nullptr;  // the last chunk, if rows may be appended to it
  RowKey last;                           // the greatest key ever appended
  uint64_t max_seq = 0;                  // of all rows since the start, or that were restored
  int64_t floor = INT64_MIN;             // as in `state`
  /// No overlay row ever had, and no dropped cancel hid, a greater ts. Snapshots read it.
  std::atomic<int64_t> watch_ts{INT64_MIN};
  uint32_t last_capacity = 0;
  uint32_t values_capacity = 0;
  bool has_last = false;
  bool compaction_due = false;
  bool has_late = false;

  // The writer's, seldom used.
  std::array<std::byte*, column::kMaxSeriesColumns> values{};  // of series columns, repeated
  std::vector<std::unique_ptr<uint32_t[]>> values_owned;
  RowKey compact_from{INT64_MIN, 0};  // where a compaction in steps goes on
  uint64_t overlay_copied = 0;        // rows, by merges into the overlay since the last compaction
  uint64_t compact_at = 0;            // chunk rows that one would rewrite, when it did not pay
  uint64_t tried_cut = 0;             // with what the last compaction in vain was tried
  uint64_t tried_persisted = 0;

  /// With so many rows in the overlay, a compaction may pay by now.
  [[nodiscard]] bool MayCompact(uint64_t overlay_rows) const {
    return overlay_copied >= compact_at || overlay_rows * kRewriteFactor >= compact_at;
  }
  void Met(uint64_t seq) { max_seq = std::max(max_seq, seq); }
  void Watch(int64_t ts) {
    if (ts > watch_ts.load(std::memory_order_relaxed)) {
      watch_ts.store(ts, std::memory_order_relaxed);
    }
  }
  void MarkDropped(int64_t low, int64_t high) {
    if (low < dropped_low.load(std::memory_order_relaxed)) {
      dropped_low.store(low, std::memory_order_relaxed);
    }
    if (high > dropped_high.load(std::memory_order_relaxed)) {
      dropped_high.store(high, std::memory_order_relaxed);
    }
  }
  /// A version of a key with this ts may have been cancelled and forgotten.
  [[nodiscard]] bool MayBeDropped(int64_t ts) const {
    return ts >= dropped_low.load(std::memory_order_relaxed) &&
           ts <= dropped_high.load(std::memory_order_relaxed);
  }
  [[nodiscard]] const SeriesState& current() const {
    return *state.load(std::memory_order_relaxed);
  }
};

}  // namespace proxist::hot::internal
