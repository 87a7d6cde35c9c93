#include "tests/sim/swarm.h"

namespace proxist::sim {
namespace {

/// Zero in some runs, up to `most` in the others.
uint32_t Sometimes(Random* random, uint64_t percent, uint32_t most) {
  return random->Chance(percent) ? 1 + static_cast<uint32_t>(random->Below(most)) : 0;
}

void DrawWeights(Random* random, Swarm* swarm) {
  const auto set = [&](Action action, uint32_t weight) {
    swarm->weights[static_cast<size_t>(action)] = weight;
  };
  set(Action::kSend, 10 + static_cast<uint32_t>(random->Below(40)));
  set(Action::kCommit, 10 + static_cast<uint32_t>(random->Below(30)));
  set(Action::kFlush, Sometimes(random, 85, 30));
  set(Action::kMaintain, Sometimes(random, 70, 20));
  set(Action::kEvict, Sometimes(random, 60, 10));
  set(Action::kAsk, 2 + static_cast<uint32_t>(random->Below(8)));
  set(Action::kWaitAWhile, Sometimes(random, 70, 10));
  set(Action::kHistoryGoesAway, Sometimes(random, 30, 2));
  set(Action::kHistoryMerges, Sometimes(random, 40, 3));
  set(Action::kPowerFailsSoon, Sometimes(random, 60, 3));
  set(Action::kPowerFailsNow, Sometimes(random, 30, 2));
  set(Action::kKill, Sometimes(random, 40, 2));
  set(Action::kDiskFills, Sometimes(random, 15, 2));
  set(Action::kSendAgain, Sometimes(random, 50, 3));
  set(Action::kSnapshot, Sometimes(random, 70, 20));
  set(Action::kRotateKey, Sometimes(random, 50, 4));
  set(Action::kRetireKeys, Sometimes(random, 60, 6));
  set(Action::kSpill, Sometimes(random, 70, 15));
  set(Action::kSchemaDrifts, Sometimes(random, 30, 4));
}

HistoryFaults DrawHistoryFaults(Random* random) {
  HistoryFaults faults;
  faults.refuses = Sometimes(random, 30, 30);
  faults.times_out = Sometimes(random, 40, 30);
  faults.commits_late = Sometimes(random, 25, 20);
  faults.answers_late = Sometimes(random, 25, 30);
  faults.arrives_twice = Sometimes(random, 25, 30);
  faults.read_fails = Sometimes(random, 10, 10);
  return faults;
}

}  // namespace

Swarm DrawSwarm(Random* random) {
  Swarm swarm;
  DrawWeights(random, &swarm);
  swarm.steps = 100 + static_cast<uint32_t>(random->Below(300));
  swarm.shards = 1 + static_cast<uint32_t>(random->Below(2));
  swarm.producers = 1 + static_cast<uint32_t>(random->Below(4));
  swarm.batches = 10 + static_cast<uint32_t>(random->Below(60));
  swarm.window = 1 + static_cast<uint32_t>(random->Below(4));
  swarm.batch_rows = random->OneOf({1U, 4U, 12U, 40U});
  swarm.chunk_rows = random->OneOf({2U, 4U, 16U, 512U});
  swarm.overlay_rows = random->OneOf({1U, 3U, 16U, 2048U});
  swarm.segment_bytes = random->OneOf({16U << 10, 32U << 10, 64U << 10, 256U << 10});
  swarm.tick_ns =
      random->OneOf<int64_t>({1, 7, 1'000'000'000, 3'600'000'000'000, 50LL * 3'600'000'000'000});
  swarm.time_goes_on = random->Chance(60);
  swarm.trades_assign_seq = random->Chance(25);
  swarm.quotes_unsynced = random->Chance(30);
  swarm.trades_unsynced = random->Chance(20);
  swarm.merges = swarm.weights[static_cast<size_t>(Action::kHistoryMerges)] > 0;
  swarm.encrypted = random->Chance(50);
  swarm.hot_retain = Duration(
      random->OneOf<int64_t>({1'000'000'000, 5'000'000'000, 60'000'000'000, 86'400'000'000'000}));
  swarm.recovery_memory_bytes = random->OneOf<uint64_t>({0, 1, 20'000});
  swarm.history = DrawHistoryFaults(random);
  swarm.write_errors_per_10000 = Sometimes(random, 15, 100);
  swarm.metadata_failures = Sometimes(random, 10, 5);
  swarm.damage = random->Chance(10);
  swarm.dark_recoveries = Sometimes(random, 40, 50);
  return swarm;
}

}  // namespace proxist::sim
