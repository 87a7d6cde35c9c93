#include "proxist/hot/internal/region_supply.h"

#include <algorithm>
#include <chrono>
#include <cstdint>

#include <sys/mman.h>

#include "proxist/base/check.h"

namespace proxist::hot::internal {
namespace {

constexpr size_t kPageBytes = 4096;
// Of the time that a region took, the rest after it while there are plenty.
constexpr int kCalm = 7;
// With at most so many, and at most a quarter of what is wanted, there is no rest at all.
constexpr size_t kFew = 32;

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

/// Page by page rather than with MADV_POPULATE_WRITE, which keeps other threads from mapping memory
/// until it has all pages.
void Touch(void* region) {
  auto* bytes = static_cast<volatile std::byte*>(region);
  for (size_t at = 0; at < kRegionBytes; at += kPageBytes) bytes[at] = std::byte{0};
}

}  // namespace

RegionSupply::RegionSupply(const ReadyMemory& memory, bool huge_pages)
    : most_(memory.bytes / kRegionBytes),
      total_(memory.total / kRegionBytes),
      least_(std::min(memory.least, memory.bytes) / kRegionBytes),
      huge_pages_(huge_pages) {
  if (most_ > 0) thread_ = std::thread([this] { Run(); });
}

RegionSupply::~RegionSupply() {
  {
    MutexLock lock(&mutex_);
    stop_ = true;
  }
  wanted_.notify_one();
  if (thread_.joinable()) thread_.join();
  MutexLock lock(&mutex_);
  for (void* region : regions_) UnmapRegion(region);
}

size_t RegionSupply::Wanted() const {
  return std::clamp(total_ - std::min(total_, taken_), least_, most_);
}

bool RegionSupply::MayStay() const {
  if (regions_.empty()) return true;
  return regions_.size() < most_ && regions_.size() + taken_ < total_ + least_;
}

void* RegionSupply::Take() {
  void* region = nullptr;
  bool low = false;
  {
    MutexLock lock(&mutex_);
    ++taken_;
    if (!regions_.empty()) {
      region = regions_.back();
      regions_.pop_back();
    }
    low = regions_.size() < Wanted();
  }
  if (low) wanted_.notify_one();
  return region != nullptr ? region : MapRegion(huge_pages_);
}

void RegionSupply::Give(void* region) {
  {
    MutexLock lock(&mutex_);
    --taken_;
    if (MayStay()) {
      regions_.push_back(region);
      return;
    }
  }
  UnmapRegion(region);
}

size_t RegionSupply::ready() const {
  MutexLock lock(&mutex_);
  return regions_.size();
}

void RegionSupply::Run() {
  MutexLock lock(&mutex_);
  bool was_full = false;
  while (!stop_) {
    if (regions_.size() >= Wanted()) {
      was_full = true;
      wanted_.wait(lock,
                   [this]() PX_REQUIRES(mutex_) { return stop_ || regions_.size() < Wanted(); });
      continue;
    }
    lock.unlock();
    const auto began = std::chrono::steady_clock::now();
    void* region = MapRegion(huge_pages_);
    Touch(region);
    const auto took = std::chrono::steady_clock::now() - began;
    lock.lock();
    regions_.push_back(region);
    // Half of a processor is left to others, and most of it while there is no hurry, unless regions
    // run out. A low priority would not do: who is kept from touching a page keeps the whole
    // process from mapping memory.
    if (regions_.size() > std::min(kFew, Wanted() / 4)) {
      const bool hurry = !was_full || regions_.size() <= Wanted() / 2;
      wanted_.wait_for(lock, hurry ? took : kCalm * took, [&]() PX_REQUIRES(mutex_) {
        return stop_ || (!hurry && regions_.size() <= Wanted() / 2);
      });
    }
  }
}

}  // namespace proxist::hot::internal
