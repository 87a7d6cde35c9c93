// Memory for chunks: 2 MiB regions on huge pages, each cut into blocks of one size.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <unordered_map>
#include <vector>

#include "proxist/hot/internal/region_supply.h"

namespace proxist::hot::internal {

/// One thread (the store's writer). Blocks of a size come from regions once some of it are in use;
/// before, and under AddressSanitizer always, each is an allocation of its own. Regions come from a
/// RegionSupply, and go back there when their last block is freed.
class Arena {
 public:
  Arena(const ReadyMemory& ready, bool huge_pages);
  ~Arena();
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;

  /// `bytes` of memory aligned to 64, not zeroed. Never nullptr: out of memory aborts. Sets
  /// `in_region`, which Free has to know.
  void* Allocate(size_t bytes, bool* in_region);
  /// A block in a region; `bytes` as they were allocated.
  void Free(void* block, size_t bytes);
  /// A block that is not.
  void FreeAlone(void* block, size_t bytes);
  /// Of regions that are ready. Any thread.
  [[nodiscard]] uint64_t ready_bytes() const;

 private:
  struct Region;
  /// Blocks of one size.
  struct Size {
    Region* open = nullptr;  // regions that have a free block
    size_t alone = 0;        // bytes of blocks outside of regions
  };
  Region* NewRegion(size_t block_bytes);
  void Link(Region* region);
  void Unlink(Region* region);

  std::unordered_map<size_t, Size> sizes_;
  std::optional<RegionSupply> supply_;  // where regions are used
};

/// Small blocks that are freed and asked for again all the time, as each late row's overlay
/// replaces the one before: the last that were freed are kept for those that come next. One thread.
class SpareBlocks {
 public:
  SpareBlocks() = default;
  ~SpareBlocks();
  SpareBlocks(const SpareBlocks&) = delete;
  SpareBlocks& operator=(const SpareBlocks&) = delete;

  /// As AllocatePlain.
  void* Allocate(size_t bytes);
  /// `bytes` as they were allocated.
  void Free(void* block, size_t bytes);

 private:
  static constexpr size_t kStep = 512;  // sizes are multiples of it
  static constexpr size_t kSizes = 32;
  static constexpr size_t kMostBytes = size_t{1} << 20;  // kept of each size
  std::array<std::vector<void*>, kSizes> kept_;
};

/// 64-byte aligned memory outside the arena, for blocks that are small or of odd sizes. Large ones,
/// overlays above all, are mapped one by one: on the heap, small blocks that live long would keep
/// the holes between them from being used again.
void* AllocatePlain(size_t bytes);
/// `bytes` as they were allocated.
void FreePlain(void* block, size_t bytes);

}  // namespace proxist::hot::internal
