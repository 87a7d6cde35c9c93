// Copies a batch's rows into a block, column by column.
#include <algorithm>
#include <cstring>

#include "proxist/base/check.h"
#include "proxist/hot/internal/blocks.h"
#include "proxist/hot/internal/text.h"

namespace proxist::hot::internal {
namespace {

constexpr uint32_t kUnknownCode = UINT32_MAX;

/// Rows of an overlay come in key order, so the ends alone do not tell.
bool Contiguous(std::span<const uint32_t> rows) {
  return rows.back() - rows.front() + 1 == rows.size() && std::is_sorted(rows.begin(), rows.end());
}

template <typename T>
void Copy(std::byte* out, const std::byte* in, std::span<const uint32_t> rows, bool contiguous) {
  if (contiguous) {
    std::memcpy(out, in + size_t{rows.front()} * sizeof(T), rows.size() * sizeof(T));
    return;
  }
  auto* values = reinterpret_cast<T*>(out);
  for (size_t i = 0; i < rows.size(); ++i) values[i] = LoadAt<T>(in, rows[i]);
}

void CopyFixed(uint32_t width, std::byte* out, const std::byte* in, std::span<const uint32_t> rows,
               bool contiguous) {
  switch (width) {
    case 1:
      return Copy<uint8_t>(out, in, rows, contiguous);
    case 2:
      return Copy<uint16_t>(out, in, rows, contiguous);
    case 4:
      return Copy<uint32_t>(out, in, rows, contiguous);
    default:
      return Copy<uint64_t>(out, in, rows, contiguous);
  }
}

}  // namespace

BatchSource::BatchSource(const column::Batch& batch, uint64_t first_lsn,
                         column::Dictionary* dictionary)
    : batch_(batch),
      first_lsn_(first_lsn),
      assigned_(batch.schema->seq == column::SeqMode::kAssigned),
      dictionary_(dictionary),
      symbol_codes_(batch.symbol.dictionary.size(), kUnknownCode),
      column_codes_(batch.columns.size()) {
  for (size_t c = 0; c < batch.columns.size(); ++c) {
    column_codes_[c].assign(batch.columns[c].dictionary.size(), kUnknownCode);
  }
}

uint32_t BatchSource::Translate(const column::ColumnView& view, std::vector<uint32_t>* codes,
                                uint32_t code) {
  uint32_t& known = (*codes)[code];
  if (known == kUnknownCode) known = dictionary_->Intern(view.dictionary[code]);
  return known;
}

void Blocks::PrefetchHeader(const RowBlock& block) {
  const auto* header = reinterpret_cast<const std::byte*>(&block);
  for (size_t at = 0; at < sizeof(RowBlock) + 2 * sizeof(RowBlock::Column); at += 64) {
    __builtin_prefetch(header + at, 1);
  }
}

void Blocks::PrefetchTail(const RowBlock& block, const Layout& layout) {
  const uint32_t row = block.rows_.load(std::memory_order_relaxed);
  if (row == block.capacity_) return;
  __builtin_prefetch(block.ts_ + row, 1);
  __builtin_prefetch(block.seq_ + row, 1);
  if (block.lsn_delta_ != nullptr) __builtin_prefetch(block.lsn_delta_ + row, 1);
  for (size_t c = 0; c < block.column_count_; ++c) {
    const RowBlock::Column& column = block.columns_[c];
    if (column.own) __builtin_prefetch(column.values + size_t{row} * layout.columns[c].width, 1);
  }
}

void Blocks::Append(RowBlock* block, const Layout& layout, BatchSource* source,
                    std::span<const uint32_t> rows, int64_t published) {
  if (rows.empty()) return;
  const uint32_t at = block->rows_.load(std::memory_order_relaxed);
  PX_CHECK(rows.size() <= block->capacity_ - at);
  const column::Batch& batch = source->batch();
  const bool contiguous = Contiguous(rows);
  Copy<int64_t>(reinterpret_cast<std::byte*>(block->ts_ + at), batch.ts.values.data(), rows,
                contiguous);
  for (size_t i = 0; i < rows.size(); ++i) {
    SetLsn(block, static_cast<uint32_t>(at + i), source->lsn(rows[i]));
  }
  if (source->assigned()) {
    for (size_t i = 0; i < rows.size(); ++i) block->seq_[at + i] = source->lsn(rows[i]);
  } else {
    Copy<uint64_t>(reinterpret_cast<std::byte*>(block->seq_ + at), batch.seq.values.data(), rows,
                   contiguous);
  }
  if (block->op_ != nullptr) {
    for (size_t i = 0; i < rows.size(); ++i) {
      block->op_[at + i] = static_cast<uint8_t>(batch.OpAt(rows[i]));
      block->published_[at + i] = published;
    }
  }
  RaisePublished(block, published);
  for (size_t c = 0; c < block->column_count_; ++c) {
    if (block->columns_[c].own)
      FillColumn(block, c, layout.columns[c], at, source, rows, contiguous);
  }
  block->rows_.store(static_cast<uint32_t>(at + rows.size()), std::memory_order_release);
}

void Blocks::FillColumn(RowBlock* block, size_t column, const Layout::Column& shape, uint32_t at,
                        BatchSource* source, std::span<const uint32_t> rows, bool contiguous) {
  std::byte* out = block->columns_[column].values + size_t{at} * shape.width;
  const bool absent = column >= source->batch().columns.size();  // the batch's schema is older
  const bool text = shape.kind == column::TypeKind::kString;
  const column::ColumnView* view = absent ? nullptr : &source->batch().columns[column];
  const auto is_null = [&](uint32_t row) { return absent || !view->IsValid(row); };
  if (!absent && !text && shape.kind != column::TypeKind::kSymbol) {
    CopyFixed(shape.width, out, view->values.data(), rows, contiguous);
    if (view->validity.empty()) return;
  }
  for (size_t i = 0; i < rows.size(); ++i) {
    const auto row = static_cast<uint32_t>(at + i);
    if (is_null(rows[i])) {
      std::memset(out + i * shape.width, 0, shape.width);
      SetNull(block, column, row);
      if (text) SetText(block, column, row, {});
    } else if (text) {
      const auto begin = view->At<uint32_t>(rows[i]);
      SetText(block, column, row,
              view->text.subspan(begin, view->At<uint32_t>(rows[i] + 1) - begin));
    } else if (shape.kind == column::TypeKind::kSymbol) {
      const uint32_t code = source->ColumnCode(column, view->At<uint32_t>(rows[i]));
      std::memcpy(out + i * sizeof code, &code, sizeof code);
    }
  }
}

}  // namespace proxist::hot::internal
