#include "proxist/shard/file_keys.h"

#include "proxist/env/file_keys.h"
#include "proxist/shard/internal/snapshot_format.h"
#include "proxist/shard/snapshot_file.h"
#include "proxist/wal/inspect.h"

namespace proxist::shard {
namespace {

constexpr env::KeyedFormat kManifest{kSnapshotMagic, kEncryptedSnapshotVersion,
                                     internal::snapshot_field::kKeyOffset};

StatusOr<std::set<KeyId>> KeysOfSnapshots(env::FileSystem* files, const std::string& directory) {
  std::set<KeyId> keys;
  const Status synced = files->SyncDirectory(directory);
  if (absl::IsNotFound(synced)) return keys;
  PX_RETURN_IF_ERROR(synced);
  PX_ASSIGN_OR_RETURN(const std::vector<std::string> names, files->List(directory));
  for (const std::string& name : names) {
    const std::string path = directory + "/" + name;
    StatusOr<KeyId> key = KeyId(0);
    if (hot::ParseChunkFileName(name).has_value()) key = hot::KeyOfChunkFile(files, path);
    // An unfinished one is being written, or was left behind and will not be read.
    if (ParseSnapshotFileName(name).has_value()) key = env::ReadKeyId(files, path, kManifest);
    PX_RETURN_IF_ERROR(key.status());
    if (*key != KeyId(0)) keys.insert(*key);
  }
  return keys;
}

}  // namespace

StatusOr<std::set<KeyId>> KeysOfFiles(env::FileSystem* files, const std::string& wal_directory,
                                      const std::string& snapshot_directory) {
  PX_ASSIGN_OR_RETURN(std::set<KeyId> keys, wal::KeysOfSegments(files, wal_directory));
  PX_ASSIGN_OR_RETURN(const std::set<KeyId> more, KeysOfSnapshots(files, snapshot_directory));
  keys.insert(more.begin(), more.end());
  return keys;
}

}  // namespace proxist::shard
