// A node's data directory: its lock, its metadata, and what it is.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "proxist/base/status.h"
#include "proxist/env/file_system.h"
#include "proxist/meta/catalog.h"
#include "proxist/meta/store.h"
#include "proxist/security/data_keys.h"
#include "proxist/shard/ingest_router.h"

namespace proxist::server {

inline constexpr uint64_t kDirectoryLayout = 1;

/// An open data directory:
///   LOCK         held while a server runs, with its process id
///   meta.db      the metadata store
///   wal/<shard>/ log segments
///   snapshots/<shard>/  snapshots and the chunk files that they refer to
///   clickhouse/  the embedded server's files
struct DataDirectory {
  std::string path;
  uint64_t incarnation = 0;  // random, given when the directory was created
  bool fresh = false;        // created by this opening
  shard::SlotMap slots;
  uint32_t shards = 0;
  std::unique_ptr<meta::MetadataStore> metadata;
  std::unique_ptr<meta::Catalog> catalog;
  std::unique_ptr<security::DataKeys> keys;  // nullptr: files are not encrypted
  std::unique_ptr<env::FileLock> lock;       // released last

  [[nodiscard]] std::string WalOf(ShardId shard) const;
  [[nodiscard]] std::string SnapshotsOf(ShardId shard) const;
  [[nodiscard]] std::string IncarnationText() const;  // 16 hex digits
};

/// The secret that live views in ClickHouse show to read from this node; made when there is none.
StatusOr<std::string> LiveToken(meta::MetadataStore* metadata);

/// The master keys of a data directory.
struct MasterKeys {
  std::optional<security::MasterKey> current;   // nothing: files are not encrypted
  std::optional<security::MasterKey> previous;  // that `current` takes over from
};

/// Opens or creates `path` with `shards` shards (0: what it has, or `default_shards` when it is
/// created). FAILED_PRECONDITION: in use by another server, of another layout, not empty and not
/// Proxist's, or made with another number of shards. PERMISSION_DENIED, RESOURCE_EXHAUSTED: what
/// the file system says.
/// FAILED_PRECONDITION also when it has data keys and `masters` does not open them.
StatusOr<DataDirectory> OpenDataDirectory(env::FileSystem* files, const std::string& path,
                                          uint32_t shards, uint32_t default_shards,
                                          const MasterKeys& masters = {});

}  // namespace proxist::server
