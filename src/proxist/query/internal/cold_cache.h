// Answers of history that later queries use again.
#pragma once

#include <cstdint>
#include <list>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "proxist/base/mutex.h"
#include "proxist/history/history.h"
#include "proxist/query/engine.h"

namespace proxist::query::internal {

/// A symbol's series and how far history answered for each when a block was read.
struct SeriesFloors {
  std::string symbol;
  std::map<std::vector<uint32_t>, Timestamp> floors;  // by codes of the series columns
};

/// Blocks of rows by what was asked for; the ones that were used least lately go when the bytes are
/// too many. A block answers a request when it holds its symbols, columns and span, was read under
/// the same conditions, and nothing in it can have changed since:
/// - no correction, cancel or late row of its shard and table was handed to the flush above its
///   version, or above the request's;
/// - every row at or below a series' floor of now lies at or below that series' floor of then, so
///   it was persisted when the block was read.
/// Thread-safe.
class ColdCache {
 public:
  explicit ColdCache(uint64_t max_bytes) : max_bytes_(max_bytes) {}

  /// `series`: of each of the request's symbols, as they stand now. `rewritten`:
  /// ShardView::RewriteHandedToFlush, asked after the symbols were opened.
  std::shared_ptr<const history::ReadResult> Find(const history::ReadRequest& request,
                                                  const std::vector<SeriesFloors>& series,
                                                  Lsn rewritten);
  /// Blocks that would take a large part of the cache are not kept.
  void Keep(const history::ReadRequest& request, std::vector<SeriesFloors> series,
            std::shared_ptr<const history::ReadResult> block);
  [[nodiscard]] ColdCacheStats Stats() const;

 private:
  struct Block {
    history::ReadRequest request;
    std::map<std::string, SeriesFloors> series;
    std::shared_ptr<const history::ReadResult> rows;
    uint64_t bytes = 0;
  };
  static bool Answers(const Block& block, const history::ReadRequest& request,
                      const std::vector<SeriesFloors>& series);

  const uint64_t max_bytes_;
  mutable Mutex mutex_;
  std::list<Block> blocks_ PX_GUARDED_BY(mutex_);  // the one used last stands first
  ColdCacheStats stats_ PX_GUARDED_BY(mutex_);
};

}  // namespace proxist::query::internal
