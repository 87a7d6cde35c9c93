// Cuts huge-page regions into blocks and gives empty regions back.
#include "proxist/hot/internal/arena.h"

#include <cstdint>
#include <cstdlib>
#include <new>

#include <sys/mman.h>

#include "proxist/base/check.h"

namespace proxist::hot::internal {
namespace {

constexpr size_t kRegionBytes = size_t{2} << 20;
constexpr size_t kHeaderBytes = 64;
// Larger blocks would waste too much of a region's end.
constexpr size_t kMaxBlockBytes = kRegionBytes / 8;

#if defined(__SANITIZE_ADDRESS__)
constexpr bool kUseRegions = false;
#else
constexpr bool kUseRegions = true;
#endif

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

}  // namespace

void* AllocatePlain(size_t bytes) {
  void* block = std::aligned_alloc(64, (bytes + 63) / 64 * 64);
  PX_CHECK(block != nullptr);
  return block;
}

void FreePlain(void* block) { std::free(block); }

/// Stands at the start of its region, so a block finds it by its address.
struct Arena::Region {
  size_t block_bytes;
  uint32_t live = 0;
  uint32_t cut = 0;  // blocks handed out at least once
  void* free = nullptr;
  Region* previous = nullptr;
  Region* next = nullptr;

  [[nodiscard]] uint32_t capacity() const {
    return static_cast<uint32_t>((kRegionBytes - kHeaderBytes) / block_bytes);
  }
};

Arena::~Arena() {
  // Regions in use belong to blocks that the store frees before its arena.
  for (auto& [bytes, region] : open_) PX_CHECK(region == nullptr);
  if (spare_ != nullptr) munmap(spare_, kRegionBytes);
}

Arena::Region* Arena::NewRegion(size_t block_bytes) {
  static_assert(sizeof(Region) <= kHeaderBytes);
  void* memory = spare_ != nullptr ? spare_ : MapRegion(huge_pages_);
  spare_ = nullptr;
  Region* region = new (memory) Region{.block_bytes = block_bytes};
  Link(region);
  return region;
}

void Arena::Link(Region* region) {
  Region*& head = open_[region->block_bytes];
  region->previous = nullptr;
  region->next = head;
  if (head != nullptr) head->previous = region;
  head = region;
}

void Arena::Unlink(Region* region) {
  if (region->previous != nullptr) {
    region->previous->next = region->next;
  } else {
    open_[region->block_bytes] = region->next;
  }
  if (region->next != nullptr) region->next->previous = region->previous;
}

void* Arena::Allocate(size_t bytes) {
  bytes = (bytes + 63) / 64 * 64;
  if (!kUseRegions || bytes > kMaxBlockBytes) return AllocatePlain(bytes);
  Region*& head = open_[bytes];
  Region* region = head != nullptr ? head : NewRegion(bytes);
  void* block = region->free;
  if (block != nullptr) {
    region->free = *static_cast<void**>(block);
  } else {
    block = reinterpret_cast<std::byte*>(region) + kHeaderBytes + region->cut++ * bytes;
  }
  if (++region->live == region->capacity()) Unlink(region);
  return block;
}

void Arena::PrepareSpare() {
  if (!kUseRegions || !huge_pages_ || spare_ != nullptr || open_.empty()) return;
  spare_ = MapRegion(huge_pages_);
  // Best effort: a kernel without it touches the pages when they are used.
  madvise(spare_, kRegionBytes, MADV_POPULATE_WRITE);
}

void Arena::Free(void* block, size_t bytes) {
  bytes = (bytes + 63) / 64 * 64;
  if (!kUseRegions || bytes > kMaxBlockBytes) return FreePlain(block);
  auto* region =
      reinterpret_cast<Region*>(reinterpret_cast<uintptr_t>(block) & ~(kRegionBytes - 1));
  PX_CHECK(region->block_bytes == bytes && region->live > 0);
  if (region->live-- == region->capacity()) Link(region);
  *static_cast<void**>(block) = region->free;
  region->free = block;
  if (region->live > 0) return;
  Unlink(region);
  if (spare_ == nullptr) {
    spare_ = region;
  } else {
    munmap(region, kRegionBytes);
  }
}

}  // namespace proxist::hot::internal
