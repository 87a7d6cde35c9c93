// std::mutex under names that the thread-safety analysis of clang and TSan both understand.
#pragma once

#include <condition_variable>
#include <mutex>

#if defined(__clang__)
#define PX_TSA(x) __attribute__((x))
#else
#define PX_TSA(x)
#endif
#define PX_GUARDED_BY(m) PX_TSA(guarded_by(m))
#define PX_REQUIRES(m) PX_TSA(requires_capability(m))
#define PX_EXCLUDES(m) PX_TSA(locks_excluded(m))

namespace proxist {

class PX_TSA(capability("mutex")) Mutex {
 public:
  void lock() PX_TSA(acquire_capability()) { mutex_.lock(); }
  void unlock() PX_TSA(release_capability()) { mutex_.unlock(); }

 private:
  std::mutex mutex_;
};

/// Holds a Mutex for a scope. Works with std::condition_variable_any through BasicLockable.
class PX_TSA(scoped_lockable) MutexLock {
 public:
  explicit MutexLock(Mutex* mutex) PX_TSA(acquire_capability(mutex)) : mutex_(mutex) {
    mutex_->lock();
  }
  ~MutexLock() PX_TSA(release_capability()) { mutex_->unlock(); }
  MutexLock(const MutexLock&) = delete;
  MutexLock& operator=(const MutexLock&) = delete;
  void lock() PX_TSA(acquire_capability()) { mutex_->lock(); }
  void unlock() PX_TSA(release_capability()) { mutex_->unlock(); }

 private:
  Mutex* mutex_;
};

using CondVar = std::condition_variable_any;

}  // namespace proxist
