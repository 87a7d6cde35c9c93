// Settings of the C library's allocator.
#include "proxist/base/heap.h"

#include <malloc.h>

namespace proxist {

void KeepFreedMemory() {
  // Left to itself the allocator would move the first border up to 32 MiB.
  constexpr int kMappedBytes = 4 << 20;
  constexpr int kKeptBytes = 64 << 20;  // free at the end of a heap
  mallopt(M_MMAP_THRESHOLD, kMappedBytes);
  mallopt(M_TRIM_THRESHOLD, kKeptBytes);
}

}  // namespace proxist
