#include "proxist/server/flush_loop.h"

#include <algorithm>
#include <chrono>

namespace proxist::server {
namespace {

constexpr Duration kFirstBackoff = Duration::Millis(50);
constexpr Duration kLastBackoff = Duration::Seconds(2);
// A backlog of this many rows is sent without waiting: a larger insert costs less per row.
constexpr uint64_t kSendAtOnceRows = 100'000;

}  // namespace

FlushLoop::FlushLoop(const shard::Flusher::Ports& ports, std::vector<ShardRunner*> runners,
                     std::string incarnation, const Options& options)
    : ports_(ports),
      runners_(std::move(runners)),
      incarnation_(std::move(incarnation)),
      options_(options),
      flusher_(ports, std::vector<shard::ShardPort*>(runners_.begin(), runners_.end()),
               incarnation_) {}

FlushLoop::~FlushLoop() { Stop(); }

void FlushLoop::Start() {
  thread_ = std::thread([this] { Loop(); });
}

void FlushLoop::Stop() {
  {
    MutexLock lock(&mutex_);
    stop_ = true;
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void FlushLoop::Wake() {
  {
    MutexLock lock(&mutex_);
    woken_ = true;
  }
  wake_.notify_all();
}

bool FlushLoop::Sleep(Duration duration) {
  MutexLock lock(&mutex_);
  wake_.wait_for(lock, std::chrono::nanoseconds(duration.ns()),
                 [this]() PX_REQUIRES(mutex_) { return stop_ || woken_; });
  woken_ = false;
  return stop_;
}

void FlushLoop::Report(const Status& status) {
  MutexLock lock(&mutex_);
  reachable_ = status.ok();
  last_error_ = std::string(Message(status));
  if (!status.ok()) last_error_at_ = ports_.clock->Now();
  progress_.notify_all();
}

Status FlushLoop::Connect() {
  // History that rows were sent to before must know this directory: it gets the id only at first.
  const bool filled = std::any_of(runners_.begin(), runners_.end(), [](const ShardRunner* runner) {
    return runner->store().persisted() > Lsn(0);
  });
  PX_ASSIGN_OR_RETURN(const std::string stored,
                      ports_.history->Incarnation(filled ? "" : incarnation_));
  MutexLock lock(&mutex_);
  if (stored == incarnation_) {
    halted_.clear();
    return OkStatus();
  }
  halted_ = stored.empty()
                ? fmt::format(
                      "history was emptied or replaced: it does not know data directory {}, whose "
                      "rows it held; flushing is halted; restore ClickHouse's data",
                      incarnation_)
                : fmt::format(
                      "history belongs to data directory {}, this one is {}: flushing is halted; "
                      "point --history at the right ClickHouse",
                      stored, incarnation_);
  return FailedPrecondition("{}", halted_);
}

void FlushLoop::Loop() {
  Duration backoff = kFirstBackoff;
  bool connected = false;
  bool resumed = false;
  for (;;) {
    uint64_t rows = 0;
    const auto step = [&]() -> Status {
      if (!connected) PX_RETURN_IF_ERROR(Connect());
      connected = true;
      if (!resumed) PX_RETURN_IF_ERROR(flusher_.Resume());
      resumed = true;
      PX_ASSIGN_OR_RETURN(rows, flusher_.Round(options_.max_rows));
      return OkStatus();
    };
    const Status status = step();
    Report(status);
    if (!status.ok()) {
      connected = false;
      if (Sleep(backoff)) return;
      backoff = std::min(Duration(backoff.ns() * 2), kLastBackoff);
      continue;
    }
    backoff = kFirstBackoff;
    if (Sleep(NextInterval(rows))) return;
  }
}

Duration FlushLoop::NextInterval(uint64_t rows) const {
  uint64_t backlog = 0;
  for (const ShardRunner* runner : runners_) backlog += runner->shard().Stats().backlog_rows;
  // What waits without having been taken is not durable yet.
  if (rows == 0) return options_.min_interval;
  if (backlog >= kSendAtOnceRows) return Duration(0);
  {
    MutexLock lock(&mutex_);
    if (waiting_ > 0 && backlog > 0) return Duration(0);
  }
  // An insert costs ClickHouse about as much again in merges: leave it twice the time that it took.
  const Duration rest(2 * flusher_.Stats().last_insert.ns());
  return std::clamp(rest, options_.min_interval, options_.max_interval);
}

Status FlushLoop::WaitPersisted(Duration timeout) {
  std::vector<std::pair<const ShardRunner*, Lsn>> targets;
  for (const ShardRunner* runner : runners_)
    targets.emplace_back(runner, runner->store().published());
  const Duration deadline(ports_.clock->Monotonic().ns() + timeout.ns());
  MutexLock lock(&mutex_);
  ++waiting_;
  woken_ = true;
  wake_.notify_all();
  const Status status = [&]() PX_REQUIRES(mutex_) -> Status {
    for (;;) {
      const auto behind = std::find_if(targets.begin(), targets.end(), [](const auto& target) {
        return target.first->store().persisted() < target.second;
      });
      if (behind == targets.end()) return OkStatus();
      if (waits_ended_) return Unavailable("the server is stopping");
      const int64_t left = deadline.ns() - ports_.clock->Monotonic().ns();
      if (left <= 0) {
        return DeadlineExceeded(
            "shard {}: LSN {} of {} is in history after {}{}{}", behind->first->id().value(),
            behind->first->store().persisted().value(), behind->second.value(),
            FormatDuration(timeout), last_error_.empty() ? "" : ": ", last_error_);
      }
      progress_.wait_for(lock, std::chrono::nanoseconds(left));
    }
  }();
  --waiting_;
  return status;
}

void FlushLoop::EndWaits() {
  MutexLock lock(&mutex_);
  waits_ended_ = true;
  progress_.notify_all();
}

shard::FlushStats FlushLoop::Stats() const {
  shard::FlushStats stats = flusher_.Stats();
  MutexLock lock(&mutex_);
  stats.last_error = last_error_;
  stats.last_error_at = last_error_at_;
  return stats;
}

bool FlushLoop::reachable() const {
  MutexLock lock(&mutex_);
  return reachable_;
}

std::string FlushLoop::halted() const {
  MutexLock lock(&mutex_);
  return halted_;
}

}  // namespace proxist::server
