// Slots of readers and the queue of what waits for them.
#include "proxist/hot/internal/epochs.h"

#include <algorithm>
#include <chrono>
#include <functional>
#include <thread>

#include "proxist/base/check.h"

namespace proxist::hot::internal {

Epochs::Epochs(size_t slots)
    : slot_count_(std::max<size_t>(1, slots)), slots_(std::make_unique<Slot[]>(slot_count_)) {}

size_t Epochs::Pin(const std::atomic<uint64_t>& published, uint64_t* cut) {
  // Threads start at slots of their own, so that they seldom meet.
  static std::atomic<size_t> next_thread{0};
  thread_local const size_t start = next_thread.fetch_add(1, std::memory_order_relaxed);
  for (size_t attempt = 0;; ++attempt) {
    for (size_t i = 0; i < slot_count_; ++i) {
      const size_t index = (start + i) % slot_count_;
      Slot& slot = slots_[index];
      if (slot.epoch.load(std::memory_order_relaxed) != 0) continue;
      uint64_t expected = 0;
      if (!slot.epoch.compare_exchange_strong(expected, epoch_.load())) continue;
      *cut = published.load();
      // Until the writer sees it, it finds 0, which holds back more.
      slot.cut.store(*cut, std::memory_order_release);
      return index;
    }
    if (attempt < 16) {
      std::this_thread::yield();
    } else {
      std::this_thread::sleep_for(std::chrono::microseconds(50));
    }
  }
}

void Epochs::Unpin(size_t slot) {
  // The next owner's cut is unknown until it has stored it.
  slots_[slot].cut.store(0, std::memory_order_relaxed);
  slots_[slot].epoch.store(0, std::memory_order_release);
}

void Epochs::Retire(void (*free)(void*, void*), void* context, void* pointer) {
  retired_.push_back({epoch_.load(std::memory_order_relaxed), free, context, pointer});
}

uint64_t Epochs::Advance() { return epoch_.fetch_add(1); }

uint64_t Epochs::LeastPinned() const {
  uint64_t least = UINT64_MAX;
  for (size_t i = 0; i < slot_count_; ++i) {
    const uint64_t epoch = slots_[i].epoch.load();
    if (epoch != 0) least = std::min(least, epoch);
  }
  return least;
}

uint64_t Epochs::LeastCut(uint64_t published) const {
  uint64_t least = published;
  for (size_t i = 0; i < slot_count_; ++i) {
    if (slots_[i].epoch.load() != 0) least = std::min(least, slots_[i].cut.load());
  }
  return least;
}

bool Epochs::Reclaim(size_t limit) {
  if (retired_.empty()) return false;
  // What was retired in this epoch may be seen by pins of this epoch, also by those to come.
  if (retired_.back().epoch == epoch_.load(std::memory_order_relaxed)) Advance();
  const uint64_t least = LeastPinned();
  for (; limit > 0 && !retired_.empty() && retired_.front().epoch < least; --limit) {
    const Retired item = retired_.front();
    retired_.pop_front();
    item.free(item.context, item.pointer);
  }
  return !retired_.empty() && retired_.front().epoch < least;
}

void Epochs::ReclaimAll() {
  PX_CHECK(LeastPinned() == UINT64_MAX);
  for (const Retired& item : retired_) item.free(item.context, item.pointer);
  retired_.clear();
}

}  // namespace proxist::hot::internal
