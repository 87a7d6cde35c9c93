// pxinspect verify: is a whole data directory what it should be?
#include "verify_command.h"

#include "data_directory.h"
#include "proxist/column/batch.h"
#include "proxist/env/file_system.h"
#include "proxist/shard/record.h"
#include "proxist/wal/inspect.h"
#include "verify_snapshots.h"

namespace proxist::pxinspect {
namespace {

/// The record as replay would take it: its schema is known, its batch decodes and has a row for
/// each LSN.
Status CheckRecord(const wal::LogRecord& record, const meta::Catalog& catalog) {
  PX_ASSIGN_OR_RETURN(const shard::DecodedRecord decoded, shard::DecodeRecord(record.payload));
  PX_ASSIGN_OR_RETURN(const column::SchemaPtr schema,
                      catalog.Find(decoded.header.table, decoded.header.schema_version));
  PX_ASSIGN_OR_RETURN(const column::Batch batch,
                      column::DecodeBatch(decoded.batch, schema, record.owner));
  const uint64_t rows = record.last.value() - record.first.value() + 1;
  if (batch.rows == rows) return OkStatus();
  return DataLoss("{} rows where its LSNs {} to {} hold {}", batch.rows, record.first.value(),
                  record.last.value(), rows);
}

/// `before`: the highest LSN that the log has given up.
Status VerifyLog(const std::string& log, const MetadataCopy& metadata, uint64_t shard,
                 env::Keyring* keys, Lsn* before) {
  wal::ReplayReport report;
  std::string path;
  wal::LogVisitor visitor;
  visitor.segment = [&](const wal::SegmentInfo& segment) -> Status {
    path = segment.path;
    if (segment.incarnation == metadata.incarnation() && segment.shard.value() == shard) {
      return OkStatus();
    }
    return FailedPrecondition(
        "{}: belongs to shard {} of data directory incarnation {:016x}, expected shard {} of "
        "{:016x}",
        path, segment.shard.value(), segment.incarnation, shard, metadata.incarnation());
  };
  visitor.record = [&](const wal::LogRecord& record) {
    return Annotate(CheckRecord(record, metadata.catalog()),
                    fmt::format("{}: the frame at offset {}", path, record.frame_offset));
  };
  PX_RETURN_IF_ERROR(wal::InspectLog(&env::PosixFileSystem(), log, visitor, &report, keys));
  fmt::print("log {}: {} records, last LSN {}{}\n", log, report.records, report.last.value(),
             report.torn_tail
                 ? fmt::format(", torn tail in segment {:016x} at offset {}: {}",
                               report.torn_segment, report.torn_offset, report.torn_why)
                 : "");
  *before = report.before;
  return OkStatus();
}

/// A shard's log and snapshots, and that they meet.
Status VerifyShard(const std::string& directory, const MetadataCopy& metadata, uint64_t shard,
                   env::Keyring* keys) {
  const std::string log = fmt::format("{}/wal/{}", directory, shard);
  Lsn before;
  Lsn newest;
  const Status logged = VerifyLog(log, metadata, shard, keys, &before);
  const hot::FileIdentity identity{metadata.incarnation(), ShardId(static_cast<uint16_t>(shard))};
  const Status kept =
      VerifySnapshots(fmt::format("{}/snapshots/{}", directory, shard), identity, keys, &newest);
  if (!logged.ok()) return logged;
  if (!kept.ok() || before <= newest) return kept;
  return DataLoss("{}: begins behind LSN {}, but {}", log, before.value(),
                  newest == Lsn(0)
                      ? "there is no whole snapshot"
                      : fmt::format("the newest whole snapshot ends at {}", newest.value()));
}

}  // namespace

Status Verify(const std::string& directory, env::Keyring* keys) {
  PX_ASSIGN_OR_RETURN(const std::unique_ptr<MetadataCopy> metadata, MetadataCopy::Open(directory));
  fmt::print("metadata {}/meta.db: incarnation {:016x}, {} shards, {} tables\n", directory,
             metadata->incarnation(), metadata->shards(), metadata->catalog().Tables().size());
  Status first;
  for (uint64_t shard = 0; shard < metadata->shards(); ++shard) {
    const Status status = VerifyShard(directory, *metadata, shard, keys);
    if (first.ok()) first = status;
  }
  return first;
}

}  // namespace proxist::pxinspect
