// A fixed number of threads behind a bounded queue: where requests that may block run.
#include "proxist/env/work_pool.h"

#include <deque>
#include <thread>
#include <utility>
#include <vector>

#include "proxist/base/mutex.h"

namespace proxist::env {

struct WorkPool::Impl {
  std::string name;
  size_t max_waiting;
  Mutex mutex;
  CondVar wake;
  std::deque<std::function<void()>> waiting PX_GUARDED_BY(mutex);
  bool stopping PX_GUARDED_BY(mutex) = false;
  std::vector<std::thread> threads;

  void Run() {
    while (true) {
      std::function<void()> work;
      {
        MutexLock lock(&mutex);
        while (!stopping && waiting.empty()) wake.wait(lock);
        if (waiting.empty()) return;
        work = std::move(waiting.front());
        waiting.pop_front();
      }
      work();
    }
  }
};

WorkPool::WorkPool(std::string name, size_t threads, size_t max_waiting, const ThreadShare& share)
    : impl_(std::make_unique<Impl>()) {
  impl_->name = std::move(name);
  impl_->max_waiting = max_waiting;
  for (size_t i = 0; i < threads; ++i) {
    impl_->threads.emplace_back([impl = impl_.get(), share] {
      SetShare(share);
      impl->Run();
    });
  }
}

WorkPool::~WorkPool() {
  {
    const MutexLock lock(&impl_->mutex);
    impl_->stopping = true;
  }
  impl_->wake.notify_all();
  for (std::thread& thread : impl_->threads) thread.join();
}

size_t WorkPool::threads() const { return impl_->threads.size(); }

Status WorkPool::Submit(std::function<void()> work) {
  {
    const MutexLock lock(&impl_->mutex);
    if (impl_->waiting.size() >= impl_->max_waiting) {
      return ResourceExhausted("{} {} run and {} wait already; retry after 100 ms",
                               impl_->threads.size(), impl_->name, impl_->waiting.size());
    }
    impl_->waiting.push_back(std::move(work));
  }
  impl_->wake.notify_one();
  return OkStatus();
}

}  // namespace proxist::env
