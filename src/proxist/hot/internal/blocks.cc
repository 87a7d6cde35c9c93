// Block layout: one allocation of header, column table and 64-byte aligned arrays.
#include "proxist/hot/internal/blocks.h"

#include <algorithm>
#include <cstring>
#include <new>

#include "proxist/base/check.h"
#include "proxist/column/widen.h"
#include "proxist/hot/internal/text.h"
#include "proxist/hot/store.h"

namespace proxist::hot::internal {
namespace {

/// The first of `rows`, and those after it that follow it in its block.
RowRun Neighbours(std::span<const RowRef> rows) {
  const RowRef first = rows.front();
  uint32_t n = 1;
  while (n < rows.size() && rows[n].block == first.block && rows[n].row == first.row + n) ++n;
  return {first.block, first.row, first.row + n};
}

}  // namespace

Layout::Layout(const column::TableSchema& schema)
    : totals(std::make_shared<const TotalsLayout>(schema)) {
  columns.reserve(schema.columns.size());
  for (const column::ColumnDef& def : schema.columns) {
    const auto width = def.type.kind == column::TypeKind::kString ? sizeof(const std::byte*)
                                                                  : column::WidthOf(def.type.kind);
    columns.push_back({def.type.kind, static_cast<uint32_t>(width), -1});
  }
  for (size_t i = 0; i < schema.series.size(); ++i) {
    columns[schema.series[i]].series = static_cast<int>(i);
  }
}

RowBlock* Blocks::New(const Layout& layout, uint32_t capacity, bool overlay,
                      std::span<std::byte* const> series_values, Account* account) {
  const size_t n = layout.columns.size();
  size_t bytes = AlignedBytes(sizeof(RowBlock) + n * sizeof(RowBlock::Column));
  const auto take = [&bytes](size_t size) {
    const size_t at = bytes;
    bytes += AlignedBytes(size);
    return at;
  };
  const size_t ts = take(capacity * sizeof(int64_t));
  const size_t seq = take(capacity * sizeof(uint64_t));
  const size_t lsn = take(capacity * (overlay ? sizeof(uint64_t) : sizeof(uint32_t)));
  const size_t op = overlay ? take(capacity) : 0;
  const size_t published = overlay ? take(capacity * sizeof(int64_t)) : 0;
  std::vector<size_t> values(n);
  for (size_t c = 0; c < n; ++c) {
    const Layout::Column& column = layout.columns[c];
    values[c] = overlay || column.series < 0 ? take(size_t{capacity} * column.width) : 0;
  }

  bool in_region = false;
  auto* memory = static_cast<std::byte*>(overlay ? overlays_.Allocate(bytes)
                                                 : arena_.Allocate(bytes, &in_region));
  auto* block = new (memory) RowBlock;
  block->in_region_ = in_region;
  block->capacity_ = capacity;
  block->column_count_ = static_cast<uint32_t>(n);
  block->ts_ = reinterpret_cast<int64_t*>(memory + ts);
  block->seq_ = reinterpret_cast<uint64_t*>(memory + seq);
  if (overlay) {
    block->lsn_ = reinterpret_cast<uint64_t*>(memory + lsn);
    block->op_ = reinterpret_cast<uint8_t*>(memory + op);
    block->published_ = reinterpret_cast<int64_t*>(memory + published);
  } else {
    block->lsn_delta_ = reinterpret_cast<uint32_t*>(memory + lsn);
  }
  block->columns_ = reinterpret_cast<RowBlock::Column*>(memory + sizeof(RowBlock));
  for (size_t c = 0; c < n; ++c) {
    auto* column = new (&block->columns_[c]) RowBlock::Column;
    column->own = values[c] != 0;
    column->kind = layout.columns[c].kind;
    const int series = layout.columns[c].series;
    column->values = column->own ? memory + values[c] : series_values[static_cast<size_t>(series)];
  }
  block->account_ = account;
  block->own_bytes_ = bytes;
  block->made_ = epochs_->current();
  Grew(block, bytes);
  return block;
}

RowBlock* Blocks::NewChunk(const Layout& layout, uint32_t capacity, uint64_t base,
                           std::span<std::byte* const> series_values, Account* account) {
  RowBlock* block = New(layout, capacity, false, series_values, account);
  block->lsn_base_ = base;
  block->id_ = next_id_++;
  return block;
}

RowBlock* Blocks::NewOverlay(const Layout& layout, uint32_t capacity, Account* account) {
  return New(layout, capacity, true, {}, account);
}

void Blocks::Free(RowBlock* block) {
  block->account_->Add(-static_cast<int64_t>(block->total_bytes_));
  if (!block->totals_moved_) delete block->totals_;
  const size_t bytes = block->own_bytes_;
  const bool mapped = block->mapped_ != nullptr;
  const bool in_region = block->in_region_;
  const bool overlay = block->lsn_delta_ == nullptr;
  if (mapped) {
    Unmap(block);
  } else {
    for (uint32_t c = 0; c < block->column_count_; ++c) {
      delete[] block->columns_[c].nulls.load(std::memory_order_relaxed);
    }
    FreeText(block->text_);
  }
  block->~RowBlock();
  if (in_region) {
    arena_.Free(block, bytes);
  } else if (mapped) {
    FreePlain(block, bytes);
  } else if (overlay) {
    overlays_.Free(block, bytes);
  } else {
    arena_.FreeAlone(block, bytes);
  }
}

void Blocks::Seal(RowBlock* chunk, const Layout& layout) {
  PX_CHECK(chunk->totals_ == nullptr);
  chunk->totals_ = new TotalsNode(layout.totals, *chunk);
  Grew(chunk, chunk->totals_->Bytes());
}

void Blocks::Grew(RowBlock* block, size_t bytes) {
  block->total_bytes_ += bytes;
  block->account_->Add(static_cast<int64_t>(bytes));
}

void Blocks::SetLsn(RowBlock* block, uint32_t row, uint64_t lsn) {
  if (block->lsn_delta_ != nullptr) {
    block->lsn_delta_[row] = static_cast<uint32_t>(lsn - block->lsn_base_);
  } else {
    block->lsn_[row] = lsn;
  }
  if (lsn > block->max_lsn_) block->max_lsn_ = lsn;
}

void Blocks::SetNull(RowBlock* block, size_t column, uint32_t row) {
  auto& nulls = block->columns_[column].nulls;
  std::atomic<uint64_t>* bits = nulls.load(std::memory_order_relaxed);
  if (bits == nullptr) {
    const size_t words = (block->capacity_ + 63) / 64;
    bits = new std::atomic<uint64_t>[words]();
    nulls.store(bits, std::memory_order_release);
    Grew(block, words * sizeof(uint64_t));
  }
  std::atomic<uint64_t>& word = bits[row >> 6];
  word.store(word.load(std::memory_order_relaxed) | uint64_t{1} << (row & 63),
             std::memory_order_relaxed);
}

void Blocks::SetText(RowBlock* block, size_t column, uint32_t row, ByteSpan text) {
  const TextPlace place = AppendText(&block->text_, text);
  reinterpret_cast<const std::byte**>(block->columns_[column].values)[row] = place.address;
  if (place.new_bytes > 0) Grew(block, place.new_bytes);
}

void Blocks::Append(RowBlock* block, const Layout& layout, std::span<const RowRef> rows) {
  while (!rows.empty()) {
    const RowRun run = Neighbours(rows);
    Append(block, layout, run);
    rows = rows.subspan(run.end - run.begin);
  }
}

void Blocks::Append(RowBlock* block, const Layout& layout, const RowRun& run) {
  const uint32_t at = block->rows_.load(std::memory_order_relaxed);
  PX_CHECK(run.end - run.begin <= block->capacity_ - at);
  CopyRun(block, layout, at, run);
  block->rows_.store(at + run.end - run.begin, std::memory_order_release);
}

void Blocks::CopyRun(RowBlock* block, const Layout& layout, uint32_t at, const RowRun& run) {
  const RowBlock& from = *run.block;
  const size_t n = run.end - run.begin;
  std::memcpy(block->ts_ + at, from.ts_ + run.begin, n * sizeof(int64_t));
  std::memcpy(block->seq_ + at, from.seq_ + run.begin, n * sizeof(uint64_t));
  if (from.published_ != nullptr && block->published_ != nullptr) {
    std::memcpy(block->lsn_ + at, from.lsn_ + run.begin, n * sizeof(uint64_t));
    std::memcpy(block->op_ + at, from.op_ + run.begin, n);
    std::memcpy(block->published_ + at, from.published_ + run.begin, n * sizeof(int64_t));
    block->max_lsn_ =
        std::max(block->max_lsn_, *std::max_element(block->lsn_ + at, block->lsn_ + at + n));
    RaisePublished(block, *std::max_element(block->published_ + at, block->published_ + at + n));
  } else {
    for (uint32_t i = 0; i < n; ++i) {
      SetLsn(block, at + i, from.lsn(run.begin + i));
      const int64_t published = PublishedAt(from, run.begin + i);
      if (block->published_ != nullptr) {
        block->op_[at + i] = static_cast<uint8_t>(from.op(run.begin + i));
        block->published_[at + i] = published;
      }
      RaisePublished(block, published);
    }
  }
  for (size_t c = 0; c < block->column_count_; ++c) {
    if (block->columns_[c].own) FillColumn(block, c, layout.columns[c], at, run);
  }
}

void Blocks::FillColumn(RowBlock* block, size_t column, const Layout::Column& shape, uint32_t at,
                        const RowRun& run) {
  const RowBlock& from = *run.block;
  std::byte* out = block->columns_[column].values + size_t{at} * shape.width;
  const bool text = shape.kind == column::TypeKind::kString;
  if (!text && from.AllValid(column, run.begin, run.end)) {
    const column::TypeKind kind = from.kind(column);
    const size_t width = column::WidthOf(kind);
    const size_t n = run.end - run.begin;
    const std::byte* in = from.values(column) + run.begin * width;
    if (kind == shape.kind) {
      std::memcpy(out, in, n * width);
    } else {
      column::ConvertValues(kind, in, n, shape.kind, out);
    }
    return;
  }
  for (uint32_t row = run.begin; row < run.end; ++row, ++at, out += shape.width) {
    const bool valid = from.IsValid(column, row);
    if (!valid) {
      std::memset(out, 0, shape.width);
      SetNull(block, column, at);
    }
    if (text) {
      SetText(block, column, at, valid ? from.text(column, row) : ByteSpan());
    } else if (valid) {
      FillColumn(block, column, shape, at, RowRun{run.block, row, row + 1});
    }
  }
}

}  // namespace proxist::hot::internal
