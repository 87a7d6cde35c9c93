#include "verify_snapshots.h"

#include <map>
#include <memory>
#include <vector>

#include "proxist/env/file_system.h"
#include "proxist/shard/snapshot_file.h"

namespace proxist::pxinspect {
namespace {

/// Chunk files that are open side by side.
constexpr size_t kMaxOpenFiles = 512;

/// One snapshot. One thread.
class SnapshotCheck {
 public:
  SnapshotCheck(std::string directory, Lsn cut, const hot::FileIdentity& identity,
                env::Keyring* keys)
      : directory_(std::move(directory)), cut_(cut), identity_(identity), keys_(keys) {}

  Status Run() {
    shard::SnapshotVisitor visitor;
    visitor.strings = [this](auto strings) {
      strings_ += strings.size();
      return OkStatus();
    };
    visitor.series = [this](const hot::StoredSeries& series) { return CheckSeries(series); };
    const std::string path = directory_ + "/" + shard::SnapshotFileName(cut_);
    PX_RETURN_IF_ERROR(
        shard::ReadSnapshot(&env::PosixFileSystem(), path, identity_, visitor, keys_));
    fmt::print("snapshot {}: {} series, {} sealed chunks, {} rows, whole\n", path, series_, chunks_,
               rows_);
    return OkStatus();
  }

 private:
  Status CheckSeries(const hot::StoredSeries& series) {
    ++series_;
    for (const uint32_t code : series.codes) {
      if (code >= strings_ && code != 0) {
        return DataLoss("a series' string {} is not in the dictionary", code);
      }
    }
    for (const hot::StoredChunk& chunk : series.chunks) PX_RETURN_IF_ERROR(CheckChunk(chunk));
    for (const ByteSpan block : {series.tail, series.overlay, series.boundary_rows}) {
      if (block.empty()) continue;
      PX_ASSIGN_OR_RETURN(const hot::BlockSummary summary, hot::DescribeBlock(block));
      rows_ += summary.rows;
    }
    return OkStatus();
  }

  Status CheckChunk(const hot::StoredChunk& chunk) {
    PX_ASSIGN_OR_RETURN(hot::ChunkFileReader * file, FileOf(chunk.place.file));
    PX_ASSIGN_OR_RETURN(const ByteSpan bytes, file->Read(chunk.place));
    const StatusOr<hot::BlockSummary> block = hot::DescribeBlock(bytes);
    const std::string place = fmt::format("{}/{}: the chunk at offset {}", directory_,
                                          hot::ChunkFileName(chunk.place.file), chunk.place.offset);
    if (!block.ok()) return Annotate(block.status(), place);
    ++chunks_;
    rows_ += block->rows;
    if (block->id == chunk.id && block->rows == chunk.rows && block->first == chunk.first &&
        block->last == chunk.last && block->max_lsn == chunk.max_lsn) {
      return OkStatus();
    }
    return DataLoss("{} is chunk {} with {} rows where the snapshot expects chunk {} with {}",
                    place, block->id, block->rows, chunk.id, chunk.rows);
  }

  StatusOr<hot::ChunkFileReader*> FileOf(uint64_t number) {
    auto found = files_.find(number);
    if (found == files_.end()) {
      if (files_.size() == kMaxOpenFiles) files_.clear();
      PX_ASSIGN_OR_RETURN(auto reader,
                          hot::ChunkFileReader::Open(&env::PosixFileSystem(),
                                                     directory_ + "/" + hot::ChunkFileName(number),
                                                     identity_, keys_));
      found = files_.emplace(number, std::move(reader)).first;
    }
    return found->second.get();
  }

  const std::string directory_;
  const Lsn cut_;
  const hot::FileIdentity identity_;
  env::Keyring* const keys_;
  std::map<uint64_t, std::unique_ptr<hot::ChunkFileReader>> files_;
  uint64_t strings_ = 0;
  uint64_t series_ = 0;
  uint64_t chunks_ = 0;
  uint64_t rows_ = 0;
};

}  // namespace

Status VerifySnapshots(const std::string& directory, const hot::FileIdentity& identity,
                       env::Keyring* keys, Lsn* newest) {
  PX_ASSIGN_OR_RETURN(const std::vector<Lsn> cuts,
                      shard::ListSnapshots(&env::PosixFileSystem(), directory));
  Status first;
  *newest = Lsn(0);
  for (const Lsn cut : cuts) {
    const Status status = SnapshotCheck(directory, cut, identity, keys).Run();
    if (status.ok()) *newest = std::max(*newest, cut);
    if (first.ok()) first = status;
  }
  return first;
}

}  // namespace proxist::pxinspect
