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
  Status AddToLog(Write* write, Lsn first, Timestamp now);
  Status WriteGroup(Timestamp now);
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
  Lsn next;                    // of the next row
  Status poisoned;             // not OK: writes are refused for good
  std::vector<Pending> group;  // reused between commits
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
    if (options.keep_backlog)
      backlog.Add(batch, record.first, decoded.header.server_time, std::move(rewritten));
  } else {
    backlog.AddPersisted(batch);
  }
  if (!decoded.header.producer.empty() && !Planted(PlantedBug::kDedupLostAtRestart)) {
    auto& state = producers[std::string(decoded.header.producer)];
    if (decoded.header.number > state.last) {
      state = {decoded.header.number, record.first, record.last, BatchNumber(0)};
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
  const Status status = self.log->pending_bytes() > 0 ? self.WriteGroup(now) : OkStatus();
  if (!status.ok()) self.Refuse(status);
  self.UpdateStats();
  for (Impl::Pending& pending : self.group) pending.write->done(std::move(pending.ack));
  self.group.clear();
  return taken;
}

bool Shard::Impl::Take(Write* write, Timestamp now) {
  Pending pending;
  pending.write = write;
  pending.ack.shard = options.id;
  pending.ack.status = poisoned;
  const auto known = write->producer.empty() ? producers.end() : producers.find(write->producer);
  if (known != producers.end()) pending.before = known->second;
  if (known != producers.end() && write->number <= pending.before.last) {
    pending.ack.status = OkStatus();
    pending.ack.duplicate = true;
    const bool latest = write->number == pending.before.last;
    pending.ack.first = latest ? pending.before.first_lsn : pending.before.last_lsn.Next();
    pending.ack.last = pending.before.last_lsn;
    group.push_back(std::move(pending));
    return true;
  }
  if (!poisoned.ok()) {
    group.push_back(std::move(pending));
    return true;
  }
  if (pending.before.refused.value() != 0 && write->number > pending.before.refused) {
    pending.ack.status = FailedPrecondition(
        "producer '{}': batch {} was refused and has to be sent again before batch {}",
        write->producer, pending.before.refused.value(), write->number.value());
    group.push_back(std::move(pending));
    return true;
  }
  if (!write->producer.empty() && known == producers.end() &&
      producers.size() >= options.max_producers) {
    pending.ack.status =
        ResourceExhausted("shard {}: {} producers are known, the bound is {}", options.id.value(),
                          producers.size(), options.max_producers);
    group.push_back(std::move(pending));
    return true;
  }
  const Lsn first = next;
  const Status added = AddToLog(write, first, now);
  if (absl::IsResourceExhausted(added) && log->pending_bytes() > 0) return false;
  if (!added.ok()) {
    pending.ack.status = added;
    group.push_back(std::move(pending));
    return true;
  }
  next = Lsn(first.value() + write->batch.rows);
  pending.logged = true;
  pending.ack.first = first;
  pending.ack.last = Lsn(next.value() - 1);
  if (!write->producer.empty()) {
    producers[write->producer] = {write->number, first, pending.ack.last, BatchNumber(0)};
  }
  group.push_back(std::move(pending));
  return true;
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

Status Shard::Impl::WriteGroup(Timestamp now) {
  const Status submitted = log->Submit();
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

Status Shard::Impl::Poison(const Status& cause) {
  // What was scattered stays invisible for good: nothing is published after this.
  poisoned = Unavailable(
      "shard {} takes no writes since a log write failed ({}); reads go on; mend the disk and "
      "restart",
      options.id.value(), Message(cause));
  return poisoned;
}

void Shard::Impl::Refuse(const Status& reason) {
  for (auto pending = group.rbegin(); pending != group.rend(); ++pending) {
    if (pending->logged) {
      next = pending->ack.first;
      if (!pending->write->producer.empty()) {
        auto& state = producers[pending->write->producer];
        state = pending->before;
        state.refused = pending->write->number;
      }
    }
    if (pending->logged || pending->ack.duplicate) pending->ack.status = reason;
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
  stats.durable = store.published();
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
  for (const auto* entry : self.backlog.Take(max_rows)) {
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
  PX_CHECK(lsn <= self.store.published());
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
