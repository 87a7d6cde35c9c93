// ClickHouse's Native format, read: FORMAT.md has the bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "proxist/base/bytes.h"
#include "proxist/base/status.h"
#include "proxist/column/batch.h"
#include "proxist/column/dictionary.h"
#include "proxist/history/internal/sql.h"

namespace proxist::history {

/// A column gathered from blocks. Symbols of all blocks share one dictionary.
struct NativeColumn {
  HistoryColumn expected;
  std::vector<std::byte> values;                   // as in column::ColumnView
  std::vector<std::byte> validity;                 // nullable columns only
  std::vector<std::byte> text;                     // strings only
  std::unique_ptr<column::Dictionary> dictionary;  // symbols only

  /// A view that is valid as long as this column stays where it is.
  [[nodiscard]] column::ColumnView View() const;
};

/// Gathers the blocks of one answer into columns, as its bytes arrive. Believes no count, size or
/// index of the bytes: what does not fit is DATA_LOSS with the offset. One thread.
class NativeReader {
 public:
  explicit NativeReader(std::vector<HistoryColumn> expected);

  /// The next bytes of the answer, however it is cut. At most about one column of a block is held
  /// back. Blocks whose columns are not the expected ones are FAILED_PRECONDITION; more than
  /// `max_rows` in all are RESOURCE_EXHAUSTED. After an error the columns are of no use.
  Status Push(ByteSpan piece, size_t max_rows);
  /// After the last piece: DATA_LOSS when a block is not whole.
  Status Finish(size_t max_rows);
  /// Appends every block of `body`: Push and Finish.
  Status Append(ByteSpan body, size_t max_rows);

  [[nodiscard]] size_t rows() const { return rows_; }
  [[nodiscard]] std::vector<NativeColumn>& columns() { return columns_; }

 private:
  /// Decodes columns as far as `bytes` have them whole; returns how many bytes these took.
  StatusOr<size_t> Decode(ByteSpan bytes, size_t max_rows);

  std::vector<NativeColumn> columns_;
  size_t rows_ = 0;
  size_t next_column_;     // of the block that is read; columns_.size(): a block begins
  size_t block_rows_ = 0;  // of that block
  std::vector<std::byte> pending_;
  size_t wanted_ = 0;     // bytes of pending_ before another try is worth it
  uint64_t decoded_ = 0;  // bytes
};

}  // namespace proxist::history
