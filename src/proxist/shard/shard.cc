// The writer's half, once the shard is open.
#include "proxist/shard/shard.h"

#include <algorithm>
#include <set>
#include <utility>

#include "proxist/base/check.h"
#include "proxist/base/planted.h"
#include "proxist/column/batch_encoding.h"
#include "proxist/shard/internal/keys.h"
#include "proxist/shard/internal/shard_state.h"

namespace proxist::shard {
namespace {

constexpr Duration kRetentionInterval = Duration::Seconds(1);
constexpr Duration kWatermarkInterval = Duration::Seconds(1);
constexpr Duration kNoSyncDue = Duration::Hours(1);

}  // namespace

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
  // While the device writes.
  std::vector<std::vector<Day>> rewritten(group.size());
  for (size_t i = 0; i < group.size(); ++i) {
    if (group[i].logged) Apply(group[i].write->batch, group[i].ack.first, now, &rewritten[i]);
  }
  const Status written = log->Wait();
  if (!written.ok() && !Planted(PlantedBug::kAckBeforeSync)) return Poison(written);
  store.Publish(Lsn(next.value() - 1));
  for (size_t i = 0; i < group.size(); ++i) {
    if (!group[i].logged || !options.keep_backlog) continue;
    backlog.Add(std::move(group[i].write->batch), group[i].ack.first, now, std::move(rewritten[i]));
  }
  return OkStatus();
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
  Impl& self = *impl_;
  return self.live_cuts.Fix(self.options.id, self.store, &self.backlog,
                            self.ports.clock->Monotonic(), hold);
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
