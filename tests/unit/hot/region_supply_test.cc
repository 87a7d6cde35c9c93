// Regions are kept ready, given out once, and taken back.
#include "proxist/hot/internal/region_supply.h"

#include <chrono>
#include <cstdint>
#include <cstring>
#include <set>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

namespace proxist::hot::internal {
namespace {

// True once `supply` has `count` regions ready, which its thread makes in its own time.
bool BecomesReady(const RegionSupply& supply, size_t count) {
  for (int look = 0; look < 3000 && supply.ready() != count; ++look) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return supply.ready() == count;
}

TEST(RegionSupplyTest, KeepsAsManyReadyAsItIsTold) {
  RegionSupply supply({.bytes = 6 * kRegionBytes}, false);
  ASSERT_TRUE(BecomesReady(supply, 6));
  std::vector<void*> taken;
  for (int i = 0; i < 3; ++i) taken.push_back(supply.Take());
  EXPECT_TRUE(BecomesReady(supply, 6)) << "half of them gone: it makes more";
  for (void* region : taken) supply.Give(region);
  EXPECT_EQ(supply.ready(), 6) << "what is too much goes back to the system";
}

TEST(RegionSupplyTest, KeepsWhatTheTakenLeaveOfAllAndTheLeastInAnyCase) {
  RegionSupply supply(
      {.bytes = 5 * kRegionBytes, .total = 6 * kRegionBytes, .least = 2 * kRegionBytes}, false);
  ASSERT_TRUE(BecomesReady(supply, 5));
  std::vector<void*> taken;
  for (int i = 0; i < 3; ++i) taken.push_back(supply.Take());
  ASSERT_TRUE(BecomesReady(supply, 3)) << "three and three are six";
  for (int i = 0; i < 4; ++i) taken.push_back(supply.Take());
  ASSERT_TRUE(BecomesReady(supply, 2)) << "the least, beyond all";
  for (int i = 0; i < 4; ++i) {
    supply.Give(taken.back());
    taken.pop_back();
  }
  EXPECT_EQ(supply.ready(), 5) << "what was touched stays: three, and five of eight";
  for (void* region : taken) supply.Give(region);
  EXPECT_EQ(supply.ready(), 5);
}

TEST(RegionSupplyTest, GivesRegionsApartAndAligned) {
  RegionSupply supply({.bytes = 2 * kRegionBytes}, true);
  std::set<uintptr_t> seen;
  std::vector<void*> taken;
  for (int i = 0; i < 9; ++i) {
    void* region = supply.Take();
    const auto at = reinterpret_cast<uintptr_t>(region);
    EXPECT_EQ(at % kRegionBytes, 0);
    EXPECT_TRUE(seen.insert(at).second);
    std::memset(region, i, kRegionBytes);
    taken.push_back(region);
  }
  for (size_t i = 0; i < taken.size(); ++i) {
    const auto* bytes = static_cast<const unsigned char*>(taken[i]);
    EXPECT_EQ(bytes[0], i);
    EXPECT_EQ(bytes[kRegionBytes - 1], i);
    supply.Give(taken[i]);
  }
}

TEST(RegionSupplyTest, WithoutReserveOneIsKept) {
  RegionSupply supply({}, false);
  EXPECT_EQ(supply.ready(), 0);
  void* first = supply.Take();
  void* second = supply.Take();
  supply.Give(first);
  supply.Give(second);
  EXPECT_EQ(supply.ready(), 1);
  EXPECT_EQ(supply.Take(), first);
  supply.Give(first);
}

}  // namespace
}  // namespace proxist::hot::internal
