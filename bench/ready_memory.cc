#include "bench/ready_memory.h"

#include <chrono>
#include <thread>

namespace proxist::bench {

void WaitUntilReady(const hot::Store& store) {
  constexpr int kLooks = 1000;
  for (int look = 0; look < kLooks && store.ready_bytes() < kReadyBytes; ++look) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
}

}  // namespace proxist::bench
