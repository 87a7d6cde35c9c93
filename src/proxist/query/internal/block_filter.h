// The rows of memory that a predicate selects, side by side in a block.
#pragma once

#include <cstdint>
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
  /// False when the predicate reads strings, which are not looked at where they lie.
  static bool Fits(const Side& side);
  /// Of the side's predicate, which Fits; the side outlives this.
  explicit BlockFilter(const Side* side);

  /// The rows to come are the symbol's, which outlives these.
  void Open(SymbolScan* symbol) { symbol_ = symbol; }
  /// Appends the rows of the pieces that the predicate selects.
  void Append(std::span<const Piece> pieces, BlockRows* out);
  /// Appends them, and leaves them alone in `pieces`, as runs of rows side by side.
  void Append(std::vector<Piece>* pieces, BlockRows* out);
  /// The rows that the predicate selects, as runs of rows side by side, which are charged.
  StatusOr<std::vector<Piece>> Runs(std::span<const Piece> pieces, Budget* budget);

 private:
  void FillKeys(std::span<const Piece> pieces);
  /// Sets `selected_` and `ends_`.
  void Select(std::span<const Piece> pieces);
  /// Of the pieces that were looked at last.
  void AppendRuns(std::span<const Piece> pieces, std::vector<Piece>* out) const;

  const Side* side_;
  SymbolScan* symbol_ = nullptr;
  exec::Frame frame_;               // of the pieces: what the predicate reads
  std::vector<uint32_t> selected_;  // rows of the pieces' blocks
  std::vector<size_t> ends_;        // by piece: how many are selected up to its end
  std::vector<Piece> block_;
  std::vector<Piece> runs_;
};

}  // namespace proxist::query::internal
