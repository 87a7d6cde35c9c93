// The thread that takes the shards' snapshots, one at a time.
#pragma once

#include <string>
#include <thread>
#include <vector>

#include "proxist/base/mutex.h"
#include "proxist/base/time.h"
#include "proxist/env/clock.h"
#include "proxist/server/shard_runner.h"

namespace proxist::server {

/// Thread-safe.
class SnapshotLoop {
 public:
  struct Options {
    uint64_t log_bytes;  // of closed log segments above a shard's last snapshot: then the next
    Duration interval;   // and when the last one is so old and there are rows beyond it
  };
  SnapshotLoop(const env::Clock* clock, std::vector<ShardRunner*> runners, const Options& options);
  ~SnapshotLoop();  // Stop

  void Start();
  /// Gives up a snapshot that is under way; the ones before stay.
  void Stop();
  /// The next snapshot of the shard at this place starts as soon as one can.
  void Request(size_t shard);
  /// Why the last snapshots of shards failed; empty: they did not.
  [[nodiscard]] std::string last_error() const;

 private:
  void Loop();
  [[nodiscard]] bool Due(const ShardRunner& runner, Duration now, Duration last) const;
  void Take(size_t shard);
  /// Whether one was requested since this was asked.
  bool TakeRequest(size_t shard);
  [[nodiscard]] bool Failed(size_t shard) const;
  [[nodiscard]] bool stopping() const;

  const env::Clock* const clock_;
  const std::vector<ShardRunner*> runners_;
  const Options options_;
  mutable Mutex mutex_;
  CondVar wake_;
  bool stop_ PX_GUARDED_BY(mutex_) = false;
  std::vector<bool> requested_ PX_GUARDED_BY(mutex_);      // by shard
  bool asked_ PX_GUARDED_BY(mutex_) = false;               // since the loop looked
  std::vector<std::string> errors_ PX_GUARDED_BY(mutex_);  // of each shard's last snapshot
  std::thread thread_;
};

}  // namespace proxist::server
