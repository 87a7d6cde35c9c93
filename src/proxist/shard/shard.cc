#include "proxist/shard/shard.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "proxist/base/check.h"
#include "proxist/base/mutex.h"
#include "proxist/base/planted.h"
#include "proxist/shard/internal/backlog.h"
#include "proxist/shard/internal/keys.h"
#include "proxist/shard/internal/series_registry.h"
#include "proxist/shard/record.h"
#include "proxist/wal/log.h"

namespace proxist::shard {
namespace {

constexpr Duration kRetentionInterval = Duration::Seconds(1);
constexpr Duration kWatermarkInterval = Duration::Seconds(1);
constexpr Duration kNoSyncDue = Duration::Hours(1);

history::SourceBatch SourceOf(ShardId shard, const internal::Backlog::Entry& entry) {
  return {shard, entry.batch, entry.first};
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

  Status Recover(RecoveryReport* report);
  Status Replay(const wal::LogRecord& record, RecoveryReport* report);
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

  const ShardOptions options;
  const Ports ports;
  hot::Store store;
  std::unique_ptr<wal::Log> log;
  internal::SeriesRegistry registry;
  internal::Backlog backlog;
  internal::Producers producers;
  /// Batches that were refused and have to come again, in order, before any later one: else a
  /// repetition of one would be taken for a duplicate.
  std::map<std::string, std::set<BatchNumber>, std::less<>> refused;
  Lsn next;                                // of the next row
  Lsn durable;                             // at most what is published: D
  std::optional<Duration> unsynced_since;  // monotonic; of the oldest group above `durable`
  Status poisoned;                         // not OK: writes are refused for good
  Duration last_watermark;                 // monotonic
  std::vector<Pending> group;              // reused between commits
  std::vector<std::byte> scratch;
  Duration last_retention;
  bool evicted = false;  // rows left memory since log segments were last looked at

  mutable Mutex mutex;
  ShardStats stats PX_GUARDED_BY(mutex);
  std::map<TableId, Lsn> rewrite_taken PX_GUARDED_BY(mutex);
  std::map<TableId, Timestamp> through PX_GUARDED_BY(mutex);
};

StatusOr<std::unique_ptr<Shard>> Shard::Open(const ShardOptions& options, const Ports& ports,
                                             RecoveryReport* report) {
  auto impl = std::make_unique<Impl>(options, ports);
  PX_RETURN_IF_ERROR(Annotate(impl->Recover(report), fmt::format("shard {}", options.id.value())));
  return std::unique_ptr<Shard>(new Shard(std::move(impl)));
}

Shard::Shard(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Shard::~Shard() = default;

Status Shard::Impl::Recover(RecoveryReport* report) {
  const Duration started = ports.clock->Monotonic();
  const auto number = [&](const std::string& key) -> StatusOr<uint64_t> {
    auto entry = ports.metadata->Get(key);
    if (absl::IsNotFound(entry.status())) return uint64_t{0};
    if (!entry.ok()) return entry.status();
    return internal::DecodeNumber(entry->value, key);
  };
  PX_ASSIGN_OR_RETURN(const uint64_t last_epoch, number(internal::EpochKey(options.id)));
  PX_ASSIGN_OR_RETURN(const uint64_t persisted, number(internal::PersistedKey(options.id)));
  uint64_t used = persisted;
  const auto round_entry = ports.metadata->Get(internal::kRoundKey);
  if (round_entry.ok()) {
    PX_ASSIGN_OR_RETURN(const auto round, internal::DecodeRound(round_entry->value));
    for (const auto& range : round.ranges) {
      if (range.shard == options.id) used = std::max(used, range.last.value());
    }
  } else if (!absl::IsNotFound(round_entry.status())) {
    return round_entry.status();
  }
  const Epoch epoch(static_cast<uint32_t>(last_epoch + 1));
  const meta::Mutation mark{internal::EpochKey(options.id), internal::EncodeNumber(epoch.value()),
                            std::nullopt};
  PX_RETURN_IF_ERROR(ports.metadata->Apply({&mark, 1}, "proxistd", "a new epoch opens").status());

  for (const auto& schema : ports.catalog->Tables()) store.SetSchema(schema);
  PX_RETURN_IF_ERROR(registry.Load(ports.metadata, &store));
  const auto producer_entry = ports.metadata->Get(internal::ProducersKey(options.id));
  if (producer_entry.ok()) {
    PX_ASSIGN_OR_RETURN(producers, internal::DecodeProducers(producer_entry->value));
  } else if (!absl::IsNotFound(producer_entry.status())) {
    return producer_entry.status();
  }
  store.Publish(Lsn(persisted));
  store.SetPersisted(Lsn(persisted));

  wal::LogOptions log_options;
  log_options.directory = options.wal_directory;
  log_options.segment_bytes = options.segment_bytes;
  log_options.max_frame_bytes = options.max_frame_bytes;
  log_options.prepare_next = options.prepare_segments;
  log_options.incarnation = options.incarnation;
  log_options.shard = options.id;
  log_options.epoch = epoch;
  wal::ReplayReport replay;
  PX_ASSIGN_OR_RETURN(
      log, wal::Log::Open(
               ports.files, log_options,
               [&](const wal::LogRecord& record) { return Replay(record, report); }, &replay));
  next = Lsn(std::max({used, replay.last.value(), store.published().value()}) + 1);
  report->records = replay.records;
  report->log_bytes = replay.bytes;
  report->torn_tail = replay.torn_tail;
  if (replay.torn_tail) {
    report->torn_why =
        fmt::format("segment {:016x} at offset {}: {}{}", replay.torn_segment, replay.torn_offset,
                    replay.torn_why,
                    replay.unsynced_lost ? "; unsynced frames behind it were cut with it" : "");
  }
  NoteDurable();
  report->elapsed = Duration(ports.clock->Monotonic().ns() - started.ns());
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
  PX_ASSIGN_OR_RETURN(const DecodedRecord decoded, DecodeRecord(record.payload));
  PX_ASSIGN_OR_RETURN(const auto schema,
                      ports.catalog->Find(decoded.header.table, decoded.header.schema_version));
  PX_ASSIGN_OR_RETURN(const auto batch, column::DecodeBatch(decoded.batch, schema, record.owner));
  if (batch.rows != record.last.value() - record.first.value() + 1) {
    return DataLoss("log record at LSN {}: {} rows where its LSN range holds {}",
                    record.first.value(), batch.rows,
                    record.last.value() - record.first.value() + 1);
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
  return OkStatus();
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
             earlier != refused.end() && write.number > *earlier->second.begin()) {
    ack.status = FailedPrecondition(
        "producer '{}': batch {} was refused and has to be sent again before batch {}",
        write.producer, earlier->second.begin()->value(), write.number.value());
    earlier->second.insert(write.number);
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
  waited->second.erase(write.number);
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
  EncodeRecord(header, write->batch, &out);
  return log->AddRecord(scratch, first, Lsn(first.value() + write->batch.rows - 1));
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
        producers[pending->write->producer] = pending->before;
        refused[pending->write->producer].insert(pending->write->number);
      }
    }
    if (pending->logged || (pending->ack.duplicate && pending->ack.last > kept)) {
      pending->ack.status = reason;
    }
  }
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
  stats.poisoned = std::string(Message(poisoned));
}

FlushTake Shard::TakeForFlush(uint64_t max_rows) {
  Impl& self = *impl_;
  FlushTake take;
  std::set<std::pair<TableId, Day>> rewritten;
  for (const auto* entry : self.backlog.Take(max_rows, self.durable)) {
    const TableId table = entry->batch.schema->id;
    for (const Day day : entry->rewritten_days) rewritten.emplace(table, day);
    if (!entry->rewritten_days.empty()) {
      MutexLock lock(&self.mutex);
      self.rewrite_taken[table] = entry->last;
    }
    take.batches.push_back(SourceOf(self.options.id, *entry));
  }
  take.rewritten_days.assign(rewritten.begin(), rewritten.end());
  take.series = self.registry.TakeNew(self.store);
  return take;
}

std::vector<history::SourceBatch> Shard::Find(Lsn first, Lsn last) const {
  std::vector<history::SourceBatch> found;
  for (const auto* entry : impl_->backlog.Find(first, last)) {
    found.push_back(SourceOf(impl_->options.id, *entry));
  }
  return found;
}

void Shard::Persisted(Lsn lsn) {
  Impl& self = *impl_;
  PX_CHECK(lsn <= self.durable);
  self.backlog.Drop(lsn);
  self.store.SetPersisted(lsn);
  {
    MutexLock lock(&self.mutex);
    self.through = self.backlog.persisted_through();
  }
  self.UpdateStats();
}

void Shard::SetSchema(const column::SchemaPtr& schema) { impl_->store.SetSchema(schema); }

StatusOr<hot::EvictResult> Shard::Evict(TableId table, Timestamp before, Timestamp published) {
  return impl_->Evict(table, before, published);
}

StatusOr<hot::EvictResult> Shard::Impl::Evict(TableId table, Timestamp before,
                                              Timestamp published) {
  const auto plan = store.PlanEviction(table, before, published);
  if (plan.empty()) return hot::EvictResult{};
  const meta::Mutation floors = registry.FloorsAfter(store, table, plan);
  PX_RETURN_IF_ERROR(ports.metadata->Apply({&floors, 1}, "proxistd", "hot floors rise").status());
  evicted = true;
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
  for (const auto& schema : self.ports.catalog->Tables()) {
    const Timestamp published = self.ports.clock->Now().Minus(schema->hot_retain);
    PX_RETURN_IF_ERROR(self.Evict(schema->id, Timestamp::Max(), published).status());
  }
  if (self.evicted) PX_RETURN_IF_ERROR(self.Recycle());
  return more;
}

Status Shard::Impl::Recycle() {
  evicted = false;
  const Lsn held = store.LeastHeldLsn();
  const Lsn end = std::min(store.persisted(), held == Lsn::Max() ? held : Lsn(held.value() - 1));
  if (end.value() == 0 || log->live_bytes() <= options.segment_bytes) return OkStatus();
  // The producers' marks and the epoch's LSNs must outlive the records that told of them.
  std::vector<meta::Mutation> marks = registry.TakeNew(store);
  marks.push_back(
      {internal::ProducersKey(options.id), internal::EncodeProducers(producers), std::nullopt});
  PX_RETURN_IF_ERROR(
      ports.metadata->Apply(marks, "proxistd", "producers before log recycling").status());
  return log->Recycle(end).status();
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
