#include "proxist/hot/internal/in_order.h"

#include <algorithm>

#include "proxist/hot/internal/series.h"

namespace proxist::hot::internal {
namespace {

// How many groups ahead memory is asked for: the series, then its open chunk, then the chunk's end.
// A batch touches many series in no order, and each step is a cache miss that depends on the one
// before.
constexpr size_t kSeriesAhead = 24;
constexpr size_t kChunkAhead = 16;
constexpr size_t kTailAhead = 8;

}  // namespace

InOrder::InOrder(const Layout& layout, const Grouping& grouping, BatchSource* source,
                 int64_t published)
    : layout_(layout), grouping_(grouping), source_(source), published_(published) {
  const std::span<Series* const> groups = grouping.groups();
  for (Series* series : groups.first(std::min(kSeriesAhead, groups.size()))) {
    __builtin_prefetch(&series->open, 1);
  }
}

void InOrder::PrefetchAhead(size_t group) const {
  const std::span<Series* const> groups = grouping_.groups();
  if (group + kSeriesAhead < groups.size()) {
    __builtin_prefetch(&groups[group + kSeriesAhead]->open, 1);
  }
  if (group + kChunkAhead < groups.size()) {
    const Series& series = *groups[group + kChunkAhead];
    if (series.open != nullptr) Blocks::PrefetchHeader(*series.open);
  }
  if (group + kTailAhead < groups.size() && groups[group + kTailAhead]->open != nullptr) {
    const size_t rows = grouping_.rows(group + kTailAhead).size();
    Blocks::PrefetchTail(*groups[group + kTailAhead]->open, layout_, rows);
  }
}

InOrder::Result InOrder::Append(size_t group) {
  PrefetchAhead(group);
  Series* const series = grouping_.groups()[group];
  const std::span<const uint32_t> rows = grouping_.rows(group);
  RowBlock* chunk = series->open;
  if (chunk == nullptr || !series->has_last || rows.size() > Blocks::RoomFor(*chunk, layout_) ||
      !Blocks::FitsLsn(*chunk, source_->lsn(rows.front())) ||
      !Blocks::FitsLsn(*chunk, source_->lsn(rows.back()))) {
    return Result::kNoRoom;
  }
  const int64_t watch = series->watch_ts.load(std::memory_order_relaxed);
  RowKey last = series->last;
  uint64_t max_seq = series->max_seq;
  if (source_->ts(rows.front()) <= std::max(series->floor, watch)) return Result::kLate;
  for (const uint32_t row : rows) {
    const RowKey key = source_->key(row);
    if (!(last < key) || source_->batch().OpAt(row) != column::Op::kPut) return Result::kLate;
    last = key;
    max_seq = std::max(max_seq, key.seq);
  }
  Blocks::AppendInOrder(chunk, layout_, source_, rows, published_);
  series->last = last;
  series->max_seq = max_seq;
  return Result::kAppended;
}

}  // namespace proxist::hot::internal
