// A small HTTP/1.1 server for status pages: bounded in everything, one thread.
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

namespace proxist::server {

struct HttpReply {
  int status = 200;
  std::string content_type = "text/plain; charset=utf-8";
  std::string body;
};

/// `path` without its query. Called for GET and HEAD, on the server's thread.
using HttpHandler = std::function<HttpReply(std::string_view path)>;

struct HttpServerOptions {
  Address address;
  size_t max_connections = 64;  // a further one is closed at once
  uint32_t max_header_bytes = 8192;
  uint64_t max_body_bytes = 65536;           // of a request; read and ignored
  Duration timeout = Duration::Seconds(10);  // for a request to arrive or an answer to leave
};

/// Answers 405 to methods other than GET and HEAD, 400 to what is no HTTP, 431 to a header that is
/// too large, 413 to a body that is.
class HttpServer {
 public:
  /// FAILED_PRECONDITION when the address is in use; see CheckFree for the others.
  static StatusOr<std::unique_ptr<HttpServer>> Start(const HttpServerOptions& options,
                                                     HttpHandler handler);
  /// Closes every connection and joins the thread.
  ~HttpServer();

  /// With the port that was picked when 0 was asked for.
  [[nodiscard]] const Address& address() const;

 private:
  struct Impl;
  explicit HttpServer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace proxist::server
