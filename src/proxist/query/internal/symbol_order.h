// The symbols of a table in the order of their names, kept from query to query.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "proxist/base/ids.h"
#include "proxist/base/mutex.h"
#include "proxist/query/internal/cut.h"

namespace proxist::query::internal {

/// Symbols of a table never go, so an order holds until one comes. Thread-safe.
class SymbolOrders {
 public:
  /// Codes of the symbols that have a series in the table, sorted by text. Those that came after
  /// the cut are not among them.
  std::shared_ptr<const std::vector<uint32_t>> Of(const ShardCut& cut, TableId table)
      PX_EXCLUDES(mutex_);

 private:
  struct Order {
    size_t symbols = 0;     // of the table, when it was made
    uint32_t greatest = 0;  // of `codes`
    std::shared_ptr<const std::vector<uint32_t>> codes;
  };
  Mutex mutex_;
  std::map<std::pair<const ShardView*, TableId>, Order> orders_ PX_GUARDED_BY(mutex_);
};

}  // namespace proxist::query::internal
