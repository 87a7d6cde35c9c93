// Blocks are few and large, so looking at each is cheap beside reading one.
#include "proxist/query/internal/cold_cache.h"

#include <algorithm>
#include <utility>

namespace proxist::query::internal {
namespace {

// Of the cache's bytes; and blocks at most, so that looking through them stays short.
constexpr uint64_t kLargestPart = 4;
constexpr size_t kMostBlocks = 1024;

uint64_t BytesOf(const history::ReadResult& rows) {
  uint64_t bytes = rows.versions.size() * sizeof(uint64_t);
  const auto add = [&](const column::ColumnView& view) {
    bytes += view.values.size() + view.validity.size() + view.text.size();
    for (const std::string_view text : view.dictionary) bytes += text.size() + sizeof(text);
  };
  add(rows.batch.symbol);
  add(rows.batch.ts);
  add(rows.batch.seq);
  add(rows.batch.op);
  for (const column::ColumnView& view : rows.batch.columns) add(view);
  return bytes;
}

bool SameConditions(const history::ReadRequest& a, const history::ReadRequest& b) {
  if (!a.push_down.has_value() || !b.push_down.has_value()) {
    return a.push_down.has_value() == b.push_down.has_value();
  }
  return a.push_down->conditions == b.push_down->conditions;
}

}  // namespace

bool ColdCache::Answers(const Block& block, const history::ReadRequest& request,
                        const std::vector<SeriesFloors>& series) {
  const history::ReadRequest& read = block.request;
  if (read.schema != request.schema || read.shard != request.shard || read.from > request.from ||
      read.to < request.to || !SameConditions(read, request)) {
    return false;
  }
  for (const size_t column : request.columns) {
    if (std::ranges::find(read.columns, column) == read.columns.end()) return false;
  }
  for (const SeriesFloors& now : series) {
    const auto then = block.series.find(now.symbol);
    if (then == block.series.end()) return false;
    for (const auto& [codes, floor] : now.floors) {
      if (floor < request.from) continue;
      const auto known = then->second.floors.find(codes);
      if (known == then->second.floors.end() || std::min(floor, request.to) > known->second) {
        return false;
      }
    }
  }
  return true;
}

std::shared_ptr<const history::ReadResult> ColdCache::Find(const history::ReadRequest& request,
                                                           const std::vector<SeriesFloors>& series,
                                                           Lsn rewritten) {
  const MutexLock held(&mutex_);
  if (rewritten <= request.max_version) {
    for (auto block = blocks_.begin(); block != blocks_.end();) {
      const bool outdated = block->request.shard == request.shard &&
                            block->request.schema->id == request.schema->id &&
                            rewritten > block->request.max_version;
      if (outdated) {
        stats_.bytes -= block->bytes;
        block = blocks_.erase(block);
        continue;
      }
      if (Answers(*block, request, series)) {
        ++stats_.hits;
        blocks_.splice(blocks_.begin(), blocks_, block);
        return block->rows;
      }
      ++block;
    }
  }
  ++stats_.misses;
  return nullptr;
}

void ColdCache::Keep(const history::ReadRequest& request, std::vector<SeriesFloors> series,
                     std::shared_ptr<const history::ReadResult> block) {
  const uint64_t bytes = BytesOf(*block);
  if (bytes > max_bytes_ / kLargestPart) return;
  Block kept{request, {}, std::move(block), bytes};
  for (SeriesFloors& one : series) {
    std::string symbol = one.symbol;
    kept.series.emplace(std::move(symbol), std::move(one));
  }
  kept.request.symbols.clear();  // `series` has them
  const MutexLock held(&mutex_);
  blocks_.push_front(std::move(kept));
  stats_.bytes += bytes;
  while (stats_.bytes > max_bytes_ || blocks_.size() > kMostBlocks) {
    stats_.bytes -= blocks_.back().bytes;
    blocks_.pop_back();
    ++stats_.dropped;
  }
}

ColdCacheStats ColdCache::Stats() const {
  const MutexLock held(&mutex_);
  ColdCacheStats out = stats_;
  out.blocks = blocks_.size();
  out.max_bytes = max_bytes_;
  return out;
}

}  // namespace proxist::query::internal
