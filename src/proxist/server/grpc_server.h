// The gRPC interface of a node: Ingest, Query and Admin on one port.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "proxist/base/status.h"
#include "proxist/base/time.h"
#include "proxist/observe/metrics.h"
#include "proxist/server/address.h"
#include "proxist/server/node.h"

namespace proxist::server {

/// Bytes of a producer's name at most.
inline constexpr size_t kMaxProducerBytes = 256;

struct GrpcServerOptions {
  Address address;
  uint64_t max_message_bytes = 64ull << 20;         // received; beyond it RESOURCE_EXHAUSTED
  size_t query_threads = 0;                         // other than short ones; 0: two per core
  size_t max_waiting_queries = 256;                 // beyond it RESOURCE_EXHAUSTED
  Duration query_deadline = Duration::Seconds(60);  // where the client sets none
  uint64_t query_memory_bytes = 2ull << 30;         // of rows that one query holds
  size_t stream_unacked_batches = 64;  // per stream; beyond it the server reads no more
  uint64_t stream_unacked_bytes = 64ull << 20;
  Duration slow_query;       // queries at least this long are logged; 0: none
  std::string http_address;  // told to clients in the status
};

/// How many short queries run at once beside those on gRPC's threads. They wait for nobody, and
/// more of them would take more of the processors from those that take rows in.
size_t ShortQueryThreads();

class GrpcServer {
 public:
  /// `node` and `metrics` outlive the server; `metrics` outlives `node`. Errors as CheckFree.
  static StatusOr<std::unique_ptr<GrpcServer>> Start(const GrpcServerOptions& options, Node* node,
                                                     observe::Metrics* metrics);
  /// Takes no new calls, lets running ones end for up to two seconds, cancels the rest.
  ~GrpcServer();

  /// With the port that was picked when 0 was asked for.
  [[nodiscard]] const Address& address() const;

 private:
  struct Impl;
  explicit GrpcServer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace proxist::server
