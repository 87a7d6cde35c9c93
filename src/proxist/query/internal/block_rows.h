// Rows of memory side by side, a block of them at a time, as kernels take them.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <type_traits>
#include <vector>

#include "proxist/column/schema.h"
#include "proxist/exec/frame.h"
#include "proxist/query/internal/cold_rows.h"
#include "proxist/query/internal/piece_columns.h"

namespace proxist::query::internal {

/// Times and numbers of a block of rows, without nulls. One thread; keeps its memory from symbol to
/// symbol.
class BlockRows {
 public:
  /// `columns` of the schema, each of which Holds.
  BlockRows(const column::TableSchema& schema, std::span<const size_t> columns);
  /// Floats, decimals and those integers that fit 64 signed bits.
  static bool Holds(column::Type type);
  /// True when none of the rows has a null in the columns.
  [[nodiscard]] bool Covers(std::span<const Piece> pieces) const;

  void Clear() { DropFront(rows()); }
  /// Forgets the first `n` rows; the others move to the front.
  void DropFront(size_t n);
  /// Rows of memory that Covers is true of.
  void Append(const Piece& piece);
  /// The same of these rows of the piece's block.
  void Append(const Piece& piece, std::span<const uint32_t> rows);

  /// True when LookAt may be called: all values have 64 bits where they lie.
  [[nodiscard]] bool CanLookAt() const;
  /// The block is these rows of memory, where they lie, until rows are added or dropped: only
  /// reals() and wholes() may be asked. `next`: those that are looked at after them, or null.
  void LookAt(const Piece& piece, const Piece* next);
  /// Where the values lie that will be looked at next, or null.
  [[nodiscard]] const double* reals_ahead(size_t place) const {
    return reinterpret_cast<const double*>(columns_[place].next_at);
  }

  /// Prefetch asks for the rows' seq as well, and for these columns.
  void AlsoReads(std::vector<FixedColumn> columns) {
    seqs_ = true;
    others_ = std::move(columns);
  }
  /// Asks for the memory that Append of the piece will read.
  void Prefetch(const Piece& piece) const;

  [[nodiscard]] size_t rows() const { return ts_.size(); }
  [[nodiscard]] std::span<const int64_t> ts() const { return ts_; }
  /// Where a column of the schema stands in the calls below.
  [[nodiscard]] size_t PlaceOf(size_t column) const;
  [[nodiscard]] bool is_real(size_t place) const { return columns_[place].real; }
  [[nodiscard]] uint8_t scale(size_t place) const;
  /// Values of floats.
  [[nodiscard]] std::span<const double> reals(size_t place) const {
    const Values& of = columns_[place];
    if (looked_at_ == 0) return of.reals;
    return {reinterpret_cast<const double*>(of.lie_at), looked_at_};
  }
  /// Values of integers, and of decimals without their scale.
  [[nodiscard]] std::span<const int64_t> wholes(size_t place) const {
    const Values& of = columns_[place];
    if (looked_at_ == 0) return of.wholes;
    return {reinterpret_cast<const int64_t*>(of.lie_at), looked_at_};
  }
  /// Rows [begin, end) as a column of int64, decimal or float64.
  [[nodiscard]] exec::Column Slice(size_t place, size_t begin, size_t end) const;
  /// Bytes of one row.
  [[nodiscard]] size_t RowBytes() const { return sizeof(int64_t) * (1 + columns_.size()); }

 private:
  struct Values {
    size_t column;
    column::Type type;
    bool real;
    std::vector<double> reals;
    std::vector<int64_t> wholes;
    const std::byte* lie_at = nullptr;   // of rows that are looked at
    const std::byte* next_at = nullptr;  // of those after them

    /// The one that holds a column of T.
    template <typename T>
    [[nodiscard]] auto& list() {
      if constexpr (std::is_floating_point_v<T>) {
        return reals;
      } else {
        return wholes;
      }
    }
  };
  size_t looked_at_ = 0;  // rows; 0: the block is a copy
  bool seqs_ = false;
  std::vector<FixedColumn> others_;
  std::vector<int64_t> ts_;
  std::vector<Values> columns_;
};

}  // namespace proxist::query::internal
