// Chunks whose rows are views into a mapped file.
#include <algorithm>
#include <new>
#include <utility>

#include "proxist/base/check.h"
#include "proxist/column/widen.h"
#include "proxist/hot/internal/block_codec.h"
#include "proxist/hot/internal/mapped.h"

namespace proxist::hot {

ByteSpan RowBlock::MappedText(size_t column, uint32_t row) const {
  return mapped_->strings[column].At(row);
}

namespace internal {
namespace {

template <typename T>
T* ViewOf(ByteSpan bytes) {
  PX_CHECK(reinterpret_cast<uintptr_t>(bytes.data()) % alignof(T) == 0);
  return reinterpret_cast<T*>(const_cast<std::byte*>(bytes.data()));
}

}  // namespace

MappedStrings::MappedStrings(ByteSpan lengths, ByteSpan text, uint32_t rows)
    : lengths_(lengths), text_(text) {
  starts_.reserve((rows + kStride - 1) / kStride);
  uint64_t start = 0;
  for (uint32_t row = 0; row < rows; ++row) {
    if (row % kStride == 0) starts_.push_back(start);
    start += LoadAt<uint32_t>(lengths.data(), row);
  }
}

ByteSpan MappedStrings::At(uint32_t row) const {
  uint64_t start = starts_[row / kStride];
  for (uint32_t before = row / kStride * kStride; before < row; ++before) {
    start += LoadAt<uint32_t>(lengths_.data(), before);
  }
  return text_.subspan(start, LoadAt<uint32_t>(lengths_.data(), row));
}

StatusOr<Layout> LayoutOf(const EncodedBlock& encoded, const Layout& table) {
  Layout layout = table;
  if (encoded.columns.size() > layout.columns.size()) {
    return DataLoss("a block has {} columns, its table {}", encoded.columns.size(),
                    layout.columns.size());
  }
  layout.columns.resize(encoded.columns.size());
  const bool chunk = encoded.kind == BlockKind::kChunk;
  for (size_t c = 0; c < layout.columns.size(); ++c) {
    const bool own = !chunk || layout.columns[c].series < 0;
    const column::TypeKind kind = encoded.columns[c].kind;
    if (!column::MayBeStoredAs(kind, layout.columns[c].kind) || encoded.columns[c].own != own) {
      return DataLoss("column {} of a block is not as its table has it", c);
    }
    if (kind == layout.columns[c].kind) continue;
    layout.columns[c].kind = kind;
    layout.columns[c].width = static_cast<uint32_t>(column::WidthOf(kind));
    layout.widened = true;
  }
  return layout;
}

RowBlock* Blocks::Map(const EncodedBlock& encoded, const NumberedFile& file, const Layout& layout,
                      std::span<std::byte* const> series_values, Account* account) {
  PX_CHECK(encoded.kind == BlockKind::kChunk && encoded.columns.size() == layout.columns.size());
  // The file's bitmaps of nulls are read as if they were atomic, and never written.
  static_assert(sizeof(std::atomic<uint64_t>) == sizeof(uint64_t) &&
                std::atomic<uint64_t>::is_always_lock_free);
  const size_t n = encoded.columns.size();
  const size_t bytes = sizeof(RowBlock) + n * sizeof(RowBlock::Column);
  auto* memory = static_cast<std::byte*>(AllocatePlain(bytes));
  auto* block = new (memory) RowBlock;
  auto* part = new MappedPart{file, 0, {}};
  block->made_ = epochs_->current();
  block->capacity_ = encoded.capacity;
  block->column_count_ = static_cast<uint32_t>(n);
  block->ts_ = ViewOf<int64_t>(encoded.ts);
  block->seq_ = ViewOf<uint64_t>(encoded.seq);
  block->lsn_delta_ = ViewOf<uint32_t>(encoded.lsn);
  block->lsn_base_ = encoded.lsn_base;
  block->columns_ = reinterpret_cast<RowBlock::Column*>(memory + sizeof(RowBlock));
  size_t heap = sizeof(MappedPart);
  part->bytes = encoded.bytes;
  for (size_t c = 0; c < n; ++c) {
    const EncodedColumn& from = encoded.columns[c];
    auto* column = new (&block->columns_[c]) RowBlock::Column;
    column->own = from.own;
    column->kind = from.kind;
    const int series = layout.columns[c].series;
    column->values =
        from.own ? ViewOf<std::byte>(from.values) : series_values[static_cast<size_t>(series)];
    if (!from.nulls.empty()) {
      column->nulls.store(ViewOf<std::atomic<uint64_t>>(from.nulls), std::memory_order_relaxed);
    }
    if (from.own && from.kind == column::TypeKind::kString) {
      part->strings.resize(c + 1);
      part->strings[c] = MappedStrings(from.values, from.text, encoded.rows);
      heap += part->strings[c].HeapBytes();
    }
  }
  heap += part->strings.capacity() * sizeof(MappedStrings);
  block->mapped_ = part;
  block->id_ = encoded.id;
  RaiseNextId(encoded.id + 1);
  for (uint32_t row = 0; row < encoded.rows; ++row) {
    block->max_lsn_ = std::max(block->max_lsn_, encoded.lsn_at(row));
  }
  RaisePublished(block, encoded.last_published);
  block->account_ = account;
  block->own_bytes_ = bytes;
  Grew(block, bytes + heap);
  account->AddMapped(1, static_cast<int64_t>(part->bytes));
  block->rows_.store(encoded.rows, std::memory_order_release);
  return block;
}

RowBlock* Blocks::Remap(const EncodedBlock& encoded, const NumberedFile& file, const Layout& layout,
                        std::span<std::byte* const> series_values, RowBlock* chunk) {
  PX_CHECK(chunk->totals_ != nullptr && !chunk->totals_moved_ && chunk->id_ == encoded.id &&
           chunk->rows() == encoded.rows);
  RowBlock* block = Map(encoded, file, layout, series_values, chunk->account_);
  block->made_ = chunk->made_;  // its totals may be read by who has `chunk` alone
  block->totals_ = chunk->totals_;
  chunk->totals_moved_ = true;
  Grew(block, block->totals_->Bytes());
  return block;
}

uint64_t Blocks::FileOf(const RowBlock& block) {
  return block.mapped_ == nullptr ? 0 : block.mapped_->file.number;
}

void Blocks::Unmap(RowBlock* block) {
  block->account_->AddMapped(-1, -static_cast<int64_t>(block->mapped_->bytes));
  delete block->mapped_;
}

}  // namespace internal
}  // namespace proxist::hot
