// One bare gRPC connection: queries without decoding, prepared batches, and the echoes that are
// their floors.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "proxist/base/status.h"
#include "proxist/base/time.h"
#include "proxist/query/plan.h"

namespace proxist::bench {

class WritePipe;

/// Bytes of a request and its answer as they cross the wire, and the answer's rows.
struct Exchange {
  size_t request_bytes = 0;
  size_t response_bytes = 0;
  uint64_t rows = 0;
};

/// Any thread, except that a WritePipe has its own rules. All calls block.
class Connection {
 public:
  /// UNAVAILABLE when nobody answers at `address` ("host:port") within `timeout`.
  static StatusOr<std::unique_ptr<Connection>> Open(const std::string& address,
                                                    Duration timeout = Duration::Seconds(10));
  ~Connection();

  /// Runs a query and reads its whole answer.
  StatusOr<Exchange> Run(const query::Plan& plan);
  /// A unary echo that sends and receives so many bytes of payload.
  Status Echo(size_t request_bytes, size_t response_bytes);
  /// The same, answered as a stream of one message, as queries are.
  Status EchoStream(size_t request_bytes, size_t response_bytes);
  /// Opens a write stream with at most `window` batches without an ack.
  std::unique_ptr<WritePipe> OpenPipe(size_t window);

 private:
  struct Impl;
  explicit Connection(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace proxist::bench
