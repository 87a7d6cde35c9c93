// The node's flush: from the shards' backlogs to history, exactly once.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <set>
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
  virtual void MarkTaken(Lsn lsn) = 0;
  virtual void Flushed(Lsn lsn, const std::set<TableId>& held) = 0;
  virtual void Persisted(Lsn lsn) = 0;
};

/// A table whose rows history refuses: they stay behind, those of others do not.
struct HeldTable {
  TableId table;
  std::string why;
};

struct FlushStats {
  uint64_t rounds = 0, inserts = 0, rows = 0, failures = 0, skipped_after_count = 0;
  Duration last_insert;
  std::string last_error;  // of history; empty after a success
  Timestamp last_error_at;
  std::vector<HeldTable> held;
  std::map<ShardId, Lsn> flushed;  // that settled rounds cover
  std::set<TableId> left_behind;  // tables that have rows at or below them which are not in history
};

/// An open round: rows of LSN ranges, an insert for each table and UTC day among them. Who sends it
/// has it alone meanwhile.
struct FlushRound {
  struct Insert {
    history::InsertIntent intent;
    bool done = false;       // history holds its rows
    bool uncertain = false;  // an attempt may have been applied
    Duration first_sent;     // monotonic; of uncertain ones
  };
  uint64_t number = 0;
  std::string key;  // in metadata
  std::vector<history::LsnRange> ranges;
  std::vector<Insert> inserts;
  std::vector<history::SourceBatch> sources;
  std::set<TableId> parked;        // held tables, whose rows it leaves behind
  TableId catch_up;                // not 0: it sends what this table left behind, and nothing else
  uint64_t rows = 0;               // that it was opened with
  bool recorded = false;           // metadata holds it
  bool count_first = false;        // another server may have taken its inserts
  std::atomic<bool> sent = false;  // nothing is left to send
};

/// One thread drives it, but Send is for any thread, a round at a time on each; Stats from any.
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

  /// Sends again the intents that an earlier process left behind: the same blocks under the same
  /// tokens, after counting what history already holds. Repeat until OK, before the first Open.
  Status Resume();

  /// Takes backlog rows of all shards (at most about `max_rows`) into a new round, an insert for
  /// each table and UTC day, and records its intents; nullptr: there is nothing to take. A round
  /// whose recording failed is recorded and returned by the next call.
  StatusOr<std::shared_ptr<FlushRound>> Open(uint64_t max_rows);
  /// Sends what is not in history yet. After an error the next call goes on with it. A table that
  /// history refuses (its schema drifted) is held, and the round goes on without it.
  Status Send(FlushRound* round);
  /// Ends the oldest rounds that are sent: records the new watermarks and advances the shards.
  /// Returns the rows that these rounds took to history.
  StatusOr<uint64_t> Settle();
  /// Open, Send and Settle for one round, or those that are open. Returns the rows persisted; 0:
  /// nothing to do. On an error the round stays open and the next call goes on with it.
  StatusOr<uint64_t> Round(uint64_t max_rows);

  /// Rounds that are not settled, oldest first.
  [[nodiscard]] const std::vector<std::shared_ptr<FlushRound>>& rounds() const;
  /// Tries held tables again, when no round is open: those that history takes now are sent by the
  /// next rounds, the others stay held.
  void RetryHeld();
  /// Open rounds, none of which is being sent, may have to do with another server now: what it
  /// holds is counted first.
  void Distrust();

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
