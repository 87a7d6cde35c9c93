// What each running SQL query over live views sees: fixed by its first request, pinned until it is
// over.
#pragma once

#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "proxist/base/ids.h"
#include "proxist/base/mutex.h"
#include "proxist/base/status.h"
#include "proxist/base/time.h"
#include "proxist/env/clock.h"
#include "proxist/server/shard_runner.h"
#include "proxist/shard/shard.h"

namespace proxist::server {

/// One cut for a query, of all shards in their order.
struct LiveSeam {
  std::vector<shard::LiveCut> cuts;
  /// The first day of each table whose rows exist, for those that have one; the table's id, the
  /// day.
  std::map<TableId, Day> least;
};

/// Thread-safe; Fix waits for the shards' threads.
class LiveSeams {
 public:
  struct Bounds {
    size_t max_queries = 4096;
    uint64_t max_bytes = 1ull << 30;        // of the batches that they pin
    Duration keep = Duration::Seconds(60);  // since a query's last request
    Duration least = Duration::Seconds(5);  // at a bound, those at rest so long give way
    Duration hold = Duration::Millis(250);  // of rewrites, for ClickHouse to plan
  };
  struct Stats {
    size_t queries = 0;
    uint64_t bytes = 0;
    uint64_t fixed = 0;
    uint64_t refused = 0;    // at a bound
    uint64_t overtaken = 0;  // by a rewrite that went to history before they had planned
  };
  /// `least`: as LiveSeam has it, asked when a seam is fixed; may be null.
  LiveSeams(const env::Clock* clock, std::vector<ShardRunner*> shards, const Bounds& bounds,
            std::function<std::map<TableId, Day>()> least = nullptr);
  ~LiveSeams();

  /// The seam of the query `start`.`id`; fixed now when `fix` and it has none. NOT_FOUND: it was
  /// let go, or never fixed. RESOURCE_EXHAUSTED: a bound.
  StatusOr<std::shared_ptr<const LiveSeam>> Of(std::string_view start, std::string_view id,
                                               bool fix);
  /// ABORTED when a row that rewrites a key of `table` above the seam may be in history already:
  /// merges may have dropped what it replaced.
  Status CheckNotOvertaken(const LiveSeam& seam, TableId table);
  /// The query is over: lets go what it pinned, whenever it began.
  void Release(std::string_view id);
  /// Lets go what is due; call it now and then.
  void Sweep();
  [[nodiscard]] Stats stats() const;

 private:
  struct Query;
  using Key = std::pair<std::string, std::string>;  // id, start
  using Queries = std::map<Key, std::shared_ptr<Query>>;

  StatusOr<std::shared_ptr<Query>> Enter(const Key& key, bool fix, Duration now);
  void Drop(Queries::iterator at) PX_REQUIRES(mutex_);
  void DropOldest(Duration idle, Duration now) PX_REQUIRES(mutex_);
  Status Pin(const Key& key, const std::shared_ptr<Query>& query,
             const std::shared_ptr<const LiveSeam>& seam);
  [[nodiscard]] bool AtBound() const PX_REQUIRES(mutex_);

  const env::Clock* const clock_;
  const std::vector<ShardRunner*> shards_;
  const Bounds bounds_;
  const std::function<std::map<TableId, Day>()> least_;
  mutable Mutex mutex_;
  Queries queries_ PX_GUARDED_BY(mutex_);
  std::list<Key> by_use_ PX_GUARDED_BY(mutex_);  // least recently first
  /// Pinned batches: by how many queries, and their bytes.
  std::map<const void*, std::pair<uint64_t, uint64_t>> pins_ PX_GUARDED_BY(mutex_);
  Stats stats_ PX_GUARDED_BY(mutex_);
};

}  // namespace proxist::server
