#include "proxist/shard/ingest_router.h"

#include <algorithm>
#include <utility>

#include "proxist/base/retry_after.h"

namespace proxist::shard {
namespace {

/// Of the backlog's bound: from here on senders are slowed down.
constexpr double kPauseFrom = 0.75;
constexpr Duration kLongestPause = Duration::Millis(100);
/// What a refused sender is told to wait.
constexpr Duration kQueuePause = Duration::Millis(10);
constexpr Duration kBoundPause = Duration::Seconds(1);

// Gathers the answers of the shards that a batch went to.
class Join {
 public:
  Join(size_t parts, std::function<void(WriteResult)> done)
      : waiting_(parts), done_(std::move(done)) {
    result_.duplicate = true;
  }

  void Add(const Ack& ack) {
    {
      MutexLock lock(&mutex_);
      if (!ack.status.ok() && result_.status.ok()) result_.status = ack.status;
      result_.duplicate = result_.duplicate && ack.duplicate;
      if (ack.durability == column::Durability::kProcess) result_.durability = ack.durability;
      result_.ranges.push_back({ack.shard, ack.first, ack.last});
      if (--waiting_ > 0) return;
      std::sort(result_.ranges.begin(), result_.ranges.end(),
                [](const auto& a, const auto& b) { return a.shard < b.shard; });
    }
    done_(std::move(result_));
  }

 private:
  Mutex mutex_;
  size_t waiting_;
  WriteResult result_;
  std::function<void(WriteResult)> done_;
};

Status CheckSize(const column::Batch& batch) {
  if (batch.rows == 0) {
    return InvalidArgument("table '{}': the batch has no rows", batch.schema->name);
  }
  if (batch.rows > kMaxBatchRows) {
    return InvalidArgument("table '{}': the batch has {} rows, the bound is {}: send smaller ones",
                           batch.schema->name, batch.rows, kMaxBatchRows);
  }
  if (const uint64_t bytes = column::SizeBytes(batch); bytes > kMaxBatchBytes) {
    return InvalidArgument("table '{}': the batch has {} bytes, the bound is {}: send smaller ones",
                           batch.schema->name, bytes, kMaxBatchBytes);
  }
  return column::ValidateBatch(batch);
}

}  // namespace

SlotMap SpreadSlots(uint32_t shards) {
  SlotMap map;
  for (uint32_t slot = 0; slot < kSlotCount; ++slot) {
    map.shard_of.emplace_back(static_cast<uint16_t>(slot % shards));
  }
  return map;
}

IngestRouter::IngestRouter(std::vector<ShardQueue*> shards, SlotMap slots, Limits limits)
    : shards_(std::move(shards)), slots_(std::move(slots)), limits_(limits) {
  for (const ShardQueue* shard : shards_) {
    for (const auto& [producer, last] : shard->LastBatches()) {
      BatchNumber& next = next_[producer];
      next = std::max(next, last.Next());
    }
  }
}

void IngestRouter::Submit(WriteCall call, const std::function<void(WriteResult)>& done) {
  WriteResult refused;
  refused.status = CheckSize(call.batch);
  if (refused.status.ok() && !call.producer.empty() && call.number.value() == 0) {
    refused.status =
        InvalidArgument("producer '{}': batch numbers start at 1, got 0", call.producer);
  }
  if (!refused.status.ok()) return done(std::move(refused));
  const uint64_t bytes = column::SizeBytes(call.batch);
  const column::SchemaPtr schema = call.batch.schema;
  std::vector<std::vector<uint32_t>> rows;
  if (shards_.size() > 1) rows = RowsByShard(call.batch);
  std::vector<std::pair<ShardQueue*, column::Batch>> parts;
  if (shards_.size() == 1) parts.emplace_back(shards_[0], std::move(call.batch));
  for (size_t shard = 0; shard < rows.size(); ++shard) {
    if (rows[shard].empty()) continue;
    parts.emplace_back(shards_[shard], rows[shard].size() == call.batch.rows
                                           ? call.batch
                                           : column::Gather(call.batch, rows[shard]));
  }
  auto join = std::make_shared<Join>(parts.size(), done);
  {
    MutexLock lock(&mutex_);
    refused.status = Admit(call, *schema, bytes);
    if (refused.status.ok()) {
      for (auto& [shard, batch] : parts) {
        Write write;
        write.producer = call.producer;
        write.number = call.number;
        write.batch = std::move(batch);
        write.done = [join](const Ack& ack) { join->Add(ack); };
        shard->Enqueue(std::move(write));
      }
      return;
    }
  }
  done(std::move(refused));
}

Duration IngestRouter::pause() const {
  double fullest = 0;
  for (const ShardQueue* shard : shards_) {
    const uint64_t backlog = shard->backlog_bytes() + shard->queued_bytes();
    fullest = std::max(
        fullest, static_cast<double>(backlog) / static_cast<double>(limits_.max_backlog_bytes));
  }
  if (fullest <= kPauseFrom) return Duration();
  const double share = std::min(1.0, (fullest - kPauseFrom) / (1 - kPauseFrom));
  return Duration(static_cast<int64_t>(share * static_cast<double>(kLongestPause.ns())));
}

uint64_t IngestRouter::memory_bytes() const {
  uint64_t bytes = 0;
  for (const ShardQueue* shard : shards_) {
    bytes += shard->memory_bytes() + shard->backlog_bytes() + shard->queued_bytes();
  }
  return bytes;
}

Status IngestRouter::AdmitMemory(const column::TableSchema& table, uint64_t bytes) {
  if (table.hot_memory_bytes > 0) {
    uint64_t used = 0;
    for (const ShardQueue* shard : shards_) used += shard->memory_bytes(table.id);
    if (used + bytes > table.hot_memory_bytes) {
      refused_by_memory_.fetch_add(1);
      return WithRetryAfter(
          ResourceExhausted("table '{}': its rows use {} bytes of memory and the batch has {}, its "
                            "limit is {}: retry after 1 s; if it stays so, mend history or the "
                            "disk, or raise the table's hot memory",
                            table.name, used, bytes, table.hot_memory_bytes),
          kBoundPause);
    }
  }
  if (limits_.max_memory_bytes == 0) return OkStatus();
  const uint64_t used = memory_bytes();
  if (used + bytes <= limits_.max_memory_bytes) return OkStatus();
  refused_by_memory_.fetch_add(1);
  return WithRetryAfter(
      ResourceExhausted(
          "rows, backlog and queues use {} bytes of memory and the batch has {}, the limit is {}: "
          "retry after 1 s; if it stays so, mend history or the disk, or raise --memory-limit-mb",
          used, bytes, limits_.max_memory_bytes),
      kBoundPause);
}

Status IngestRouter::Admit(const WriteCall& call, const column::TableSchema& table,
                           uint64_t bytes) {
  for (const ShardQueue* shard : shards_) {
    if (shard->queued() >= limits_.max_queued_batches) {
      return WithRetryAfter(
          ResourceExhausted("shard {}: {} batches are queued, the bound is {}: retry after 10 ms",
                            shard->id().value(), shard->queued(), limits_.max_queued_batches),
          kQueuePause);
    }
    const uint64_t backlog = shard->backlog_bytes() + shard->queued_bytes();
    if (backlog > limits_.max_backlog_bytes) {
      refused_by_backlog_.fetch_add(1);
      return WithRetryAfter(
          ResourceExhausted("shard {}: {} bytes wait for history, the bound is {}: retry after 1 s",
                            shard->id().value(), backlog, limits_.max_backlog_bytes),
          kBoundPause);
    }
  }
  PX_RETURN_IF_ERROR(AdmitMemory(table, bytes));
  if (call.producer.empty()) return OkStatus();
  auto next = next_.find(call.producer);
  if (next == next_.end()) {
    if (next_.size() >= limits_.max_producers) {
      return ResourceExhausted("{} producers are known, the bound is {}", next_.size(),
                               limits_.max_producers);
    }
    if (call.number.value() != 1) {
      return FailedPrecondition("producer '{}' is new: its first batch is 1, got {}", call.producer,
                                call.number.value());
    }
    next = next_.emplace(call.producer, BatchNumber(1)).first;
  }
  if (call.number > next->second) {
    return FailedPrecondition("producer '{}': batch {} is expected next, got {}", call.producer,
                              next->second.value(), call.number.value());
  }
  if (call.number == next->second) next->second = call.number.Next();
  return OkStatus();
}

std::vector<std::vector<uint32_t>> IngestRouter::RowsByShard(const column::Batch& batch) const {
  const auto& dictionary = batch.symbol.dictionary;
  std::vector<uint16_t> shard_of_code(dictionary.size());
  for (size_t code = 0; code < dictionary.size(); ++code) {
    const SlotId slot = column::SlotOf(batch.schema->tenant, dictionary[code]);
    shard_of_code[code] = slots_.shard_of[slot.value()].value();
  }
  std::vector<std::vector<uint32_t>> rows(shards_.size());
  for (uint32_t row = 0; row < batch.rows; ++row) {
    rows[shard_of_code[batch.symbol.At<uint32_t>(row)]].push_back(row);
  }
  return rows;
}

}  // namespace proxist::shard
