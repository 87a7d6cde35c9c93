// Writes one snapshot of a shard, step by step, while the shard goes on.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "proxist/base/ids.h"
#include "proxist/base/status.h"
#include "proxist/base/time.h"
#include "proxist/env/file_system.h"
#include "proxist/hot/chunk_file.h"
#include "proxist/hot/image.h"
#include "proxist/shard/internal/keys.h"
#include "proxist/shard/snapshot_file.h"

namespace proxist::shard {

/// Where a snapshot's chunks lie, so that the next one refers to them.
struct SnapshotIndex {
  Lsn cut;
  Timestamp taken;
  std::unordered_map<uint64_t, hot::ChunkPlace> chunks;  // by chunk id
  std::map<uint64_t, FileUse> files;
  uint64_t next_file = 1;
  uint64_t manifest_bytes = 0;

  void Use(uint64_t chunk, const hot::ChunkPlace& place);
  /// Of the manifest and of the chunks that it refers to.
  [[nodiscard]] uint64_t bytes() const;
};

/// Made by Shard::BeginSnapshot, ended by Shard::FinishSnapshot, both on the shard's thread; Step
/// on any one thread. While series are read, memory that the shard frees waits.
class SnapshotJob {
 public:
  struct Source {
    env::FileSystem* files = nullptr;
    env::Keyring* keys = nullptr;  // nullptr: it is not encrypted
    std::string directory;
    SnapshotHeader header;  // its cut is the image's
    SnapshotState state;
    internal::Producers producers;
    std::vector<SnapshotBatch> batches;
    std::map<TableId, Timestamp> persisted_ts;
    std::shared_ptr<const SnapshotIndex> previous;  // never nullptr; cut 0: there was none
    Duration begun;                                 // monotonic
  };
  SnapshotJob(const hot::Store* store, Source source);

  /// About a MiB of encoding, or one sync, or one removal; true while there is more. After an error
  /// the job is over; the snapshots that were there stay valid.
  StatusOr<bool> Step();
  /// Steps to the end.
  Status Run();

  [[nodiscard]] Lsn cut() const { return source_.header.cut; }
  /// The error that ended it, or FAILED_PRECONDITION while there is more to do.
  [[nodiscard]] Status status() const;
  [[nodiscard]] const std::shared_ptr<SnapshotIndex>& index() const { return index_; }
  [[nodiscard]] uint64_t written_bytes() const { return written_bytes_; }
  [[nodiscard]] Duration begun() const { return source_.begun; }

 private:
  enum class Phase { kPrepare, kSeries, kChunks, kManifest, kPublish, kClean, kDone, kFailed };
  StatusOr<Phase> Advance();
  Status Prepare();
  Status AddStrings();
  /// False at the end of the series.
  StatusOr<bool> AddSeries();
  Status PlaceChunk(hot::StoredChunk* chunk, size_t index);
  Status EndChunks();
  Status EndManifest();
  /// True while there is more to remove.
  bool RemoveOne();
  void Abandon();
  void ChooseRewrites();
  /// Adds `section_` as a section when it is large enough, or `end`s its kind.
  Status Emit(SectionKind kind, bool end);

  hot::StoreImage image_;
  const Source source_;
  std::shared_ptr<SnapshotIndex> index_ = std::make_shared<SnapshotIndex>();
  std::set<uint64_t> rewrite_;  // files whose few live chunks move to the new one
  Phase phase_ = Phase::kPrepare;
  Status failure_;
  std::unique_ptr<SnapshotFileWriter> manifest_;
  std::unique_ptr<hot::ChunkFileWriter> chunks_;
  uint64_t file_ = 0;  // of the new chunk file
  hot::StoredSeries* series_ = nullptr;
  size_t next_chunk_ = 0;  // of series_
  std::vector<std::byte> section_;
  std::vector<std::string> removals_;
  bool removals_known_ = false;
  uint64_t written_bytes_ = 0;
};

}  // namespace proxist::shard
