// The thread that drives the flush: connects to history, resumes, then rounds at an adaptive
// interval.
#pragma once

#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "proxist/base/mutex.h"
#include "proxist/base/time.h"
#include "proxist/env/clock.h"
#include "proxist/history/history.h"
#include "proxist/server/shard_runner.h"
#include "proxist/shard/flusher.h"

namespace proxist::server {

/// Thread-safe.
class FlushLoop {
 public:
  struct Options {
    Duration min_interval;
    Duration max_interval;
    uint64_t max_rows;  // of one round
  };
  FlushLoop(const shard::Flusher::Ports& ports, std::vector<ShardRunner*> runners,
            std::string incarnation, const Options& options);
  ~FlushLoop();  // Stop

  void Start();
  /// Ends after the insert that is under way.
  void Stop();
  /// Starts the next round at once.
  void Wake();
  /// Returns when every shard's persisted LSN has reached its published LSN of now;
  /// DEADLINE_EXCEEDED names what is missing and the last error of history.
  Status WaitPersisted(Duration timeout);

  /// Every WaitPersisted, now and later, is answered UNAVAILABLE.
  void EndWaits();

  /// With the last error of connecting, too.
  [[nodiscard]] shard::FlushStats Stats() const;
  /// History answered the last time it was tried.
  [[nodiscard]] bool reachable() const;
  /// Why flushing is halted until an operator acts; empty: it is not.
  [[nodiscard]] std::string halted() const;

 private:
  void Loop();
  Status Connect();
  /// True when the thread has to end.
  bool Sleep(Duration duration);
  void Report(const Status& status);
  [[nodiscard]] Duration NextInterval(uint64_t rows) const;

  const shard::Flusher::Ports ports_;
  const std::vector<ShardRunner*> runners_;
  const std::string incarnation_;
  const Options options_;
  shard::Flusher flusher_;
  mutable Mutex mutex_;
  CondVar wake_;
  CondVar progress_;  // a round ended or waits end
  bool stop_ PX_GUARDED_BY(mutex_) = false;
  bool woken_ PX_GUARDED_BY(mutex_) = false;
  bool waits_ended_ PX_GUARDED_BY(mutex_) = false;
  int waiting_ PX_GUARDED_BY(mutex_) = 0;  // in WaitPersisted: rounds follow each other at once
  bool reachable_ PX_GUARDED_BY(mutex_) = false;
  std::string halted_ PX_GUARDED_BY(mutex_);
  std::string last_error_ PX_GUARDED_BY(mutex_);
  Timestamp last_error_at_ PX_GUARDED_BY(mutex_);
  std::thread thread_;
};

}  // namespace proxist::server
