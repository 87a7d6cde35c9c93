// From a producer's batch to the shards: admission, order, splitting, and the joined answer.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "proxist/base/mutex.h"
#include "proxist/column/batch.h"
#include "proxist/server/node.h"
#include "proxist/server/shard_runner.h"

namespace proxist::server {

/// The slot map: which shard owns a slot.
struct SlotMap {
  uint32_t version = 1;
  std::vector<ShardId> shard_of;  // kSlotCount entries
};

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
  };
  /// `runners` are in order of shard id and not started yet.
  IngestRouter(std::vector<ShardRunner*> runners, SlotMap slots, Limits limits);

  /// As Node::Write.
  void Write(WriteCall call, std::function<void(WriteResult)> done);

 private:
  Status Admit(const WriteCall& call) PX_REQUIRES(mutex_);
  [[nodiscard]] std::vector<std::vector<uint32_t>> RowsByShard(const column::Batch& batch) const;

  const std::vector<ShardRunner*> runners_;
  const SlotMap slots_;
  const Limits limits_;
  /// Held while a batch is queued, so that batches of one producer stand in one order everywhere.
  Mutex mutex_;
  std::map<std::string, BatchNumber, std::less<>> next_ PX_GUARDED_BY(mutex_);  // expected numbers
};

}  // namespace proxist::server
