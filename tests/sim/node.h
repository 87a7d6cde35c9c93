// The real core of a node (shards, router, flusher, engine) over simulated ports, stepped by hand.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "proxist/meta/catalog.h"
#include "proxist/query/engine.h"
#include "proxist/shard/flusher.h"
#include "proxist/shard/ingest_router.h"
#include "proxist/shard/shard.h"
#include "proxist/sim/clock.h"
#include "proxist/sim/disk.h"
#include "proxist/sim/history.h"
#include "proxist/sim/keyring.h"
#include "proxist/sim/metadata.h"
#include "tests/sim/swarm.h"

namespace proxist::sim {

/// A shard with the writes that wait for it. One thread.
class ShardBox final : public shard::ShardQueue, public shard::ShardPort, public query::ShardView {
 public:
  /// Hears of every answer of the shard before its sender does.
  using Listener =
      std::function<void(const std::string& producer, uint64_t number, const shard::Ack& ack)>;
  ShardBox(std::unique_ptr<shard::Shard> shard, Listener listener)
      : shard_(std::move(shard)), listener_(std::move(listener)) {}

  [[nodiscard]] shard::Shard& shard() { return *shard_; }
  [[nodiscard]] const std::vector<shard::Write>& waiting() const { return waiting_; }
  /// Commits from the first `count` writes that wait; they have their answers then. Returns how
  /// many.
  size_t Commit(size_t count);

  [[nodiscard]] ShardId id() const override { return shard_->id(); }
  [[nodiscard]] size_t queued() const override { return waiting_.size(); }
  [[nodiscard]] uint64_t queued_bytes() const override { return 0; }
  [[nodiscard]] uint64_t backlog_bytes() const override { return shard_->Stats().backlog_bytes; }
  [[nodiscard]] uint64_t memory_bytes() const override { return shard_->store().bytes(); }
  [[nodiscard]] uint64_t memory_bytes(TableId table) const override {
    return shard_->store().StatsOf(table).bytes;
  }
  [[nodiscard]] std::vector<std::pair<std::string, BatchNumber>> LastBatches() const override {
    return shard_->LastBatches();
  }
  void Enqueue(shard::Write write) override;

  shard::FlushTake TakeForFlush(uint64_t max_rows) override {
    return shard_->TakeForFlush(max_rows);
  }
  std::vector<history::SourceBatch> Find(Lsn first, Lsn last) override {
    return shard_->Find(first, last);
  }
  void MarkTaken(Lsn lsn) override { shard_->MarkTaken(lsn); }
  void Flushed(Lsn lsn, const std::set<TableId>& held) override { shard_->Flushed(lsn, held); }
  void Persisted(Lsn lsn) override { shard_->Persisted(lsn); }

  [[nodiscard]] const hot::Store& store() const override { return shard_->store(); }
  [[nodiscard]] Lsn RewriteHandedToFlush(TableId table) const override {
    return shard_->RewriteHandedToFlush(table);
  }

 private:
  const std::unique_ptr<shard::Shard> shard_;
  const Listener listener_;
  std::vector<shard::Write> waiting_;
};

class SimNode {
 public:
  struct Ports {
    Disk* disk;
    Metadata* metadata;
    History* history;
    const Clock* clock;
    Keyring* keys;  // nullptr: nothing is encrypted
  };
  /// Recovers everything, as a start of the process does. `listener` as ShardBox's, with the shard.
  static StatusOr<std::unique_ptr<SimNode>> Open(
      const Ports& ports, const Swarm& swarm,
      const std::function<void(ShardId, const std::string&, uint64_t, const shard::Ack&)>&
          listener);

  /// The directory of a shard's log; that of its snapshots lies in it.
  static std::string LogOf(ShardId shard);

  [[nodiscard]] meta::Catalog& catalog() { return *catalog_; }
  [[nodiscard]] const std::vector<std::unique_ptr<ShardBox>>& shards() const { return shards_; }
  [[nodiscard]] shard::IngestRouter& router() { return *router_; }
  [[nodiscard]] query::Engine& engine() { return *engine_; }
  /// Connects and resumes, then opens some rounds of the flush, and sends and settles them as
  /// threads of their own might.
  StatusOr<uint64_t> Flush(uint64_t max_rows, Random* random);
  Status ApplyTable(const column::TableSchema& table, column::SchemaPtr* schema);

 private:
  SimNode() = default;
  History* history_ = nullptr;
  std::unique_ptr<meta::Catalog> catalog_;
  std::vector<std::unique_ptr<ShardBox>> shards_;
  std::unique_ptr<shard::IngestRouter> router_;
  std::unique_ptr<query::Engine> engine_;
  std::unique_ptr<shard::Flusher> flusher_;
  bool resumed_ = false;
};

}  // namespace proxist::sim
