// Rolling windows of one symbol whose rows all lie in memory, without a frame of them.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "proxist/query/internal/block_aggregates.h"
#include "proxist/query/internal/operators.h"
#include "proxist/query/internal/piece_columns.h"
#include "proxist/query/internal/pieces_ahead.h"

namespace proxist::query::internal {

/// Trailing windows without groups, of a plan without a predicate. One thread; keeps its memory
/// from symbol to symbol.
class RollingInMemory {
 public:
  /// `window`: by time; none: a row is its own window. `columns` of the schema come out after
  /// symbol, ts and seq; none of them holds strings.
  RollingInMemory(BlockAggregates aggregates, std::optional<Duration> window,
                  std::vector<FixedColumn> columns, Output* output)
      : aggregates_(std::move(aggregates)),
        window_(window),
        columns_(std::move(columns)),
        output_(output) {
    aggregates_.rows().AlsoReads(columns_);
  }

  /// The symbols that Append may be called with next, in this order.
  void Open(std::span<SymbolScan* const> symbols) { ahead_.Open(symbols); }
  /// Appends the answer for the symbol's rows of `span`; their windows reach back to `from`. False
  /// when history may be needed or there are nulls: nothing was appended.
  StatusOr<bool> Append(SymbolScan& symbol, Timestamp from, Span span);

 private:
  Status AppendPieces(SymbolScan& symbol, std::span<const Piece> pieces, Span span);
  Status AppendWhereTheyLie(SymbolScan& symbol, std::span<const Piece> pieces, Span span);
  Status Emit(SymbolScan& symbol);
  [[nodiscard]] bool Looks() const { return !window_.has_value() && aggregates_.LooksAtRows(); }
  void CopyLater(const Piece& piece, const Piece* next, uint32_t symbol,
                 std::span<exec::Column> columns);
  /// The answer of a row of the pieces for each part. `next`: the rows that are read after them.
  Status Write(SymbolScan& symbol, std::span<const Piece> pieces, const exec::Parts& all,
               const Piece* next);

  BlockAggregates aggregates_;
  const std::optional<Duration> window_;
  const std::vector<FixedColumn> columns_;
  Output* output_;
  std::vector<uint32_t> begin_;  // of the windows of the rows to come out, and their ends
  std::vector<uint32_t> end_;
  std::vector<uint32_t> each_;  // 0, 1, 2, ...
  std::vector<Piece> taken_;
  std::vector<Piece> out_;  // pieces of the rows to come out
  std::vector<exec::WordCopy> copies_;
  PiecesAhead ahead_;
};

}  // namespace proxist::query::internal
