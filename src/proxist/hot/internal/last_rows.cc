// Takes each step for a group of series before the next step of any, and asks for the memory of the
// next one meanwhile: the way to a row is a chain of cache misses, and those of a group overlap.
#include "proxist/hot/internal/last_rows.h"

#include <algorithm>
#include <array>

#include "proxist/hot/internal/reading.h"

namespace proxist::hot::internal {
namespace {

constexpr size_t kGroup = 32;

/// Where the search for one series' row stands. Without a block at its end, reading.h finds the
/// row.
struct Walk {
  size_t symbol = 0;  // of the caller's list
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
  [[nodiscard]] bool full() const { return size_ == kGroup; }
  void Add(size_t symbol, const Series* series) {
    all_[size_++] = {.symbol = symbol, .series = series};
    __builtin_prefetch(&series->state);
  }
  void Clear() { size_ = 0; }

  /// Down to the last chunk of each series, and to the headers of the first ones.
  void Prefetch() {
    constexpr uint32_t kHeaders = 4;
    ToEntries();
    for (Walk& walk : Walks()) {
      if (walk.entries == 0) continue;
      walk.block = walk.entry[walk.entries - 1].block;
      Blocks::TouchHeader(*walk.block);
      for (uint32_t i = 0; i < std::min(kHeaders, walk.entries - 1); ++i) {
        Blocks::TouchHeader(*walk.entry[i].block);
      }
    }
    for (Walk& walk : Walks()) {
      if (walk.block == nullptr) continue;
      const uint32_t rows = walk.block->rows();
      if (rows == 0) continue;
      Blocks::TouchRow(*walk.block, rows - 1);
    }
  }

  /// Joins the rows of the group's series to those of their symbols, in the order of Add.
  void Find(uint64_t cut, int64_t at, LastRow* out) {
    ToEntries();
    SearchEntries(at);
    ToBlocks(at);
    SearchRows(at);
    for (const Walk& walk : Walks()) Join(walk, cut, at, &out[walk.symbol]);
  }

 private:
  void ToEntries() {
    for (Walk& walk : Walks()) {
      walk.state = walk.series->state.load();
      __builtin_prefetch(walk.state);
    }
    for (const Walk& walk : Walks()) {
      if (walk.state->chunks != nullptr) __builtin_prefetch(walk.state->chunks);
      if (walk.state->overlay != nullptr) __builtin_prefetch(walk.state->overlay);
    }
    for (Walk& walk : Walks()) {
      if (walk.state->chunks == nullptr) continue;
      const ChunkList& chunks = *walk.state->chunks;
      walk.entries = chunks.count.load(std::memory_order_acquire) - walk.state->first;
      walk.entry = chunks.entries.get() + walk.state->first;
      if (walk.entries == 0) continue;
      __builtin_prefetch(walk.entry);
      __builtin_prefetch(walk.entry + walk.entries / 2);
      __builtin_prefetch(walk.entry + walk.entries - 1);
    }
  }

  /// Halves what is left of every search until one entry is left of each.
  void SearchEntries(int64_t at) {
    for (Walk& walk : Walks()) {
      if (walk.entries == 0 || walk.entry[walk.entries - 1].first_ts > at) continue;
      walk.entry += walk.entries - 1;
      walk.entries = 1;
    }
    for (bool more = true; more;) {
      more = false;
      for (Walk& walk : Walks()) {
        if (walk.entries <= 1) continue;
        const uint32_t half = walk.entries / 2;
        if (walk.entry[half].first_ts <= at) walk.entry += half;
        walk.entries -= half;
        __builtin_prefetch(walk.entry + walk.entries / 2);
        more = more || walk.entries > 1;
      }
    }
  }

  void ToBlocks(int64_t at) {
    for (Walk& walk : Walks()) {
      if (walk.entries == 0 || walk.entry->first_ts > at) continue;
      walk.block = walk.entry->block;
      __builtin_prefetch(walk.block);
      __builtin_prefetch(reinterpret_cast<const std::byte*>(walk.block) + 64);
    }
    for (Walk& walk : Walks()) {
      if (walk.block == nullptr) continue;
      walk.ts = walk.block->ts();
      walk.rows = walk.block->rows();
      if (walk.rows == 0) {
        walk.block = nullptr;
        continue;
      }
      __builtin_prefetch(walk.ts);
      __builtin_prefetch(walk.ts + walk.rows / 2);
    }
  }

  void SearchRows(int64_t at) {
    for (bool more = true; more;) {
      more = false;
      for (Walk& walk : Walks()) {
        if (walk.block == nullptr || walk.rows <= 1) continue;
        const uint32_t half = walk.rows / 2;
        if (walk.ts[half] <= at) walk.ts += half;
        walk.rows -= half;
        __builtin_prefetch(walk.ts + walk.rows / 2);
        more = more || walk.rows > 1;
      }
    }
    for (const Walk& walk : Walks()) {
      if (walk.block == nullptr) continue;
      __builtin_prefetch(walk.block->seq() + (walk.ts - walk.block->ts()));
    }
  }

  static void Join(const Walk& walk, uint64_t cut, int64_t at, LastRow* last) {
    const SeriesState& state = *walk.state;
    RowRun run;
    if (walk.block != nullptr) {
      const auto row = static_cast<uint32_t>(walk.ts - walk.block->ts());
      run = {walk.block, row, row + 1};
    }
    AddLastRow(state, LastRowFrom(state, run, cut, at), last);
  }

  std::span<Walk> Walks() { return {all_.data(), size_}; }

  std::array<Walk, kGroup> all_;
  size_t size_ = 0;
};

/// nullptr: the symbol has no series.
const SymbolSeries* ListOf(const SymbolIndex& index, uint32_t symbol) {
  return symbol < index.size ? index.lists[symbol].load() : nullptr;
}

/// Calls `take` with a group of series of the symbols, as often as it takes.
template <typename Take>
void ForEachGroup(const SymbolIndex& index, std::span<const uint32_t> symbols, const Take& take) {
  Group group;
  std::array<const SymbolSeries*, kGroup> lists;
  for (size_t begin = 0; begin < symbols.size(); begin += kGroup) {
    const size_t n = std::min(kGroup, symbols.size() - begin);
    for (size_t i = 0; i < n; ++i) {
      lists[i] = ListOf(index, symbols[begin + i]);
      __builtin_prefetch(lists[i]);
    }
    for (size_t i = 0; i < n; ++i) {
      if (lists[i] != nullptr) __builtin_prefetch(lists[i]->data());
    }
    for (size_t i = 0; i < n; ++i) {
      if (lists[i] == nullptr) continue;
      for (const Series* series : *lists[i]) {
        group.Add(begin + i, series);
        if (!group.full()) continue;
        take(group);
        group.Clear();
      }
    }
  }
  take(group);
}

}  // namespace

void LastRowsOf(const SymbolIndex& index, std::span<const uint32_t> symbols, uint64_t cut,
                int64_t at, LastRow* out) {
  std::fill_n(out, symbols.size(), LastRow());
  if (symbols.size() == 1) {
    const SymbolSeries* list = ListOf(index, symbols[0]);
    if (list == nullptr) return;
    if (list->size() == 1) {
      const SeriesState& state = *list->front()->state.load();
      return AddLastRow(state, LastRowOf(state, cut, at), out);
    }
  }
  ForEachGroup(index, symbols, [&](Group& group) { group.Find(cut, at, out); });
}

void PrefetchSymbols(const SymbolIndex& index, std::span<const uint32_t> symbols) {
  if (symbols.size() == 1) {
    // What is read of one series depends on what was read before: nothing overlaps.
    const SymbolSeries* list = ListOf(index, symbols[0]);
    if (list == nullptr || list->size() == 1) return;
  }
  ForEachGroup(index, symbols, [](Group& group) { group.Prefetch(); });
}

}  // namespace proxist::hot::internal
