// Memory for chunks: 2 MiB regions on huge pages, each cut into blocks of one size.
#pragma once

#include <cstddef>
#include <memory>
#include <unordered_map>

namespace proxist::hot::internal {

class RegionSupply;

/// One thread (the store's writer). Blocks of a size come from regions once some of it are in use;
/// before, and under AddressSanitizer always, each is an allocation of its own. A region goes back
/// to the system when its last block is freed, but for one spare.
class Arena {
 public:
  explicit Arena(bool huge_pages);
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

  const bool huge_pages_;
  std::unordered_map<size_t, Size> sizes_;
  void* spare_ = nullptr;
  std::unique_ptr<RegionSupply> supply_;  // from the first region on, on huge pages
};

/// 64-byte aligned memory outside the arena, for blocks that are small or of odd sizes.
void* AllocatePlain(size_t bytes);
void FreePlain(void* block);

}  // namespace proxist::hot::internal
