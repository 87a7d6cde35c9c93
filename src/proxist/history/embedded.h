// A real ClickHouse server as a supervised child process (proxist-clickhouse over libchdb.so).
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "proxist/base/status.h"
#include "proxist/base/time.h"
#include "proxist/history/clickhouse.h"

namespace proxist::history {

struct EmbeddedOptions {
  std::string launcher;    // path of proxist-clickhouse
  std::string directory;   // its data, configuration, password and log live below
  uint16_t http_port = 0;  // 0: a free one
  Duration start_timeout = Duration::Seconds(60);
  uint64_t max_memory_bytes = 4ull << 30;  // its server's own bound
  /// A child that has answered no query for so long hangs: it is killed and restarted.
  Duration hang_timeout = Duration::Seconds(30);
};

/// Starts the child, waits until it answers with credentials, restarts it with backoff when it
/// dies. The child ends with this process, also when this process is killed. Close connections to
/// it first: it waits seconds for idle ones. Thread-safe.
class EmbeddedServer {
 public:
  /// Returns when it answers. NOT_FOUND (launcher), FAILED_PRECONDITION (directory in use; the
  /// library does not load), UNAVAILABLE (port in use), DEADLINE_EXCEEDED.
  static StatusOr<std::unique_ptr<EmbeddedServer>> Start(const EmbeddedOptions& options);
  ~EmbeddedServer();  // stops it cleanly, then by SIGKILL after a bound

  [[nodiscard]] const ClickHouseAddress& address() const;  // stays the same across restarts
  /// The same server for a user who may read every table, and nothing else.
  [[nodiscard]] const ClickHouseAddress& sql_address() const;
  [[nodiscard]] int pid() const;  // 0 while it does not answer yet or is down
  [[nodiscard]] uint64_t restarts() const;

 private:
  struct Impl;
  explicit EmbeddedServer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace proxist::history
