// A connection to ClickHouse's HTTP interface through libcurl.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "proxist/base/bytes.h"
#include "proxist/base/status.h"
#include "proxist/base/time.h"

namespace proxist::history {

struct ClickHouseAddress {
  std::string url;  // "http://127.0.0.1:8123"
  std::string user = "default";
  std::string password;
};

/// "http://[user[:password]@]host[:port]"; INVALID_ARGUMENT says what is wrong. The password is
/// percent-decoded.
StatusOr<ClickHouseAddress> ParseAddress(std::string_view url);

/// One keep-alive HTTP connection. One thread at a time. Errors carry ClickHouse's exception code
/// and text: UNAVAILABLE (refused, reset, too many parts, memory), DEADLINE_EXCEEDED,
/// PERMISSION_DENIED (wrong user or password), NOT_FOUND (no such table or database),
/// FAILED_PRECONDITION (schema does not fit), else INTERNAL.
class Connection {
 public:
  explicit Connection(ClickHouseAddress address);
  ~Connection();
  Connection(Connection&&) noexcept;

  using Settings = std::map<std::string, std::string>;
  /// Runs `sql`; returns the body, whole (wait_end_of_query=1). More than `max_bytes` is
  /// RESOURCE_EXHAUSTED. Once another thread sets `cancelled` (which may be null), CANCELLED within
  /// about a second; the connection is then closed, which ends the query in ClickHouse.
  StatusOr<std::string> Query(std::string_view sql, const Settings& settings, Duration timeout,
                              size_t max_bytes = 1u << 30,
                              const std::atomic<bool>* cancelled = nullptr);
  /// Takes a piece of an answer; an error ends the request and is returned.
  using Sink = std::function<Status(ByteSpan)>;
  /// As Query, but gives the body to `sink` piece by piece as it arrives; nothing of it is held
  /// here or in ClickHouse. What went to `sink` before an error is of no use.
  Status Stream(std::string_view sql, const Settings& settings, Duration timeout, const Sink& sink,
                const std::atomic<bool>* cancelled = nullptr);
  /// Runs `sql` (an INSERT ... FORMAT Native) with `body` as its data.
  Status Insert(std::string_view sql, ByteSpan body, const Settings& settings, Duration timeout);
  /// The id of the data directory whose history the server holds; empty: it holds none.
  StatusOr<std::string> Incarnation(Duration timeout);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace proxist::history
