// The thread that keeps the memory of rows below the limits of the node and of its tables: evicts
// what history has, then spills.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "proxist/base/mutex.h"
#include "proxist/base/time.h"
#include "proxist/env/clock.h"
#include "proxist/meta/catalog.h"
#include "proxist/server/shard_runner.h"
#include "proxist/server/snapshot_loop.h"
#include "proxist/shard/spill.h"

namespace proxist::server {

/// In percent of the limit. At the high mark memory is freed down to the low one; above the third
/// one, snapshots are taken in time, so that there is something to spill.
inline constexpr uint64_t kHighMarkPercent = 80;
inline constexpr uint64_t kLowMarkPercent = 65;
inline constexpr uint64_t kSnapshotMarkPercent = 50;

/// Of the machine, or what its control group allows where that is less. Bytes.
uint64_t MachineMemory();
/// 60 % of it.
uint64_t StandardMemoryLimit();

/// Thread-safe.
class PressureLoop {
 public:
  struct Ports {
    const env::Clock* clock = nullptr;
    const meta::Catalog* catalog = nullptr;
    std::vector<ShardRunner*> runners;
    SnapshotLoop* snapshots = nullptr;
    /// Memory of rows, backlogs and queues.
    std::function<uint64_t()> used;
    /// Work of others that is due once a second; may be null.
    std::function<void()> each_second = nullptr;
  };
  /// Since the start.
  struct Stats {
    uint64_t evicted_rows = 0;
    uint64_t evicted_bytes = 0;
    uint64_t spilled_chunks = 0;
    uint64_t spilled_bytes = 0;  // of memory
    std::string last_error;      // of the last round; empty: it went well
  };
  /// `limit_bytes`: of the node, 0: none. Tables have their own.
  PressureLoop(Ports ports, uint64_t limit_bytes);
  ~PressureLoop();  // Stop

  void Start();
  void Stop();
  [[nodiscard]] Stats stats() const;

 private:
  struct Candidate {
    hot::SealedChunk chunk;
    size_t shard;
  };
  enum class Outcome { kCalm, kFreed, kStuck };

  void Loop();
  Outcome Round();
  /// What is under a limit: the node's rows, or one table's.
  struct Scope {
    uint64_t limit = 0;
    uint64_t used = 0;  // and not about to go
    std::optional<TableId> table;
    [[nodiscard]] bool Holds(TableId id) const { return !table.has_value() || *table == id; }
    [[nodiscard]] bool Above(uint64_t percent) const { return used >= limit / 100 * percent; }
  };
  [[nodiscard]] std::vector<Scope> Scopes() const;
  Outcome Relieve(const Scope& scope);
  /// Learns of new snapshots, and moves spilled chunks along to the files of these.
  void FollowSnapshots();
  /// Chunks, by the time of publication.
  [[nodiscard]] std::vector<Candidate> Chunks(const Scope& scope) const;
  /// What these do frees about `need` bytes; they return how many.
  uint64_t EvictPersisted(const Scope& scope, const std::vector<Candidate>& chunks, uint64_t need);
  uint64_t EvictThrough(const Scope& scope, Timestamp published);
  uint64_t Spill(const std::vector<Candidate>& chunks, uint64_t need);
  hot::SpillResult SpillFrom(size_t shard, const std::vector<const hot::SealedChunk*>& chunks);
  /// Asks for snapshots of shards that hold much that no file holds.
  void RequestSnapshots(const Scope& scope, const std::vector<Candidate>& chunks);
  void Note(const Status& status);
  [[nodiscard]] bool stopping() const;

  const Ports ports_;
  const uint64_t limit_;
  std::vector<shard::SpillReader> readers_;  // by shard; the thread's
  Duration last_look_;                       // between the marks; the thread's
  Duration last_resort_;                     // when all that history has was evicted; the thread's
  Duration last_second_;                     // when each_second was called; the thread's
  Status round_error_;                       // the thread's
  mutable Mutex mutex_;
  CondVar wake_;
  bool stop_ PX_GUARDED_BY(mutex_) = false;
  Stats stats_ PX_GUARDED_BY(mutex_);
  std::thread thread_;
};

}  // namespace proxist::server
