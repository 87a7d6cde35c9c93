// Values of rows in memory on their way into columns of an answer.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

#include "proxist/exec/asof.h"
#include "proxist/exec/frame.h"
#include "proxist/query/internal/cold_rows.h"

namespace proxist::query::internal {

/// A column whose values have one width: not of strings.
struct FixedColumn {
  size_t index = 0;  // in the schema
  size_t width = 0;
};

/// Goes over the rows of pieces of memory, some at a time.
class PieceReader {
 public:
  /// `pieces` outlive this.
  explicit PieceReader(std::span<const Piece> pieces) : left_(pieces) {}
  [[nodiscard]] bool done() const { return left_.empty(); }
  /// The next rows, at most `most`, as pieces in `out`; returns how many.
  size_t Take(size_t most, std::vector<Piece>* out);
  /// The first of the rows that Take gives next; there are some.
  [[nodiscard]] Piece Next() const {
    Piece piece = left_.front();
    piece.begin += taken_;
    return piece;
  }

 private:
  std::span<const Piece> left_;
  uint32_t taken_ = 0;  // of the first one
};

/// Symbol, ts and seq, with which answers begin.
inline constexpr size_t kKeyColumns = 3;
/// Appends these of the `rows` rows of the pieces to the first columns.
void AppendKeys(std::span<const Piece> pieces, size_t rows, uint32_t symbol,
                std::span<exec::Column> columns);
/// Appends a column of the `rows` rows of the pieces. No strings.
void AppendValues(std::span<const Piece> pieces, size_t rows, size_t column, exec::Column* out);
/// Asks for `width` bytes of each of the rows [begin, end) of values, for the second-level cache:
/// the first-level one has too few misses on their way at a time to keep up with the memory.
void PrefetchRows(const void* values, size_t width, uint32_t begin, uint32_t end);

/// Where the matches of some left rows lie, as AsofPass::Match tells it.
struct RightRows {
  std::span<const exec::RunMatches> runs;
  std::span<const uint32_t> rows;
  [[nodiscard]] bool all() const {
    return std::ranges::all_of(runs, [](const exec::RunMatches& one) { return one.all; });
  }
};

/// Pieces of memory as a list of runs, whose rows come out in any order.
class PieceRuns {
 public:
  /// Both outlive this.
  PieceRuns(std::span<const Piece> pieces, std::span<const FixedColumn> columns);
  /// Memory of so many pieces and their runs.
  static size_t BytesOf(size_t pieces, size_t columns) {
    return pieces * (sizeof(Piece) + sizeof(exec::TimeRun) + (1 + columns) * sizeof(void*));
  }

  [[nodiscard]] std::span<const exec::TimeRun> times() const { return times_; }
  /// Appends the value of the `index`-th column of each row, null where there is none.
  void AppendValues(const RightRows& rows, size_t index, exec::Column* out) const;
  void AppendTimes(const RightRows& rows, exec::Column* out) const;
  void AppendSeqs(const RightRows& rows, exec::Column* out) const;
  /// Asks for the memory that AppendValues of the rows will read.
  void Prefetch(const RightRows& rows) const;

 private:
  std::span<const Piece> pieces_;
  std::span<const FixedColumn> columns_;
  std::vector<exec::TimeRun> times_;
  std::vector<const std::byte*> starts_;  // of the same
  std::vector<const std::byte*> values_;  // by column, then run: of its first row; null: all null
  std::vector<bool> all_valid_;           // by column: of all runs
};

}  // namespace proxist::query::internal
