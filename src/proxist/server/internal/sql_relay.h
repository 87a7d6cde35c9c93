// Forwards SQL to ClickHouse and its answer back, piece by piece. For files that have Beast anyway.
#pragma once

#include <atomic>
#include <cstdint>

#include <boost/asio/awaitable.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/parser.hpp>

#include "proxist/server/http_server.h"

namespace proxist::server {

/// Counts are read from any thread, the rest belongs to the server's.
class SqlRelay {
 public:
  explicit SqlRelay(SqlOptions options) : options_(std::move(options)) {}

  [[nodiscard]] bool on() const { return options_.upstream != nullptr; }
  /// The request whose header `parser` has read from `client`. False: the connection ends.
  boost::asio::awaitable<bool> Serve(
      boost::beast::tcp_stream* client, boost::beast::flat_buffer* buffer,
      boost::beast::http::request_parser<boost::beast::http::empty_body>* parser);
  void AddTo(HttpStats* stats) const;

 private:
  friend class SqlExchange;
  const SqlOptions options_;
  std::atomic<uint64_t> running_ = 0;
  std::atomic<uint64_t> queries_ = 0;
  std::atomic<uint64_t> refused_ = 0;
  std::atomic<uint64_t> cancelled_ = 0;
};

}  // namespace proxist::server
