// A small HTTP/1.1 server for status pages, the requests of live views and SQL: bounded in
// everything.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "proxist/base/status.h"
#include "proxist/base/time.h"
#include "proxist/server/address.h"
#include "proxist/server/sql_request.h"

namespace proxist::server {

struct HttpReply {
  int status = 200;
  std::string content_type = "text/plain; charset=utf-8";
  std::string body;
};

/// `path` without its query. Called for GET and HEAD, on the server's thread.
using HttpHandler = std::function<HttpReply(std::string_view path)>;

/// An answer that is made piece by piece.
struct HttpStream {
  HttpReply head;
  /// What follows the head's body, an empty text at the end; nullptr: nothing. An error breaks the
  /// answer off. On one worker thread at a time.
  std::function<StatusOr<std::string>()> next;
};

/// `target` with its query. Called for GETs of paths below kLivePath, on a worker thread.
using HttpStreamHandler = std::function<HttpStream(std::string_view target)>;
inline constexpr std::string_view kLivePath = "/live/";

struct HttpHandlers {
  HttpHandler pages;
  HttpStreamHandler live;  // nullptr: there are no such paths
  SqlOptions sql;          // without an upstream: there is no SQL
};

struct HttpServerOptions {
  Address address;
  /// Beyond it the connection that waited longest for a request gives way to a further one; while
  /// all have one, the further one is closed at once.
  size_t max_connections = 512;
  uint32_t max_header_bytes = 65536;         // a query may stand in the target
  uint64_t max_body_bytes = 65536;           // of a request; read and ignored
  Duration timeout = Duration::Seconds(10);  // for a request to arrive or an answer to leave
  size_t live_threads = 2;                   // that answer live views
};

struct HttpStats {
  size_t connections = 0;
  uint64_t sql_running = 0;
  uint64_t sql_queries = 0;    // forwarded, ever
  uint64_t sql_refused = 0;    // at the bound of those at once
  uint64_t sql_cancelled = 0;  // whose client went away first
};

/// Pages: 405 to methods other than GET and HEAD. 400 to what is no HTTP, 431 to a header that is
/// too large, 413 to a body that is. SQL (docs/sql.md) is streamed through, on the server's thread.
class HttpServer {
 public:
  /// FAILED_PRECONDITION when the address is in use; see CheckFree for the others.
  static StatusOr<std::unique_ptr<HttpServer>> Start(const HttpServerOptions& options,
                                                     HttpHandlers handlers);
  /// Closes every connection and joins the threads.
  ~HttpServer();

  /// With the port that was picked when 0 was asked for.
  [[nodiscard]] const Address& address() const;
  [[nodiscard]] HttpStats stats() const;

 private:
  struct Impl;
  explicit HttpServer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace proxist::server
