// SQL over HTTP as ClickHouse speaks it: what may be forwarded, and in which form.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "proxist/base/status.h"
#include "proxist/base/time.h"

namespace proxist::server {

/// Where SQL is sent. Plain HTTP alone.
struct SqlUpstream {
  std::string host;
  uint16_t port = 0;
  std::string user;
  std::string password;
};

struct SqlOptions {
  /// UNAVAILABLE or FAILED_PRECONDITION when there is no ClickHouse to ask. Any thread.
  std::function<StatusOr<SqlUpstream>()> upstream;
  /// A query that had this id is over. Any thread; quick.
  std::function<void(std::string_view query_id)> ended;
  size_t max_queries = 32;                    // at once; beyond it 503
  Duration timeout = Duration::Seconds(300);  // of a query
  uint64_t max_body_bytes = 64ull << 20;      // of a request
};

/// An answer in the form of ClickHouse's errors.
struct SqlError {
  int status = 400;
  int code = 0;      // X-ClickHouse-Exception-Code
  std::string body;  // "Code: 164. DB::Exception: ... (READONLY)"
};
SqlError MakeSqlError(int status, int code, std::string_view name, std::string_view message);

/// True for the paths on which ClickHouse answers, here too: "/" and "/ping".
bool IsSqlPath(std::string_view target);

/// What is sent on for a request to `target`.
struct SqlTarget {
  std::string target;     // with the settings that this server insists on
  std::string query_id;   // the client's, or a fresh one
  std::string statement;  // the text that stood in the target
};
/// Drops who asks (`user`, `password`), bounds `max_execution_time`, insists on `readonly`.
/// INVALID_ARGUMENT: sessions, which are not kept.
StatusOr<SqlTarget> RewriteSqlTarget(std::string_view target, const SqlOptions& options);

/// INVALID_ARGUMENT says where to send it when `statement` begins as one that writes rows or
/// changes tables. Whatever else ClickHouse may not do for a reader it refuses itself.
Status CheckReads(std::string_view statement);

/// Headers that are not passed on, in either direction: those of one connection, and credentials.
bool IsPassedOn(std::string_view header);

}  // namespace proxist::server
