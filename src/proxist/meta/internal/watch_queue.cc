// One thread that delivers events in the order of their revisions.
#include "proxist/meta/internal/watch_queue.h"

#include <algorithm>

namespace proxist::meta {

WatchQueue::WatchQueue() : thread_([this] { Deliver(); }) {}

WatchQueue::~WatchQueue() { Stop(); }

uint64_t WatchQueue::Add(std::string_view prefix, std::function<void(const Event&)> callback) {
  MutexLock lock(&mutex_);
  const uint64_t watch = next_watch_++;
  subscriptions_[watch] =
      std::make_shared<Subscription>(Subscription{std::string(prefix), std::move(callback)});
  return watch;
}

void WatchQueue::Remove(uint64_t watch) {
  MutexLock lock(&mutex_);
  subscriptions_.erase(watch);
  std::erase_if(queue_, [watch](const Delivery& delivery) { return delivery.watch == watch; });
  if (std::this_thread::get_id() == thread_.get_id()) return;
  while (running_ == watch) changed_.wait(lock);
}

void WatchQueue::Publish(const std::vector<Event>& events) {
  MutexLock lock(&mutex_);
  for (const Event& event : events) {
    std::shared_ptr<const Event> shared;
    for (const auto& [watch, subscription] : subscriptions_) {
      if (!event.key.starts_with(subscription->prefix)) continue;
      if (shared == nullptr) shared = std::make_shared<const Event>(event);
      queue_.push_back({watch, shared});
    }
  }
  changed_.notify_all();
}

size_t WatchQueue::queued() const {
  MutexLock lock(&mutex_);
  return queue_.size();
}

void WatchQueue::Stop() {
  {
    MutexLock lock(&mutex_);
    stopped_ = true;
    queue_.clear();
    changed_.notify_all();
  }
  if (thread_.joinable()) thread_.join();
}

void WatchQueue::Deliver() {
  MutexLock lock(&mutex_);
  for (;;) {
    while (!stopped_ && queue_.empty()) changed_.wait(lock);
    if (stopped_) return;
    const Delivery delivery = std::move(queue_.front());
    queue_.pop_front();
    // Held by its own pointer: the callback may remove its own watch.
    const std::shared_ptr<Subscription> subscription = subscriptions_.at(delivery.watch);
    running_ = delivery.watch;
    lock.unlock();
    subscription->callback(*delivery.event);
    lock.lock();
    running_ = 0;
    changed_.notify_all();
  }
}

}  // namespace proxist::meta
