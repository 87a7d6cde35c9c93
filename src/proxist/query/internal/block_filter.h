// The rows of memory that a predicate selects, side by side in a block.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "proxist/exec/frame.h"
#include "proxist/query/internal/block_rows.h"
#include "proxist/query/internal/budget.h"
#include "proxist/query/internal/side.h"

namespace proxist::query::internal {

/// One thread; keeps its memory from symbol to symbol.
class BlockFilter {
 public:
  /// False when the side has a predicate that reads strings, which are not looked at where they
  /// lie.
  static bool Fits(const Side& side);
  /// Of the predicate of a side that Fits, if it has one; the side outlives this.
  static std::optional<BlockFilter> Of(const Side* side);

  /// The rows to come are the symbol's, which outlives these. What follows ends with an error when
  /// the query's time is up, or it may not look at as many rows.
  void Open(SymbolScan* symbol);
  /// Appends the rows of the pieces that the predicate selects.
  Status Append(std::span<const Piece> pieces, BlockRows* out);
  /// Appends them, and leaves them alone in `pieces`, as runs of rows side by side; charges the
  /// most of these that there were since Open.
  Status Append(std::vector<Piece>* pieces, BlockRows* out);
  /// The rows that the predicate selects, as runs of rows side by side, which are charged.
  StatusOr<std::vector<Piece>> Runs(std::span<const Piece> pieces);

 private:
  explicit BlockFilter(const Side* side) : side_(side) {}
  /// Takes the pieces a block of rows at a time; each is in `block_`, and selected from, when
  /// `take()` is called.
  template <typename Take>
  Status ForBlocks(std::span<const Piece> pieces, const Take& take);
  void FillKeys();
  /// Sets `selected_` and `ends_`.
  void Select();
  /// Append what is selected of the block.
  void AppendBlock(BlockRows* out) const;
  void AppendRuns(std::vector<Piece>* out) const;

  const Side* side_;
  SymbolScan* symbol_ = nullptr;
  Budget* budget_ = nullptr;
  std::vector<Piece> block_;
  exec::Frame frame_;               // of the block: what the predicate reads
  std::vector<uint32_t> selected_;  // rows of the pieces' blocks
  std::vector<size_t> ends_;        // by piece: how many are selected up to its end
  std::vector<Piece> runs_;
  size_t charged_runs_ = 0;
};

}  // namespace proxist::query::internal
