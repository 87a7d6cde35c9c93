// Bars of one symbol whose rows all lie in memory, without a frame of them.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "proxist/exec/slices.h"
#include "proxist/query/internal/block_aggregates.h"
#include "proxist/query/internal/operators.h"
#include "proxist/query/internal/pieces_ahead.h"
#include "proxist/query/internal/swept_bars.h"

namespace proxist::query::internal {

/// Bars without groups and fill. One thread; keeps its memory from symbol to symbol.
class BarsInMemory {
 public:
  /// `with_time`: the start of each bar comes out after its symbol. `totals`: those of whole chunks
  /// may stand for rows. `swept`: of the same aggregates, or none; none with a filter, which
  /// selects the rows. Grid and output outlive this.
  BarsInMemory(BlockAggregates aggregates, std::optional<SweptBars> swept,
               std::optional<BlockFilter> filter, const exec::BarGrid* grid, bool with_time,
               bool totals, Output* output)
      : aggregates_(std::move(aggregates)),
        swept_(std::move(swept)),
        filter_(std::move(filter)),
        grid_(grid),
        cutter_(grid),
        with_time_(with_time),
        totals_(totals),
        output_(output) {}

  /// The symbols that Append may be called with next, in this order.
  void Open(std::span<SymbolScan* const> symbols) { ahead_.Open(symbols); }
  /// Appends the symbol's bars of `span`. False when it is not for this: history may be needed,
  /// there are nulls, or bars are so long that totals are better. Nothing was appended then.
  StatusOr<bool> Append(SymbolScan& symbol, Span span);

 private:
  [[nodiscard]] bool LongBars(const SymbolScan& symbol, Span span) const;
  [[nodiscard]] bool MostlyLong(std::span<const Piece> pieces) const;
  /// Appends bars of the rows ahead of the reader, which then stands behind these: before the end
  /// when the other rows are not for a sweep.
  Status Sweep(SymbolScan& symbol, PieceReader* reader);
  Status AppendPieces(SymbolScan& symbol, PieceReader reader);
  Status Emit(SymbolScan& symbol, size_t bars);
  /// Appends `starts.size()` bars; `fill(at, n, columns)` their aggregates.
  template <typename Fill>
  Status Write(SymbolScan& symbol, std::span<const int64_t> starts, const Fill& fill);

  BlockAggregates aggregates_;
  std::optional<SweptBars> swept_;
  std::optional<BlockFilter> filter_;
  const exec::BarGrid* grid_;
  exec::BarCutter cutter_;
  const bool with_time_;
  const bool totals_;
  Output* output_;
  // Of the bars that begin in the block: the row that each begins with, and when it begins. Closed
  // ones have an end.
  std::vector<uint32_t> first_;
  std::vector<int64_t> start_;
  std::vector<uint32_t> end_;
  std::vector<Piece> taken_;
  PiecesAhead ahead_;
};

}  // namespace proxist::query::internal
