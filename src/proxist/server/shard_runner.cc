#include "proxist/server/shard_runner.h"

#include <algorithm>
#include <chrono>
#include <future>
#include <span>

namespace proxist::server {
namespace {

// How long an idle shard waits before it looks after its overlays and retention.
constexpr std::chrono::nanoseconds kIdle = std::chrono::milliseconds(50);
constexpr int kGroupsPerMaintenance = 16;

}  // namespace

ShardRunner::ShardRunner(std::unique_ptr<shard::Shard> shard) : shard_(std::move(shard)) {}
ShardRunner::~ShardRunner() { Stop(); }

void ShardRunner::Start() {
  MutexLock lock(&mutex_);
  running_ = true;
  thread_ = std::thread([this] { Loop(); });
}

void ShardRunner::Stop() {
  {
    MutexLock lock(&mutex_);
    stop_ = true;
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void ShardRunner::Enqueue(shard::Write write) {
  {
    MutexLock lock(&mutex_);
    if (!stop_) {
      queued_bytes_ += column::SizeBytes(write.batch);
      queue_.push_back(std::move(write));
      if (queue_.size() == 1) wake_.notify_one();
      return;
    }
  }
  shard::Ack ack;
  ack.shard = shard_->id();
  ack.status = Unavailable("the server is stopping");
  write.done(std::move(ack));
}

size_t ShardRunner::queued() const {
  MutexLock lock(&mutex_);
  return queue_.size() + committing_;
}

uint64_t ShardRunner::queued_bytes() const {
  MutexLock lock(&mutex_);
  return queued_bytes_;
}

void ShardRunner::Run(const std::function<void(shard::Shard&)>& call) {
  std::promise<void> done;
  {
    MutexLock lock(&mutex_);
    if (running_) {
      calls_.emplace_back([&] {
        call(*shard_);
        done.set_value();
      });
    } else {
      call(*shard_);
      return;
    }
  }
  wake_.notify_one();
  done.get_future().wait();
}

void ShardRunner::Loop() {
  std::vector<shard::Write> writes;
  std::deque<std::function<void()>> calls;
  int groups = 0;
  bool more = false;
  std::chrono::nanoseconds due_in = kIdle;
  for (;;) {
    {
      MutexLock lock(&mutex_);
      const auto due = [this]() PX_REQUIRES(mutex_) {
        return stop_ || !queue_.empty() || !calls_.empty();
      };
      if (!more) wake_.wait_for(lock, std::min(kIdle, due_in), due);
      if (stop_ && queue_.empty() && calls_.empty()) break;
      writes.swap(queue_);
      calls.swap(calls_);
      committing_ = writes.size();
      queued_bytes_ = 0;
    }
    for (auto& call : calls) call();
    calls.clear();
    const bool idle = writes.empty();
    CommitAll(&writes);
    if (idle || ++groups >= kGroupsPerMaintenance) {
      groups = 0;
      const auto maintained = shard_->Maintain();
      more = maintained.ok() && *maintained;
    }
    due_in = std::chrono::nanoseconds(shard_->SyncDueIn().ns());
  }
  // What fails here is found out by the next start.
  shard_->Close().IgnoreError();
  MutexLock lock(&mutex_);
  running_ = false;
  for (auto& call : calls_) call();
  calls_.clear();
}

void ShardRunner::CommitAll(std::vector<shard::Write>* writes) {
  std::span<shard::Write> rest(*writes);
  while (!rest.empty()) {
    const size_t taken = shard_->Commit(rest);
    rest = rest.subspan(taken);
    MutexLock lock(&mutex_);
    committing_ = rest.size();
  }
  writes->clear();
}

shard::FlushTake ShardRunner::TakeForFlush(uint64_t max_rows) {
  shard::FlushTake take;
  Run([&](shard::Shard& shard) { take = shard.TakeForFlush(max_rows); });
  return take;
}

std::vector<history::SourceBatch> ShardRunner::Find(Lsn first, Lsn last) {
  std::vector<history::SourceBatch> found;
  Run([&](shard::Shard& shard) { found = shard.Find(first, last); });
  return found;
}

void ShardRunner::MarkTaken(Lsn lsn) {
  Run([&](shard::Shard& shard) { shard.MarkTaken(lsn); });
}

void ShardRunner::Flushed(Lsn lsn, const std::set<TableId>& held) {
  Run([&](shard::Shard& shard) { shard.Flushed(lsn, held); });
}

void ShardRunner::Persisted(Lsn lsn) {
  Run([&](shard::Shard& shard) { shard.Persisted(lsn); });
}

}  // namespace proxist::server
