// Brings a snapshot back into a shard's parts.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "proxist/base/ids.h"
#include "proxist/base/status.h"
#include "proxist/env/file_system.h"
#include "proxist/hot/store.h"
#include "proxist/shard/internal/backlog.h"
#include "proxist/shard/internal/keys.h"
#include "proxist/shard/snapshot_file.h"
#include "proxist/shard/snapshot_job.h"

namespace proxist::shard::internal {

/// What recovery needs to know of the snapshot that it starts from.
struct Restored {
  Lsn cut;                                   // 0: there is none
  std::map<Lsn, SnapshotBatch> unpersisted;  // by first LSN: the log has to hold their rows
  std::shared_ptr<SnapshotIndex> index = std::make_shared<SnapshotIndex>();
  uint64_t rows = 0;
};

struct RestoreTarget {
  hot::Store* store;  // has no strings, series or rows yet, but every table
  Producers* producers;
  Backlog* backlog;
  Lsn persisted;       // as metadata has it
  env::Keyring* keys;  // nullptr: encrypted snapshots cannot be read
  /// Recreates the series that metadata knows, with their floors; called once.
  std::function<Status()> restore_series;
  std::function<void(uint64_t rows)> progress;  // rows so far; may be empty
  uint64_t memory_bytes = 0;  // beyond which chunks are left in their files; 0: they never are
};

/// Loads the snapshot at `cut`. DATA_LOSS: it or a chunk file is damaged; the target must not be
/// used then.
StatusOr<Restored> RestoreSnapshot(env::FileSystem* files, const std::string& directory, Lsn cut,
                                   const hot::FileIdentity& identity, const RestoreTarget& target);

}  // namespace proxist::shard::internal
