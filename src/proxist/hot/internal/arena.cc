// Cuts huge-page regions into blocks and gives empty regions back.
#include "proxist/hot/internal/arena.h"

#include <cstdlib>
#include <new>

#include <sys/mman.h>

#include "proxist/base/check.h"

namespace proxist::hot::internal {
namespace {

constexpr size_t kHeaderBytes = 64;
// Larger blocks would waste too much of a region's end.
constexpr size_t kMaxBlockBytes = kRegionBytes / 8;
// So much of a size in use makes a region worth its memory.
constexpr size_t kMostAlone = kRegionBytes / 8;
// Blocks outside of regions that are mapped one by one.
constexpr size_t kMappedBytes = size_t{128} << 10;

// AddressSanitizer watches allocations, not what is mapped.
#if defined(__SANITIZE_ADDRESS__)
constexpr bool kOwnMemory = false;
#else
constexpr bool kOwnMemory = true;
#endif

constexpr size_t Rounded(size_t bytes) { return (bytes + 63) / 64 * 64; }

}  // namespace

void* AllocatePlain(size_t bytes) {
  if (kOwnMemory && bytes >= kMappedBytes) {
    void* block = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    PX_CHECK(block != MAP_FAILED);
    return block;
  }
  void* block = std::aligned_alloc(64, Rounded(bytes));
  PX_CHECK(block != nullptr);
  return block;
}

void FreePlain(void* block, size_t bytes) {
  if (kOwnMemory && bytes >= kMappedBytes) {
    munmap(block, bytes);
  } else {
    std::free(block);
  }
}

SpareBlocks::~SpareBlocks() {
  for (size_t size = 0; size < kSizes; ++size) {
    for (void* block : kept_[size]) FreePlain(block, (size + 1) * kStep);
  }
}

void* SpareBlocks::Allocate(size_t bytes) {
  const size_t size = (bytes - 1) / kStep;
  if (!kOwnMemory || size >= kSizes) return AllocatePlain(bytes);
  std::vector<void*>& kept = kept_[size];
  if (kept.empty()) return AllocatePlain((size + 1) * kStep);
  void* block = kept.back();
  kept.pop_back();
  return block;
}

void SpareBlocks::Free(void* block, size_t bytes) {
  const size_t size = (bytes - 1) / kStep;
  if (!kOwnMemory || size >= kSizes) {
    FreePlain(block, bytes);
  } else if (kept_[size].size() < kMostBytes / ((size + 1) * kStep)) {
    kept_[size].push_back(block);
  } else {
    FreePlain(block, (size + 1) * kStep);
  }
}

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

Arena::Arena(const ReadyMemory& ready, bool huge_pages) {
  if (kOwnMemory) supply_.emplace(ready, huge_pages);
}

Arena::~Arena() {
  // Regions in use belong to blocks that the store frees before its arena.
  for (auto& [bytes, size] : sizes_) PX_CHECK(size.open == nullptr);
}

Arena::Region* Arena::NewRegion(size_t block_bytes) {
  static_assert(sizeof(Region) <= kHeaderBytes);
  Region* region = new (supply_->Take()) Region{.block_bytes = block_bytes};
  Link(region);
  return region;
}

void Arena::Link(Region* region) {
  Region*& head = sizes_[region->block_bytes].open;
  region->previous = nullptr;
  region->next = head;
  if (head != nullptr) head->previous = region;
  head = region;
}

void Arena::Unlink(Region* region) {
  if (region->previous != nullptr) {
    region->previous->next = region->next;
  } else {
    sizes_[region->block_bytes].open = region->next;
  }
  if (region->next != nullptr) region->next->previous = region->previous;
}

void* Arena::Allocate(size_t bytes, bool* in_region) {
  bytes = Rounded(bytes);
  *in_region = false;
  if (!kOwnMemory || bytes > kMaxBlockBytes) return AllocatePlain(bytes);
  Size& size = sizes_[bytes];
  if (size.open == nullptr && size.alone + bytes <= kMostAlone) {
    size.alone += bytes;
    return AllocatePlain(bytes);
  }
  *in_region = true;
  Region* region = size.open != nullptr ? size.open : NewRegion(bytes);
  void* block = region->free;
  if (block != nullptr) {
    region->free = *static_cast<void**>(block);
  } else {
    block = reinterpret_cast<std::byte*>(region) + kHeaderBytes + region->cut++ * bytes;
  }
  if (++region->live == region->capacity()) Unlink(region);
  return block;
}

void Arena::Free(void* block, size_t bytes) {
  auto* region =
      reinterpret_cast<Region*>(reinterpret_cast<uintptr_t>(block) & ~(kRegionBytes - 1));
  PX_CHECK(region->block_bytes == Rounded(bytes) && region->live > 0);
  if (region->live-- == region->capacity()) Link(region);
  *static_cast<void**>(block) = region->free;
  region->free = block;
  if (region->live > 0) return;
  Unlink(region);
  supply_->Give(region);
}

uint64_t Arena::ready_bytes() const { return supply_ ? supply_->ready() * kRegionBytes : 0; }

void Arena::FreeAlone(void* block, size_t bytes) {
  bytes = Rounded(bytes);
  if (kOwnMemory && bytes <= kMaxBlockBytes) sizes_[bytes].alone -= bytes;
  FreePlain(block, bytes);
}

}  // namespace proxist::hot::internal
