#include "bench/ready_memory.h"

#include <algorithm>
#include <chrono>
#include <thread>

#include "proxist/server/pressure_loop.h"

namespace proxist::bench {

uint64_t ReadyBytesFor(uint64_t rows) {
  return std::min<uint64_t>((256ull << 20) + 128 * rows, server::MachineMemory() / 2);
}

void WaitUntilReady(const hot::Store& store) {
  constexpr int kLooks = 1000;
  for (int look = 0; look < kLooks && store.ready_bytes() < kReadyBytes; ++look) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
}

}  // namespace proxist::bench
