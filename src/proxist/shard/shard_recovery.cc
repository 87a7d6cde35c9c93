// Opening: the newest usable snapshot, then the log above it.
#include <algorithm>
#include <set>
#include <utility>

#include "proxist/base/check.h"
#include "proxist/base/planted.h"
#include "proxist/shard/internal/keys.h"
#include "proxist/shard/internal/shard_state.h"

namespace proxist::shard {
namespace {

/// The number under `key`; 0 when there is none.
StatusOr<uint64_t> StoredNumber(meta::MetadataStore* metadata, const std::string& key) {
  const auto entry = metadata->Get(key);
  if (absl::IsNotFound(entry.status())) return uint64_t{0};
  PX_RETURN_IF_ERROR(entry.status());
  return internal::DecodeNumber(entry->value, key);
}

}  // namespace

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

}  // namespace proxist::shard
