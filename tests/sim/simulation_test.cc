// Short simulated runs: fixed seeds, fresh ones, and the planted bugs that the oracles must find.
#include "tests/sim/simulation.h"

#include <cstdlib>
#include <random>

#include <gtest/gtest.h>

#include "proxist/base/planted.h"

namespace proxist::sim {
namespace {

constexpr uint64_t kFixedSeeds = 160;
constexpr uint64_t kFreshSeeds = 60;
constexpr uint64_t kSeedsToFindABug = 500;

TEST(SimulationTest, FixedSeedsHold) {
  Counts counts;
  for (uint64_t seed = 1; seed <= kFixedSeeds; ++seed) {
    const Outcome outcome = Simulation(seed).Run();
    ASSERT_EQ(outcome.violation, "") << "proxist-sim --seed " << seed << " --count 1";
    counts.Add(outcome.counts);
  }
  // Runs that do nothing would hold as well.
  EXPECT_GT(counts.batches, 1000U);
  EXPECT_GT(counts.power_failures, 100U);
  EXPECT_GT(counts.kills, 100U);
  EXPECT_GT(counts.dark_recoveries, 20U);
  EXPECT_GT(counts.in_flight_kept, 5U);
  EXPECT_GT(counts.in_flight_lost, 10U);
  EXPECT_GT(counts.evicted_rows, 1000U);
  EXPECT_GT(counts.queries, 3000U);
  EXPECT_GT(counts.cold_reads, 1000U);
  EXPECT_GT(counts.cold_totals, 5U);
  EXPECT_GT(counts.poisoned, 0U);
  EXPECT_GT(counts.sealed, 1000U);
  EXPECT_GT(counts.keys_retired, 20U);
  EXPECT_GT(counts.snapshots, 200U);
  EXPECT_GT(counts.spilled_chunks, 100U);
}

TEST(SimulationTest, FreshSeedsHold) {
  const uint64_t base = std::random_device()();
  for (uint64_t i = 0; i < kFreshSeeds; ++i) {
    const uint64_t seed = (base << 8) + i;
    ASSERT_EQ(Simulation(seed).Run().violation, "")
        << "proxist-sim --seed " << seed << " --count 1";
  }
}

TEST(SimulationTest, ASeedRepeatsItself) {
  for (uint64_t seed = 1; seed <= 10; ++seed) {
    EXPECT_EQ(Simulation(seed).Run().digest, Simulation(seed).Run().digest) << seed;
  }
}

class PlantedBugTest : public ::testing::TestWithParam<PlantedBugName> {
 protected:
  ~PlantedBugTest() override { PlantBug("none"); }
};

TEST_P(PlantedBugTest, AnOracleFindsIt) {
  ASSERT_TRUE(PlantBug(GetParam().name));
  for (uint64_t seed = 1; seed <= kSeedsToFindABug; ++seed) {
    const Outcome outcome = Simulation(seed).Run();
    if (outcome.violation.empty()) continue;
    std::cout << GetParam().name << " is found by seed " << seed << ": "
              << outcome.violation.substr(0, outcome.violation.find('\n')) << "\n";
    return;
  }
  FAIL() << GetParam().name << " is not found by " << kSeedsToFindABug << " seeds";
}

INSTANTIATE_TEST_SUITE_P(All, PlantedBugTest,
                         ::testing::ValuesIn(std::begin(kPlantedBugNames) + 1,
                                             std::end(kPlantedBugNames)),
                         [](const auto& info) {
                           std::string name(info.param.name);
                           std::erase(name, '-');
                           return name;
                         });

}  // namespace
}  // namespace proxist::sim
