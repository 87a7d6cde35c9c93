// What a run is like: drawn from its seed, so that runs differ in kind and not only in order.
#pragma once

#include <array>
#include <cstdint>

#include "proxist/base/time.h"
#include "proxist/sim/history.h"
#include "proxist/sim/random.h"

namespace proxist::sim {

/// What happens next.
enum class Action : uint8_t {
  kSend,
  kCommit,
  kFlush,
  kMaintain,
  kEvict,
  kAsk,
  kWaitAWhile,
  kHistoryGoesAway,
  kHistoryMerges,
  kPowerFailsSoon,
  kPowerFailsNow,
  kKill,
  kDiskFills,
  kSendAgain,
  kSnapshot,
  kRotateKey,
  kRetireKeys,
  kSpill,
  kSchemaDrifts,
  kCount
};

struct Swarm {
  std::array<uint32_t, static_cast<size_t>(Action::kCount)> weights{};
  uint32_t steps = 0;
  uint32_t shards = 1;
  uint32_t producers = 1;
  uint32_t batches = 0;  // of each producer
  uint32_t window = 1;   // batches that a producer sends without waiting
  uint32_t batch_rows = 1;
  uint32_t overlay_rows = 2048;  // before compaction
  uint32_t chunk_rows = 512;
  uint64_t segment_bytes = 0;
  int64_t tick_ns = 1;
  bool time_goes_on = true;  // later batches have later rows
  bool trades_assign_seq = false;
  bool quotes_unsynced = false;  // durability: process
  bool trades_unsynced = false;
  bool merges = false;
  bool encrypted = false;
  Duration hot_retain;
  uint64_t recovery_memory_bytes = 0;  // beyond which recovery leaves chunks in their files
  HistoryFaults history;
  uint32_t write_errors_per_10000 = 0;
  uint32_t metadata_failures = 0;  // in a hundred
  bool damage = false;             // bits flip and writes land elsewhere when the power fails
  uint32_t dark_recoveries = 0;    // recoveries in a hundred during which the power fails again
};

Swarm DrawSwarm(Random* random);

}  // namespace proxist::sim
