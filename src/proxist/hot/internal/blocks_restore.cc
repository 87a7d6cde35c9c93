// Makes blocks again out of their encoded form.
#include <algorithm>
#include <cstring>

#include "proxist/base/check.h"
#include "proxist/hot/internal/block_codec.h"

namespace proxist::hot::internal {

RowBlock* Blocks::Restore(const EncodedBlock& encoded, const Layout& layout,
                          std::span<std::byte* const> series_values, Account* account) {
  PX_CHECK(encoded.columns.size() == layout.columns.size());
  const uint64_t next_id = next_id_;
  RowBlock* block =
      encoded.kind == BlockKind::kChunk
          ? NewChunk(layout, encoded.capacity, encoded.lsn_base, series_values, account)
          : NewOverlay(layout, encoded.rows, account);
  next_id_ = next_id;
  block->id_ = encoded.id;
  // A chunk that was made while its snapshot was taken may have an id above the snapshot's next
  // one.
  if (encoded.kind == BlockKind::kChunk) RaiseNextId(encoded.id + 1);
  const uint32_t rows = encoded.rows;
  std::memcpy(block->ts_, encoded.ts.data(), encoded.ts.size());
  std::memcpy(block->seq_, encoded.seq.data(), encoded.seq.size());
  if (block->lsn_delta_ != nullptr) {
    std::memcpy(block->lsn_delta_, encoded.lsn.data(), encoded.lsn.size());
  } else {
    std::memcpy(block->lsn_, encoded.lsn.data(), encoded.lsn.size());
    std::memcpy(block->op_, encoded.op.data(), encoded.op.size());
    std::memcpy(block->published_, encoded.published.data(), encoded.published.size());
  }
  for (uint32_t row = 0; row < rows; ++row) {
    block->max_lsn_ = std::max(block->max_lsn_, block->lsn(row));
  }
  RaisePublished(block, encoded.last_published);
  for (size_t c = 0; c < encoded.columns.size(); ++c) {
    RestoreColumn(block, c, rows, encoded.columns[c]);
  }
  block->rows_.store(rows, std::memory_order_release);
  return block;
}

void Blocks::RestoreColumn(RowBlock* block, size_t column, uint32_t rows,
                           const EncodedColumn& encoded) {
  for (uint32_t row = 0; row < rows && !encoded.nulls.empty(); ++row) {
    if (((LoadAt<uint64_t>(encoded.nulls.data(), row >> 6) >> (row & 63)) & 1) != 0) {
      SetNull(block, column, row);
    }
  }
  if (!encoded.own) return;
  if (encoded.kind != column::TypeKind::kString) {
    std::memcpy(block->columns_[column].values, encoded.values.data(), encoded.values.size());
    return;
  }
  ByteSpan text = encoded.text;
  for (uint32_t row = 0; row < rows; ++row) {
    const auto length = LoadAt<uint32_t>(encoded.values.data(), row);
    SetText(block, column, row, text.first(length));
    text = text.subspan(length);
  }
}

}  // namespace proxist::hot::internal
