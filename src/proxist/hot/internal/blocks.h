// Makes, fills and frees row blocks, and counts their bytes.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "proxist/base/status.h"
#include "proxist/base/touch.h"
#include "proxist/column/batch.h"
#include "proxist/column/dictionary.h"
#include "proxist/column/schema.h"
#include "proxist/env/file_system.h"
#include "proxist/hot/internal/arena.h"
#include "proxist/hot/internal/epochs.h"
#include "proxist/hot/internal/totals.h"
#include "proxist/hot/row_block.h"

namespace proxist::hot::internal {

struct EncodedBlock;
struct EncodedColumn;

/// A chunk file by its mapping and its number.
struct NumberedFile {
  std::shared_ptr<const env::MappedFile> mapping;
  uint64_t number = 0;
};

/// Bytes held, also by blocks that are retired but still pinned. Changed by the writer, read by
/// any thread.
struct Account {
  std::atomic<uint64_t> bytes{0};
  std::atomic<uint64_t> mapped_chunks{0};  // whose rows are in mapped files
  std::atomic<uint64_t> mapped_bytes{0};   // of these rows, in the files
  std::atomic<uint64_t> retired{0};        // of `bytes`: goes when readers are done with it
  Account* total = nullptr;                // also counts these
  void Add(int64_t delta) {
    bytes.fetch_add(static_cast<uint64_t>(delta), std::memory_order_relaxed);
    if (total != nullptr) total->Add(delta);
  }
  void AddRetired(int64_t delta) {
    retired.fetch_add(static_cast<uint64_t>(delta), std::memory_order_relaxed);
    if (total != nullptr) total->AddRetired(delta);
  }
  void AddMapped(int64_t chunks, int64_t file_bytes) {
    mapped_chunks.fetch_add(static_cast<uint64_t>(chunks), std::memory_order_relaxed);
    mapped_bytes.fetch_add(static_cast<uint64_t>(file_bytes), std::memory_order_relaxed);
    if (total != nullptr) total->AddMapped(chunks, file_bytes);
  }
};

/// How a schema version's columns lie in a block.
struct Layout {
  struct Column {
    column::TypeKind kind;
    uint32_t width;  // strings: a pointer
    int series;      // which series column this is, or -1
  };
  std::vector<Column> columns;
  TotalsLayoutPtr totals;
  bool widened = false;  // blocks of earlier versions may have narrower columns
  explicit Layout(const column::TableSchema& schema);
};

/// The layout of a block with the encoded columns, the first of `table`'s, or as narrow as an
/// earlier version had them. DATA_LOSS when the table never had such ones.
StatusOr<Layout> LayoutOf(const EncodedBlock& encoded, const Layout& table);

/// A row by its place.
struct RowRef {
  const RowBlock* block;
  uint32_t row;
};

/// The order within a series.
struct RowKey {
  int64_t ts = 0;
  uint64_t seq = 0;
  auto operator<=>(const RowKey&) const = default;
};

/// A batch being scattered, its dictionary codes turned into the store's as they are met.
class BatchSource {
 public:
  BatchSource(const column::Batch& batch, uint64_t first_lsn, column::Dictionary* dictionary);
  [[nodiscard]] const column::Batch& batch() const { return batch_; }
  [[nodiscard]] int64_t ts(uint32_t row) const { return batch_.ts.At<int64_t>(row); }
  [[nodiscard]] uint64_t seq(uint32_t row) const {
    return assigned_ ? lsn(row) : batch_.seq.At<uint64_t>(row);
  }
  [[nodiscard]] RowKey key(uint32_t row) const { return {ts(row), seq(row)}; }
  [[nodiscard]] uint64_t lsn(uint32_t row) const { return first_lsn_ + row; }
  [[nodiscard]] bool assigned() const { return assigned_; }
  [[nodiscard]] uint64_t first_lsn() const { return first_lsn_; }
  /// The values of a column that are copied as they are; nullptr for one that has nulls, codes or
  /// text, or that the batch's schema does not have.
  [[nodiscard]] const std::byte* Plain(size_t column) const {
    return column < plain_.size() ? plain_[column] : nullptr;
  }
  /// Reads the keys and plain columns of a batch of usual size from end to end: series by series,
  /// they are then read in no order, out of a cache that is near.
  void TouchRows() const;
  /// The store's code of the batch's own code.
  uint32_t SymbolCode(uint32_t code) { return Translate(batch_.symbol, &symbol_codes_, code); }
  uint32_t ColumnCode(size_t column, uint32_t code) {
    return Translate(batch_.columns[column], &column_codes_[column], code);
  }
  /// Learns the codes that the store has of those of the batch's own in `used`.
  void FindSymbolCodes(std::span<const uint32_t> used) {
    dictionary_->FindAll(batch_.symbol.dictionary, used, symbol_codes_);
  }
  void FindColumnCodes(size_t column, std::span<const uint32_t> used) {
    dictionary_->FindAll(batch_.columns[column].dictionary, used, column_codes_[column]);
  }

 private:
  uint32_t Translate(const column::ColumnView& view, std::vector<uint32_t>* codes, uint32_t code);

  const column::Batch& batch_;
  const uint64_t first_lsn_;
  const bool assigned_;
  column::Dictionary* dictionary_;
  std::vector<uint32_t> symbol_codes_;
  std::vector<std::vector<uint32_t>> column_codes_;
  std::vector<const std::byte*> plain_;
};

/// All on the writer's thread.
class Blocks {
 public:
  /// Notes in blocks in which of `epochs` they were made.
  Blocks(const ReadyMemory& ready, bool huge_pages, const Epochs* epochs)
      : epochs_(epochs), arena_(ready, huge_pages) {}

  /// An empty chunk whose series columns point at `series_values` (one array of at least
  /// `capacity` codes each), which outlive it. Its rows' LSNs are base..base + 2^32 - 1.
  RowBlock* NewChunk(const Layout& layout, uint32_t capacity, uint64_t base,
                     std::span<std::byte* const> series_values, Account* account);
  /// An empty overlay that holds all its columns itself.
  RowBlock* NewOverlay(const Layout& layout, uint32_t capacity, Account* account);
  void Free(RowBlock* block);
  /// It is unlinked and counts as retired; then FreeRetired.
  static void Retired(const RowBlock* block) {
    block->account_->AddRetired(static_cast<int64_t>(block->total_bytes_));
  }
  void FreeRetired(RowBlock* block) {
    block->account_->AddRetired(-static_cast<int64_t>(block->total_bytes_));
    Free(block);
  }

  /// A block with what `encoded` holds; a chunk keeps its id. `layout` has the encoded columns,
  /// with their kinds; see NewChunk for the rest.
  RowBlock* Restore(const EncodedBlock& encoded, const Layout& layout,
                    std::span<std::byte* const> series_values, Account* account);
  /// A chunk whose rows stay where `encoded` views them: in `file`'s bytes, checked and aligned
  /// (CanMap). For the rest see Restore.
  RowBlock* Map(const EncodedBlock& encoded, const NumberedFile& file, const Layout& layout,
                std::span<std::byte* const> series_values, Account* account);
  /// Map of the same chunk that `chunk` is, sealed; takes over its totals, which stay readable in
  /// `chunk` as long as the new one lives.
  RowBlock* Remap(const EncodedBlock& encoded, const NumberedFile& file, const Layout& layout,
                  std::span<std::byte* const> series_values, RowBlock* chunk);
  /// The id of the next new chunk; ids below it are never given again.
  [[nodiscard]] uint64_t next_id() const { return next_id_; }
  /// No new chunk gets an id below `id`.
  void RaiseNextId(uint64_t id) { next_id_ = std::max(next_id_, id); }

  /// Fills rows past rows() and publishes the new count. The block has room.
  void Append(RowBlock* block, const Layout& layout, BatchSource* source,
              std::span<const uint32_t> rows, int64_t published);
  void Append(RowBlock* block, const Layout& layout, std::span<const RowRef> rows);
  static void Append(RowBlock* block, const Layout& layout, const RowRun& run);
  /// Append for a chunk with RoomFor them; `rows` ascend and have its next keys.
  static void AppendInOrder(RowBlock* chunk, const Layout& layout, BatchSource* source,
                            std::span<const uint32_t> rows, int64_t published);
  /// Rows that `chunk` has room for without another one: all its columns are the layout's.
  static uint32_t RoomFor(const RowBlock& chunk, const Layout& layout) {
    return chunk.column_count_ == layout.columns.size() && Fits(chunk, layout)
               ? chunk.capacity_ - chunk.rows_.load(std::memory_order_relaxed)
               : 0;
  }
  /// The columns that `block` has are of the layout's kinds.
  static bool Fits(const RowBlock& block, const Layout& layout) {
    if (!layout.widened) return true;
    for (size_t c = 0; c < block.column_count_; ++c) {
      if (block.columns_[c].kind != layout.columns[c].kind) return false;
    }
    return true;
  }

  /// Adds up a chunk that gets no more rows; before the list's count lets readers ask for it.
  static void Seal(RowBlock* chunk, const Layout& layout);

  // The writer's view of a block.
  static uint64_t MaxLsn(const RowBlock& block) {
    // What a batch appends to a chunk has greater LSNs than all before, the last row the greatest.
    const uint32_t rows = block.rows();
    return rows == 0 ? block.max_lsn_ : std::max(block.max_lsn_, block.lsn(rows - 1));
  }
  static uint64_t BaseLsn(const RowBlock& block) { return block.lsn_base_; }
  /// When its youngest row was published, ns.
  static int64_t LastPublished(const RowBlock& block) {
    return block.last_published_.load(std::memory_order_relaxed);
  }
  /// When this row was; of a chunk, when its youngest was.
  static int64_t PublishedAt(const RowBlock& block, uint32_t row) {
    return block.published_ == nullptr ? LastPublished(block) : block.published_[row];
  }
  static size_t BytesOf(const RowBlock& block) { return block.total_bytes_; }
  static uint64_t EpochOf(const RowBlock& block) { return block.made_; }
  /// Of memory that is ready for more chunks. Any thread.
  [[nodiscard]] uint64_t ready_bytes() const { return arena_.ready_bytes(); }
  /// The number of the file that its rows are read from; 0: they are in memory. Any thread.
  static uint64_t FileOf(const RowBlock& block);
  static void PrefetchHeader(const RowBlock& block) { __builtin_prefetch(&block, 1); }
  /// All of a small overlay. Reads the header.
  static void PrefetchRows(const RowBlock& overlay) {
    const auto* memory = reinterpret_cast<const std::byte*>(&overlay);
    const size_t bytes = std::min<size_t>(overlay.own_bytes_, 4096);
    for (size_t at = 0; at < bytes; at += 64) __builtin_prefetch(memory + at);
  }
  /// Touches the header, with the places of the first columns.
  static void TouchHeader(const RowBlock& block) {
    Touch(block.capacity_);
    Touch(block.id_);
    const auto* columns = reinterpret_cast<const RowBlock::Column*>(&block + 1);
    const size_t n = std::min<size_t>(block.column_count_, 4);
    if (n == 0 || block.columns_ != columns) return;
    Touch(columns[0].kind);
    Touch(columns[n - 1].kind);
  }
  /// Touches the key and LSN of a chunk's row. Reads the header.
  static void TouchRow(const RowBlock& chunk, uint32_t row) {
    Touch(chunk.ts_[row]);
    Touch(chunk.lsn(row));
  }
  /// The cache lines that the next `rows` of a chunk go to. Reads the header.
  static void PrefetchTail(const RowBlock& block, const Layout& layout, size_t rows);
  static bool FitsLsn(const RowBlock& block, uint64_t lsn) {
    return lsn - block.lsn_base_ <= UINT32_MAX;
  }

 private:
  RowBlock* New(const Layout& layout, uint32_t capacity, bool overlay,
                std::span<std::byte* const> series_values, Account* account);
  /// Where arrays begin: at cache lines.
  static constexpr size_t AlignedBytes(size_t bytes) { return (bytes + 63) / 64 * 64; }
  /// Of a chunk in memory: the values of its first own column, behind its LSNs. The others follow,
  /// each aligned.
  static std::byte* FirstColumn(const RowBlock& chunk) {
    return reinterpret_cast<std::byte*>(chunk.lsn_delta_) +
           AlignedBytes(chunk.capacity_ * sizeof(uint32_t));
  }
  static void SetLsn(RowBlock* block, uint32_t row, uint64_t lsn);
  static void SetNull(RowBlock* block, size_t column, uint32_t row);
  static void SetText(RowBlock* block, size_t column, uint32_t row, ByteSpan text);
  static void FillColumn(RowBlock* block, size_t column, const Layout::Column& shape, uint32_t at,
                         BatchSource* source, std::span<const uint32_t> rows, bool contiguous);
  /// Copies rows of another block to row `at` and on; publishes nothing.
  static void CopyRun(RowBlock* block, const Layout& layout, uint32_t at, const RowRun& run);
  static void FillColumn(RowBlock* block, size_t column, const Layout::Column& shape, uint32_t at,
                         const RowRun& run);
  static void RestoreColumn(RowBlock* block, size_t column, uint32_t rows,
                            const EncodedColumn& encoded);
  static void RaisePublished(RowBlock* block, int64_t published) {
    if (published <= block->last_published_.load(std::memory_order_relaxed)) return;
    block->last_published_.store(published, std::memory_order_relaxed);
  }
  static void Unmap(RowBlock* block);
  static void Grew(RowBlock* block, size_t bytes);

  const Epochs* epochs_;
  Arena arena_;
  SpareBlocks overlays_;
  uint64_t next_id_ = 1;
};

}  // namespace proxist::hot::internal
