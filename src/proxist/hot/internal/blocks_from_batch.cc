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

/// Where rows stand in the batch.
struct Picked {
  std::span<const uint32_t> rows;
  bool contiguous;
};

template <typename T>
inline void Copy(std::byte* out, const std::byte* in, const Picked& picked) {
  const uint32_t* row = picked.rows.data();
  const size_t n = picked.rows.size();
  if (picked.contiguous && n > 1) {
    std::memcpy(out, in + size_t{*row} * sizeof(T), n * sizeof(T));
    return;
  }
  for (size_t i = 0; i < n; ++i) {
    std::memcpy(out + i * sizeof(T), in + size_t{row[i]} * sizeof(T), sizeof(T));
  }
}

inline void CopyFixed(uint32_t width, std::byte* out, const std::byte* in, const Picked& picked) {
  if (width == 8) return Copy<uint64_t>(out, in, picked);
  if (width == 4) return Copy<uint32_t>(out, in, picked);
  if (width == 2) return Copy<uint16_t>(out, in, picked);
  Copy<uint8_t>(out, in, picked);
}

/// Asks for the cache lines of [at, at + bytes), of which there are few.
inline void PrefetchBytes(const void* at, size_t bytes) {
  const auto* begin = static_cast<const std::byte*>(at);
  __builtin_prefetch(begin, 1);
  __builtin_prefetch(begin + bytes - 1, 1);
}

}  // namespace

BatchSource::BatchSource(const column::Batch& batch, uint64_t first_lsn,
                         column::Dictionary* dictionary)
    : batch_(batch),
      first_lsn_(first_lsn),
      assigned_(batch.schema->seq == column::SeqMode::kAssigned),
      dictionary_(dictionary),
      symbol_codes_(batch.symbol.dictionary.size(), kUnknownCode),
      column_codes_(batch.columns.size()),
      plain_(batch.columns.size(), nullptr) {
  for (size_t c = 0; c < batch.columns.size(); ++c) {
    const column::ColumnView& column = batch.columns[c];
    column_codes_[c].assign(column.dictionary.size(), kUnknownCode);
    const bool fixed = column.type.kind != column::TypeKind::kString &&
                       column.type.kind != column::TypeKind::kSymbol;
    if (fixed && column.validity.empty()) plain_[c] = column.values.data();
  }
}

void BatchSource::TouchRows() const {
  // What a processor's second cache holds, beside what the rows are copied to.
  constexpr size_t kMostBytes = size_t{512} << 10;
  size_t left = kMostBytes;
  const auto touch = [&left](ByteSpan values) {
    constexpr size_t kLine = 64;
    if (values.size() > left) return;
    left -= values.size();
    for (size_t at = 0; at < values.size(); at += kLine) Touch(values[at]);
  };
  touch(batch_.ts.values);
  touch(batch_.seq.values);
  for (size_t c = 0; c < batch_.columns.size(); ++c) {
    if (Plain(c) != nullptr) touch(batch_.columns[c].values);
  }
}

uint32_t BatchSource::Translate(const column::ColumnView& view, std::vector<uint32_t>* codes,
                                uint32_t code) {
  uint32_t& known = (*codes)[code];
  if (known == kUnknownCode) known = dictionary_->Intern(view.dictionary[code]);
  return known;
}

void Blocks::PrefetchTail(const RowBlock& block, const Layout& layout, size_t rows) {
  const uint32_t row = block.rows_.load(std::memory_order_relaxed);
  rows = std::min<size_t>(rows, block.capacity_ - row);
  if (rows == 0) return;
  PrefetchBytes(block.ts_ + row, rows * sizeof(int64_t));
  PrefetchBytes(block.seq_ + row, rows * sizeof(uint64_t));
  PrefetchBytes(block.lsn_delta_ + row, rows * sizeof(uint32_t));
  std::byte* values = FirstColumn(block);
  for (const Layout::Column& column : layout.columns) {
    if (column.series >= 0) continue;
    PrefetchBytes(values + size_t{row} * column.width, rows * column.width);
    values += AlignedBytes(size_t{block.capacity_} * column.width);
  }
}

void Blocks::AppendInOrder(RowBlock* chunk, const Layout& layout, BatchSource* source,
                           std::span<const uint32_t> rows, int64_t published) {
  const uint32_t at = chunk->rows_.load(std::memory_order_relaxed);
  PX_CHECK(rows.size() <= RoomFor(*chunk, layout) && chunk->mapped_ == nullptr);
  const column::Batch& batch = source->batch();
  const Picked picked{rows, rows.back() - rows.front() + 1 == rows.size()};
  Copy<int64_t>(reinterpret_cast<std::byte*>(chunk->ts_ + at), batch.ts.values.data(), picked);
  uint32_t* deltas = chunk->lsn_delta_ + at;
  const uint64_t delta = source->first_lsn() - chunk->lsn_base_;
  for (size_t i = 0; i < rows.size(); ++i) deltas[i] = static_cast<uint32_t>(delta + rows[i]);
  if (source->assigned()) {
    uint64_t* seq = chunk->seq_ + at;
    for (size_t i = 0; i < rows.size(); ++i) seq[i] = source->lsn(rows[i]);
  } else {
    Copy<uint64_t>(reinterpret_cast<std::byte*>(chunk->seq_ + at), batch.seq.values.data(), picked);
  }
  RaisePublished(chunk, published);
  std::byte* values = FirstColumn(*chunk);
  for (size_t c = 0; c < layout.columns.size(); ++c) {
    const Layout::Column& shape = layout.columns[c];
    if (shape.series >= 0) continue;
    const std::byte* plain = source->Plain(c);
    if (plain != nullptr) {
      CopyFixed(shape.width, values + size_t{at} * shape.width, plain, picked);
    } else {
      FillColumn(chunk, c, shape, at, source, rows, picked.contiguous);
    }
    values += AlignedBytes(size_t{chunk->capacity_} * shape.width);
  }
  chunk->rows_.store(static_cast<uint32_t>(at + rows.size()), std::memory_order_release);
}

void Blocks::Append(RowBlock* block, const Layout& layout, BatchSource* source,
                    std::span<const uint32_t> rows, int64_t published) {
  if (rows.empty()) return;
  const uint32_t at = block->rows_.load(std::memory_order_relaxed);
  PX_CHECK(rows.size() <= block->capacity_ - at);
  const column::Batch& batch = source->batch();
  const bool contiguous = Contiguous(rows);
  const Picked picked{rows, contiguous};
  Copy<int64_t>(reinterpret_cast<std::byte*>(block->ts_ + at), batch.ts.values.data(), picked);
  for (size_t i = 0; i < rows.size(); ++i) {
    SetLsn(block, static_cast<uint32_t>(at + i), source->lsn(rows[i]));
  }
  if (source->assigned()) {
    for (size_t i = 0; i < rows.size(); ++i) block->seq_[at + i] = source->lsn(rows[i]);
  } else {
    Copy<uint64_t>(reinterpret_cast<std::byte*>(block->seq_ + at), batch.seq.values.data(), picked);
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
    CopyFixed(shape.width, out, view->values.data(), {rows, contiguous});
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
