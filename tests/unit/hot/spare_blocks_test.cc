// Small blocks are given out once at a time, aligned, of the size that was asked for.
#include <cstdint>
#include <cstring>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "proxist/hot/internal/arena.h"

namespace proxist::hot::internal {
namespace {

TEST(SpareBlocksTest, GivesBlocksApartAndAligned) {
  SpareBlocks blocks;
  for (int round = 0; round < 3; ++round) {
    std::vector<std::pair<void*, size_t>> taken;
    for (size_t i = 0; i < 3000; ++i) {
      const size_t bytes = 1 + i * 37 % 20'000;
      void* block = blocks.Allocate(bytes);
      EXPECT_EQ(reinterpret_cast<uintptr_t>(block) % 64, 0);
      std::memset(block, static_cast<int>(i % 251), bytes);
      taken.emplace_back(block, bytes);
    }
    for (size_t i = 0; i < taken.size(); ++i) {
      const auto& [block, bytes] = taken[i];
      const auto* at = static_cast<const unsigned char*>(block);
      EXPECT_EQ(at[0], i % 251);
      EXPECT_EQ(at[bytes - 1], i % 251);
      blocks.Free(block, bytes);
    }
  }
}

}  // namespace
}  // namespace proxist::hot::internal
