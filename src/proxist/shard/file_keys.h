// Which keys a shard's files are encrypted under.
#pragma once

#include <set>
#include <string>

#include "proxist/base/ids.h"
#include "proxist/base/status.h"
#include "proxist/env/file_system.h"

namespace proxist::shard {

/// The keys that the headers of a shard's log segments, manifests and chunk files name; not those
/// of free segments and of unfinished manifests, which nobody reads again. Without the directory of
/// snapshots there are none of these. Removals are durable before anything is read, so that no
/// other file comes back after power loss. DATA_LOSS: a header is damaged. Any thread; the shard
/// may go on writing: files that it begins meanwhile may be left out.
StatusOr<std::set<KeyId>> KeysOfFiles(env::FileSystem* files, const std::string& wal_directory,
                                      const std::string& snapshot_directory);

}  // namespace proxist::shard
