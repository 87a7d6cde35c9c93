// Bars of sums alone, in one sweep over rows of memory where they lie.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <utility>

#include "proxist/exec/bar_sums.h"
#include "proxist/exec/slices.h"
#include "proxist/query/internal/aggregates.h"
#include "proxist/query/internal/cold_rows.h"
#include "proxist/query/internal/swept_sums.h"

namespace proxist::query::internal {

/// Bars of one symbol at a time whose aggregates have SweptSums. One thread;
/// keeps its memory from symbol to symbol.
class SweptBars {
 public:
  /// Nothing when an aggregate is another one, or bars have no length.
  static std::optional<SweptBars> Make(const Side& side, const Aggregates& aggregates,
                                       const exec::BarGrid& grid);

  /// Begins with the rows of these pieces, which are not null in the columns
  /// read. False when their times are not for this.
  bool Begin(std::span<const Piece> pieces);
  /// Takes the next rows. `ahead`: those after them, which are asked of memory
  /// meanwhile, or null.
  void Add(const Piece& piece, const Piece* ahead);
  /// False: nothing may be asked of the bars so far.
  [[nodiscard]] bool Fits() const;
  /// After rows that did not fit: begins again with the first row of a bar,
  /// which is the first one or the one that KeepLast kept. False when that is
  /// of no use.
  bool BeginAgain();
  [[nodiscard]] const exec::BarMarks& marks() const { return marks_; }
  /// Appends the aggregates of bars [first, first + n) to `columns`.
  void Append(size_t first, size_t n, std::span<exec::Column> columns);
  /// Forgets all bars but the last one.
  void KeepLast();

 private:
  SweptBars(SweptSums sums, const exec::BarGrid& grid) : sums_(std::move(sums)), grid_(grid) {}
  [[nodiscard]] int64_t RowsOf(size_t bar) const;

  SweptSums sums_;
  const exec::BarGrid& grid_;
  Timestamp base_;
  exec::BarMarks marks_;
};

}  // namespace proxist::query::internal
