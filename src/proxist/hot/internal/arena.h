// Memory for chunks: 2 MiB regions on huge pages, each cut into blocks of one size.
#pragma once

#include <cstddef>
#include <unordered_map>

namespace proxist::hot::internal {

/// One thread (the store's writer). A region goes back to the system when its last block is freed,
/// but for one spare. Under AddressSanitizer every block is an allocation of its own.
class Arena {
 public:
  explicit Arena(bool huge_pages) : huge_pages_(huge_pages) {}
  ~Arena();
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;

  /// `bytes` of memory aligned to 64, not zeroed. Never nullptr: out of memory aborts.
  void* Allocate(size_t bytes);
  /// `bytes` as they were allocated.
  void Free(void* block, size_t bytes);
  /// Maps the next region and touches all of it, if none is there: what a row would wait for else.
  void PrepareSpare();

 private:
  struct Region;
  Region* NewRegion(size_t block_bytes);
  void Link(Region* region);
  void Unlink(Region* region);

  const bool huge_pages_;
  std::unordered_map<size_t, Region*> open_;  // by block size: regions that have a free block
  void* spare_ = nullptr;
};

/// 64-byte aligned memory outside the arena, for blocks that are small or of odd sizes.
void* AllocatePlain(size_t bytes);
void FreePlain(void* block);

}  // namespace proxist::hot::internal
