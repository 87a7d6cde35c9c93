// Brings committed changes to those who watch them, in order, on one thread.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "proxist/base/mutex.h"
#include "proxist/meta/store.h"

namespace proxist::meta {

/// Events that wait for slow callbacks; beyond it the store takes no more writes.
inline constexpr size_t kMaxQueuedEvents = 65536;

/// Thread-safe. Shared by the store and its watches, since either may go first; the store calls
/// Stop.
class WatchQueue {
 public:
  WatchQueue();
  ~WatchQueue();
  WatchQueue(const WatchQueue&) = delete;
  WatchQueue& operator=(const WatchQueue&) = delete;

  /// Every event published later under `prefix` reaches `callback`. Returns the watch's number.
  uint64_t Add(std::string_view prefix, std::function<void(const Event&)> callback);
  /// Drops what waits for the watch, and returns when its callback does not run (unless the
  /// callback itself calls).
  void Remove(uint64_t watch);
  /// Queues the changes of one revision; revisions must ascend from call to call.
  void Publish(const std::vector<Event>& events);
  [[nodiscard]] size_t queued() const;
  /// No callback starts afterwards; waits for the one that runs. Not from a callback.
  void Stop();

 private:
  struct Subscription {
    std::string prefix;
    std::function<void(const Event&)> callback;
  };
  struct Delivery {
    uint64_t watch;
    std::shared_ptr<const Event> event;
  };
  void Deliver();

  mutable Mutex mutex_;
  CondVar changed_;
  std::map<uint64_t, std::shared_ptr<Subscription>> subscriptions_ PX_GUARDED_BY(mutex_);
  std::deque<Delivery> queue_ PX_GUARDED_BY(mutex_);
  uint64_t next_watch_ PX_GUARDED_BY(mutex_) = 1;
  uint64_t running_ PX_GUARDED_BY(mutex_) = 0;  // the watch whose callback runs, 0: none
  bool stopped_ PX_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace proxist::meta
