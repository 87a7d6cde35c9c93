// A tree of totals over a series' chunks: fan-out 8, only added to, never subtracted from.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "proxist/column/schema.h"
#include "proxist/exec/totals.h"
#include "proxist/hot/row_block.h"
#include "proxist/hot/store.h"

namespace proxist::hot::internal {

struct Account;
struct ChunkEntry;

/// Which columns of a schema version have totals. Columns keep their places between versions.
struct TotalsLayout {
  explicit TotalsLayout(const column::TableSchema& schema);
  std::vector<int> slots;           // by column; -1: not a number
  std::vector<column::Type> types;  // by slot
  std::vector<size_t> columns;      // by slot
  /// The columns of kPriceColumn and kSizeColumn when both are numbers; else equal.
  size_t price = 0;
  size_t size = 0;
  [[nodiscard]] bool weighted() const { return price != size; }
};
using TotalsLayoutPtr = std::shared_ptr<const TotalsLayout>;

/// What the rows of one or more neighbouring chunks come to. Does not change once readers see it.
struct TotalsNode {
  explicit TotalsNode(TotalsLayoutPtr node_layout);
  /// What all rows of `chunk` come to.
  TotalsNode(TotalsLayoutPtr node_layout, const RowBlock& chunk);

  TotalsLayoutPtr layout;
  uint64_t rows = 0;
  int64_t first_ts = 0;
  int64_t last_ts = 0;
  std::optional<exec::PackedWeighted> weighted;  // when the layout has it
  std::vector<exec::PackedTotals> columns;       // by slot

  [[nodiscard]] size_t Bytes() const {
    return sizeof(TotalsNode) + columns.capacity() * sizeof(exec::PackedTotals);
  }
  /// True when it holds what `out` asks for exactly.
  [[nodiscard]] bool Serves(const SpanTotals& out) const;
  void AddTo(SpanTotals* out) const;
};

/// Nodes over 8, 8^2 .. 8^6 chunks of a list, by their place in it: a span takes few of them, and
/// each of these is a cache miss or more. A node is written once, by
/// the writer, before the list's count shows readers that its chunks are sealed; it exists when
/// none of its chunks was evicted by then. Level-1 nodes are shared with the list's successors.
class TotalsTree {
 public:
  static constexpr uint32_t kFanOut = 8;

  /// For a list of at most `chunks` chunks.
  TotalsTree(uint32_t chunks, Account* account);

  /// Writes the nodes that end at chunk `sealed`: chunks before it are full. Those before `first`
  /// were evicted. The writer's.
  void Complete(const ChunkEntry* entries, uint32_t first, uint32_t sealed);
  /// The nodes of all of [first, sealed). Chunks before `same` are those of `before` from
  /// `shift` on, a multiple of kFanOut. The writer's, before readers see the tree.
  void Build(const ChunkEntry* entries, uint32_t first, uint32_t sealed, const TotalsTree* before,
             uint32_t shift, uint32_t same);
  /// The nodes of `before`, whose chunks stand at the same places; made for as many chunks. The
  /// writer's, before readers see the tree.
  void Share(const TotalsTree& before) { levels_ = before.levels_; }
  /// Asks for what says where the levels are.
  void PrefetchLevels() const {
    for (size_t level = 0; level < kLevels; level += 2) __builtin_prefetch(&levels_[level]);
  }
  /// Adds chunks [begin, end), sealed and not evicted; calls `rest(chunk)` for each that has to be
  /// read row by row, in order. Any thread.
  template <typename Rest>
  void Add(const ChunkEntry* entries, uint32_t begin, uint32_t end, SpanTotals* out,
           const Rest& rest) const {
    while (begin < end) {
      const Places places = WidestFrom(&begin, end);
      Prefetch(entries, places);
      for (const Place place : places.all()) AddAt(entries, place, out, rest);
    }
  }

 private:
  static constexpr size_t kLevels = 6;
  using NodePtr = std::shared_ptr<const TotalsNode>;
  using Level = std::vector<NodePtr>;  // never grows

  /// A node of levels_[level - 1], or at level 0 a chunk.
  struct Place {
    uint32_t level;
    uint32_t index;
  };
  struct Places {
    std::array<Place, 32> room;
    size_t size = 0;
    [[nodiscard]] std::span<const Place> all() const { return std::span(room).first(size); }
  };
  /// The widest places that together are [*begin, end), in order, or the first ones if these are
  /// many; `*begin` becomes their end.
  static Places WidestFrom(uint32_t* begin, uint32_t end);
  /// Asks for what AddAt of the places reads: the way to each is a chain of cache misses, and those
  /// of several overlap.
  void Prefetch(const ChunkEntry* entries, const Places& places) const;
  /// nullptr: there is none.
  [[nodiscard]] const TotalsNode* NodeAt(const ChunkEntry* entries, Place place) const;
  template <typename Rest>
  void AddAt(const ChunkEntry* entries, Place place, SpanTotals* out, const Rest& rest) const {
    const TotalsNode* node = NodeAt(entries, place);
    if (node != nullptr && node->Serves(*out)) {
      node->AddTo(out);
    } else if (place.level == 0) {
      rest(place.index);
    } else {
      for (uint32_t i = 0; i < kFanOut; ++i) {
        AddAt(entries, {place.level - 1, place.index * kFanOut + i}, out, rest);
      }
    }
  }
  void Make(const ChunkEntry* entries, size_t level, uint32_t index);

  Account* account_;
  std::array<Level, kLevels> levels_;
};

}  // namespace proxist::hot::internal
