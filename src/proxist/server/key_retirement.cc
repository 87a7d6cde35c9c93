#include "proxist/server/key_retirement.h"

#include "proxist/shard/file_keys.h"

namespace proxist::server {

StatusOr<std::set<KeyId>> KeyRetirement::Run(std::string_view author) {
  const MutexLock lock(&mutex_);
  // First: a file that is begun while the others are read takes the current key.
  std::set<KeyId> idle = keys_->Idle();
  for (const ShardFiles& shard : shards_) {
    if (idle.empty()) break;
    PX_ASSIGN_OR_RETURN(const std::set<KeyId> used,
                        shard::KeysOfFiles(files_, shard.log, shard.snapshots));
    for (const KeyId id : used) idle.erase(id);
  }
  PX_RETURN_IF_ERROR(keys_->Retire(idle, author));
  return idle;
}

}  // namespace proxist::server
