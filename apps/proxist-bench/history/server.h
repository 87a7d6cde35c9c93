// A proxistd with its ClickHouse, watched from outside.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <sys/types.h>

#include "apps/proxist-bench/history/feed.h"
#include "bench/own_server.h"
#include "proxist/client/client.h"
#include "proxist/history/clickhouse.h"

namespace proxist::bench {

/// One thread.
class ServerWithHistory {
 public:
  static StatusOr<std::unique_ptr<ServerWithHistory>> Start(
      const std::string& directory, const std::vector<std::string>& options);

  [[nodiscard]] const std::string& address() const { return own_->address(); }
  [[nodiscard]] const history::ClickHouseAddress& clickhouse() const { return clickhouse_; }
  /// Of the child that runs ClickHouse; 0: there is none now.
  [[nodiscard]] pid_t ClickHousePid() const;
  /// What ClickHouse used of processors since its start, in seconds.
  [[nodiscard]] double ClickHouseSeconds() const;
  /// The greatest LSN below which all is in history, of the one shard.
  StatusOr<uint64_t> Persisted();
  StatusOr<uint64_t> Inserts();
  Status FlushAll(Duration timeout);
  /// Returns once its memory for rows is touched and ClickHouse merges nothing.
  Status AwaitRest();

  /// The number in the one row that `sql` gives.
  StatusOr<uint64_t> Ask(const std::string& sql);
  StatusOr<uint64_t> ActiveParts();
  StatusOr<Checksum> Held();

 private:
  ServerWithHistory(std::unique_ptr<OwnServer> own, history::ClickHouseAddress clickhouse)
      : own_(std::move(own)),
        clickhouse_(std::move(clickhouse)),
        client_(own_->address()),
        connection_(clickhouse_) {}
  std::unique_ptr<OwnServer> own_;
  history::ClickHouseAddress clickhouse_;
  client::Client client_;
  history::Connection connection_;
};

}  // namespace proxist::bench
