// A tree of totals over a series' chunks: fan-out 8, only added to, never subtracted from.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
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
  /// Adds chunks [begin, end), sealed and not evicted; calls `rest(chunk)` for each that has to be
  /// read row by row, in order. Any thread.
  template <typename Rest>
  void Add(const ChunkEntry* entries, uint32_t begin, uint32_t end, SpanTotals* out,
           const Rest& rest) const {
    Prefetch(entries, begin, end);
    while (begin < end) {
      uint32_t chunks = 1;
      const TotalsNode* node = Greatest(entries, begin, end, *out, &chunks);
      if (node != nullptr) {
        node->AddTo(out);
      } else {
        rest(begin);
      }
      begin += chunks;
    }
  }

 private:
  static constexpr size_t kLevels = 6;
  using NodePtr = std::shared_ptr<const TotalsNode>;
  using Level = std::vector<NodePtr>;  // never grows

  /// Asks for the nodes that Add of the chunks will read at both ends: the way to each is a chain
  /// of cache misses, and those of several overlap.
  void Prefetch(const ChunkEntry* entries, uint32_t begin, uint32_t end) const;
  /// The greatest node that begins at `begin`, ends by `end` and serves `out`; nullptr for a chunk
  /// without one.
  const TotalsNode* Greatest(const ChunkEntry* entries, uint32_t begin, uint32_t end,
                             const SpanTotals& out, uint32_t* chunks) const;
  void Make(const ChunkEntry* entries, size_t level, uint32_t index);

  Account* account_;
  std::array<Level, kLevels> levels_;
};

}  // namespace proxist::hot::internal
