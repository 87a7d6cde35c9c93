// Replays a log on two threads.
#include "proxist/wal/internal/replay_ahead.h"

#include <deque>
#include <future>
#include <utility>

#include "proxist/base/mutex.h"

namespace proxist::wal {
namespace {

/// Records on their way from the reader to who applies them. Thread-safe.
class RecordQueue {
 public:
  /// Waits for room. CANCELLED after Stop.
  Status Push(const LogRecord& record) {
    MutexLock lock(&mutex_);
    room_.wait(lock, [&]() PX_REQUIRES(mutex_) { return stopped_ || bytes_ < kAheadBytes; });
    if (stopped_) return Cancelled("whoever applies the records stopped");
    bytes_ += record.payload.size();
    records_.push_back(record);
    filled_.notify_one();
    return OkStatus();
  }
  /// Waits for a record; nothing after the last one.
  std::optional<LogRecord> Pop() {
    MutexLock lock(&mutex_);
    filled_.wait(lock, [&]() PX_REQUIRES(mutex_) { return ended_ || !records_.empty(); });
    if (records_.empty()) return std::nullopt;
    LogRecord record = std::move(records_.front());
    records_.pop_front();
    bytes_ -= record.payload.size();
    room_.notify_one();
    return record;
  }
  /// No more will be pushed.
  void End() {
    MutexLock lock(&mutex_);
    ended_ = true;
    filled_.notify_one();
  }
  /// No more will be popped.
  void Stop() {
    MutexLock lock(&mutex_);
    stopped_ = true;
    room_.notify_one();
  }

 private:
  Mutex mutex_;
  CondVar room_;
  CondVar filled_;
  std::deque<LogRecord> records_ PX_GUARDED_BY(mutex_);
  uint64_t bytes_ PX_GUARDED_BY(mutex_) = 0;
  bool ended_ PX_GUARDED_BY(mutex_) = false;
  bool stopped_ PX_GUARDED_BY(mutex_) = false;
};

}  // namespace

StatusOr<LogState> ReplayAhead(env::FileSystem* files, const std::string& directory,
                               std::optional<LogIdentity> identity, env::Keyring* keys,
                               const std::function<Status(const LogRecord&)>& apply,
                               ReplayReport* report) {
  RecordQueue queue;
  LogVisitor visitor;
  visitor.record = [&queue](const LogRecord& record) { return queue.Push(record); };
  auto reading = std::async(std::launch::async, [&] {
    StatusOr<LogState> state = ReplayLog(files, directory, identity, keys, visitor, report);
    queue.End();
    return state;
  });
  Status applied;
  while (applied.ok()) {
    const std::optional<LogRecord> record = queue.Pop();
    if (!record.has_value()) break;
    applied = apply(*record);
  }
  queue.Stop();
  StatusOr<LogState> state = reading.get();
  PX_RETURN_IF_ERROR(applied);
  return state;
}

}  // namespace proxist::wal
