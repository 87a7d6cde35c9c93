#include "proxist/server/snapshot_loop.h"

#include <chrono>
#include <memory>

#include "proxist/env/thread_share.h"
#include "proxist/observe/log.h"

namespace proxist::server {
namespace {

constexpr auto kLookEvery = std::chrono::milliseconds(200);
// After a failure the disk gets time to recover.
constexpr Duration kRetryAfter = Duration::Seconds(10);

}  // namespace

SnapshotLoop::SnapshotLoop(const env::Clock* clock, std::vector<ShardRunner*> runners,
                           const Options& options)
    : clock_(clock),
      runners_(std::move(runners)),
      options_(options),
      requested_(runners_.size()),
      errors_(runners_.size()) {}

SnapshotLoop::~SnapshotLoop() { Stop(); }

void SnapshotLoop::Start() {
  thread_ = std::thread([this] {
    env::SetShare(env::kGivesWay);
    Loop();
  });
}

void SnapshotLoop::Stop() {
  {
    MutexLock lock(&mutex_);
    stop_ = true;
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
}

bool SnapshotLoop::stopping() const {
  MutexLock lock(&mutex_);
  return stop_;
}

std::string SnapshotLoop::last_error() const {
  MutexLock lock(&mutex_);
  std::string all;
  for (const std::string& error : errors_) {
    if (!error.empty()) all += (all.empty() ? "" : "; ") + error;
  }
  return all;
}

bool SnapshotLoop::Due(const ShardRunner& runner, Duration now, Duration last) const {
  const shard::ShardStats stats = runner.shard().Stats();
  if (!stats.poisoned.empty() || stats.published <= stats.snapshot) return false;
  return stats.log_bytes_after_snapshot >= options_.log_bytes ||
         now.ns() - last.ns() >= options_.interval.ns();
}

void SnapshotLoop::Loop() {
  std::vector<Duration> last(runners_.size(), clock_->Monotonic());
  while (true) {
    for (size_t i = 0; i < runners_.size(); ++i) {
      const Duration now = clock_->Monotonic();
      if (Failed(i) && now.ns() - last[i].ns() < kRetryAfter.ns()) continue;
      if (!TakeRequest(i) && !Due(*runners_[i], now, last[i])) continue;
      last[i] = now;
      Take(i);
    }
    MutexLock lock(&mutex_);
    wake_.wait_for(lock, kLookEvery, [this]() PX_REQUIRES(mutex_) { return stop_ || asked_; });
    asked_ = false;
    if (stop_) return;
  }
}

void SnapshotLoop::Request(size_t shard) {
  {
    MutexLock lock(&mutex_);
    requested_[shard] = asked_ = true;
  }
  wake_.notify_all();
}

bool SnapshotLoop::TakeRequest(size_t shard) {
  MutexLock lock(&mutex_);
  const bool requested = requested_[shard];
  requested_[shard] = false;
  return requested;
}

bool SnapshotLoop::Failed(size_t shard) const {
  MutexLock lock(&mutex_);
  return !errors_[shard].empty();
}

void SnapshotLoop::Take(size_t shard) {
  ShardRunner* runner = runners_[shard];
  StatusOr<std::unique_ptr<shard::SnapshotJob>> job = Internal("not run");
  runner->Run([&](shard::Shard& shard) { job = shard.BeginSnapshot(); });
  if (!job.ok() || *job == nullptr) return;  // poisoned meanwhile, or nothing new
  bool more = true;
  while (more && !stopping()) {
    const auto stepped = (*job)->Step();
    more = stepped.ok() && *stepped;
  }
  const uint64_t cut = (*job)->cut().value();
  Status status;
  runner->Run([&](shard::Shard& shard) { status = shard.FinishSnapshot(std::move(*job)); });
  if (more) return;  // given up at a stop
  {
    MutexLock lock(&mutex_);
    errors_[shard] = std::string(Message(status));
  }
  if (!status.ok()) {
    observe::LogWarning("shard {}: {}", runner->id().value(), Message(status));
    return;
  }
  const shard::ShardStats stats = runner->shard().Stats();
  observe::LogInfo("shard {}: snapshot at LSN {}: {} bytes written, {} held, in {}",
                   runner->id().value(), cut, stats.snapshot_written_bytes, stats.snapshot_bytes,
                   FormatDuration(stats.snapshot_elapsed));
}

}  // namespace proxist::server
