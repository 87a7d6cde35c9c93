// Trailing windows of sums alone, from rows where they lie.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "proxist/exec/part_sums.h"
#include "proxist/query/internal/swept_sums.h"

namespace proxist::query::internal {

/// Windows of one symbol at a time whose aggregates have SweptSums: of its rows
/// the times are copied, and sums of all before them are noted. One thread;
/// keeps its memory from symbol to symbol.
class SweptWindows {
 public:
  explicit SweptWindows(SweptSums sums) : sums_(std::move(sums)) {}

  /// Begins with the rows of another symbol.
  void Restart();
  /// After rows that did not fit: begins again with the first of them. False
  /// when that is of no use.
  bool BeginAgain();
  /// Takes the next rows, which are not null in the columns read. `ahead`:
  /// those after them, which are asked of memory meanwhile, or null.
  void Add(const Piece& piece, const Piece* ahead);
  /// False: nothing may be asked of windows of which the longest has so many
  /// rows.
  [[nodiscard]] bool Fits(size_t longest) const;
  /// Bytes that are noted of each row.
  [[nodiscard]] size_t RowBytes() const { return sizeof(int64_t) * (1 + 3 * sums_.size()); }
  /// Of the rows so far.
  [[nodiscard]] std::span<const int64_t> ts() const { return ts_; }
  /// Appends the aggregates of each window, which has rows, to `columns`.
  void Append(const exec::Parts& windows, std::span<exec::Column> columns);
  /// Forgets the first `n` rows.
  void DropFront(size_t n);

 private:
  SweptSums sums_;
  std::vector<int64_t> ts_;
};

}  // namespace proxist::query::internal
