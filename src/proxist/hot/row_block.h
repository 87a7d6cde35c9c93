// Rows in columns as readers see them: the layout of a chunk or overlay and cheap access to it.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "proxist/base/bytes.h"
#include "proxist/base/ids.h"
#include "proxist/column/batch.h"

namespace proxist::hot {

namespace internal {
class BlockCodec;
class Blocks;
class WideBlocks;
struct Account;
struct MappedPart;
struct TextSlab;
struct TotalsNode;
}  // namespace internal

/// Rows in columns. The writer fills rows past rows() and then raises it, so what a reader sees of
/// a block never changes. A chunk has puts only, keys strictly ascending; an overlay holds any op,
/// sorted by (ts, seq, lsn).
class RowBlock {
 public:
  /// Rows filled so far; those of a chunk's end may lie past a reader's cut. Any thread.
  [[nodiscard]] uint32_t rows() const { return rows_.load(std::memory_order_acquire); }
  /// Of a chunk: never given twice in a store, kept over snapshots. 0: an overlay.
  [[nodiscard]] uint64_t id() const { return id_; }
  [[nodiscard]] uint32_t capacity() const { return capacity_; }
  [[nodiscard]] uint32_t column_count() const { return column_count_; }
  [[nodiscard]] const int64_t* ts() const { return ts_; }
  [[nodiscard]] const uint64_t* seq() const { return seq_; }
  [[nodiscard]] uint64_t lsn(uint32_t row) const {
    return lsn_delta_ != nullptr ? lsn_base_ + lsn_delta_[row] : lsn_[row];
  }
  [[nodiscard]] column::Op op(uint32_t row) const {
    return op_ == nullptr ? column::Op::kPut : static_cast<column::Op>(op_[row]);
  }
  /// nullptr when the block is older than the column.
  [[nodiscard]] const std::byte* values(size_t column) const {
    return column < column_count_ ? columns_[column].values : nullptr;
  }
  [[nodiscard]] bool IsValid(size_t column, uint32_t row) const {
    if (column >= column_count_) return false;
    const std::atomic<uint64_t>* nulls = columns_[column].nulls.load(std::memory_order_acquire);
    return nulls == nullptr ||
           ((nulls[row >> 6].load(std::memory_order_relaxed) >> (row & 63)) & 1) == 0;
  }
  [[nodiscard]] bool AllValid(size_t column, uint32_t begin, uint32_t end) const;
  /// The kind of the column's values: that of the schema version that the block was made for. The
  /// block has the column.
  [[nodiscard]] column::TypeKind kind(size_t column) const { return columns_[column].kind; }
  /// The value of a string column that the block has; a null's is empty. Valid as long as the
  /// block.
  [[nodiscard]] ByteSpan text(size_t column, uint32_t row) const {
    if (mapped_ != nullptr) return MappedText(column, row);
    const auto* at = LoadAt<const std::byte*>(columns_[column].values, row);
    return {at + sizeof(uint32_t), LoadAt<uint32_t>(at, 0)};
  }
  /// Its rows are read from a file's mapping, not from memory.
  [[nodiscard]] bool mapped() const { return mapped_ != nullptr; }
  /// What its rows come to: of a chunk that is followed by another; else nullptr, or not to be
  /// asked yet.
  [[nodiscard]] const internal::TotalsNode* totals() const { return totals_; }

 private:
  friend class internal::BlockCodec;
  friend class internal::Blocks;
  friend class internal::WideBlocks;
  /// A set bit is a null; there is no bitmap before the block's first null of the column.
  struct Column {
    std::byte* values = nullptr;
    std::atomic<std::atomic<uint64_t>*> nulls{nullptr};
    bool own = false;  // false: `values` belong to the series
    column::TypeKind kind = column::TypeKind::kInt64;
  };
  [[nodiscard]] ByteSpan MappedText(size_t column, uint32_t row) const;

  // The first cache line: all that appending and looking at a row's key and LSN needs.
  std::atomic<uint32_t> rows_{0};
  uint32_t capacity_ = 0;
  uint32_t column_count_ = 0;
  int64_t* ts_ = nullptr;
  uint64_t* seq_ = nullptr;
  uint32_t* lsn_delta_ = nullptr;  // chunks: the LSN is lsn_base_ + delta
  uint64_t lsn_base_ = 0;
  Column* columns_ = nullptr;
  /// When the youngest row was published, ns. The writer raises it; a snapshot reads it, of a chunk
  /// that still grows perhaps a later one than its cut's.
  std::atomic<int64_t> last_published_{INT64_MIN};

  uint64_t* lsn_ = nullptr;       // overlays
  uint8_t* op_ = nullptr;         // overlays
  int64_t* published_ = nullptr;  // overlays: when each row was published, ns
  internal::TotalsNode* totals_ = nullptr;
  internal::MappedPart* mapped_ = nullptr;  // the arrays and nulls are views into it
  uint64_t id_ = 0;
  // The writer's alone.
  uint64_t made_ = 0;     // in this epoch
  uint64_t max_lsn_ = 0;  // of a chunk's rows, but those that a batch appended
  internal::TextSlab* text_ = nullptr;
  internal::Account* account_ = nullptr;
  size_t own_bytes_ = 0;       // of the block's one allocation
  size_t total_bytes_ = 0;     // with null bitmaps and text
  bool totals_moved_ = false;  // another block owns `totals_`
  bool in_region_ = false;     // its memory is a part of the arena's
};

/// Rows [begin, end) of a block, sorted by (ts, seq), all visible to the reader that got it.
struct RowRun {
  const RowBlock* block = nullptr;
  uint32_t begin = 0;
  uint32_t end = 0;
};

/// Raw access to a block's columns. `column` indexes the schema's columns; a column that the block
/// is older than reads as all null. Addresses are of row 0.
inline const int64_t* TimestampsOf(const RowBlock& block) { return block.ts(); }
inline const uint64_t* SeqsOf(const RowBlock& block) { return block.seq(); }
/// nullptr when the block has no such column. Symbols: uint32 codes of the store's dictionary.
/// Strings are asked for by TextOf. A null's value is zero.
inline const std::byte* ValuesOf(const RowBlock& block, size_t column) {
  return block.values(column);
}
/// The bytes of a string; the block has the column. Empty for a null.
inline ByteSpan TextOf(const RowBlock& block, size_t column, uint32_t row) {
  return block.text(column, row);
}
inline bool IsValid(const RowBlock& block, size_t column, uint32_t row) {
  return block.IsValid(column, row);
}
/// True when every row of [begin, end) has a value.
inline bool AllValid(const RowBlock& block, size_t column, uint32_t begin, uint32_t end) {
  return block.AllValid(column, begin, end);
}
inline Lsn LsnOf(const RowBlock& block, uint32_t row) { return Lsn(block.lsn(row)); }
inline column::Op OpOf(const RowBlock& block, uint32_t row) { return block.op(row); }

inline bool RowBlock::AllValid(size_t column, uint32_t begin, uint32_t end) const {
  if (begin >= end) return true;
  if (column >= column_count_) return false;
  const std::atomic<uint64_t>* nulls = columns_[column].nulls.load(std::memory_order_acquire);
  if (nulls == nullptr) return true;
  const uint32_t last = (end - 1) >> 6;
  for (uint32_t word = begin >> 6; word <= last; ++word) {
    uint64_t bits = nulls[word].load(std::memory_order_relaxed);
    if (word == begin >> 6) bits &= ~uint64_t{0} << (begin & 63);
    if (word == last) bits &= ~uint64_t{0} >> (63 - ((end - 1) & 63));
    if (bits != 0) return false;
  }
  return true;
}

}  // namespace proxist::hot
