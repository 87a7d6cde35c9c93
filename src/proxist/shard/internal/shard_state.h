// What a shard consists of, for the files that implement it.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "proxist/base/mutex.h"
#include "proxist/shard/internal/backlog.h"
#include "proxist/shard/internal/live_cuts.h"
#include "proxist/shard/internal/refused_numbers.h"
#include "proxist/shard/internal/restore.h"
#include "proxist/shard/internal/series_registry.h"
#include "proxist/shard/record.h"
#include "proxist/shard/shard.h"
#include "proxist/wal/log.h"

namespace proxist::shard {

/// The shard's thread alone uses it, but for what `mutex` guards.
struct Shard::Impl {
  Impl(const ShardOptions& o, const Ports& p)
      : options(o), ports(p), store(o.store), registry(o.id) {}

  // A write of the group being committed, with what undoes its mark in the producer table.
  struct Pending {
    Write* write = nullptr;
    Ack ack;
    bool logged = false;
    internal::ProducerState before;
  };

  /// What metadata says, and the snapshot at `cut` (0: none).
  Status Load(Lsn cut, RecoveryReport* report);
  Status Recover(RecoveryReport* report);
  Status Replay(const wal::LogRecord& record, RecoveryReport* report);
  /// A record that the snapshot holds: its rows may still have to reach history.
  Status KeepForFlush(const wal::LogRecord& record, const DecodedRecord& decoded,
                      column::Batch batch);
  Status CheckUnpersisted() const;
  void ReportProgress(const RecoveryReport& report) const;
  /// True: the write is in the frame or has its answer. False: it has to wait for the next group.
  bool Take(Write* write, Timestamp now);
  /// True: the write needs no place in the log, its ack says why: a duplicate, or refused.
  bool Answer(Pending* pending);
  void MarkLogged(Pending* pending);
  Status AddToLog(Write* write, Lsn first, Timestamp now);
  Status WriteGroup(Timestamp now);
  /// An answer of the group promises what only the device can keep.
  bool NeedsSync() const;
  Status SyncLog();
  Status SyncIfDue();
  Duration SyncDueIn() const;
  void NoteDurable();
  /// Off the path of acks: how far the log is durable, for the next start.
  Status RecordWatermark();
  /// Takes the group back; the reason stands in every ack.
  void Refuse(const Status& reason);
  Status Poison(const Status& cause);
  void UpdateStats();
  void Apply(const column::Batch& batch, Lsn first, Timestamp now, std::vector<Day>* rewritten);
  StatusOr<hot::EvictResult> Evict(TableId table, Timestamp before, Timestamp published);
  Status Recycle();
  void TakeSnapshot(std::shared_ptr<const SnapshotIndex> taken);
  void NoteBacklog();
  [[nodiscard]] std::string SnapshotDirectory() const {
    return options.snapshot_directory.empty() ? options.wal_directory + "/snapshots"
                                              : options.snapshot_directory;
  }
  [[nodiscard]] hot::FileIdentity Identity() const { return {options.incarnation, options.id}; }

  const ShardOptions options;
  const Ports ports;
  hot::Store store;
  std::unique_ptr<wal::Log> log;
  internal::SeriesRegistry registry;
  internal::Backlog backlog;
  internal::Producers producers;
  internal::LiveCuts live_cuts;
  /// Batches that were refused and have to come again, in order, before any later one: else a
  /// repetition of one would be taken for a duplicate.
  std::map<std::string, internal::RefusedNumbers, std::less<>> refused;
  Lsn next;                                // of the next row
  Lsn durable;                             // at most what is published: D
  std::optional<Duration> unsynced_since;  // monotonic; of the oldest group above `durable`
  Status poisoned;                         // not OK: writes are refused for good
  Duration last_watermark;                 // monotonic
  std::vector<Pending> group;              // reused between commits
  std::vector<std::byte> scratch;
  Duration last_retention;
  Duration opened;  // when opening began
  Epoch epoch;
  Lsn used;                     // metadata knows of LSNs up to this one
  internal::Restored restored;  // what recovery started from
  std::shared_ptr<const SnapshotIndex> snapshot = restored.index;  // the last one
  bool snapshot_running = false;
  bool eviction_held = false;

  mutable Mutex mutex;
  ShardStats stats PX_GUARDED_BY(mutex);
  std::map<TableId, Lsn> rewrite_taken PX_GUARDED_BY(mutex);
  std::map<TableId, Timestamp> through PX_GUARDED_BY(mutex);
};

}  // namespace proxist::shard
