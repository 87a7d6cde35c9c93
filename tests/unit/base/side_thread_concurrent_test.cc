// Work beside its owner is done once, before Join returns.
#include <chrono>
#include <cstdint>
#include <thread>

#include <gtest/gtest.h>

#include "proxist/base/side_thread.h"

namespace proxist {
namespace {

TEST(SideThread, DoesEachWorkOnceBeforeJoinReturns) {
  SideThread side;
  uint64_t sum = 0;  // not atomic: Join orders what both threads do
  uint64_t beside = 0;
  const std::thread::id owner = std::this_thread::get_id();
  constexpr uint64_t kRounds = 3000;
  for (uint64_t i = 1; i <= kRounds; ++i) {
    side.Start([&, i] {
      sum += i;
      if (std::this_thread::get_id() != owner) ++beside;
    });
    // In some rounds the thread has time to begin, in others it has not.
    if (i % 10 == 0) std::this_thread::sleep_for(std::chrono::microseconds(100));
    side.Join();
    ASSERT_EQ(sum, i * (i + 1) / 2);
  }
  EXPECT_GT(beside, 0u);
}

TEST(SideThread, EndsWithoutEverWorking) { const SideThread side; }

}  // namespace
}  // namespace proxist
