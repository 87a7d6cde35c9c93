// Which series of a shard metadata knows, so that history never holds a series that it does not
// list.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "proxist/base/ids.h"
#include "proxist/base/status.h"
#include "proxist/hot/store.h"
#include "proxist/meta/store.h"

namespace proxist::shard::internal {

/// One thread.
class SeriesRegistry {
 public:
  explicit SeriesRegistry(ShardId shard) : shard_(shard) {}

  /// Reads names and floors, and recreates each series in `store`.
  Status Load(meta::MetadataStore* metadata, hot::Store* store);
  /// `table` got series that metadata may not know.
  void MarkNew(TableId table) { tables_[table].stale = true; }
  /// Writes that add the series `store` holds beyond the recorded ones; they count as recorded.
  std::vector<meta::Mutation> TakeNew(const hot::Store& store);
  /// The write that records the floors of `table` as they will be after `plan`.
  meta::Mutation FloorsAfter(const hot::Store& store, TableId table,
                             const std::vector<hot::SeriesRecord>& plan) const;

 private:
  struct Table {
    std::set<std::vector<std::string>> recorded;  // symbol, then series values
    uint64_t parts = 0;
    bool stale = false;
  };
  static std::vector<std::string> NameOf(const hot::SeriesRecord& series);

  ShardId shard_;
  std::map<TableId, Table> tables_;
};

}  // namespace proxist::shard::internal
