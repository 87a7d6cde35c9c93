// A table's series and how readers find them by symbol.
#pragma once

#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <vector>

#include <absl/container/inlined_vector.h>

#include "proxist/base/mix.h"
#include "proxist/column/schema.h"
#include "proxist/hot/internal/blocks.h"
#include "proxist/hot/internal/epochs.h"
#include "proxist/hot/internal/series.h"

namespace proxist::hot::internal {

/// Series of one symbol, ordered by their values' text. Immutable. A cache line holds the few that
/// most symbols have.
using SymbolSeries = absl::InlinedVector<const Series*, 7>;

/// SymbolSeries by symbol code. Replaced by a larger one when a code does not fit.
struct SymbolIndex {
  explicit SymbolIndex(size_t codes)
      : size(codes), lists(new std::atomic<const SymbolSeries*>[codes]()) {}
  const size_t size;
  std::unique_ptr<std::atomic<const SymbolSeries*>[]> lists;
};

/// Codes that have a series, in order of arrival. Replaced by a larger one when full.
struct SymbolList {
  explicit SymbolList(uint32_t codes) : capacity(codes), codes(new uint32_t[codes]) {}
  const uint32_t capacity;
  std::atomic<uint32_t> count{0};
  std::unique_ptr<uint32_t[]> codes;
};

/// Series by key: open addressing with the keys in the slots, so that a lookup costs one cache miss
/// that can be prefetched. One thread.
class SeriesIndex {
 public:
  [[nodiscard]] Series* Find(const SeriesKey& key) const;
  void Add(Series* series);
  void Prefetch(const SeriesKey& key) const {
    if (!slots_.empty()) __builtin_prefetch(&slots_[HashOf(key) & (slots_.size() - 1)]);
  }

 private:
  struct alignas(32) Slot {
    SeriesKey key{};
    Series* series = nullptr;
  };
  static size_t HashOf(const SeriesKey& key) {
    static_assert(sizeof(SeriesKey) == 2 * sizeof(uint64_t));
    const auto words = std::bit_cast<std::array<uint64_t, 2>>(key);
    return Mix64(words[0] ^ 0x9e3779b97f4a7c15, words[1] ^ 0xd6e8feb86659fd93);
  }
  void Place(const Slot& slot);
  std::vector<Slot> slots_;  // a power of two, at most half full
  size_t size_ = 0;
};

/// One writer; readers go through the atomics.
struct Table {
  Table(TableId table_id, Account* total);
  ~Table();

  const TableId id;
  std::atomic<const column::SchemaPtr*> schema{nullptr};
  std::atomic<const SymbolIndex*> by_symbol;
  std::atomic<const SymbolList*> symbols;
  Account account;
  std::atomic<uint64_t> rows{0};
  std::atomic<uint64_t> series_count{0};
  std::atomic<uint64_t> overlay_rows{0};
  std::atomic<int64_t> max_ts{INT64_MIN};
  /// Blocks may have columns of other kinds than the newest schema: readers look at each.
  std::atomic<bool> narrower{false};

  // The writer's alone.
  std::vector<std::unique_ptr<const column::SchemaPtr>> schemas;  // all versions ever taken
  std::unique_ptr<Layout> layout;                                 // of the newest
  SeriesIndex by_key;
  std::vector<std::unique_ptr<Series>> owned;
  std::vector<Series*> all;  // in order of arrival

  [[nodiscard]] const column::TableSchema& current() const {
    return **schema.load(std::memory_order_relaxed);
  }
  void SetSchema(const column::SchemaPtr& next);
  /// A block that is narrower than the newest schema was brought back.
  void MayBeNarrower();
  [[nodiscard]] Series* Find(const SeriesKey& key) const { return by_key.Find(key); }
  /// Adds a series, empty, with this floor, and shows it to readers.
  Series* Add(const SeriesKey& key, int64_t floor, const column::Dictionary& dictionary,
              Epochs* epochs);
  /// Replaces a series' state and retires what the new one does not hold any more, chunks excepted.
  void Swap(Series* series, const SeriesState& next, Epochs* epochs, Blocks* blocks);
  /// Arrays of at least `rows` repeated codes for the series columns' values.
  std::span<std::byte* const> SeriesValues(Series* series, uint32_t rows);

 private:
  void Index(Series* series, const column::Dictionary& dictionary, Epochs* epochs);
};

void RetireBlock(RowBlock* block, Epochs* epochs, Blocks* blocks);

}  // namespace proxist::hot::internal
