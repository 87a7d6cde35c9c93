// A block's header is copied, its arrays are not.
#include "proxist/hot/internal/wide_blocks.h"

#include <algorithm>
#include <cstring>

#include "proxist/column/widen.h"

namespace proxist::hot::internal {

struct WideBlocks::Wide {
  RowBlock block;
  std::unique_ptr<RowBlock::Column[]> columns;
  std::vector<std::vector<uint64_t>> values;  // of columns that were converted
};

WideBlocks::WideBlocks() = default;
WideBlocks::~WideBlocks() = default;

bool SameKinds(const column::TableSchema& a, const column::TableSchema& b) {
  const size_t n = std::min(a.columns.size(), b.columns.size());
  for (size_t c = 0; c < n; ++c) {
    if (a.columns[c].type != b.columns[c].type) return false;
  }
  return true;
}

const RowBlock* WideBlocks::As(const column::TableSchema& schema, const RowBlock* block) {
  const size_t n = std::min<size_t>(block->column_count(), schema.columns.size());
  const auto differs = [&](size_t c) { return block->kind(c) != schema.columns[c].type.kind; };
  size_t first = 0;
  while (first < n && !differs(first)) ++first;
  if (first == n) return block;
  std::unique_ptr<Wide>& known = blocks_[{block, &schema}];
  if (known != nullptr) return &known->block;
  auto wide = std::make_unique<Wide>();
  RowBlock& out = wide->block;
  const uint32_t rows = block->rows();
  out.capacity_ = block->capacity_;
  out.column_count_ = block->column_count_;
  out.ts_ = block->ts_;
  out.seq_ = block->seq_;
  out.lsn_delta_ = block->lsn_delta_;
  out.lsn_base_ = block->lsn_base_;
  out.lsn_ = block->lsn_;
  out.op_ = block->op_;
  out.published_ = block->published_;
  out.mapped_ = block->mapped_;
  out.id_ = block->id_;
  wide->columns = std::make_unique<RowBlock::Column[]>(block->column_count_);
  out.columns_ = wide->columns.get();
  for (size_t c = 0; c < block->column_count_; ++c) {
    const RowBlock::Column& from = block->columns_[c];
    RowBlock::Column& to = out.columns_[c];
    to.values = from.values;
    to.nulls.store(from.nulls.load(std::memory_order_acquire), std::memory_order_relaxed);
    to.own = from.own;
    to.kind = from.kind;
    if (c >= n || !differs(c)) continue;
    to.kind = schema.columns[c].type.kind;
    std::vector<uint64_t>& values =
        wide->values.emplace_back((rows * column::WidthOf(to.kind) + 7) / 8);
    to.values = reinterpret_cast<std::byte*>(values.data());
    column::ConvertValues(from.kind, from.values, rows, to.kind, to.values);
  }
  out.rows_.store(rows, std::memory_order_release);
  known = std::move(wide);
  return &known->block;
}

}  // namespace proxist::hot::internal
