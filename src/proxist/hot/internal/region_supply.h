// Memory that the writer finds ready: touching new pages takes longer than filling them.
#pragma once

#include <cstddef>
#include <thread>
#include <vector>

#include "proxist/base/mutex.h"
#include "proxist/hot/ready_memory.h"

namespace proxist::hot::internal {

inline constexpr size_t kRegionBytes = size_t{2} << 20;

/// Keeps regions mapped and touched, by a thread of its own that rests as long as it works, and
/// takes back what is not used any more.
class RegionSupply {
 public:
  /// Of no bytes, none are touched ahead, and there is no thread.
  RegionSupply(const ReadyMemory& memory, bool huge_pages);
  ~RegionSupply();
  RegionSupply(const RegionSupply&) = delete;
  RegionSupply& operator=(const RegionSupply&) = delete;

  /// A region at a multiple of its size: one that is ready or, when there is none, a new one. Does
  /// not wait. Never nullptr: out of memory aborts.
  void* Take();
  /// A region that was taken.
  void Give(void* region);
  [[nodiscard]] size_t ready() const;

 private:
  void Run();
  /// How many are to be ready now.
  [[nodiscard]] size_t Wanted() const PX_REQUIRES(mutex_);
  /// Whether one more may stay ready.
  [[nodiscard]] bool MayStay() const PX_REQUIRES(mutex_);

  // Of regions that are ready: not more than `most_`, but for one that is being touched. They are
  // touched ahead only while they make no more than `total_` with those that are taken, or are
  // fewer than `least_`; those that are given back stay as long as all are no more than `total_`
  // and `least_` together.
  const size_t most_;
  const size_t total_;
  const size_t least_;
  const bool huge_pages_;
  mutable Mutex mutex_;
  CondVar wanted_;
  std::vector<void*> regions_ PX_GUARDED_BY(mutex_);
  size_t taken_ PX_GUARDED_BY(mutex_) = 0;
  bool stop_ PX_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace proxist::hot::internal
