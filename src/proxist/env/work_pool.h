// A fixed number of threads behind a bounded queue: where requests that may block run.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>

#include "proxist/base/status.h"
#include "proxist/env/thread_share.h"

namespace proxist::env {

/// Thread-safe.
class WorkPool {
 public:
  /// `name` stands in errors: "queries".
  WorkPool(std::string name, size_t threads, size_t max_waiting, const ThreadShare& share = {});
  /// Runs what is queued, then joins.
  ~WorkPool();

  /// Runs `work` on a thread of the pool. RESOURCE_EXHAUSTED, with when to retry, when the queue is
  /// full; `work` is then not called.
  Status Submit(std::function<void()> work);
  [[nodiscard]] size_t threads() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace proxist::env
