// The node's flush: from the shards' backlogs to history, exactly once.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "proxist/base/status.h"
#include "proxist/base/time.h"
#include "proxist/env/clock.h"
#include "proxist/history/history.h"
#include "proxist/meta/catalog.h"
#include "proxist/meta/store.h"
#include "proxist/shard/shard.h"

namespace proxist::shard {

/// How the flusher reaches a shard: `server` hands the calls to the shard's thread. The calls
/// block.
class ShardPort {
 public:
  virtual ~ShardPort() = default;
  virtual ShardId id() const = 0;
  virtual FlushTake TakeForFlush(uint64_t max_rows) = 0;
  virtual std::vector<history::SourceBatch> Find(Lsn first, Lsn last) = 0;
  virtual void Persisted(Lsn lsn) = 0;
};

struct FlushStats {
  uint64_t rounds = 0, inserts = 0, rows = 0, failures = 0, skipped_after_count = 0;
  Duration last_insert;
  std::string last_error;  // of history; empty after a success
  Timestamp last_error_at;
};

/// One thread drives it; Stats from any.
class Flusher {
 public:
  struct Ports {
    meta::MetadataStore* metadata;
    const meta::Catalog* catalog;
    history::History* history;
    const env::Clock* clock;
  };
  Flusher(const Ports& ports, std::vector<ShardPort*> shards, std::string incarnation);
  ~Flusher();

  /// Sends again the intents that an earlier process left behind: the same block under the same
  /// token, after counting what history already holds. Repeat until OK, before the first Round.
  Status Resume();
  /// One round: takes backlog rows of all shards (at most `max_rows`), groups them by table and UTC
  /// day, records the intents, inserts, records the new watermarks, advances the shards. Returns
  /// the rows persisted; 0: nothing to do. On an error the round stays open and the next call goes
  /// on with it.
  StatusOr<uint64_t> Round(uint64_t max_rows);

  [[nodiscard]] FlushStats Stats() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// Days of the table in which history may hold several versions of a key, or a cancel; ascending. A
/// day is marked in metadata before the first row that may replace another one is sent there, so
/// marks that are read after a persisted LSN cover everything at or below it. Any thread.
StatusOr<std::vector<Day>> RewrittenDays(meta::MetadataStore* metadata, TableId table);

}  // namespace proxist::shard
