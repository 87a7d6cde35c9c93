// Values of rows in memory on their way into columns of an answer.
#pragma once

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

/// Pieces of memory as a list of runs, whose rows come out in any order.
class PieceRuns {
 public:
  /// Both outlive this.
  PieceRuns(std::span<const Piece> pieces, std::span<const FixedColumn> columns);
  /// Memory of so many pieces and their runs.
  static size_t BytesOf(size_t pieces, size_t columns) {
    return pieces * (sizeof(Piece) + sizeof(exec::TimeRun) + columns * sizeof(void*));
  }

  [[nodiscard]] std::span<const exec::TimeRun> times() const { return times_; }
  /// Appends the value of the `index`-th column of each row, null where there is none.
  void AppendValues(std::span<const exec::RunRow> rows, size_t index, exec::Column* out) const;
  void AppendTimes(std::span<const exec::RunRow> rows, exec::Column* out) const;
  void AppendSeqs(std::span<const exec::RunRow> rows, exec::Column* out) const;
  /// Asks for the memory that AppendValues of the rows will read.
  void Prefetch(std::span<const exec::RunRow> rows) const;

 private:
  std::span<const Piece> pieces_;
  std::span<const FixedColumn> columns_;
  std::vector<exec::TimeRun> times_;
  std::vector<const std::byte*> values_;  // by column, then run: of its first row; null: all null
  std::vector<bool> all_valid_;           // by column: of all runs
};

}  // namespace proxist::query::internal
