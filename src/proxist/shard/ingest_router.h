// From a producer's batch to the shards: admission, order, splitting, and the joined answer.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "proxist/base/ids.h"
#include "proxist/base/mutex.h"
#include "proxist/base/time.h"
#include "proxist/column/batch.h"
#include "proxist/history/history.h"
#include "proxist/shard/shard.h"

namespace proxist::shard {

/// A producer's batch for the whole node.
struct WriteCall {
  std::string producer;  // empty: no dedup
  BatchNumber number;
  column::Batch batch;  // decoded, not yet validated
};
struct WriteResult {
  Status status;
  std::vector<history::LsnRange> ranges;  // one for each shard that got rows, ascending
  bool duplicate = false;                 // every shard had it already
  column::Durability durability = column::Durability::kSync;  // the weakest of the shards
};

/// The way to a shard's one thread. Thread-safe.
class ShardQueue {
 public:
  virtual ~ShardQueue() = default;
  [[nodiscard]] virtual ShardId id() const = 0;
  /// Writes that have no answer yet, and the bytes of those not begun.
  [[nodiscard]] virtual size_t queued() const = 0;
  [[nodiscard]] virtual uint64_t queued_bytes() const = 0;
  /// Of rows that history does not have yet.
  [[nodiscard]] virtual uint64_t backlog_bytes() const = 0;
  /// Of rows in memory, without the backlog.
  [[nodiscard]] virtual uint64_t memory_bytes() const = 0;
  [[nodiscard]] virtual uint64_t memory_bytes(TableId table) const = 0;  // of one table's
  /// As Shard::LastBatches; only before the first Enqueue.
  [[nodiscard]] virtual std::vector<std::pair<std::string, BatchNumber>> LastBatches() const = 0;
  virtual void Enqueue(Write write) = 0;
};

/// The slot map: which shard owns a slot.
struct SlotMap {
  uint32_t version = 1;
  std::vector<ShardId> shard_of;  // kSlotCount entries
};
/// The slots of a new data directory, spread evenly over `shards`.
SlotMap SpreadSlots(uint32_t shards);

/// Rows and bytes that one batch may have, so that it fits a log frame and a history block.
inline constexpr size_t kMaxBatchRows = 200'000;
inline constexpr uint64_t kMaxBatchBytes = 32ull << 20;

/// Thread-safe.
class IngestRouter {
 public:
  struct Limits {
    size_t max_queued_batches;   // per shard
    uint64_t max_backlog_bytes;  // per shard, queue included
    uint64_t max_producers = 1u << 20;
    uint64_t max_memory_bytes = 0;  // of all shards, backlogs and queues included; 0: no bound
  };
  /// `shards` are in order of id and have no writes yet.
  IngestRouter(std::vector<ShardQueue*> shards, SlotMap slots, Limits limits);

  /// Validates, splits by shard and queues. `done` is called once, on a shard's thread or the
  /// caller's. A gap in the producer's numbers is FAILED_PRECONDITION and changes nothing. Writes
  /// of one producer are applied in the order of their calls.
  void Submit(WriteCall call, const std::function<void(WriteResult)>& done);
  /// Memory of rows, backlogs and queues: what max_memory_bytes bounds.
  [[nodiscard]] uint64_t memory_bytes() const;
  /// How long whoever sends batches should pause before the next: grows from nothing, when the
  /// fullest backlog has reached three quarters of its bound, to 100 ms.
  [[nodiscard]] Duration pause() const;
  /// Calls refused because the backlog was at its bound.
  [[nodiscard]] uint64_t refused_by_backlog() const { return refused_by_backlog_.load(); }
  /// Calls refused because of it.
  [[nodiscard]] uint64_t refused_by_memory() const { return refused_by_memory_.load(); }

 private:
  Status Admit(const WriteCall& call, const column::TableSchema& table, uint64_t bytes)
      PX_REQUIRES(mutex_);
  Status AdmitMemory(const column::TableSchema& table, uint64_t bytes);
  [[nodiscard]] std::vector<std::vector<uint32_t>> RowsByShard(const column::Batch& batch) const;

  const std::vector<ShardQueue*> shards_;
  const SlotMap slots_;
  const Limits limits_;
  std::atomic<uint64_t> refused_by_memory_{0};
  std::atomic<uint64_t> refused_by_backlog_{0};
  /// Held while a batch is queued, so that batches of one producer stand in one order everywhere.
  Mutex mutex_;
  std::map<std::string, BatchNumber, std::less<>> next_ PX_GUARDED_BY(mutex_);  // expected numbers
};

}  // namespace proxist::shard
