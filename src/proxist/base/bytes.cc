// Aligned buffers and the checksum that every durable format uses.
#include "proxist/base/bytes.h"

#include <cstdlib>

#include <sys/mman.h>
#include <xxhash.h>
// Behind xxhash.h, whose functions it replaces by ones for the processor that is there.
#include <xxh_x86dispatch.h>

#include "proxist/base/check.h"

namespace proxist {

void AlignedDelete::operator()(std::byte* p) const { std::free(p); }

namespace {

struct Allocated {
  std::byte* bytes;
  size_t size;
};

Allocated Allocate(size_t size, size_t alignment) {
  PX_CHECK(std::has_single_bit(alignment) && alignment >= sizeof(void*));
  PX_CHECK(size <= std::numeric_limits<size_t>::max() - alignment);
  // aligned_alloc takes only multiples of the alignment, and not zero.
  const size_t rounded = size == 0 ? alignment : (size + alignment - 1) / alignment * alignment;
  auto* bytes = static_cast<std::byte*>(std::aligned_alloc(alignment, rounded));
  PX_CHECK(bytes != nullptr);
  return {bytes, rounded};
}

}  // namespace

AlignedBytes AllocateAligned(size_t size, size_t alignment) {
  const Allocated memory = Allocate(size, alignment);
  std::memset(memory.bytes, 0, memory.size);
  return AlignedBytes(memory.bytes);
}

AlignedBytes AllocateInHugePages(size_t size) {
  const Allocated memory = Allocate(size, kHugePageBytes);
  ::madvise(memory.bytes, memory.size, MADV_HUGEPAGE);  // refused: the pages are small ones
  return AlignedBytes(memory.bytes);
}

uint64_t Checksum(ByteSpan bytes, uint64_t seed) {
  return XXH3_64bits_withSeed(bytes.data(), bytes.size(), seed);
}

}  // namespace proxist
