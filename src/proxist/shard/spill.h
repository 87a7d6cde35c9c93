// From a shard's last snapshot to chunks that its store reads from files.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "proxist/base/status.h"
#include "proxist/env/file_system.h"
#include "proxist/hot/spill.h"
#include "proxist/hot/store.h"
#include "proxist/shard/snapshot_job.h"

namespace proxist::shard {

/// Where a shard's last snapshot placed its chunks. Immutable; any thread.
struct SpillSource {
  env::FileSystem* files = nullptr;
  std::string directory;
  hot::FileIdentity identity;
  std::shared_ptr<const SnapshotIndex> index;
};

/// Reads and checks chunks beside the shard. One thread.
class SpillReader {
 public:
  explicit SpillReader(const hot::Store* store) : store_(store) {}

  /// Goes by `source` from now on.
  void Use(SpillSource source);
  /// The snapshot that it goes by; 0: none.
  [[nodiscard]] Lsn cut() const { return source_.index == nullptr ? Lsn(0) : source_.index->cut; }
  /// A file holds the chunk.
  [[nodiscard]] bool Holds(const hot::SealedChunk& chunk) const;
  /// A file holds the chunk, and it is another one than the chunk's rows are read from.
  [[nodiscard]] bool Moved(const hot::SealedChunk& chunk) const;
  /// Adds a chunk that a file holds to `batch`. NOT_FOUND, DATA_LOSS: a later snapshot removed the
  /// file, or it is damaged; FAILED_PRECONDITION: its chunks cannot be read in place.
  Status Add(const hot::SealedChunk& chunk, hot::SpillBatch* batch);
  /// Gives back the memory that checking took.
  void Release();

 private:
  const hot::Store* const store_;
  SpillSource source_;
  std::map<uint64_t, hot::MappedFilePtr> files_;  // mapped since the last Release
  std::map<uint64_t, std::weak_ptr<const env::MappedFile>> known_;
};

}  // namespace proxist::shard
