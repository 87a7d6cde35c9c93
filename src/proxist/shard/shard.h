// One shard as a state machine: dedup, log, scatter, publish, and the backlog that the flush
// drains.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "proxist/base/ids.h"
#include "proxist/base/status.h"
#include "proxist/column/batch.h"
#include "proxist/env/cipher.h"
#include "proxist/env/clock.h"
#include "proxist/env/file_system.h"
#include "proxist/history/history.h"
#include "proxist/hot/store.h"
#include "proxist/meta/catalog.h"
#include "proxist/meta/store.h"
#include "proxist/shard/snapshot_job.h"
#include "proxist/shard/spill.h"

namespace proxist::shard {

/// Runs of neighbouring batch numbers that were refused and have to come again, of one producer:
/// producers count, so one is usual. When there are more, the gap between the last two counts as
/// refused too.
inline constexpr size_t kMaxRefusedRuns = 1024;

struct ShardOptions {
  ShardId id;
  std::string wal_directory;
  uint64_t segment_bytes = 64ull << 20;
  uint64_t max_frame_bytes = 32ull << 20;
  /// The next segment is prepared, large groups are scattered beside their write, and at recovery
  /// the log is read ahead, each by a thread of its own; false: everything on the shard's.
  bool prepare_segments = true;
  uint64_t max_backlog_bytes = 4ull << 30;  // published, not yet persisted
  uint64_t max_producers = 1u << 20;
  Duration max_unsynced = Duration::Millis(50);  // until rows that were acked unsynced are synced
  bool keep_backlog = true;                      // false: there is no history to flush to
  uint64_t incarnation = 0;
  std::string snapshot_directory;  // empty: wal_directory/snapshots
  /// Of rows, beyond which recovery leaves a snapshot's chunks in their files; 0: it never does.
  uint64_t recovery_memory_bytes = 0;
  hot::StoreOptions store;
};

/// What a producer learns about its batch from one shard.
struct Ack {
  Status status;
  ShardId shard;
  Lsn first;  // first - 1 == last when the shard got no rows or knew the batch only as older than
              // its last
  Lsn last;
  bool duplicate = false;  // applied earlier; nothing was written now
  /// What the rows survive; kSync whenever the batch's schema asks for it.
  column::Durability durability = column::Durability::kSync;
};

/// The part of a producer's batch that belongs to one shard.
struct Write {
  std::string producer;  // empty: no dedup
  BatchNumber number;
  column::Batch batch;            // validated; all its symbols belong to this shard
  std::function<void(Ack)> done;  // called once, on the shard's thread
};

struct ShardStats {
  Lsn published, durable, persisted;
  uint64_t backlog_rows = 0, backlog_bytes = 0;
  uint64_t log_live_bytes = 0;
  uint64_t groups = 0, batches = 0, rows = 0, duplicates = 0;
  uint64_t log_syncs = 0;  // of groups that went to the page cache alone
  bool direct_io = false;
  Timestamp oldest_unpersisted =
      Timestamp::Max();           // its publication time; Max: nothing is unpersisted
  std::string maintenance_error;  // of the last retention or recycling; empty: it went well
  std::string poisoned;           // why writes are refused; empty: they are not
  Lsn snapshot;                   // cut of the last one; 0: there is none
  Timestamp snapshot_at = Timestamp::Min();
  uint64_t snapshot_bytes = 0;          // of its manifest and the chunks that it refers to
  uint64_t snapshot_written_bytes = 0;  // what taking it wrote
  Duration snapshot_elapsed;            // what taking it took
  /// Closed log segments that hold rows above the last snapshot: what recovery replays beyond it.
  uint64_t log_bytes_after_snapshot = 0;
};

/// What a flush gets from a shard. All of `series` and the marks are in metadata before a row is
/// sent.
struct FlushTake {
  std::vector<history::SourceBatch> batches;
  std::vector<meta::Mutation> series;  // names of series that metadata does not know yet
  std::vector<std::pair<TableId, Day>>
      rewritten_days;  // that the rows may hold new versions of old keys for
};

/// What a reader sees that takes rows up to `persisted` from history and those above from here.
struct LiveCut {
  ShardId shard;
  Lsn persisted;
  Lsn published;
  /// Rows up to here are in history, but those of the tables `held`.
  Lsn others_persisted;
  std::set<TableId> held;
  /// Up to where history has the rows of `table`.
  [[nodiscard]] Lsn PersistedOf(TableId table) const {
    return held.contains(table) ? persisted : std::max(persisted, others_persisted);
  }
  /// The batches with rows above `persisted`, oldest first, and none above `published`.
  std::vector<std::shared_ptr<const history::SourceBatch>> rows;
  /// Days in which a key may have more than one version at or below `published`, or a cancel.
  std::map<TableId, std::vector<Day>> rewritten_days;
  /// Flushes wait for the cut while a copy of it lives, at most as long as it was fixed for.
  std::shared_ptr<const void> hold;
};

/// What recovery did.
struct RecoveryReport {
  uint64_t records = 0, log_bytes = 0;
  uint64_t rows = 0;  // replayed from the log
  Lsn snapshot;       // that it started from; 0: from none
  uint64_t snapshot_rows = 0;
  Duration snapshot_elapsed;  // part of `elapsed`
  bool torn_tail = false;
  std::string torn_why;  // where the log was cut and what stood there
  Duration elapsed;
  /// Snapshots that could not be used and why, in plain sentences.
  std::vector<std::string> warnings;
};

/// How far recovery has come.
struct RecoveryProgress {
  ShardId shard;
  uint64_t snapshot_rows = 0;
  uint64_t rows = 0;  // replayed
  Duration elapsed;
};

/// All methods on the shard's one thread unless said otherwise. Owns no thread; I/O goes through
/// the ports.
class Shard {
 public:
  struct Ports {
    env::FileSystem* files;
    const env::Clock* clock;
    meta::MetadataStore* metadata;
    const meta::Catalog* catalog;
    env::Keyring* keys = nullptr;  // nullptr: log and snapshots are not encrypted
    /// Called now and then during Open, on its thread; may be empty.
    std::function<void(const RecoveryProgress&)> progress = nullptr;
  };
  /// Opens a new epoch: loads watermarks and floors from metadata, then the newest snapshot that is
  /// whole, then replays the log above it. The outcome is that of replaying a whole log. A damaged
  /// snapshot gives way to an older one, or to none, as long as the log still holds what came after
  /// it; else DATA_LOSS. FAILED_PRECONDITION: files of another data directory, version or key; a
  /// shard whose log was recycled without history is opened with history.
  static StatusOr<std::unique_ptr<Shard>> Open(const ShardOptions& options, const Ports& ports,
                                               RecoveryReport* report);
  ~Shard();

  /// One group commit: takes writes from the front of `writes` as far as one frame holds, logs them
  /// with one device write, scatters them while it is in flight, publishes, and calls every `done`.
  /// A group of `durability: process` batches alone is written into the page cache, and synced when
  /// SyncDueIn is over. Returns how many it took. After a failed write or sync the shard is
  /// poisoned: writes are refused, reads go on.
  size_t Commit(std::span<Write> writes);

  /// The oldest durable batches that no flush has taken yet, about `max_rows` rows (at least one
  /// batch); they count as taken and stay in the backlog until Persisted.
  FlushTake TakeForFlush(uint64_t max_rows);
  /// Fixes what a live view sees now. For `hold`, or until the cut is let go, no flush gets a batch
  /// above it that rewrites keys: history could merge away a version that the cut shows, before the
  /// reader has its parts.
  LiveCut FixLiveCut(Duration hold);
  /// Unpersisted batches that overlap [first, last]: rebuilds an intent after a restart.
  [[nodiscard]] std::vector<history::SourceBatch> Find(Lsn first, Lsn last) const;
  /// Everything at or below `lsn` is in history and metadata says so: drops it from the backlog.
  void Persisted(Lsn lsn);
  /// After a restart: batches at or below `lsn` were taken by flushes before it.
  void MarkTaken(Lsn lsn);
  /// Everything at or below `lsn` but rows of `held` tables is in history: leaves the backlog,
  /// although the persisted LSN is below it.
  void Flushed(Lsn lsn, const std::set<TableId>& held);

  void SetSchema(const column::SchemaPtr& schema);
  /// While held, nothing leaves memory: history may lack what it was sent.
  void HoldEviction(bool held);
  /// Records the raised floors in metadata, then evicts. `before`, `published`: as
  /// hot::Store::PlanEviction.
  StatusOr<hot::EvictResult> Evict(TableId table, Timestamp before, Timestamp published);
  /// The sync and the log's watermark that are due, overlay compaction, hot retention, log
  /// recycling: bounded work; true while there is more.
  /// Segments whose rows a snapshot holds and history has (with keep_backlog) are recycled.
  StatusOr<bool> Maintain();
  /// When Maintain or Commit has to be called for the next sync; an hour when none is pending.
  [[nodiscard]] Duration SyncDueIn() const;
  /// Makes everything durable before a clean end. Without it nothing acked is lost either, unless
  /// power goes.
  Status Close();

  /// Starts a snapshot of what is published now: cheap. nullptr when the last one holds it all.
  /// FAILED_PRECONDITION while the shard is poisoned. One at a time.
  StatusOr<std::unique_ptr<SnapshotJob>> BeginSnapshot();
  /// Ends a job that was stepped to its end or failed: after success, the next recovery starts from
  /// it. The job's error, or that of recycling the log.
  Status FinishSnapshot(std::unique_ptr<SnapshotJob> job);

  /// Where the last snapshot placed the store's chunks.
  [[nodiscard]] SpillSource Spilling() const;
  /// Reads chunks from files instead of from memory.
  hot::SpillResult Spill(hot::SpillBatch batch);

  /// The last batch number applied for each producer.
  [[nodiscard]] std::vector<std::pair<std::string, BatchNumber>> LastBatches() const;

  // Any thread.
  [[nodiscard]] ShardId id() const;
  [[nodiscard]] const hot::Store& store() const;
  [[nodiscard]] ShardStats Stats() const;
  /// The greatest LSN of a possible rewrite (correction, cancel, row at or below a floor) of
  /// `table` that any flush has taken: a cold read whose cut lies below it repeats.
  [[nodiscard]] Lsn RewriteHandedToFlush(TableId table) const;
  /// least ts of any unpersisted row of `table` - 1 ns, as a running maximum; Timestamp::Min()
  /// before any row.
  [[nodiscard]] Timestamp PersistedThrough(TableId table) const;

 private:
  struct Impl;
  explicit Shard(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace proxist::shard
