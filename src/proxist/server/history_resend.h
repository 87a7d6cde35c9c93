// Fills a history that was emptied with what memory still holds.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "proxist/base/status.h"
#include "proxist/base/time.h"
#include "proxist/history/monitor.h"
#include "proxist/hot/store.h"
#include "proxist/meta/catalog.h"

namespace proxist::server {

struct ResendReport {
  uint64_t rows_sent = 0;
  uint64_t rows_present = 0;  // that history had
  /// Rows that only history had: of these series, those at or before a time of each series between
  /// the two.
  struct Missing {
    column::SchemaPtr table;
    ShardId shard;
    uint64_t series = 0;
    Timestamp through_least = Timestamp::Max();
    Timestamp through_greatest = Timestamp::Min();
    std::vector<std::string> examples;  // "symbol/series values"
  };
  std::vector<Missing> missing;
};

/// What a shard had sent to history.
struct ResendSource {
  ShardId shard;
  const hot::Store* store = nullptr;
  Lsn flushed;    // rows at or below this were sent...
  Lsn persisted;  // ...but of tables in `left_behind` only those at or below this
  std::set<TableId> left_behind;
  std::map<TableId, Day> least;  // the first day that a table's retention keeps
  /// Rows of the table before it are not sent: they do not exist any more.
  [[nodiscard]] Timestamp Least(TableId table) const {
    const auto found = least.find(table);
    return found == least.end() ? kMinRowTimestamp : StartOf(found->second);
  }
};

/// Inserts what `history` lacks of the rows that `sources` had sent and still hold; may be
/// repeated. Nothing may be evicted meanwhile, or its rows are missed.
StatusOr<ResendReport> ResendHistory(const history::WatchedHistory& history,
                                     const meta::Catalog& catalog,
                                     const std::vector<ResendSource>& sources,
                                     std::string_view incarnation);

}  // namespace proxist::server
