#include "proxist/server/flush_loop.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "proxist/observe/log.h"

namespace proxist::server {
namespace {

constexpr Duration kProbeInterval = Duration::Seconds(1);
/// When parts are many, or history is away.
constexpr Duration kSoonProbeInterval = Duration::Millis(250);
constexpr Duration kRetryHeldEvery = Duration::Seconds(2);
/// Partitions that got rows within this count for the limit of parts.
constexpr Duration kTouchedFor = Duration::Seconds(600);

}  // namespace

FlushLoop::FlushLoop(const shard::Flusher::Ports& ports, history::HistoryMonitor* monitor,
                     std::vector<ShardRunner*> runners, std::string incarnation,
                     const shard::FlushControlOptions& options)
    : ports_(ports),
      monitor_(monitor),
      runners_(std::move(runners)),
      incarnation_(std::move(incarnation)),
      options_(options),
      flusher_(ports, std::vector<shard::ShardPort*>(runners_.begin(), runners_.end()),
               incarnation_),
      control_(options) {}

FlushLoop::~FlushLoop() { Stop(); }

void FlushLoop::Start() {
  // Until it is known that history is the one that rows were sent to.
  HoldEviction(true);
  threads_.emplace_back([this] { Loop(); });
  prober_ = std::thread([this] { ProbeLoop(); });
  for (int i = 0; i < options_.in_flight; ++i) threads_.emplace_back([this] { SendLoop(); });
}

void FlushLoop::Stop() {
  {
    MutexLock lock(&mutex_);
    stop_ = true;
  }
  wake_.notify_all();
  to_send_.notify_all();
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
  // Until here it tells those that wait for an answer when to give up.
  {
    MutexLock lock(&mutex_);
    probe_stop_ = true;
  }
  probe_.notify_all();
  if (prober_.joinable()) prober_.join();
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
                 [this]() PX_REQUIRES(mutex_) { return stop_ || woken_ || !sent_.empty(); });
  woken_ = false;
  return stop_;
}

void FlushLoop::SendLoop() {
  MutexLock lock(&mutex_);
  for (;;) {
    to_send_.wait(lock, [this]() PX_REQUIRES(mutex_) { return stop_ || !queue_.empty(); });
    if (stop_) return;
    Sent sent{std::move(queue_.front()), OkStatus(), Duration()};
    queue_.pop_front();
    lock.unlock();
    const Duration began = ports_.clock->Monotonic();
    sent.status = flusher_.Send(sent.round.get());
    sent.elapsed = Duration(ports_.clock->Monotonic().ns() - began.ns());
    lock.lock();
    sent_.push_back(std::move(sent));
    wake_.notify_all();
  }
}

void FlushLoop::ProbeLoop() {
  MutexLock lock(&mutex_);
  while (!probe_stop_) {
    // Parts of inserts under way may not be among those that are counted.
    const uint64_t sent = parts_sent_ - static_cast<uint64_t>(in_flight_);
    lock.unlock();
    StatusOr<history::HistoryLoad> load = monitor_->Load();
    lock.lock();
    probed_ = load.status();
    if (load.ok()) {
      load_ = std::move(*load);
      sent_at_load_ = sent;
      url_ = load_->url;
    } else {
      reachable_ = false;
    }
    const bool soon = !probed_.ok() || pace_.parts > options_.part_limit / 2;
    const Duration interval = soon ? kSoonProbeInterval : kProbeInterval;
    probe_.wait_for(lock, std::chrono::nanoseconds(interval.ns()),
                    [this]() PX_REQUIRES(mutex_) { return probe_stop_; });
  }
}

void FlushLoop::Report(const Status& status) {
  MutexLock lock(&mutex_);
  const Status& shown = status.ok() ? probed_ : status;
  // What failed is told of until an insert succeeds.
  const bool over = shown.ok() && control_.RetryPause() == Duration();
  reachable_ = over;
  if (over) last_error_.clear();
  if (!shown.ok()) {
    last_error_ = std::string(Message(shown));
    last_error_at_ = ports_.clock->Now();
  }
  pace_.state = control_.state();
  pace_.pause = control_.pause();
  pace_.latency = control_.latency();
  pace_.parts = control_.parts();
  pace_.part_limit = options_.part_limit;
  pace_.in_flight = in_flight_;
  pace_.delayed_inserts = control_.delayed();
  parts_sent_ = control_.sent();
  progress_.notify_all();
}

std::string FlushLoop::WhyForeign(const std::string& stored) const {
  if (stored.empty()) {
    return fmt::format(
        "history was emptied or replaced: it does not know data directory {}, whose rows it held; "
        "flushing is halted and nothing leaves memory; restore ClickHouse's data, or give up what "
        "is gone: `pxctl history resend` sends what is still held",
        incarnation_);
  }
  return fmt::format(
      "history belongs to data directory {}, this one is {}: flushing is halted; point --history "
      "at the right ClickHouse",
      stored, incarnation_);
}

void FlushLoop::Halt(std::string why) {
  const bool halts = !why.empty();
  {
    MutexLock lock(&mutex_);
    if (halts && halted_ != why) observe::LogError("{}", why);
    halted_ = std::move(why);
  }
  if (std::exchange(eviction_held_, halts) != halts) HoldEviction(halts);
}

void FlushLoop::HoldEviction(bool held) {
  for (ShardRunner* runner : runners_) {
    runner->Run([&](shard::Shard& shard) { shard.HoldEviction(held); });
  }
}

Status FlushLoop::Connect() {
  // History that rows were sent to before must know this directory: it gets the id only at first.
  const bool filled = std::any_of(runners_.begin(), runners_.end(), [](const ShardRunner* runner) {
    return runner->store().persisted() > Lsn(0);
  });
  PX_ASSIGN_OR_RETURN(const std::string stored,
                      ports_.history->Incarnation(filled ? "" : incarnation_));
  if (stored != incarnation_) {
    Halt(WhyForeign(stored));
    return FailedPrecondition("{}", halted());
  }
  Halt("");
  monitor_->Expect(incarnation_);
  return OkStatus();
}

Status FlushLoop::Reconnect() {
  PX_RETURN_IF_ERROR(Connect());
  connected_ = true;
  if (!resumed_) PX_RETURN_IF_ERROR(flusher_.Resume());
  resumed_ = true;
  return OkStatus();
}

Status FlushLoop::TakeSent() {
  std::vector<Sent> sent;
  {
    MutexLock lock(&mutex_);
    sent.swap(sent_);
    in_flight_ -= static_cast<int>(sent.size());
  }
  Status first;
  const Duration now = ports_.clock->Monotonic();
  for (const Sent& one : sent) {
    first.Update(one.status);
    if (one.status.ok()) control_.OnInserted(now, one.elapsed);
  }
  return first;
}

void FlushLoop::TakeLoad() {
  std::optional<history::HistoryLoad> load;
  uint64_t sent = 0;
  {
    MutexLock lock(&mutex_);
    load.swap(load_);
    sent = sent_at_load_;
  }
  if (!load.has_value()) return;
  const Duration now = ports_.clock->Monotonic();
  std::erase_if(touched_,
                [&](const auto& one) { return now.ns() - one.second.ns() > kTouchedFor.ns(); });
  uint32_t parts = touched_.empty() ? 0 : history::HistoryLoad::kFewParts;
  for (const auto& partition : load->partitions) {
    if (!touched_.contains({partition.tenant, partition.table, partition.day})) continue;
    parts = std::max(parts, partition.active_parts);
  }
  control_.OnParts(sent, parts, load->delayed_inserts);
  if (used_url_ != load->url) resend_ = resend_ || !used_url_.empty();
  if (connected_ && load->incarnation != incarnation_) connected_ = false;
}

void FlushLoop::Dispatch(const Round& round) {
  const Duration now = ports_.clock->Monotonic();
  for (const auto& insert : round->inserts) {
    const history::InsertIntent& intent = insert.intent;
    touched_[{intent.schema->tenant, intent.schema->name, intent.day}] = now;
  }
  control_.OnSend(1);
  MutexLock lock(&mutex_);
  parts_sent_ = control_.sent();
  queue_.push_back(round);
  ++in_flight_;
  to_send_.notify_one();
}

shard::FlushBacklog FlushLoop::Backlog() const {
  shard::FlushBacklog backlog;
  for (const ShardRunner* runner : runners_) backlog.rows += runner->shard().Stats().backlog_rows;
  for (const Round& round : flusher_.rounds()) {
    if (round->recorded) backlog.rows -= std::min(backlog.rows, round->rows);
  }
  MutexLock lock(&mutex_);
  backlog.in_flight = in_flight_;
  backlog.urgent = waiting_ > 0;
  return backlog;
}

void FlushLoop::RetryHeld(Duration now) {
  if (!flusher_.rounds().empty() || now.ns() - held_tried_.ns() < kRetryHeldEvery.ns()) return;
  held_tried_ = now;
  flusher_.RetryHeld();
}

Status FlushLoop::Step(Duration* wait) {
  failure_.Update(TakeSent());
  PX_RETURN_IF_ERROR(flusher_.Settle().status());
  TakeLoad();
  const shard::FlushBacklog backlog = Backlog();
  const Duration now = ports_.clock->Monotonic();
  if (!failure_.ok() || resend_ || !connected_) {
    // The other rounds are given up, or come back with the same error.
    *wait = options_.max_pause;
    if (backlog.in_flight > 0) return OkStatus();
    if (!failure_.ok()) {
      resend_ = true;
      connected_ = false;
      return std::exchange(failure_, OkStatus());
    }
    PX_RETURN_IF_ERROR(Reconnect());
    control_.OnReconnected(!flusher_.rounds().empty());
    const std::string before = std::exchange(used_url_, url());
    if (before != used_url_) flusher_.Distrust();
    if (std::exchange(resend_, false)) {
      for (const Round& round : flusher_.rounds()) {
        if (round->recorded && !round->sent) Dispatch(round);
      }
    }
    *wait = Duration();
    return OkStatus();
  }
  RetryHeld(now);
  const shard::FlushStep step = control_.Next(now, backlog);
  *wait = step.wait;
  if (!step.open) return OkStatus();
  PX_ASSIGN_OR_RETURN(const Round round, flusher_.Open(step.rows));
  // What waits without being taken is not durable yet.
  *wait = round == nullptr ? options_.min_pause : Duration();
  if (round != nullptr) Dispatch(round);
  return OkStatus();
}

void FlushLoop::Loop() {
  for (;;) {
    Duration wait;
    const Status status = Step(&wait);
    if (!status.ok()) {
      control_.OnFailed(ports_.clock->Monotonic());
      connected_ = false;
      wait = control_.RetryPause();
    }
    Report(status);
    if (Sleep(wait)) return;
  }
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

FlushPace FlushLoop::Pace() const {
  MutexLock lock(&mutex_);
  return pace_;
}

std::string FlushLoop::url() const {
  MutexLock lock(&mutex_);
  return url_;
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
