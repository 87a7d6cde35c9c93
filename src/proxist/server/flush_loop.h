// The threads that drive the flush: one opens and settles rounds as the control loop says, a few
// send them, and one asks history how it is.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <tuple>
#include <vector>

#include "proxist/base/mutex.h"
#include "proxist/base/time.h"
#include "proxist/env/clock.h"
#include "proxist/history/history.h"
#include "proxist/history/monitor.h"
#include "proxist/server/shard_runner.h"
#include "proxist/shard/flush_control.h"
#include "proxist/shard/flusher.h"

namespace proxist::server {

/// How the control loop stands.
struct FlushPace {
  shard::FlushState state = shard::FlushState::kIdle;
  Duration pause;      // between rounds
  Duration latency;    // of inserts, smoothed
  uint32_t parts = 0;  // active ones of the fullest partition that rows went to lately
  uint32_t part_limit = 0;
  int in_flight = 0;             // rounds that are being sent
  uint64_t delayed_inserts = 0;  // by ClickHouse since its start, refused ones among them
};

/// Thread-safe.
class FlushLoop {
 public:
  /// `monitor` looks after the history of `ports`.
  FlushLoop(const shard::Flusher::Ports& ports, history::HistoryMonitor* monitor,
            std::vector<ShardRunner*> runners, std::string incarnation,
            const shard::FlushControlOptions& options);
  ~FlushLoop();  // Stop

  void Start();
  /// Ends after the inserts that are under way.
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
  [[nodiscard]] FlushPace Pace() const;
  /// History answered the last time it was tried.
  [[nodiscard]] bool reachable() const;
  /// The server in use; empty: none answered yet.
  [[nodiscard]] std::string url() const;
  /// Why flushing is halted until an operator acts; empty: it is not. While it is, nothing leaves
  /// memory.
  [[nodiscard]] std::string halted() const;

 private:
  using Round = std::shared_ptr<shard::FlushRound>;
  struct Sent {
    Round round;
    Status status;
    Duration elapsed;
  };

  void Loop();
  void SendLoop();
  void ProbeLoop();
  /// What the driving thread does next; `wait` is how long it may sleep after that.
  Status Step(Duration* wait);
  Status Connect();
  /// Takes what the senders report; the first error among it.
  Status TakeSent();
  void TakeLoad();
  Status Reconnect();
  void Dispatch(const Round& round);
  void RetryHeld(Duration now);
  /// Empty: nothing halts it.
  void Halt(std::string why);
  void HoldEviction(bool held);
  [[nodiscard]] shard::FlushBacklog Backlog() const;
  [[nodiscard]] std::string WhyForeign(const std::string& stored) const;
  /// True when the thread has to end.
  bool Sleep(Duration duration);
  void Report(const Status& status);

  const shard::Flusher::Ports ports_;
  history::HistoryMonitor* const monitor_;
  const std::vector<ShardRunner*> runners_;
  const std::string incarnation_;
  const shard::FlushControlOptions options_;
  shard::Flusher flusher_;

  // The driving thread's.
  shard::FlushControl control_;
  bool connected_ = false;
  bool resumed_ = false;
  bool resend_ = false;  // open rounds failed
  Status failure_;       // of a round, until it is sent again
  Duration held_tried_;
  bool eviction_held_ = true;
  std::string used_url_;
  std::map<std::tuple<std::string, std::string, Day>, Duration> touched_;  // and when last

  mutable Mutex mutex_;
  CondVar wake_;
  CondVar to_send_;
  CondVar probe_;
  CondVar progress_;  // a round ended or waits end
  bool stop_ PX_GUARDED_BY(mutex_) = false;
  bool probe_stop_ PX_GUARDED_BY(mutex_) = false;
  bool woken_ PX_GUARDED_BY(mutex_) = false;
  bool waits_ended_ PX_GUARDED_BY(mutex_) = false;
  int waiting_ PX_GUARDED_BY(mutex_) = 0;  // in WaitPersisted: rounds follow each other at once
  int in_flight_ PX_GUARDED_BY(mutex_) = 0;
  std::deque<Round> queue_ PX_GUARDED_BY(mutex_);
  std::vector<Sent> sent_ PX_GUARDED_BY(mutex_);
  std::optional<history::HistoryLoad> load_ PX_GUARDED_BY(mutex_);  // not looked at yet
  uint64_t parts_sent_ PX_GUARDED_BY(mutex_) = 0;    // control_.sent(), for the probe
  uint64_t sent_at_load_ PX_GUARDED_BY(mutex_) = 0;  // when `load_` was asked for
  Status probed_ PX_GUARDED_BY(mutex_);
  FlushPace pace_ PX_GUARDED_BY(mutex_);
  bool reachable_ PX_GUARDED_BY(mutex_) = false;
  std::string url_ PX_GUARDED_BY(mutex_);
  std::string halted_ PX_GUARDED_BY(mutex_);
  std::string last_error_ PX_GUARDED_BY(mutex_);
  Timestamp last_error_at_ PX_GUARDED_BY(mutex_);
  std::vector<std::thread> threads_;
  std::thread prober_;
};

}  // namespace proxist::server
