// Runs against a plain set, and their bound.
#include "proxist/shard/internal/refused_numbers.h"

#include <random>
#include <set>

#include <gtest/gtest.h>

namespace proxist::shard::internal {
namespace {

TEST(RefusedNumbers, AreThoseOfAPlainSet) {
  std::mt19937_64 random(5);
  for (int round = 0; round < 50; ++round) {
    RefusedNumbers numbers;
    std::set<uint64_t> model;
    for (int step = 0; step < 300; ++step) {
      const uint64_t n = 1 + random() % 40;
      if (random() % 3 != 0) {
        numbers.Add(BatchNumber(n));
        model.insert(n);
      } else {
        numbers.Remove(BatchNumber(n));
        model.erase(n);
      }
      ASSERT_EQ(numbers.empty(), model.empty());
      if (model.empty()) continue;
      ASSERT_EQ(numbers.first(), BatchNumber(*model.begin()));
    }
    // What is left comes out in order.
    for (const uint64_t n : model) {
      ASSERT_FALSE(numbers.empty());
      ASSERT_EQ(numbers.first(), BatchNumber(n));
      numbers.Remove(BatchNumber(n));
    }
    EXPECT_TRUE(numbers.empty());
  }
}

TEST(RefusedNumbers, NeighboursAreOneRun) {
  RefusedNumbers numbers;
  for (uint64_t n = 1; n <= 1'000'000; ++n) numbers.Add(BatchNumber(n));
  EXPECT_EQ(numbers.runs(), 1u);
  numbers.Add(BatchNumber(UINT64_MAX));
  EXPECT_EQ(numbers.runs(), 2u);
  numbers.Remove(BatchNumber(UINT64_MAX));
  EXPECT_EQ(numbers.runs(), 1u);
}

TEST(RefusedNumbers, TooManyRunsForgetNone) {
  RefusedNumbers numbers;
  constexpr uint64_t kMany = 3 * kMaxRefusedRuns;
  for (uint64_t i = 1; i <= kMany; ++i) {
    numbers.Add(BatchNumber(10 * i));
    ASSERT_LE(numbers.runs(), kMaxRefusedRuns);
  }
  uint64_t asked = 0;
  for (uint64_t i = 1; i <= kMany; ++i) {
    // Those between two that were sent may be asked for, those that were sent always are.
    while (numbers.first() < BatchNumber(10 * i)) {
      numbers.Remove(numbers.first());
      ++asked;
    }
    ASSERT_EQ(numbers.first(), BatchNumber(10 * i));
    numbers.Remove(BatchNumber(10 * i));
  }
  EXPECT_TRUE(numbers.empty());
  EXPECT_GT(asked, 0u);
}

}  // namespace
}  // namespace proxist::shard::internal
