// Memory of insert blocks, used again: fresh pages cost as much as encoding into them.
#pragma once

#include <cstddef>
#include <utility>
#include <vector>

#include "proxist/base/mutex.h"

namespace proxist::history {

/// Thread-safe. Keeps as many buffers as were lent at the same time, at most kMaxKept, and none
/// that has become far larger than the blocks are.
class BlockBuffers {
 public:
  std::vector<std::byte> Take() {
    MutexLock lock(&mutex_);
    if (kept_.empty()) return {};
    std::vector<std::byte> buffer = std::move(kept_.back());
    kept_.pop_back();
    return buffer;
  }
  void Give(std::vector<std::byte> buffer) {
    const bool oversized =
        buffer.capacity() > kSmallBytes && buffer.capacity() / 16 > buffer.size();
    MutexLock lock(&mutex_);
    if (!oversized && kept_.size() < kMaxKept) kept_.push_back(std::move(buffer));
  }

 private:
  static constexpr size_t kMaxKept = 2;
  static constexpr size_t kSmallBytes = 1 << 20;
  Mutex mutex_;
  std::vector<std::vector<std::byte>> kept_ PX_GUARDED_BY(mutex_);
};

}  // namespace proxist::history
