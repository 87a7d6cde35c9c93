// A shard on its own thread: the queue in front of it and the calls that go over to it.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "proxist/base/mutex.h"
#include "proxist/query/engine.h"
#include "proxist/shard/flusher.h"
#include "proxist/shard/ingest_router.h"
#include "proxist/shard/shard.h"

namespace proxist::server {

/// Thread-safe. Calls that change the shard run on its thread, in the order they arrive, between
/// group commits.
class ShardRunner final : public shard::ShardPort,
                          public shard::ShardQueue,
                          public query::ShardView {
 public:
  explicit ShardRunner(std::unique_ptr<shard::Shard> shard);
  ~ShardRunner() override;  // Stop

  void Start();
  /// Commits what is queued, then ends the thread. Later writes are answered UNAVAILABLE.
  void Stop();

  /// Runs `call` on the shard's thread and waits for it; on the caller's when the thread does not
  /// run.
  void Run(const std::function<void(shard::Shard&)>& call);
  [[nodiscard]] const shard::Shard& shard() const { return *shard_; }

  [[nodiscard]] ShardId id() const override { return shard_->id(); }

  // shard::ShardQueue
  [[nodiscard]] size_t queued() const override;
  [[nodiscard]] uint64_t queued_bytes() const override;
  [[nodiscard]] uint64_t backlog_bytes() const override { return shard_->Stats().backlog_bytes; }
  [[nodiscard]] uint64_t memory_bytes() const override { return shard_->store().bytes(); }
  [[nodiscard]] uint64_t memory_bytes(TableId table) const override {
    return shard_->store().StatsOf(table).bytes;
  }
  [[nodiscard]] std::vector<std::pair<std::string, BatchNumber>> LastBatches() const override {
    return shard_->LastBatches();
  }
  void Enqueue(shard::Write write) override;

  // shard::ShardPort
  shard::FlushTake TakeForFlush(uint64_t max_rows) override;
  std::vector<history::SourceBatch> Find(Lsn first, Lsn last) override;
  void MarkTaken(Lsn lsn) override;
  void Flushed(Lsn lsn, const std::set<TableId>& held) override;
  void Persisted(Lsn lsn) override;

  // query::ShardView
  [[nodiscard]] const hot::Store& store() const override { return shard_->store(); }
  [[nodiscard]] Lsn RewriteHandedToFlush(TableId table) const override {
    return shard_->RewriteHandedToFlush(table);
  }

 private:
  void Loop();
  void CommitAll(std::vector<shard::Write>* writes);

  const std::unique_ptr<shard::Shard> shard_;
  mutable Mutex mutex_;
  CondVar wake_;
  std::vector<shard::Write> queue_ PX_GUARDED_BY(mutex_);
  uint64_t queued_bytes_ PX_GUARDED_BY(mutex_) = 0;
  size_t committing_ PX_GUARDED_BY(mutex_) = 0;  // writes taken off the queue and not answered yet
  std::deque<std::function<void()>> calls_ PX_GUARDED_BY(mutex_);
  bool running_ PX_GUARDED_BY(mutex_) = false;
  bool stop_ PX_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace proxist::server
