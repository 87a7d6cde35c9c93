#include "proxist/shard/shard.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "proxist/base/check.h"
#include "proxist/base/mutex.h"
#include "proxist/base/planted.h"
#include "proxist/column/batch_encoding.h"
#include "proxist/shard/internal/backlog.h"
#include "proxist/shard/internal/keys.h"
#include "proxist/shard/internal/live_cuts.h"
#include "proxist/shard/internal/refused_numbers.h"
#include "proxist/shard/internal/restore.h"
#include "proxist/shard/internal/series_registry.h"
#include "proxist/shard/internal/side_thread.h"
#include "proxist/shard/record.h"
#include "proxist/wal/log.h"

namespace proxist::shard {
namespace {

constexpr Duration kRetentionInterval = Duration::Seconds(1);
constexpr Duration kWatermarkInterval = Duration::Seconds(1);
constexpr Duration kNoSyncDue = Duration::Hours(1);
// Groups of fewer rows are scattered before their write: that takes less than waking a thread.
constexpr uint64_t kRowsBeside = 256;

/// The number under `key`; 0 when there is none.
StatusOr<uint64_t> StoredNumber(meta::MetadataStore* metadata, const std::string& key) {
  const auto entry = metadata->Get(key);
  if (absl::IsNotFound(entry.status())) return uint64_t{0};
  PX_RETURN_IF_ERROR(entry.status());
  return internal::DecodeNumber(entry->value, key);
}

}  // namespace

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
  /// Writes what was submitted, and puts the group's rows into the store meanwhile.
  Status WriteAndScatter(Timestamp now, std::vector<std::vector<Day>>* rewritten);
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
  std::unique_ptr<internal::SideThread> side;  // from the first large group on
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

StatusOr<std::unique_ptr<Shard>> Shard::Open(const ShardOptions& options, const Ports& ports,
                                             RecoveryReport* report) {
  const std::string name = fmt::format("shard {}", options.id.value());
  auto impl = std::make_unique<Impl>(options, ports);
  PX_ASSIGN_OR_RETURN(const uint64_t recycled,
                      StoredNumber(ports.metadata, internal::RecycledKey(options.id)));
  PX_ASSIGN_OR_RETURN(std::vector<Lsn> cuts, ListSnapshots(ports.files, impl->SnapshotDirectory()));
  // A manifest whose name is not durable yet must not let the log be recycled below it.
  if (!cuts.empty()) {
    PX_RETURN_IF_ERROR(ports.files->SyncDirectory(impl->SnapshotDirectory()));
  }
  std::erase_if(cuts, [&](Lsn cut) { return cut.value() < std::max<uint64_t>(recycled, 1); });
  if (recycled == 0) cuts.emplace_back(0);
  Status damage = DataLoss("none is in {}", impl->SnapshotDirectory());
  for (const Lsn cut : cuts) {
    impl = std::make_unique<Impl>(options, ports);
    const Status loaded = Annotate(impl->Load(cut, report), name);
    if (absl::IsDataLoss(loaded)) {
      if (report->warnings.empty()) damage = loaded;
      report->warnings.emplace_back(Message(loaded));
      continue;
    }
    PX_RETURN_IF_ERROR(loaded);
    PX_RETURN_IF_ERROR(Annotate(impl->Recover(report), name));
    return std::unique_ptr<Shard>(new Shard(std::move(impl)));
  }
  return DataLoss(
      "{}: the log was recycled up to LSN {}, and no snapshot at or above it can be used: {}. "
      "Nothing was changed. Keep a copy of the data directory, then put the damaged file back from "
      "a backup; 'pxinspect snapshot' shows what is still readable",
      name, recycled, Message(damage));
}

Shard::Shard(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Shard::~Shard() = default;

Status Shard::Impl::Load(Lsn cut, RecoveryReport* report) {
  opened = ports.clock->Monotonic();
  PX_ASSIGN_OR_RETURN(const uint64_t last_epoch,
                      StoredNumber(ports.metadata, internal::EpochKey(options.id)));
  PX_ASSIGN_OR_RETURN(const uint64_t persisted,
                      StoredNumber(ports.metadata, internal::PersistedKey(options.id)));
  PX_ASSIGN_OR_RETURN(const uint64_t recycled,
                      StoredNumber(ports.metadata, internal::RecycledKey(options.id)));
  if (options.keep_backlog && recycled > persisted) {
    return FailedPrecondition(
        "the log was recycled up to LSN {} while there was no history, which has rows up to {} "
        "alone: start with --history none, or export the rows into a new data directory",
        recycled, persisted);
  }
  uint64_t highest = persisted;
  PX_ASSIGN_OR_RETURN(const uint64_t flushed,
                      StoredNumber(ports.metadata, internal::FlushedKey(options.id)));
  highest = std::max(highest, flushed);
  PX_ASSIGN_OR_RETURN(const auto rounds, ports.metadata->List(internal::kRoundPrefix));
  for (const meta::Entry& entry : rounds) {
    PX_ASSIGN_OR_RETURN(const auto round, internal::DecodeRound(entry.value));
    for (const auto& range : round.ranges) {
      if (range.shard == options.id) highest = std::max(highest, range.last.value());
    }
  }
  used = Lsn(highest);
  epoch = Epoch(static_cast<uint32_t>(last_epoch + 1));

  for (const auto& schema : ports.catalog->Tables()) store.SetSchema(schema);
  store.Publish(Lsn(std::max(persisted, cut.value())));
  store.SetPersisted(Lsn(persisted));
  PX_RETURN_IF_ERROR(internal::LoadRewrittenDays(ports.metadata, &backlog));
  const auto restore_series = [this] { return registry.Load(ports.metadata, &store); };
  if (cut.value() == 0) return restore_series();
  report->snapshot_rows = 0;
  internal::RestoreTarget target{&store,
                                 &producers,
                                 &backlog,
                                 Lsn(persisted),
                                 ports.keys,
                                 restore_series,
                                 [&](uint64_t rows) {
                                   report->snapshot_rows = rows;
                                   ReportProgress(*report);
                                 },
                                 options.recovery_memory_bytes};
  PX_ASSIGN_OR_RETURN(restored, internal::RestoreSnapshot(ports.files, SnapshotDirectory(), cut,
                                                          Identity(), target));
  TakeSnapshot(restored.index);
  for (const auto& schema : ports.catalog->Tables()) registry.MarkNew(schema->id);
  report->snapshot = cut;
  report->snapshot_rows = restored.rows;
  report->snapshot_elapsed = Duration(ports.clock->Monotonic().ns() - opened.ns());
  return OkStatus();
}

void Shard::Impl::ReportProgress(const RecoveryReport& report) const {
  if (!ports.progress) return;
  ports.progress({options.id, report.snapshot_rows, report.rows,
                  Duration(ports.clock->Monotonic().ns() - opened.ns())});
}

Status Shard::Impl::Recover(RecoveryReport* report) {
  const meta::Mutation mark{internal::EpochKey(options.id), internal::EncodeNumber(epoch.value()),
                            std::nullopt};
  PX_RETURN_IF_ERROR(ports.metadata->Apply({&mark, 1}, "proxistd", "a new epoch opens").status());
  wal::LogOptions log_options;
  log_options.directory = options.wal_directory;
  log_options.segment_bytes = options.segment_bytes;
  log_options.max_frame_bytes = options.max_frame_bytes;
  log_options.prepare_next = options.prepare_segments;
  log_options.incarnation = options.incarnation;
  log_options.shard = options.id;
  log_options.epoch = epoch;
  log_options.keys = ports.keys;
  log_options.read_ahead = options.prepare_segments;
  wal::ReplayReport replay;
  PX_ASSIGN_OR_RETURN(
      log, wal::Log::Open(
               ports.files, log_options,
               [&](const wal::LogRecord& record) { return Replay(record, report); }, &replay));
  if (restored.cut > Lsn(0) && replay.before > restored.cut) {
    return DataLoss(
        "{}: the log begins behind LSN {}, the snapshot ends at {}: what was between them is gone",
        options.wal_directory, replay.before.value(), restored.cut.value());
  }
  PX_RETURN_IF_ERROR(CheckUnpersisted());
  next = Lsn(std::max({used.value(), replay.last.value(), store.published().value()}) + 1);
  report->records = replay.records;
  report->log_bytes = replay.bytes;
  report->torn_tail = replay.torn_tail;
  if (replay.torn_tail) {
    report->torn_why =
        fmt::format("segment {:016x} at offset {}: {}{}", replay.torn_segment, replay.torn_offset,
                    replay.torn_why,
                    replay.unsynced_lost ? "; unsynced frames behind it were cut with it" : "");
  }
  // LSNs that metadata knows of are never given again, also when an operator cut the log below
  // them.
  store.Publish(Lsn(next.value() - 1));
  NoteDurable();
  report->elapsed = Duration(ports.clock->Monotonic().ns() - opened.ns());
  last_retention = ports.clock->Monotonic();
  backlog.Drop(store.persisted());
  {
    MutexLock lock(&mutex);
    through = backlog.persisted_through();
  }
  UpdateStats();
  return OkStatus();
}

Status Shard::Impl::Replay(const wal::LogRecord& record, RecoveryReport* report) {
  const bool covered = record.last <= restored.cut;
  if (covered && (!options.keep_backlog || record.last <= store.persisted())) return OkStatus();
  PX_ASSIGN_OR_RETURN(const DecodedRecord decoded, DecodeRecord(record.payload));
  PX_ASSIGN_OR_RETURN(const auto schema,
                      ports.catalog->Find(decoded.header.table, decoded.header.schema_version));
  PX_ASSIGN_OR_RETURN(auto batch, column::DecodeBatch(decoded.batch, schema, record.owner));
  if (batch.rows != record.last.value() - record.first.value() + 1) {
    return DataLoss("log record at LSN {}: {} rows where its LSN range holds {}",
                    record.first.value(), batch.rows,
                    record.last.value() - record.first.value() + 1);
  }
  if (covered) return KeepForFlush(record, decoded, std::move(batch));
  if (record.first <= restored.cut) {
    return DataLoss("log record at LSNs {} to {}: the snapshot at LSN {} cuts it",
                    record.first.value(), record.last.value(), restored.cut.value());
  }
  std::vector<Day> rewritten;
  Apply(batch, record.first, decoded.header.server_time, &rewritten);
  store.Publish(record.last);
  report->rows += batch.rows;
  if (record.last > store.persisted()) {
    if (options.keep_backlog) {
      backlog.Add(batch, record.first, decoded.header.server_time, std::move(rewritten));
    }
  } else {
    backlog.AddPersisted(batch);
  }
  if (!decoded.header.producer.empty() && !Planted(PlantedBug::kDedupLostAtRestart)) {
    auto& state = producers[std::string(decoded.header.producer)];
    if (decoded.header.number > state.last) {
      state = {decoded.header.number, record.first, record.last};
    }
  }
  while (store.Maintain()) {
  }
  ReportProgress(*report);
  return OkStatus();
}

Status Shard::Impl::KeepForFlush(const wal::LogRecord& record, const DecodedRecord& decoded,
                                 column::Batch batch) {
  std::vector<Day> rewritten;
  const auto mark = restored.unpersisted.find(record.first);
  if (mark != restored.unpersisted.end()) {
    rewritten = std::move(mark->second.rewritten_days);
    restored.unpersisted.erase(mark);
  } else {
    // It was taken without history, so nobody noted what the batch rewrote: any of its days.
    std::set<Day> days;
    for (size_t row = 0; row < batch.rows; ++row) {
      days.insert(DayOf(Timestamp(batch.ts.At<int64_t>(row))));
    }
    rewritten.assign(days.begin(), days.end());
  }
  backlog.Add(std::move(batch), record.first, decoded.header.server_time, std::move(rewritten));
  return OkStatus();
}

Status Shard::Impl::CheckUnpersisted() const {
  if (!options.keep_backlog || restored.unpersisted.empty()) return OkStatus();
  const SnapshotBatch& missing = restored.unpersisted.begin()->second;
  return DataLoss(
      "{}: the log lacks LSNs {} to {}, which are not in history yet. Keep a copy of the data "
      "directory, then put the log back from a backup",
      options.wal_directory, missing.first.value(), missing.last.value());
}

void Shard::Impl::Apply(const column::Batch& batch, Lsn first, Timestamp now,
                        std::vector<Day>* rewritten) {
  const auto known = store.SchemaOf(batch.schema->id);
  if (known == nullptr || known->version < batch.schema->version) store.SetSchema(batch.schema);
  hot::ScatterResult result = store.Scatter(batch, first, now);
  if (result.new_series > 0) registry.MarkNew(batch.schema->id);
  *rewritten = std::move(result.rewritten_days);
}

size_t Shard::Commit(std::span<Write> writes) {
  Impl& self = *impl_;
  self.group.clear();
  const Timestamp now = self.ports.clock->Now();
  size_t taken = 0;
  while (taken < writes.size() && self.Take(&writes[taken], now)) ++taken;
  const Status status = self.WriteGroup(now);
  self.NoteDurable();
  if (!status.ok()) self.Refuse(status);
  self.UpdateStats();
  for (Impl::Pending& pending : self.group) {
    if (pending.ack.last > self.durable) pending.ack.durability = column::Durability::kProcess;
    pending.write->done(std::move(pending.ack));
  }
  self.group.clear();
  // After the acks: none of them waits for it. A failure poisons, and the next write says so.
  self.SyncIfDue().IgnoreError();
  return taken;
}

bool Shard::Impl::Take(Write* write, Timestamp now) {
  Pending pending;
  pending.write = write;
  pending.ack.shard = options.id;
  if (!Answer(&pending)) {
    const Status added = AddToLog(write, next, now);
    if (absl::IsResourceExhausted(added) && log->pending_bytes() > 0) return false;
    pending.ack.status = added;
    if (added.ok()) MarkLogged(&pending);
  }
  group.push_back(std::move(pending));
  return true;
}

bool Shard::Impl::Answer(Pending* pending) {
  const Write& write = *pending->write;
  Ack& ack = pending->ack;
  const auto found = write.producer.empty() ? producers.end() : producers.find(write.producer);
  const bool known = found != producers.end();
  if (known) pending->before = found->second;
  const internal::ProducerState& before = pending->before;
  if (known && write.number <= before.last) {
    ack.duplicate = true;
    ack.first = write.number == before.last ? before.first_lsn : before.last_lsn.Next();
    ack.last = before.last_lsn;
    // A failed sync may have lost what is not durable.
    if (!poisoned.ok() && ack.last > durable) ack.status = poisoned;
  } else if (!poisoned.ok()) {
    ack.status = poisoned;
  } else if (const auto earlier = refused.find(write.producer);
             earlier != refused.end() && write.number > earlier->second.first()) {
    ack.status = FailedPrecondition(
        "producer '{}': batch {} was refused and has to be sent again before batch {}",
        write.producer, earlier->second.first().value(), write.number.value());
    earlier->second.Add(write.number);
  } else if (!write.producer.empty() && !known && producers.size() >= options.max_producers) {
    ack.status = ResourceExhausted("shard {}: {} producers are known, the bound is {}",
                                   options.id.value(), producers.size(), options.max_producers);
  } else {
    return false;
  }
  return true;
}

void Shard::Impl::MarkLogged(Pending* pending) {
  const Write& write = *pending->write;
  pending->logged = true;
  pending->ack.first = next;
  next = Lsn(next.value() + write.batch.rows);
  pending->ack.last = Lsn(next.value() - 1);
  if (write.producer.empty()) return;
  producers[write.producer] = {write.number, pending->ack.first, pending->ack.last};
  const auto waited = refused.find(write.producer);
  if (waited == refused.end()) return;
  waited->second.Remove(write.number);
  if (waited->second.empty()) refused.erase(waited);
}

Status Shard::Impl::AddToLog(Write* write, Lsn first, Timestamp now) {
  RecordHeader header;
  header.table = write->batch.schema->id;
  header.schema_version = write->batch.schema->version;
  header.number = write->number;
  header.server_time = now;
  header.tenant = write->batch.schema->tenant;
  header.producer = write->producer;
  scratch.clear();
  ByteWriter out(&scratch);
  EncodeRecordHeader(header, &out);
  const column::Batch& batch = write->batch;
  const size_t bytes = scratch.size() + column::EncodedBytes(batch);
  PX_ASSIGN_OR_RETURN(const std::span<std::byte> record,
                      log->AddRecord(bytes, first, Lsn(first.value() + batch.rows - 1)));
  std::copy(scratch.begin(), scratch.end(), record.begin());
  column::EncodeBatchInto(batch, record.subspan(scratch.size()));
  return OkStatus();
}

bool Shard::Impl::NeedsSync() const {
  return std::any_of(group.begin(), group.end(), [&](const Pending& pending) {
    if (pending.write->batch.schema->durability == column::Durability::kProcess) return false;
    // A duplicate may have been acked unsynced before its table's durability was changed.
    return pending.logged ||
           (pending.ack.duplicate && pending.ack.status.ok() && pending.ack.last > durable);
  });
}

Status Shard::Impl::WriteGroup(Timestamp now) {
  const bool sync = NeedsSync();
  if (log->pending_bytes() == 0) return sync ? SyncLog() : OkStatus();
  const Status submitted =
      log->Submit(sync ? wal::FrameLevel::kSynced : wal::FrameLevel::kUnsynced);
  // A full disk stops the write before it starts: nothing happened, and later writes may fit.
  if (absl::IsResourceExhausted(submitted)) return submitted;
  if (!submitted.ok()) return Poison(submitted);
  std::vector<std::vector<Day>> rewritten(group.size());
  const Status written = WriteAndScatter(now, &rewritten);
  if (!written.ok() && !Planted(PlantedBug::kAckBeforeSync)) return Poison(written);
  store.Publish(Lsn(next.value() - 1));
  for (size_t i = 0; i < group.size(); ++i) {
    if (!group[i].logged || !options.keep_backlog) continue;
    backlog.Add(std::move(group[i].write->batch), group[i].ack.first, now, std::move(rewritten[i]));
  }
  return OkStatus();
}

Status Shard::Impl::WriteAndScatter(Timestamp now, std::vector<std::vector<Day>>* rewritten) {
  uint64_t rows = 0;
  for (const Pending& pending : group) {
    if (pending.logged) rows += pending.write->batch.rows;
  }
  const auto scatter = [&] {
    for (size_t i = 0; i < group.size(); ++i) {
      if (group[i].logged) Apply(group[i].write->batch, group[i].ack.first, now, &(*rewritten)[i]);
    }
  };
  if (!options.prepare_segments || rows < kRowsBeside) {
    scatter();
    return log->Wait();
  }
  if (side == nullptr) side = std::make_unique<internal::SideThread>();
  side->Start(scatter);
  Status written = log->Wait();
  side->Join();
  return written;
}

Status Shard::Impl::SyncLog() {
  if (!log->unsynced()) return OkStatus();
  if (const Status synced = log->Sync(); !synced.ok()) return Poison(synced);
  MutexLock lock(&mutex);
  ++stats.log_syncs;
  return OkStatus();
}

void Shard::Impl::NoteDurable() {
  // Published rows are in the log, and all of the log is durable but unsynced frames.
  if (!log->unsynced()) {
    durable = store.published();
    unsynced_since.reset();
  } else if (!unsynced_since.has_value()) {
    unsynced_since = ports.clock->Monotonic();
  }
}

Duration Shard::Impl::SyncDueIn() const {
  if (!unsynced_since.has_value() || !poisoned.ok()) return kNoSyncDue;
  const int64_t due = unsynced_since->ns() + options.max_unsynced.ns();
  return Duration(std::max<int64_t>(0, due - ports.clock->Monotonic().ns()));
}

Status Shard::Impl::SyncIfDue() {
  if (SyncDueIn() > Duration()) return OkStatus();
  const Status synced = SyncLog();
  NoteDurable();
  UpdateStats();
  return synced;
}

Status Shard::Impl::RecordWatermark() {
  const Duration now = ports.clock->Monotonic();
  const bool due = now.ns() - last_watermark.ns() >= kWatermarkInterval.ns();
  if (!poisoned.ok() || (!due && !log->watermark_is_old())) return OkStatus();
  last_watermark = now;
  const Status recorded = log->RecordWatermark();
  // A full disk keeps the file from being made, and nothing else.
  if (recorded.ok() || absl::IsResourceExhausted(recorded)) return OkStatus();
  const Status poison = Poison(recorded);
  UpdateStats();
  return poison;
}

Duration Shard::SyncDueIn() const { return impl_->SyncDueIn(); }

Status Shard::Close() {
  Impl& self = *impl_;
  PX_RETURN_IF_ERROR(self.poisoned);
  Status closed = self.SyncLog();
  if (closed.ok()) closed = self.log->Close();
  self.NoteDurable();
  self.UpdateStats();
  return closed;
}

Status Shard::Impl::Poison(const Status& cause) {
  // What was scattered stays invisible for good: nothing is published after this.
  poisoned = Unavailable(
      "shard {} takes no writes since a log write or sync failed ({}); reads go on; mend the disk "
      "and restart",
      options.id.value(), Message(cause));
  return poisoned;
}

void Shard::Impl::Refuse(const Status& reason) {
  // Duplicates of what the group failed to write or to sync.
  const Lsn kept = poisoned.ok() ? store.published() : durable;
  for (auto pending = group.rbegin(); pending != group.rend(); ++pending) {
    if (pending->logged) {
      next = pending->ack.first;
      if (!pending->write->producer.empty()) {
        if (pending->before.last == BatchNumber(0)) {
          producers.erase(pending->write->producer);
        } else {
          producers[pending->write->producer] = pending->before;
        }
        refused[pending->write->producer].Add(pending->write->number);
      }
    }
    if (pending->logged || (pending->ack.duplicate && pending->ack.last > kept)) {
      pending->ack.status = reason;
    }
  }
}

void Shard::Impl::TakeSnapshot(std::shared_ptr<const SnapshotIndex> taken) {
  snapshot = std::move(taken);
  MutexLock lock(&mutex);
  stats.snapshot = snapshot->cut;
  stats.snapshot_at = snapshot->taken;
  stats.snapshot_bytes = snapshot->bytes();
}

void Shard::Impl::NoteBacklog() {
  {
    MutexLock lock(&mutex);
    through = backlog.persisted_through();
  }
  UpdateStats();
}

void Shard::Impl::UpdateStats() {
  MutexLock lock(&mutex);
  for (const Pending& pending : group) {
    if (pending.ack.duplicate) ++stats.duplicates;
    if (!pending.logged || !pending.ack.status.ok()) continue;
    ++stats.batches;
    stats.rows += pending.ack.last.value() - pending.ack.first.value() + 1;
  }
  if (!group.empty()) ++stats.groups;
  stats.published = store.published();
  stats.durable = durable;
  stats.persisted = store.persisted();
  stats.backlog_rows = backlog.rows();
  stats.backlog_bytes = backlog.bytes();
  stats.oldest_unpersisted = backlog.oldest_published();
  stats.log_live_bytes = log->live_bytes();
  stats.direct_io = log->direct();
  stats.log_bytes_after_snapshot = log->ClosedBytesAbove(snapshot->cut);
  stats.poisoned = std::string(Message(poisoned));
}

FlushTake Shard::TakeForFlush(uint64_t max_rows) {
  Impl& self = *impl_;
  FlushTake take;
  std::set<std::pair<TableId, Day>> rewritten;
  const Lsn rewrites = self.live_cuts.RewritesThrough(self.ports.clock->Monotonic());
  for (const auto* entry : self.backlog.Take(max_rows, self.durable, rewrites)) {
    const TableId table = entry->batch.schema->id;
    for (const Day day : entry->rewritten_days) rewritten.emplace(table, day);
    if (!entry->rewritten_days.empty()) {
      MutexLock lock(&self.mutex);
      self.rewrite_taken[table] = entry->last;
    }
    take.batches.push_back(entry->Source(self.options.id));
  }
  take.rewritten_days.assign(rewritten.begin(), rewritten.end());
  take.series = self.registry.TakeNew(self.store);
  return take;
}

LiveCut Shard::FixLiveCut(Duration hold) {
  const Duration now = impl_->ports.clock->Monotonic();
  return impl_->live_cuts.Fix(impl_->options.id, impl_->store, &impl_->backlog, now, hold);
}

std::vector<history::SourceBatch> Shard::Find(Lsn first, Lsn last) const {
  std::vector<history::SourceBatch> found;
  for (const auto* entry : impl_->backlog.Find(first, last)) {
    found.push_back(entry->Source(impl_->options.id));
  }
  return found;
}

void Shard::Persisted(Lsn lsn) {
  Impl& self = *impl_;
  PX_CHECK(lsn <= self.durable);
  self.backlog.Drop(lsn);
  self.store.SetPersisted(lsn);
  self.NoteBacklog();
}

void Shard::MarkTaken(Lsn lsn) { impl_->backlog.MarkTaken(lsn); }

void Shard::Flushed(Lsn lsn, const std::set<TableId>& held) {
  impl_->backlog.DropOthers(lsn, held);
  impl_->NoteBacklog();
}

void Shard::SetSchema(const column::SchemaPtr& schema) { impl_->store.SetSchema(schema); }

void Shard::HoldEviction(bool held) { impl_->eviction_held = held; }

StatusOr<hot::EvictResult> Shard::Evict(TableId table, Timestamp before, Timestamp published) {
  return impl_->Evict(table, before, published);
}

StatusOr<hot::EvictResult> Shard::Impl::Evict(TableId table, Timestamp before,
                                              Timestamp published) {
  if (eviction_held) return hot::EvictResult{};
  const auto plan = store.PlanEviction(table, before, published);
  if (plan.empty()) return hot::EvictResult{};
  const meta::Mutation floors = registry.FloorsAfter(store, table, plan);
  PX_RETURN_IF_ERROR(ports.metadata->Apply({&floors, 1}, "proxistd", "hot floors rise").status());
  return store.Evict(table, plan);
}

StatusOr<bool> Shard::Maintain() {
  Impl& self = *impl_;
  PX_RETURN_IF_ERROR(self.SyncIfDue());
  PX_RETURN_IF_ERROR(self.RecordWatermark());
  const bool more = self.store.Maintain();
  const Duration now = self.ports.clock->Monotonic();
  if (now.ns() - self.last_retention.ns() < kRetentionInterval.ns()) return more;
  self.last_retention = now;
  Status failed;
  for (const auto& schema : self.ports.catalog->Tables()) {
    const Timestamp published = self.ports.clock->Now().Minus(schema->hot_retain);
    failed.Update(self.Evict(schema->id, Timestamp::Max(), published).status());
  }
  failed.Update(self.Recycle());
  {
    MutexLock lock(&self.mutex);
    self.stats.maintenance_error = std::string(Message(failed));
  }
  PX_RETURN_IF_ERROR(failed);
  return more;
}

Status Shard::Impl::Recycle() {
  if (!poisoned.ok()) return OkStatus();
  const Lsn end = options.keep_backlog ? std::min(snapshot->cut, store.persisted()) : snapshot->cut;
  const Lsn through = log->RecyclableThrough(end);
  if (through == Lsn(0)) return OkStatus();
  // From then on recovery needs a snapshot at or above this LSN.
  const meta::Mutation mark{internal::RecycledKey(options.id),
                            internal::EncodeNumber(through.value()), std::nullopt};
  PX_RETURN_IF_ERROR(
      ports.metadata->Apply({&mark, 1}, "proxistd", "log segments are recycled").status());
  return log->Recycle(end).status();
}

StatusOr<std::unique_ptr<SnapshotJob>> Shard::BeginSnapshot() {
  Impl& self = *impl_;
  PX_CHECK(!self.snapshot_running);
  if (!self.poisoned.ok()) return FailedPrecondition("{}", Message(self.poisoned));
  // A snapshot outlives power loss, so the log has to hold what it holds.
  PX_RETURN_IF_ERROR(self.SyncLog());
  self.NoteDurable();
  if (self.store.published() <= self.snapshot->cut) return std::unique_ptr<SnapshotJob>();
  SnapshotJob::Source source;
  source.files = self.ports.files;
  source.keys = self.ports.keys;
  source.directory = self.SnapshotDirectory();
  source.header = {self.Identity(), self.epoch, self.store.published(), self.ports.clock->Now()};
  source.state.persisted = self.store.persisted();
  source.state.backlog_kept = self.options.keep_backlog;
  source.producers = self.producers;
  source.batches = self.backlog.Marks();
  source.persisted_ts = self.backlog.greatest_persisted();
  source.previous = self.snapshot;
  source.begun = self.ports.clock->Monotonic();
  self.snapshot_running = true;
  return std::make_unique<SnapshotJob>(&self.store, std::move(source));
}

Status Shard::FinishSnapshot(std::unique_ptr<SnapshotJob> job) {
  Impl& self = *impl_;
  PX_CHECK(self.snapshot_running && job != nullptr);
  self.snapshot_running = false;
  PX_RETURN_IF_ERROR(job->status());
  self.TakeSnapshot(job->index());
  const Status recycled = self.Recycle();
  {
    MutexLock lock(&self.mutex);
    self.stats.snapshot_written_bytes = job->written_bytes();
    self.stats.snapshot_elapsed = Duration(self.ports.clock->Monotonic().ns() - job->begun().ns());
  }
  self.group.clear();
  self.UpdateStats();
  return recycled;
}

SpillSource Shard::Spilling() const {
  const Impl& self = *impl_;
  return {self.ports.files, self.SnapshotDirectory(), self.Identity(), self.snapshot};
}

hot::SpillResult Shard::Spill(hot::SpillBatch batch) {
  return impl_->store.Spill(std::move(batch));
}

std::vector<std::pair<std::string, BatchNumber>> Shard::LastBatches() const {
  std::vector<std::pair<std::string, BatchNumber>> last;
  for (const auto& [name, state] : impl_->producers) last.emplace_back(name, state.last);
  return last;
}

ShardId Shard::id() const { return impl_->options.id; }
const hot::Store& Shard::store() const { return impl_->store; }

ShardStats Shard::Stats() const {
  MutexLock lock(&impl_->mutex);
  return impl_->stats;
}

Lsn Shard::RewriteHandedToFlush(TableId table) const {
  MutexLock lock(&impl_->mutex);
  const auto taken = impl_->rewrite_taken.find(table);
  return taken == impl_->rewrite_taken.end() ? Lsn(0) : taken->second;
}

Timestamp Shard::PersistedThrough(TableId table) const {
  MutexLock lock(&impl_->mutex);
  const auto found = impl_->through.find(table);
  return found == impl_->through.end() ? Timestamp::Min() : found->second;
}

}  // namespace proxist::shard
