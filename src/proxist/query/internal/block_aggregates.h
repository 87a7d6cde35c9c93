// Plain aggregates of parts of a block of rows: bars and windows of rows that lie side by side.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "proxist/exec/moving_average.h"
#include "proxist/exec/part_sums.h"
#include "proxist/query/internal/aggregates.h"
#include "proxist/query/internal/block_filter.h"
#include "proxist/query/internal/block_rows.h"
#include "proxist/query/internal/budget.h"
#include "proxist/query/internal/piece_columns.h"

namespace proxist::query::internal {

/// The same answers as Aggregates gives. One thread; keeps its memory from block to block.
class BlockAggregates {
 public:
  /// Nothing when an aggregate is of another kind or of columns that blocks do not hold. Outlived
  /// by `aggregates`. `overlapping`: parts are windows, whose extremes have no kernel.
  static std::optional<BlockAggregates> Make(const Side& side, const Aggregates& aggregates,
                                             bool overlapping);

  /// The block that is asked about, empty at first.
  [[nodiscard]] BlockRows& rows() { return rows_; }
  [[nodiscard]] const BlockRows& rows() const { return rows_; }
  /// Forgets the block and moving averages: the next rows are another symbol's.
  void Restart();
  /// Adds the next rows of memory to the block, and says which in `taken`: more of them the more
  /// the block kept, since that is looked at again. Charges what the block grows by.
  Status Load(PieceReader* reader, Budget* budget, std::vector<Piece>* taken);
  /// The same of the rows that the filter selects; `taken`, if they are wanted, are these.
  Status Load(PieceReader* reader, Budget* budget, BlockFilter* filter,
              std::vector<Piece>* taken = nullptr);
  /// True when LookAt may take the place of Load and Prepare, for parts of one row.
  [[nodiscard]] bool LooksAtRows() const;
  /// The block is the piece's rows where they lie, which outlive the questions. `next`: the rows
  /// that are looked at after these, which are asked of memory meanwhile, or null.
  void LookAt(const Piece& piece, const Piece* next);
  /// Takes the block as it stands, for parts of at most `longest` rows.
  void Prepare(size_t longest);
  /// Appends the aggregates of each part, which has rows, to `columns`. Moving averages take the
  /// last row of each part as the next one. OUT_OF_RANGE when a sum does not fit. `copies` are made
  /// meanwhile, of as many values as there are parts; each part then ends with the row after that
  /// with which the one before it ends.
  Status Append(const exec::Parts& parts, std::span<exec::Column> columns,
                std::span<const exec::WordCopy> copies = {});
  /// Bytes that Prepare takes for each row of a block, and the block itself.
  [[nodiscard]] size_t RowBytes() const;

 private:
  Status ChargeGrowth(Budget* budget);
  /// Prefix sums of a column, or of the products of two.
  struct Sums {
    size_t value;                // a place in rows_
    std::optional<size_t> size;  // the same
    bool real;
    exec::RealPrefix reals;
    exec::WholePrefix wholes;
    bool fits = true;  // of wholes
    std::vector<double> room;
  };
  struct Item {
    PlainAggregate of;
    size_t value = 0;  // a place in rows_
    size_t size = 0;
    std::optional<size_t> sums;     // in sums_
    std::optional<size_t> weights;  // the same
    std::optional<double> average;  // of moving averages
  };
  BlockAggregates(BlockRows rows, std::vector<Item> items) noexcept
      : rows_(std::move(rows)), items_(std::move(items)) {}
  [[nodiscard]] static bool Supports(AggregateKind kind, column::Type type);
  size_t SumsOf(size_t value, std::optional<size_t> size);
  void PrepareSums(size_t longest, Sums* sums);
  /// Values of the place as float64, in `room` unless they are that already.
  std::span<const double> RealsOf(size_t place, std::vector<double>* room) const;
  /// A moving average of rows in a row, which leaves time for the copies.
  [[nodiscard]] bool LeavesTime(const Item& item) const;
  Status AppendItem(const exec::Parts& parts, Item* item, exec::Column* out);
  Status AppendSums(const exec::Parts& parts, const Item& item, exec::Column* out);
  void AppendVwap(const exec::Parts& parts, const Item& item, exec::Column* out);
  void AppendEnds(const exec::Parts& parts, const Item& item, exec::Column* out) const;
  void AppendExtremes(const exec::Parts& parts, const Item& item, exec::Column* out) const;
  void AppendAverage(const exec::Parts& parts, Item* item, exec::Column* out) const;
  /// For sums that may not fit 63 bits: by the kernels that take any.
  Status AppendSlowly(const exec::Parts& parts, const Item& item, exec::Column* out) const;

  BlockRows rows_;
  std::vector<Item> items_;
  std::vector<Sums> sums_;
  std::vector<double> room_;
  std::vector<Piece> filtered_;
  size_t charged_rows_ = 0;  // since Restart
};

}  // namespace proxist::query::internal
