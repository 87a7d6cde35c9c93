#include "proxist/history/internal/connection_pool.h"

#include "proxist/base/check.h"
#include "proxist/env/clock.h"

namespace proxist::history {
namespace {

/// A server that pauses for less may still answer an insert, which is then not sent twice.
constexpr Duration kGiveUpInsertsAfter = Duration::Seconds(10);

int64_t Now() { return env::SystemClock().Monotonic().ns(); }

}  // namespace

ConnectionPool::ConnectionPool(std::vector<ClickHouseAddress> addresses)
    : addresses_(std::move(addresses)) {
  PX_CHECK(!addresses_.empty());
}

ConnectionPool::Lease ConnectionPool::Lend(bool read) {
  const uint64_t use = use_.load();
  RequestRules rules;
  rules.give_up = [this, use, read] {
    const int64_t since = open_since_.load();
    if (use != use_.load()) return true;
    return since != 0 && (read || Now() - since > kGiveUpInsertsAfter.ns());
  };
  const MutexLock held(&mutex_);
  rules.incarnation = incarnation_;
  std::unique_ptr<Connection> connection;
  if (idle_.empty()) {
    connection = std::make_unique<Connection>(addresses_[current_]);
  } else {
    connection = std::move(idle_.back());
    idle_.pop_back();
  }
  return {this, std::move(connection), use, std::move(rules)};
}

ConnectionPool::Lease ConnectionPool::Take() { return Lend(/*read=*/false); }

StatusOr<ConnectionPool::Lease> ConnectionPool::TakeForRead() {
  if (const int64_t since = open_since_.load(); since != 0) {
    const MutexLock held(&mutex_);
    return Unavailable("history has not answered for {}: {}",
                       FormatDuration(Duration((Now() - since) / 1'000'000 * 1'000'000)),
                       why_open_);
  }
  return Lend(/*read=*/true);
}

void ConnectionPool::Return(std::unique_ptr<Connection> connection, uint64_t use) {
  const MutexLock held(&mutex_);
  if (use == use_.load() && idle_.size() < kMaxIdle) idle_.push_back(std::move(connection));
}

void ConnectionPool::Expect(std::string_view incarnation) {
  const MutexLock held(&mutex_);
  incarnation_ = incarnation;
}

void ConnectionPool::Report(const Status& probe) {
  if (probe.ok()) {
    open_since_.store(0);
    return;
  }
  const MutexLock held(&mutex_);
  why_open_ = std::string(Message(probe));
  int64_t closed = 0;
  open_since_.compare_exchange_strong(closed, Now());
}

size_t ConnectionPool::current() const {
  const MutexLock held(&mutex_);
  return current_;
}

std::string ConnectionPool::expected() const {
  const MutexLock held(&mutex_);
  return incarnation_;
}

void ConnectionPool::Use(size_t index) {
  const MutexLock held(&mutex_);
  current_ = index;
  use_.fetch_add(1);
  idle_.clear();
}

}  // namespace proxist::history
