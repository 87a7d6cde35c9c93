#include "proxist/hot/internal/region_supply.h"

#include <cstdint>

#include <sys/mman.h>

#include "proxist/base/check.h"

namespace proxist::hot::internal {

void* MapRegion(bool huge_pages) {
  void* raw = mmap(nullptr, 2 * kRegionBytes, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  PX_CHECK(raw != MAP_FAILED);
  const auto at = reinterpret_cast<uintptr_t>(raw);
  const uintptr_t aligned = (at + kRegionBytes - 1) & ~(kRegionBytes - 1);
  if (aligned > at) munmap(raw, aligned - at);
  const uintptr_t end = at + 2 * kRegionBytes;
  if (end > aligned + kRegionBytes) {
    munmap(reinterpret_cast<void*>(aligned + kRegionBytes), end - aligned - kRegionBytes);
  }
  void* region = reinterpret_cast<void*>(aligned);
  if (huge_pages) madvise(region, kRegionBytes, MADV_HUGEPAGE);
  return region;
}

void UnmapRegion(void* region) { munmap(region, kRegionBytes); }

RegionSupply::RegionSupply() : thread_([this] { Run(); }) {}

RegionSupply::~RegionSupply() {
  {
    MutexLock lock(&mutex_);
    stop_ = true;
  }
  wanted_.notify_one();
  thread_.join();
  MutexLock lock(&mutex_);
  for (size_t i = 0; i < count_; ++i) UnmapRegion(ready_[i]);
}

void* RegionSupply::Take() {
  void* region = nullptr;
  bool low = false;
  {
    MutexLock lock(&mutex_);
    if (count_ > 0) region = ready_[--count_];
    low = count_ <= kReady / 2;
  }
  if (low) wanted_.notify_one();
  return region != nullptr ? region : MapRegion(true);
}

void RegionSupply::Run() {
  MutexLock lock(&mutex_);
  while (!stop_) {
    if (count_ == kReady) {
      wanted_.wait(lock, [this]() PX_REQUIRES(mutex_) { return stop_ || count_ <= kReady / 2; });
      continue;
    }
    lock.unlock();
    void* region = MapRegion(true);
    // Best effort: a kernel without it touches the pages when they are used.
    madvise(region, kRegionBytes, MADV_POPULATE_WRITE);
    lock.lock();
    ready_[count_++] = region;
  }
}

}  // namespace proxist::hot::internal
