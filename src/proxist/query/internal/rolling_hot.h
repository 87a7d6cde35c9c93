// Rolling windows of one symbol whose rows all lie in memory, without a frame
// of them.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "proxist/query/internal/block_aggregates.h"
#include "proxist/query/internal/operators.h"
#include "proxist/query/internal/piece_columns.h"
#include "proxist/query/internal/pieces_ahead.h"
#include "proxist/query/internal/swept_windows.h"

namespace proxist::query::internal {

/// Trailing windows without groups. One thread; keeps its memory from symbol to
/// symbol.
class RollingInMemory {
 public:
  /// `window`: by time; none: a row is its own window. `columns` of the schema
  /// come out after symbol, ts and seq; none of them holds strings. `swept`: of
  /// the same aggregates, or none; none with a filter, which selects the rows.
  RollingInMemory(BlockAggregates aggregates, std::optional<SweptSums> swept,
                  std::optional<BlockFilter> filter, std::optional<Duration> window,
                  std::vector<FixedColumn> columns, Output* output)
      : aggregates_(std::move(aggregates)),
        filter_(std::move(filter)),
        window_(window),
        columns_(std::move(columns)),
        output_(output) {
    aggregates_.rows().AlsoReads(columns_);
    if (swept.has_value() && window_.has_value()) swept_.emplace(std::move(*swept));
  }

  /// The symbols that Append may be called with next, in this order.
  void Open(std::span<SymbolScan* const> symbols) { ahead_.Open(symbols); }
  /// Appends the answer for the symbol's rows of `span`; their windows reach
  /// back to `from`. False when history may be needed or there are nulls:
  /// nothing was appended.
  StatusOr<bool> Append(SymbolScan& symbol, Timestamp from, Span span);

 private:
  /// Appends the answer for rows ahead of the reader. As far as they are not
  /// for a sweep, the reader then stands where their windows reach back to, and
  /// `*skip` rows from there on are out.
  Status Sweep(SymbolScan& symbol, Span span, PieceReader* reader, size_t* skip);
  /// The same for all rows but the first `skip`, which windows may hold.
  Status AppendPieces(SymbolScan& symbol, PieceReader reader, size_t skip, Span span);
  /// Sets the windows of the rows from `first` on.
  void SetWindows(std::span<const int64_t> ts, size_t first);
  /// Leaves in `taken_` the rows that come out: not the first `skip`, nor those
  /// before `from`. Returns how many went.
  size_t KeepOutput(size_t skip, Timestamp from);
  Status AppendWhereTheyLie(SymbolScan& symbol, std::span<const Piece> pieces, Span span);
  [[nodiscard]] bool Looks() const {
    return !window_.has_value() && !filter_.has_value() && aggregates_.LooksAtRows();
  }
  void CopyLater(const Piece& piece, const Piece* next, uint32_t symbol,
                 std::span<exec::Column> columns);
  /// The answer of a row of the pieces for each part, whose aggregates
  /// `append(parts, columns)` appends. `next`: the rows that are read after
  /// them.
  template <typename AppendAggregates>
  Status Write(SymbolScan& symbol, std::span<const Piece> pieces, const exec::Parts& all,
               const Piece* next, const AppendAggregates& append);

  BlockAggregates aggregates_;
  std::optional<SweptWindows> swept_;
  std::optional<BlockFilter> filter_;
  const std::optional<Duration> window_;
  const std::vector<FixedColumn> columns_;
  Output* output_;
  std::vector<uint32_t> begin_;  // of the windows of the rows to come out, and their ends
  std::vector<uint32_t> end_;
  std::vector<uint32_t> each_;  // 0, 1, 2, ...
  std::vector<Piece> taken_;
  std::vector<Piece> gone_;
  std::vector<Piece> out_;  // pieces of the rows to come out
  std::vector<exec::WordCopy> copies_;
  PiecesAhead ahead_;
};

}  // namespace proxist::query::internal
