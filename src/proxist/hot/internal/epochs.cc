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
  // The next owner's cut is unknown until it has stored it, and it has not settled.
  slots_[slot].cut.store(0, std::memory_order_relaxed);
  slots_[slot].settled.store(0, std::memory_order_relaxed);
  slots_[slot].epoch.store(0, std::memory_order_release);
}

void Epochs::Settle(size_t slot) {
  // All loads came before. What is made in a later epoch was made after this load of it.
  slots_[slot].settled.store(epoch_.load());
}

void Epochs::Retire(void (*free)(void*, void*), void* context, void* pointer, uint64_t made) {
  retired_.push_back({current(), made, free, context, pointer});
}

uint64_t Epochs::Advance() { return epoch_.fetch_add(1); }

Epochs::Pins Epochs::Scan() const {
  Pins pins;
  for (size_t i = 0; i < slot_count_; ++i) {
    const uint64_t epoch = slots_[i].epoch.load();
    if (epoch == 0) continue;
    // Of a slot that changed hands meanwhile, either both belong to settled readers, or this is 0.
    const uint64_t settled = slots_[i].settled.load();
    if (settled == 0) {
      pins.least = std::min(pins.least, epoch);
    } else {
      pins.least_settled = std::min(pins.least_settled, epoch);
      pins.last_settled = std::max(pins.last_settled, settled);
    }
  }
  return pins;
}

uint64_t Epochs::LeastCut(uint64_t published) const {
  uint64_t least = published;
  for (size_t i = 0; i < slot_count_; ++i) {
    if (slots_[i].epoch.load() == 0) continue;
    // In this order: the cut of a reader that has not settled is never left out.
    const uint64_t cut = slots_[i].cut.load();
    if (slots_[i].settled.load() == 0) least = std::min(least, cut);
  }
  return least;
}

bool Epochs::Reclaim(size_t limit) {
  if (retired_.empty() && held_.empty()) return false;
  // What was retired in this epoch may be seen by pins of this epoch, also by those to come.
  if (!retired_.empty() && retired_.back().epoch == current()) Advance();
  const Pins pins = Scan();
  const auto held_is_free = [&] { return !held_.empty() && !pins.MayHave(held_.front()); };
  const auto retired_is_free = [&] {
    return !retired_.empty() && retired_.front().epoch < pins.least;
  };
  for (; limit > 0 && retired_is_free(); --limit) {
    const Retired item = retired_.front();
    retired_.pop_front();
    if (pins.MayHave(item)) {
      held_.push_back(item);
    } else {
      Free(item);
    }
  }
  for (; limit > 0 && held_is_free(); --limit) {
    const Retired item = held_.front();
    held_.pop_front();
    Free(item);
  }
  return held_is_free() || retired_is_free();
}

void Epochs::ReclaimAll() {
  const Pins pins = Scan();
  PX_CHECK(pins.least == UINT64_MAX && pins.least_settled == UINT64_MAX);
  for (const Retired& item : held_) Free(item);
  held_.clear();
  for (const Retired& item : retired_) Free(item);
  retired_.clear();
}

}  // namespace proxist::hot::internal
