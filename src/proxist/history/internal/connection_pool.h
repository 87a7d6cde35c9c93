// Keep-alive connections to the server in use, out of those that are ways to the same history.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "proxist/base/mutex.h"
#include "proxist/base/status.h"
#include "proxist/base/time.h"
#include "proxist/history/clickhouse.h"
#include "proxist/history/internal/request_guard.h"

namespace proxist::history {

/// Thread-safe. A server is in use until a probe fails; while no server answers, the breaker is
/// open: reads are refused at once and those under way are given up.
class ConnectionPool {
 public:
  explicit ConnectionPool(std::vector<ClickHouseAddress> addresses);

  /// A connection that is lent until it goes out of scope, on one thread; one at a time there.
  class Lease {
   public:
    Lease(ConnectionPool* pool, std::unique_ptr<Connection> connection, uint64_t use,
          RequestRules rules)
        : pool_(pool),
          connection_(std::move(connection)),
          use_(use),
          guard_(std::make_unique<RequestGuard>(std::move(rules))) {}
    ~Lease() {
      if (connection_ != nullptr) pool_->Return(std::move(connection_), use_);
    }
    Lease(Lease&&) = default;
    Lease& operator=(Lease&&) = delete;
    Connection* operator->() { return connection_.get(); }

   private:
    ConnectionPool* pool_;
    std::unique_ptr<Connection> connection_;
    uint64_t use_;
    std::unique_ptr<RequestGuard> guard_;  // of this thread's requests
  };

  /// For the flush: its request is given up when the breaker has been open for a while, or another
  /// server is in use.
  [[nodiscard]] Lease Take();
  /// For queries: UNAVAILABLE, with the reason, while the breaker is open.
  [[nodiscard]] StatusOr<Lease> TakeForRead();

  /// The id that every server must hold from now on.
  void Expect(std::string_view incarnation);
  /// A probe of the server in use ended: errors open the breaker, success closes it.
  void Report(const Status& probe);

  [[nodiscard]] size_t size() const { return addresses_.size(); }
  [[nodiscard]] size_t current() const;
  [[nodiscard]] const ClickHouseAddress& address(size_t index) const { return addresses_[index]; }
  [[nodiscard]] std::string expected() const;
  /// Uses this server from now on.
  void Use(size_t index);

 private:
  static constexpr size_t kMaxIdle = 8;

  Lease Lend(bool read);
  void Return(std::unique_ptr<Connection> connection, uint64_t use);

  const std::vector<ClickHouseAddress> addresses_;
  std::atomic<uint64_t> use_{0};        // counts Uses
  std::atomic<int64_t> open_since_{0};  // of the breaker, monotonic ns; 0: it is closed
  mutable Mutex mutex_;
  size_t current_ PX_GUARDED_BY(mutex_) = 0;
  std::string incarnation_ PX_GUARDED_BY(mutex_);
  std::string why_open_ PX_GUARDED_BY(mutex_);
  std::vector<std::unique_ptr<Connection>> idle_ PX_GUARDED_BY(mutex_);
};

}  // namespace proxist::history
