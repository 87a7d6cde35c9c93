#include "tests/sim/node.h"

#include <algorithm>

namespace proxist::sim {
namespace {

constexpr uint64_t kIncarnation = 0x51;
constexpr uint64_t kMaxBacklogBytes = uint64_t{1} << 30;

}  // namespace

void ShardBox::Enqueue(shard::Write write) {
  write.done = [this, producer = write.producer, number = write.number.value(),
                done = std::move(write.done)](shard::Ack ack) {
    listener_(producer, number, ack);
    done(std::move(ack));
  };
  waiting_.push_back(std::move(write));
}

size_t ShardBox::Commit(size_t count) {
  // Answers may queue more writes: the group is taken out first.
  std::vector<shard::Write> group(
      std::make_move_iterator(waiting_.begin()),
      std::make_move_iterator(waiting_.begin() + static_cast<std::ptrdiff_t>(count)));
  waiting_.erase(waiting_.begin(), waiting_.begin() + static_cast<std::ptrdiff_t>(count));
  const size_t taken = shard_->Commit(group);
  waiting_.insert(waiting_.begin(),
                  std::make_move_iterator(group.begin() + static_cast<std::ptrdiff_t>(taken)),
                  std::make_move_iterator(group.end()));
  return taken;
}

std::string SimNode::LogOf(ShardId shard) { return fmt::format("data/wal-{}", shard.value()); }

StatusOr<std::unique_ptr<SimNode>> SimNode::Open(
    const Ports& ports, const Swarm& swarm,
    const std::function<void(ShardId, const std::string&, uint64_t, const shard::Ack&)>& listener) {
  std::unique_ptr<SimNode> node(new SimNode());
  node->history_ = ports.history;
  PX_ASSIGN_OR_RETURN(node->catalog_, meta::Catalog::Open(ports.metadata));
  std::vector<shard::ShardQueue*> queues;
  std::vector<shard::ShardPort*> flushed;
  query::Engine::Ports engine;
  for (uint32_t i = 0; i < swarm.shards; ++i) {
    shard::ShardOptions options;
    options.id = ShardId(static_cast<uint16_t>(i));
    options.wal_directory = LogOf(options.id);
    options.segment_bytes = swarm.segment_bytes;
    options.max_frame_bytes = swarm.segment_bytes / 2;
    options.prepare_segments = false;
    options.incarnation = kIncarnation;
    options.recovery_memory_bytes = swarm.recovery_memory_bytes;
    options.store.chunk_rows = swarm.chunk_rows;
    options.store.overlay_compact_rows = swarm.overlay_rows;
    options.store.huge_pages = false;
    shard::RecoveryReport report;
    PX_ASSIGN_OR_RETURN(auto opened, shard::Shard::Open(options,
                                                        {ports.disk, ports.clock, ports.metadata,
                                                         node->catalog_.get(), ports.keys},
                                                        &report));
    node->shards_.push_back(std::make_unique<ShardBox>(
        std::move(opened), [listener, id = options.id](const std::string& producer, uint64_t number,
                                                       const shard::Ack& ack) {
          listener(id, producer, number, ack);
        }));
    queues.push_back(node->shards_.back().get());
    flushed.push_back(node->shards_.back().get());
    engine.shards.push_back(node->shards_.back().get());
  }
  node->router_ = std::make_unique<shard::IngestRouter>(
      queues, shard::SpreadSlots(swarm.shards), shard::IngestRouter::Limits{64, kMaxBacklogBytes});
  engine.catalog = node->catalog_.get();
  engine.history = ports.history;
  engine.rewritten_days = [metadata = ports.metadata](TableId table) {
    return shard::RewrittenDays(metadata, table);
  };
  engine.clock = ports.clock;
  engine.shard_of = [all = engine.shards](SlotId slot) { return all[slot.value() % all.size()]; };
  node->engine_ = std::make_unique<query::Engine>(std::move(engine));
  node->flusher_ = std::make_unique<shard::Flusher>(
      shard::Flusher::Ports{ports.metadata, node->catalog_.get(), ports.history, ports.clock},
      flushed, fmt::format("{:016x}", kIncarnation));
  return node;
}

StatusOr<uint64_t> SimNode::Flush(uint64_t max_rows, Random* random) {
  PX_RETURN_IF_ERROR(history_->Incarnation(fmt::format("{:016x}", kIncarnation)).status());
  if (!resumed_) PX_RETURN_IF_ERROR(flusher_->Resume());
  resumed_ = true;
  flusher_->RetryHeld();
  const size_t in_flight = 1 + random->Below(3);
  while (flusher_->rounds().size() < in_flight) {
    PX_ASSIGN_OR_RETURN(const auto opened, flusher_->Open(max_rows));
    if (opened == nullptr) break;
  }
  std::vector<std::shared_ptr<shard::FlushRound>> sending;
  for (const auto& round : flusher_->rounds()) {
    if (round->recorded && !round->sent) sending.push_back(round);
  }
  if (sending.size() > 1 && random->Chance(50)) std::swap(sending.front(), sending.back());
  Status failed;
  uint64_t persisted = 0;
  for (const auto& round : sending) {
    failed.Update(flusher_->Send(round.get()));
    PX_ASSIGN_OR_RETURN(const uint64_t rows, flusher_->Settle());
    persisted += rows;
  }
  PX_RETURN_IF_ERROR(failed);
  PX_ASSIGN_OR_RETURN(const uint64_t rows, flusher_->Settle());
  return persisted + rows;
}

Status SimNode::ApplyTable(const column::TableSchema& table, column::SchemaPtr* schema) {
  PX_ASSIGN_OR_RETURN(*schema, catalog_->Apply(table, "simulator"));
  for (const auto& box : shards_) box->shard().SetSchema(*schema);
  return OkStatus();
}

}  // namespace proxist::sim
