#include "bench/ready_memory.h"

#include <algorithm>
#include <chrono>
#include <thread>

#include <unistd.h>

namespace proxist::bench {

uint64_t ReadyBytesFor(uint64_t rows) {
  const uint64_t machine =
      static_cast<uint64_t>(sysconf(_SC_PHYS_PAGES)) * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
  return std::min<uint64_t>((256ull << 20) + 128 * rows, machine / 2);
}

void WaitUntilReady(const hot::Store& store) {
  constexpr int kLooks = 1000;
  for (int look = 0; look < kLooks && store.ready_bytes() < kReadyBytes; ++look) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
}

}  // namespace proxist::bench
