// Memory that the writer finds ready: touching new pages takes longer than filling them.
#pragma once

#include <array>
#include <cstddef>
#include <thread>

#include "proxist/base/mutex.h"

namespace proxist::hot::internal {

inline constexpr size_t kRegionBytes = size_t{2} << 20;

/// Maps a region at a multiple of its size. Never nullptr: out of memory aborts.
void* MapRegion(bool huge_pages);
void UnmapRegion(void* region);

/// Keeps a few regions on huge pages mapped and touched, by a thread of its own.
class RegionSupply {
 public:
  RegionSupply();
  ~RegionSupply();
  RegionSupply(const RegionSupply&) = delete;
  RegionSupply& operator=(const RegionSupply&) = delete;

  /// A region that is ready, or a new one when there is none. Does not wait.
  void* Take();

 private:
  static constexpr size_t kReady = 4;
  void Run();

  Mutex mutex_;
  CondVar wanted_;
  std::array<void*, kReady> ready_ PX_GUARDED_BY(mutex_){};
  size_t count_ PX_GUARDED_BY(mutex_) = 0;
  bool stop_ PX_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace proxist::hot::internal
