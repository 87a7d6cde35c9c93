// Takes each step for a group of symbols before the next step of any, and asks for the memory of
// the next one meanwhile: the way to a row is a chain of cache misses, and those of a group
// overlap.
#include "proxist/hot/internal/last_rows.h"

#include <algorithm>
#include <array>

#include "proxist/hot/internal/reading.h"

namespace proxist::hot::internal {
namespace {

constexpr size_t kGroup = 32;

/// The last row of some series, which are in the order in which rows of one (ts, seq) stand.
LastRow LastOf(const SymbolSeries& list, uint64_t cut, int64_t at) {
  LastRow last;
  for (const Series* series : list) {
    const SeriesState& state = *series->state.load();
    const RowRun run = LastRowOf(state, cut, at);
    last.floor = std::max(last.floor, Timestamp(state.floor));
    if (run.block == nullptr) {
      if (state.floor != INT64_MIN) last.known = false;
    } else if (last.run.block == nullptr ||
               KeyOf(*run.block, run.begin) >= KeyOf(*last.run.block, last.run.begin)) {
      last.run = run;
    }
  }
  return last;
}

/// Where the search for one symbol's row stands. It ends without a state when the symbol has
/// several series, versions outside of its chunks, or rows that the cut does not show: LastOf finds
/// its row.
struct Walk {
  const SymbolSeries* list = nullptr;
  const Series* series = nullptr;
  const SeriesState* state = nullptr;
  const ChunkEntry* entry = nullptr;  // the last one known to start at or before the moment
  uint32_t entries = 0;               // from there on may
  const RowBlock* block = nullptr;
  const int64_t* ts = nullptr;  // as `entry`
  uint32_t rows = 0;
};

class Group {
 public:
  Group(const SymbolIndex& index, std::span<const uint32_t> symbols, int64_t at)
      : walks_(symbols.size()), at_(at) {
    for (size_t i = 0; i < symbols.size(); ++i) {
      if (symbols[i] < index.size) all_[i].list = index.lists[symbols[i]].load();
      __builtin_prefetch(all_[i].list);
    }
  }

  void Find(uint64_t cut, LastRow* out) {
    ToStates();
    ToEntries();
    SearchEntries();
    ToBlocks();
    SearchRows();
    for (size_t i = 0; i < walks_; ++i) {
      const Walk& walk = all_[i];
      if (walk.list == nullptr) {
        out[i] = {};
      } else if (!Ends(walk, cut, &out[i])) {
        out[i] = LastOf(*walk.list, cut, at_);
      }
    }
  }

 private:
  /// True when the walk came to a row that the cut shows and no floor hides.
  static bool Ends(const Walk& walk, uint64_t cut, LastRow* out) {
    if (walk.block == nullptr || *walk.ts <= walk.state->floor) return false;
    const auto row = static_cast<uint32_t>(walk.ts - walk.block->ts());
    if (walk.block->lsn(row) > cut) return false;
    *out = {true, {walk.block, row, row + 1}, Timestamp(walk.state->floor)};
    return true;
  }

  void ToStates() {
    for (Walk& walk : Walks()) {
      if (walk.list != nullptr && walk.list->size() == 1) __builtin_prefetch(walk.list->data());
    }
    for (Walk& walk : Walks()) {
      if (walk.list == nullptr || walk.list->size() != 1) continue;
      walk.series = walk.list->front();
      __builtin_prefetch(&walk.series->state);
    }
    for (Walk& walk : Walks()) {
      if (walk.series == nullptr) continue;
      walk.state = walk.series->state.load();
      __builtin_prefetch(walk.state);
    }
  }

  void ToEntries() {
    for (Walk& walk : Walks()) {
      if (walk.state == nullptr) continue;
      const SeriesState& state = *walk.state;
      if (state.overlay != nullptr || state.chunks == nullptr) {
        walk.state = nullptr;
      } else {
        __builtin_prefetch(state.chunks);
      }
    }
    for (Walk& walk : Walks()) {
      if (walk.state == nullptr) continue;
      const ChunkList& chunks = *walk.state->chunks;
      walk.entries = chunks.count.load(std::memory_order_acquire) - walk.state->first;
      walk.entry = chunks.entries.get() + walk.state->first;
      __builtin_prefetch(walk.entry);
      __builtin_prefetch(walk.entry + walk.entries / 2);
    }
  }

  /// Halves what is left of every search until one entry is left of each.
  void SearchEntries() {
    for (bool more = true; more;) {
      more = false;
      for (Walk& walk : Walks()) {
        if (walk.state == nullptr || walk.entries <= 1) continue;
        const uint32_t half = walk.entries / 2;
        if (walk.entry[half].first_ts <= at_) walk.entry += half;
        walk.entries -= half;
        __builtin_prefetch(walk.entry + walk.entries / 2);
        more = more || walk.entries > 1;
      }
    }
  }

  void ToBlocks() {
    for (Walk& walk : Walks()) {
      if (walk.state == nullptr || walk.entries == 0 || walk.entry->first_ts > at_) continue;
      walk.block = walk.entry->block;
      __builtin_prefetch(walk.block);
      __builtin_prefetch(reinterpret_cast<const std::byte*>(walk.block) + 64);
    }
    for (Walk& walk : Walks()) {
      if (walk.block == nullptr) continue;
      walk.ts = walk.block->ts();
      walk.rows = walk.block->rows();
      __builtin_prefetch(walk.ts);
      __builtin_prefetch(walk.ts + walk.rows / 2);
    }
  }

  void SearchRows() {
    for (bool more = true; more;) {
      more = false;
      for (Walk& walk : Walks()) {
        if (walk.block == nullptr || walk.rows <= 1) continue;
        const uint32_t half = walk.rows / 2;
        if (walk.ts[half] <= at_) walk.ts += half;
        walk.rows -= half;
        __builtin_prefetch(walk.ts + walk.rows / 2);
        more = more || walk.rows > 1;
      }
    }
  }

  std::span<Walk> Walks() { return {all_.data(), walks_}; }

  std::array<Walk, kGroup> all_;
  const size_t walks_;
  const int64_t at_;
};

}  // namespace

void LastRowsOf(const SymbolIndex& index, std::span<const uint32_t> symbols, uint64_t cut,
                int64_t at, LastRow* out) {
  if (symbols.size() == 1) {
    const SymbolSeries* list = symbols[0] < index.size ? index.lists[symbols[0]].load() : nullptr;
    *out = list == nullptr ? LastRow() : LastOf(*list, cut, at);
    return;
  }
  for (size_t begin = 0; begin < symbols.size(); begin += kGroup) {
    const size_t n = std::min(kGroup, symbols.size() - begin);
    Group(index, symbols.subspan(begin, n), at).Find(cut, out + begin);
  }
}

}  // namespace proxist::hot::internal
