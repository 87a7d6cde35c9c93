// Bars of sums alone, in one sweep over rows of memory where they lie.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "proxist/exec/bar_sums.h"
#include "proxist/exec/slices.h"
#include "proxist/query/internal/aggregates.h"
#include "proxist/query/internal/cold_rows.h"

namespace proxist::query::internal {

/// Bars of one symbol at a time whose aggregates are `count`, and `sum`, `mean` and `vwap` of
/// float64, weighted by int64. One thread; keeps its memory from symbol to symbol.
class SweptBars {
 public:
  /// Nothing when an aggregate is another one, or bars have no length.
  static std::optional<SweptBars> Make(const Side& side, const Aggregates& aggregates,
                                       const exec::BarGrid& grid);

  /// Begins with the rows of these pieces, which are not null in the columns read. False when
  /// their times are not for this.
  bool Begin(std::span<const Piece> pieces);
  /// Takes the next rows. `ahead`: those after them, which are asked of memory meanwhile, or null.
  void Add(const Piece& piece, const Piece* ahead);
  /// False: nothing may be asked of the bars so far.
  [[nodiscard]] bool Fits() const;
  /// After rows that did not fit: begins again with the first row of a bar, which is the first one
  /// or the one that KeepLast kept. False when that is of no use.
  bool BeginAgain();
  [[nodiscard]] const exec::BarMarks& marks() const { return marks_; }
  /// Appends the aggregates of bars [first, first + n) to `columns`.
  void Append(size_t first, size_t n, std::span<exec::Column> columns);
  /// Forgets all bars but the last one.
  void KeepLast();

 private:
  struct Item {
    AggregateKind kind;
    size_t sums = 0;  // in sums_; nothing of counts
  };
  struct Sums {
    size_t value;                // of the schema's columns
    std::optional<size_t> size;  // the same
    exec::BarSums of;
  };
  explicit SweptBars(const exec::BarGrid& grid) : grid_(grid) {}
  void AskFor(const Piece& piece, size_t n) const;
  size_t SumsOf(size_t value, std::optional<size_t> size);
  [[nodiscard]] int64_t RowsOf(size_t bar) const;

  const exec::BarGrid& grid_;
  std::vector<Item> items_;
  std::vector<Sums> sums_;
  Timestamp base_;
  exec::BarMarks marks_;
};

}  // namespace proxist::query::internal
