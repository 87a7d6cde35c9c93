// The simulated disk keeps what was synced, may lose the rest, and never invents anything.
#include "proxist/sim/disk.h"

#include <gtest/gtest.h>

namespace proxist::sim {
namespace {

constexpr int kSeeds = 200;

std::vector<std::byte> Filled(size_t size, uint8_t value) {
  return std::vector<std::byte>(size, static_cast<std::byte>(value));
}

struct Machine {
  explicit Machine(uint64_t seed) : random(seed), disk(&power, &random) {}
  Power power;
  Random random;
  Disk disk;
};

std::vector<std::byte> ReadBack(Disk* disk, const std::string& path) {
  const auto bytes = disk->ReadAll(path, UINT64_MAX);
  return bytes.ok() ? *bytes : std::vector<std::byte>();
}

TEST(DiskTest, SyncedBytesUnderASyncedNameSurvive) {
  for (uint64_t seed = 0; seed < kSeeds; ++seed) {
    Machine machine(seed);
    {
      const auto file = machine.disk.Open("d/a", env::FileSystem::Mode::kCreateNew).value();
      ASSERT_TRUE(file->WriteAt(0, Filled(5000, 1)).ok());
      ASSERT_TRUE(file->Sync().ok());
      ASSERT_TRUE(machine.disk.SyncDirectory("d").ok());
      ASSERT_TRUE(file->WriteAt(1024, Filled(512, 2)).ok());
    }
    machine.power.Cut();
    EXPECT_FALSE(machine.disk.ReadAll("d/a", UINT64_MAX).ok()) << "the power is off";
    machine.disk.Boot();
    std::vector<std::byte> bytes = ReadBack(&machine.disk, "d/a");
    ASSERT_EQ(bytes.size(), 5000U);
    std::fill_n(bytes.begin() + 1024, 512, std::byte{1});
    EXPECT_EQ(bytes, Filled(5000, 1));
  }
}

TEST(DiskTest, UnsyncedBytesAreLostBySectors) {
  int kept = 0, lost = 0, mixed = 0;
  for (uint64_t seed = 0; seed < kSeeds; ++seed) {
    Machine machine(seed);
    {
      const auto file = machine.disk.Open("d/a", env::FileSystem::Mode::kCreateNew).value();
      ASSERT_TRUE(file->WriteAt(0, Filled(1024, 1)).ok());
      ASSERT_TRUE(file->Sync().ok());
      ASSERT_TRUE(machine.disk.SyncDirectory("d").ok());
      ASSERT_TRUE(file->WriteAt(0, Filled(1024, 2)).ok());
    }
    machine.power.Cut();
    machine.disk.Boot();
    const std::vector<std::byte> bytes = ReadBack(&machine.disk, "d/a");
    ASSERT_EQ(bytes.size(), 1024U);
    for (const size_t sector : {0U, 512U}) {
      for (size_t i = 1; i < 512; ++i)
        ASSERT_EQ(bytes[sector], bytes[sector + i]) << "no sector tears";
    }
    if (bytes[0] != bytes[512]) {
      ++mixed;
    } else {
      ++(bytes[0] == std::byte{2} ? kept : lost);
    }
  }
  EXPECT_GT(kept, 0);
  EXPECT_GT(lost, 0);
  EXPECT_GT(mixed, 0);
}

TEST(DiskTest, UnsyncedNamesAreLostFromTheEnd) {
  int renamed = 0, created = 0, nothing = 0;
  for (uint64_t seed = 0; seed < kSeeds; ++seed) {
    Machine machine(seed);
    {
      const auto file = machine.disk.Open("d/a", env::FileSystem::Mode::kCreateNew).value();
      ASSERT_TRUE(machine.disk.Rename("d/a", "d/b").ok());
    }
    machine.power.Cut();
    machine.disk.Boot();
    const bool a = machine.disk.Exists("d/a").value();
    const bool b = machine.disk.Exists("d/b").value();
    EXPECT_FALSE(a && b);
    ++(b ? renamed : a ? created : nothing);
  }
  EXPECT_GT(renamed, 0);
  EXPECT_GT(created, 0);
  EXPECT_GT(nothing, 0);
}

TEST(DiskTest, AKilledProcessLosesNothing) {
  Machine machine(1);
  {
    const auto file = machine.disk.Open("d/a", env::FileSystem::Mode::kCreateNew).value();
    ASSERT_TRUE(file->WriteAt(0, Filled(700, 3)).ok());
  }
  machine.disk.KeepCache();
  EXPECT_EQ(ReadBack(&machine.disk, "d/a"), Filled(700, 3));
}

TEST(DiskTest, ADurableWriteIsWholeOnceItIsWaitedFor) {
  int torn = 0;
  for (uint64_t seed = 0; seed < kSeeds; ++seed) {
    Machine machine(seed);
    const AlignedBytes block = AllocateAligned(2 * env::kBlockBytes, env::kBlockBytes);
    {
      const auto file = machine.disk.OpenDurable("d/log", 4 * env::kBlockBytes).value();
      std::fill_n(block.get(), 2 * env::kBlockBytes, std::byte{5});
      ASSERT_TRUE(file->Submit(0, {block.get(), env::kBlockBytes}).ok());
      ASSERT_TRUE(file->Wait().ok());
      machine.power.CutAfter(0);
      ASSERT_TRUE(file->Submit(2 * env::kBlockBytes, {block.get(), 2 * env::kBlockBytes}).ok());
      EXPECT_FALSE(file->Wait().ok());
    }
    machine.disk.Boot();
    const std::vector<std::byte> bytes = ReadBack(&machine.disk, "d/log");
    ASSERT_EQ(bytes.size(), 4 * env::kBlockBytes);
    EXPECT_TRUE(std::all_of(bytes.begin(), bytes.begin() + env::kBlockBytes,
                            [](std::byte b) { return b == std::byte{5}; }));
    const auto written =
        std::count(bytes.begin() + 2 * env::kBlockBytes, bytes.end(), std::byte{5});
    if (written > 0 && written < static_cast<long>(2 * env::kBlockBytes)) ++torn;
  }
  EXPECT_GT(torn, kSeeds / 4);
}

TEST(DiskTest, AFullDiskGrowsNoFile) {
  Machine machine(1);
  machine.disk.SetFaults({.capacity = 1000});
  const auto file = machine.disk.Open("d/a", env::FileSystem::Mode::kCreateNew).value();
  ASSERT_TRUE(file->WriteAt(0, Filled(900, 1)).ok());
  EXPECT_TRUE(absl::IsResourceExhausted(file->WriteAt(900, Filled(101, 1))));
  EXPECT_TRUE(file->WriteAt(0, Filled(900, 2)).ok());
  EXPECT_TRUE(absl::IsResourceExhausted(machine.disk.OpenDurable("d/log", 4096).status()));
}

TEST(DiskTest, RotSparesTheLastDurableWrite) {
  Machine machine(1);
  const AlignedBytes block = AllocateAligned(env::kBlockBytes, env::kBlockBytes);
  std::fill_n(block.get(), env::kBlockBytes, std::byte{5});
  const auto file = machine.disk.OpenDurable("d/log", 2 * env::kBlockBytes).value();
  ASSERT_TRUE(file->Submit(env::kBlockBytes, {block.get(), env::kBlockBytes}).ok());
  ASSERT_TRUE(file->Wait().ok());
  int rotten = 0;
  for (int i = 0; i < 100; ++i) rotten += machine.disk.Rot("log").empty() ? 0 : 1;
  EXPECT_GT(rotten, 0);
  const std::vector<std::byte> bytes = ReadBack(&machine.disk, "d/log");
  EXPECT_TRUE(std::all_of(bytes.begin() + env::kBlockBytes, bytes.end(),
                          [](std::byte b) { return b == std::byte{5}; }));
}

}  // namespace
}  // namespace proxist::sim
