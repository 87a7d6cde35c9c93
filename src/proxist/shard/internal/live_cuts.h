// What live views of a shard see, and which flushes wait for them.
#pragma once

#include <deque>
#include <memory>

#include "proxist/base/ids.h"
#include "proxist/base/status.h"
#include "proxist/base/time.h"
#include "proxist/hot/store.h"
#include "proxist/meta/store.h"
#include "proxist/shard/internal/backlog.h"
#include "proxist/shard/shard.h"

namespace proxist::shard::internal {

/// Marks the days in `backlog` that metadata has as dirty.
Status LoadRewrittenDays(meta::MetadataStore* metadata, Backlog* backlog);

/// Cuts fixed a moment ago. The shard's thread.
class LiveCuts {
 public:
  /// `now` is monotonic; see Shard::FixLiveCut.
  LiveCut Fix(ShardId shard, const hot::Store& store, Backlog* backlog, Duration now,
              Duration hold);
  /// No flush may take a batch above it that rewrites keys.
  Lsn RewritesThrough(Duration now);

 private:
  struct Hold {
    Lsn cut;
    Duration until;
    std::weak_ptr<const void> cut_lives;
  };
  std::deque<Hold> holds_;  // their cuts ascend
};

}  // namespace proxist::shard::internal
