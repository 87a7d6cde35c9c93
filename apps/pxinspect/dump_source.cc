// Every version of a table's rows that one shard's files hold.
#include "dump_source.h"

#include <algorithm>
#include <tuple>
#include <utility>

#include "proxist/env/file_system.h"
#include "proxist/shard/record.h"
#include "proxist/shard/snapshot_file.h"

namespace proxist::pxinspect {
namespace {

/// Chunk files that are open side by side.
constexpr size_t kMaxOpenFiles = 512;

RowVersion VersionOf(const column::Batch& batch, size_t row, Lsn lsn) {
  const bool assigned = batch.seq.values.empty();
  return {&batch, row, Timestamp(batch.ts.At<int64_t>(row)),
          assigned ? lsn.value() : batch.seq.At<uint64_t>(row), lsn};
}

}  // namespace

bool DumpSelection::Has(std::string_view symbol) const {
  return symbols.empty() || std::ranges::binary_search(symbols, symbol);
}

bool DumpSelection::Has(Timestamp ts) const {
  return ts >= from && (ts < to || to == Timestamp::Max());
}

StatusOr<std::unique_ptr<ShardDump>> ShardDump::Open(const std::string& directory,
                                                     const hot::FileIdentity& identity,
                                                     const meta::Catalog& catalog,
                                                     const DumpSelection& selection) {
  std::unique_ptr<ShardDump> dump(new ShardDump(directory, identity, selection));
  PX_RETURN_IF_ERROR(dump->FindSnapshot());
  PX_RETURN_IF_ERROR(dump->ReadLog(catalog));
  return dump;
}

std::string ShardDump::SnapshotDirectory() const {
  return fmt::format("{}/snapshots/{}", directory_, identity_.shard.value());
}

Status ShardDump::FindSnapshot() {
  PX_ASSIGN_OR_RETURN(const std::vector<Lsn> cuts,
                      shard::ListSnapshots(&env::PosixFileSystem(), SnapshotDirectory()));
  for (const Lsn cut : cuts) {
    const Status loaded = LoadSnapshot(cut);
    if (loaded.ok()) {
      cut_ = cut;
      return OkStatus();
    }
    if (!absl::IsDataLoss(loaded) && !absl::IsNotFound(loaded)) return loaded;
    notes_.push_back(fmt::format("passed over: {}", Message(loaded)));
    strings_.clear();
    series_.clear();
    files_.clear();
  }
  return OkStatus();
}

Status ShardDump::LoadSnapshot(Lsn cut) {
  const std::string path = SnapshotDirectory() + "/" + shard::SnapshotFileName(cut);
  shard::SnapshotVisitor visitor;
  visitor.strings = [this](std::span<const std::string_view> strings) {
    strings_.insert(strings_.end(), strings.begin(), strings.end());
    return OkStatus();
  };
  visitor.series = [this](const hot::StoredSeries& series) { return AddSeries(series); };
  PX_RETURN_IF_ERROR(
      shard::ReadSnapshot(&env::PosixFileSystem(), path, identity_, visitor, selection_.keys));
  // It counts only when its chunks are whole too.
  for (const auto& [name, pieces] : series_) {
    PX_RETURN_IF_ERROR(Annotate(ReadBlocks(pieces), path));
  }
  return OkStatus();
}

Status ShardDump::AddSeries(const hot::StoredSeries& series) {
  if (series.table != selection_.table->id) return OkStatus();
  Pieces pieces;
  SeriesName name;
  for (size_t i = 0; i <= selection_.table->series.size(); ++i) {
    const uint32_t code = series.codes[i];
    if (code >= strings_.size()) {
      return DataLoss("a series' string {} is not in the dictionary", code);
    }
    pieces.codes.push_back(code);
    name.push_back(strings_[code]);
  }
  if (!selection_.Has(name[0])) return OkStatus();
  for (const hot::StoredChunk& chunk : series.chunks) {
    const bool before_end = chunk.first < selection_.to || selection_.to == Timestamp::Max();
    if (chunk.last >= selection_.from && before_end) pieces.chunks.push_back(chunk);
  }
  pieces.tail.assign(series.tail.begin(), series.tail.end());
  pieces.overlay.assign(series.overlay.begin(), series.overlay.end());
  if (!series_.emplace(name, std::move(pieces)).second) {
    return DataLoss("series {} comes twice", name[0]);
  }
  return OkStatus();
}

Status ShardDump::ReadLog(const meta::Catalog& catalog) {
  const std::string log = fmt::format("{}/wal/{}", directory_, identity_.shard.value());
  std::string path;
  wal::LogVisitor visitor;
  visitor.segment = [&](const wal::SegmentInfo& segment) {
    path = segment.path;
    return CheckSegment(segment);
  };
  visitor.record = [&](const wal::LogRecord& record) {
    return Annotate(AddRecord(record, catalog),
                    fmt::format("{}: the frame at offset {}", path, record.frame_offset));
  };
  wal::ReplayReport report;
  const Status read =
      wal::InspectLog(&env::PosixFileSystem(), log, visitor, &report, selection_.keys);
  if (absl::IsFailedPrecondition(read)) return read;
  // What stands before the damage is worth seeing.
  missing_ = read;
  if (missing_.ok() && report.before > cut_) {
    missing_ = DataLoss("{}: the log begins behind LSN {}, {}: what was between them is gone", log,
                        report.before.value(),
                        cut_ == Lsn(0)
                            ? "and there is no whole snapshot"
                            : fmt::format("the newest whole snapshot ends at {}", cut_.value()));
  }
  if (report.torn_tail) {
    notes_.push_back(fmt::format("log {}: torn tail in segment {:016x} at offset {}: {}", log,
                                 report.torn_segment, report.torn_offset, report.torn_why));
  }
  return OkStatus();
}

Status ShardDump::CheckSegment(const wal::SegmentInfo& segment) const {
  if (segment.incarnation == identity_.incarnation && segment.shard == identity_.shard) {
    return OkStatus();
  }
  return FailedPrecondition(
      "{}: belongs to shard {} of data directory incarnation {:016x}, expected shard {} of {:016x}",
      segment.path, segment.shard.value(), segment.incarnation, identity_.shard.value(),
      identity_.incarnation);
}

Status ShardDump::AddRecord(const wal::LogRecord& record, const meta::Catalog& catalog) {
  PX_ASSIGN_OR_RETURN(const shard::DecodedRecord decoded, shard::DecodeRecord(record.payload));
  if (decoded.header.table != selection_.table->id) return OkStatus();
  origins_.push_back(
      {record.first, record.last, std::string(decoded.header.producer), decoded.header.number});
  if (record.last <= cut_) return OkStatus();
  if (record.first <= cut_) {
    return DataLoss("LSNs {} to {}: the snapshot at LSN {} cuts them", record.first.value(),
                    record.last.value(), cut_.value());
  }
  PX_ASSIGN_OR_RETURN(const column::SchemaPtr schema,
                      catalog.Find(decoded.header.table, decoded.header.schema_version));
  PX_ASSIGN_OR_RETURN(column::Batch batch,
                      column::DecodeBatch(decoded.batch, schema, record.owner));
  const uint64_t rows = record.last.value() - record.first.value() + 1;
  if (batch.rows != rows) {
    return DataLoss("{} rows where its LSNs {} to {} hold {}", batch.rows, record.first.value(),
                    record.last.value(), rows);
  }
  AddLogged(std::make_shared<const column::Batch>(std::move(batch)), record.first);
  return OkStatus();
}

void ShardDump::AddLogged(std::shared_ptr<const column::Batch> batch, Lsn first) {
  bool wanted = false;
  SeriesName name;
  for (size_t row = 0; row < batch->rows; ++row) {
    const std::string_view symbol = batch->symbol.TextAt(row);
    const Lsn lsn(first.value() + row);
    const RowVersion version = VersionOf(*batch, row, lsn);
    if (!selection_.Has(symbol) || !selection_.Has(version.ts)) continue;
    name.assign(1, std::string(symbol));
    for (const size_t column : selection_.table->series) {
      name.emplace_back(batch->columns[column].TextAt(row));
    }
    series_[name].logged.push_back(version);
    wanted = true;
  }
  if (wanted) batches_.push_back(std::move(batch));
}

std::vector<SeriesName> ShardDump::Series() const {
  std::vector<SeriesName> names;
  for (const auto& [name, pieces] : series_) names.push_back(name);
  return names;
}

Status ShardDump::ReadBlocks(const Pieces& pieces) {
  blocks_.clear();
  for (const hot::StoredChunk& chunk : pieces.chunks) PX_RETURN_IF_ERROR(AddChunk(chunk, pieces));
  if (!pieces.tail.empty()) PX_RETURN_IF_ERROR(AddBlock(pieces.tail, pieces));
  return pieces.overlay.empty() ? OkStatus() : AddBlock(pieces.overlay, pieces);
}

Status ShardDump::AddBlock(ByteSpan bytes, const Pieces& pieces) {
  PX_ASSIGN_OR_RETURN(hot::BlockRows block,
                      hot::ReadBlockRows(bytes, {selection_.table, strings_, pieces.codes}));
  blocks_.push_back(std::move(block));
  return OkStatus();
}

Status ShardDump::AddChunk(const hot::StoredChunk& chunk, const Pieces& pieces) {
  const std::string path = SnapshotDirectory() + "/" + hot::ChunkFileName(chunk.place.file);
  if (files_.size() == kMaxOpenFiles && !files_.contains(chunk.place.file)) files_.clear();
  auto& file = files_[chunk.place.file];
  if (file == nullptr) {
    PX_ASSIGN_OR_RETURN(file, hot::ChunkFileReader::Open(&env::PosixFileSystem(), path, identity_,
                                                         selection_.keys));
  }
  PX_ASSIGN_OR_RETURN(const ByteSpan bytes, file->Read(chunk.place));
  const std::string where = fmt::format("{} at offset {}", path, chunk.place.offset);
  PX_RETURN_IF_ERROR(Annotate(AddBlock(bytes, pieces), where));
  const hot::BlockRows& block = blocks_.back();
  if (block.id != chunk.id || block.lsns.size() != chunk.rows) {
    return DataLoss("{}: another chunk than {} stands there", where, chunk.id);
  }
  return OkStatus();
}

StatusOr<std::span<const RowVersion>> ShardDump::Read(const SeriesName& name) {
  const auto found = series_.find(name);
  if (found == series_.end()) return std::span<const RowVersion>();
  PX_RETURN_IF_ERROR(ReadBlocks(found->second));
  rows_ = found->second.logged;
  for (const hot::BlockRows& block : blocks_) {
    for (size_t row = 0; row < block.lsns.size(); ++row) {
      const RowVersion version = VersionOf(block.batch, row, block.lsns[row]);
      if (selection_.Has(version.ts)) rows_.push_back(version);
    }
  }
  std::ranges::sort(rows_, {},
                    [](const RowVersion& row) { return std::tuple(row.ts, row.seq, row.lsn); });
  return std::span<const RowVersion>(rows_);
}

const Origin* ShardDump::OriginOf(Lsn lsn) const {
  const auto after = std::ranges::upper_bound(origins_, lsn, {}, &Origin::first);
  if (after == origins_.begin()) return nullptr;
  const Origin& origin = *std::prev(after);
  return lsn <= origin.last ? &origin : nullptr;
}

}  // namespace proxist::pxinspect
