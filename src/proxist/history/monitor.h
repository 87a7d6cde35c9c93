// How history is, which server of several is used, and its repair: what looks after a History.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "proxist/base/ids.h"
#include "proxist/base/status.h"
#include "proxist/column/batch.h"
#include "proxist/column/schema.h"
#include "proxist/history/clickhouse.h"
#include "proxist/history/history.h"

namespace proxist::history {

/// What ClickHouse makes of the load: the flush paces itself by it.
struct HistoryLoad {
  /// Partitions with at most so many parts are not told of.
  static constexpr uint32_t kFewParts = 4;
  struct Partition {
    std::string tenant;
    std::string table;  // without "_history"
    Day day;
    uint32_t active_parts = 0;
  };
  std::string incarnation;            // stored there; empty: none is
  std::string url;                    // of the server that answers
  std::vector<Partition> partitions;  // those with more than kFewParts
  uint64_t delayed_inserts = 0;       // delayed or refused since ClickHouse's start
};

/// Rows of one table, shard and UTC day with the versions that they had: row i has lsns[i].
struct VersionedRows {
  ShardId shard;
  Day day;
  column::Batch batch;  // with seq values, also where the table assigns them
  std::vector<Lsn> lsns;
  Timestamp published = kMinRowTimestamp;  // where history keeps it
};

/// Thread-safe; calls may block.
class HistoryMonitor {
 public:
  virtual ~HistoryMonitor() = default;
  /// Asked again and again, so cheap; within a few seconds. While it fails, reads of the history
  /// fail at once; when there are several servers, it finds the one to use.
  virtual StatusOr<HistoryLoad> Load() = 0;
  /// Requests that reach a server which holds another id fail with DATA_LOSS from now on.
  virtual void Expect(std::string_view incarnation) = 0;
  /// The versions of `shard` that history holds on `day`, ascending: what a repair need not send.
  virtual StatusOr<std::vector<Lsn>> Versions(const column::TableSchema& schema, ShardId shard,
                                              Day day) = 0;
  /// One block of rows that were sent before and are gone. Sending it again under the same token is
  /// harmless.
  virtual Status Restore(const VersionedRows& rows, const std::string& token) = 0;
};

/// A history and what looks after it, which lives as long.
struct WatchedHistory {
  std::unique_ptr<History> history;
  HistoryMonitor* monitor = nullptr;
};

/// Over ClickHouse's HTTP interface. `addresses`, at least one, are ways to the same data; the
/// first is used until it fails. `part_limit`: active parts of a partition, beyond which the caller
/// inserts nothing; merges of its tables are set to suit.
WatchedHistory OpenClickHouse(std::vector<ClickHouseAddress> addresses, uint32_t part_limit);

/// Addresses as ParseAddress reads them, separated by commas.
StatusOr<std::vector<ClickHouseAddress>> ParseAddresses(std::string_view urls);

}  // namespace proxist::history
