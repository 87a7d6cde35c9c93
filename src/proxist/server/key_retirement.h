// Removes data keys that no file needs any more.
#pragma once

#include <set>
#include <string>
#include <utility>
#include <vector>

#include "proxist/base/ids.h"
#include "proxist/base/mutex.h"
#include "proxist/base/status.h"
#include "proxist/env/file_system.h"
#include "proxist/security/data_keys.h"

namespace proxist::server {

/// Thread-safe.
class KeyRetirement {
 public:
  struct ShardFiles {
    std::string log;
    std::string snapshots;
  };
  /// Both outlive this. The shards are open: what recovery needs, it has read.
  KeyRetirement(env::FileSystem* files, security::DataKeys* keys, std::vector<ShardFiles> shards)
      : files_(files), keys_(keys), shards_(std::move(shards)) {}

  /// Looks at the header of every file, and removes from metadata the keys that none names and
  /// under which none is being written; returns them. Files that are gone are durably gone before.
  /// An error leaves the keys: DATA_LOSS when a header is damaged.
  StatusOr<std::set<KeyId>> Run(std::string_view author);

 private:
  env::FileSystem* const files_;
  security::DataKeys* const keys_;
  const std::vector<ShardFiles> shards_;
  Mutex mutex_;  // one look at a time
};

}  // namespace proxist::server
