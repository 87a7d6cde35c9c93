#include "proxist/env/key_uses.h"

#include <map>
#include <set>

#include "proxist/base/mutex.h"

namespace proxist::env {

struct KeyUses::State {
  Mutex mutex;
  std::set<std::pair<KeyId, decltype(FileKey::salt)>> handed_out PX_GUARDED_BY(mutex);
  std::map<KeyId, size_t> held PX_GUARDED_BY(mutex);
};

KeyUses::KeyUses() : state_(std::make_shared<State>()) {}
KeyUses::~KeyUses() = default;

void KeyUses::HandedOut(const FileKey& key) {
  const MutexLock lock(&state_->mutex);
  state_->handed_out.emplace(key.id, key.salt);
}

std::shared_ptr<const void> KeyUses::Hold(const FileKey& key) {
  {
    const MutexLock lock(&state_->mutex);
    ++state_->held[key.id];
    state_->handed_out.erase({key.id, key.salt});
  }
  return {nullptr, [state = state_, id = key.id](const void*) {
            const MutexLock lock(&state->mutex);
            if (--state->held[id] == 0) state->held.erase(id);
          }};
}

bool KeyUses::InUse(KeyId id) const {
  const MutexLock lock(&state_->mutex);
  const auto handed = state_->handed_out.lower_bound({id, {}});
  return state_->held.contains(id) || (handed != state_->handed_out.end() && handed->first == id);
}

}  // namespace proxist::env
