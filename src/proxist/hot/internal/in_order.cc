#include "proxist/hot/internal/in_order.h"

#include <algorithm>
#include <iterator>
#include <thread>

#include "proxist/hot/internal/series.h"

namespace proxist::hot::internal {
namespace {

// How many series ahead memory is asked for: the series, then its open chunk, then the chunk's end.
// A batch touches many series in no order, and each step is a cache miss that depends on the one
// before.
constexpr size_t kSeriesAhead = 24;
constexpr size_t kChunkAhead = 16;
constexpr size_t kTailAhead = 8;
// Groups that a thread takes at a time: many beside those that it asks for ahead.
constexpr size_t kTake = 128;
// Looks at the flag before the processor is left to others; a look takes some 40 cycles.
constexpr int kLooks = 4096;

}  // namespace

void InOrder::Begin(const Layout& layout, const Grouping& grouping, BatchSource* source,
                    int64_t published) {
  layout_ = &layout;
  grouping_ = &grouping;
  source_ = source;
  published_ = published;
  for (Share& share : shares_) {
    share.rows = 0;
    share.max_ts = INT64_MIN;
    share.left.clear();
  }
  next_.store(0, std::memory_order_relaxed);
  grouped_.store(false, std::memory_order_relaxed);
}

bool InOrder::AppendGroup(size_t group) {
  const std::span<Series* const> groups = grouping_->groups();
  if (group == 0) PrefetchFirst(0, groups.size());
  PrefetchAhead(group, groups.size());
  return Append(groups[group], grouping_->rows(group), &shares_[0]);
}

void InOrder::Append() {
  grouped_.store(true, std::memory_order_release);
  Run(&shares_[0]);
}

void InOrder::Help() {
  for (int looks = 0; !grouped_.load(std::memory_order_acquire); ++looks) {
    if (looks < kLooks) {
      __builtin_ia32_pause();
    } else {
      std::this_thread::yield();
    }
  }
  Run(&shares_[1]);
}

InOrder::Result InOrder::End() {
  left_.clear();
  std::merge(shares_[0].left.begin(), shares_[0].left.end(), shares_[1].left.begin(),
             shares_[1].left.end(), std::back_inserter(left_));
  return {.rows = shares_[0].rows + shares_[1].rows,
          .max_ts = std::max(shares_[0].max_ts, shares_[1].max_ts),
          .left = left_};
}

void InOrder::Run(Share* share) {
  const std::span<Series* const> groups = grouping_->groups();
  for (;;) {
    const size_t begin = next_.fetch_add(kTake, std::memory_order_relaxed);
    if (begin >= groups.size()) return;
    const size_t end = std::min(begin + kTake, groups.size());
    PrefetchFirst(begin, end);
    for (size_t g = begin; g < end; ++g) {
      PrefetchAhead(g, end);
      if (!Append(groups[g], grouping_->rows(g), share)) {
        share->left.push_back(static_cast<uint32_t>(g));
      }
    }
  }
}

void InOrder::PrefetchFirst(size_t begin, size_t end) const {
  for (size_t g = begin; g < std::min(begin + kSeriesAhead, end); ++g) {
    __builtin_prefetch(&grouping_->groups()[g]->open, 1);
  }
}

void InOrder::PrefetchAhead(size_t group, size_t end) const {
  const std::span<Series* const> groups = grouping_->groups();
  if (group + kSeriesAhead < end) __builtin_prefetch(&groups[group + kSeriesAhead]->open, 1);
  if (group + kChunkAhead < end) {
    const Series& series = *groups[group + kChunkAhead];
    if (series.open != nullptr) Blocks::PrefetchHeader(*series.open);
  }
  if (group + kTailAhead < end && groups[group + kTailAhead]->open != nullptr) {
    const size_t rows = grouping_->rows(group + kTailAhead).size();
    Blocks::PrefetchTail(*groups[group + kTailAhead]->open, *layout_, rows);
  }
}

bool InOrder::Append(Series* series, std::span<const uint32_t> rows, Share* share) const {
  RowBlock* chunk = series->open;
  if (chunk == nullptr || !series->has_last || rows.size() > Blocks::RoomFor(*chunk, *layout_) ||
      !Blocks::FitsLsn(*chunk, source_->lsn(rows.back()))) {
    return false;
  }
  const int64_t watch = series->watch_ts.load(std::memory_order_relaxed);
  RowKey last = series->last;
  if (source_->ts(rows.front()) <= std::max(series->floor, watch)) return false;
  for (const uint32_t row : rows) {
    const RowKey key{source_->ts(row), source_->seq(row)};
    if (!(last < key) || source_->batch().OpAt(row) != column::Op::kPut) return false;
    last = key;
  }
  Blocks::AppendInOrder(chunk, *layout_, source_, rows, published_);
  series->last = last;
  share->rows += rows.size();
  share->max_ts = std::max(share->max_ts, last.ts);
  return true;
}

}  // namespace proxist::hot::internal
