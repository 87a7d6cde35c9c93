// Connections that wait for their next request.
#pragma once

#include <memory>
#include <utility>
#include <vector>

#include "proxist/base/mutex.h"
#include "proxist/history/clickhouse.h"

namespace proxist::history {

/// Thread-safe. As many connections are open as calls run at once; a few stay open between calls.
class ConnectionPool {
 public:
  explicit ConnectionPool(ClickHouseAddress address) : address_(std::move(address)) {}

  /// A connection for one call at a time; it goes back when the lease ends.
  class Lease {
   public:
    Lease(ConnectionPool* pool, std::unique_ptr<Connection> connection)
        : pool_(pool), connection_(std::move(connection)) {}
    ~Lease() { pool_->Return(std::move(connection_)); }
    Lease(const Lease&) = delete;
    Lease& operator=(const Lease&) = delete;
    Connection* operator->() { return connection_.get(); }

   private:
    ConnectionPool* pool_;
    std::unique_ptr<Connection> connection_;
  };

  [[nodiscard]] Lease Take() {
    const MutexLock held(&mutex_);
    if (idle_.empty()) return {this, std::make_unique<Connection>(address_)};
    auto connection = std::move(idle_.back());
    idle_.pop_back();
    return {this, std::move(connection)};
  }

 private:
  static constexpr size_t kMaxIdle = 8;

  void Return(std::unique_ptr<Connection> connection) {
    const MutexLock held(&mutex_);
    if (idle_.size() < kMaxIdle) idle_.push_back(std::move(connection));
  }

  const ClickHouseAddress address_;
  Mutex mutex_;
  std::vector<std::unique_ptr<Connection>> idle_ PX_GUARDED_BY(mutex_);
};

}  // namespace proxist::history
