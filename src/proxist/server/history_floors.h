// From which day on each table's rows exist: what is older than its history retention is gone.
#pragma once

#include <atomic>
#include <map>
#include <memory>

#include "proxist/base/ids.h"
#include "proxist/base/mutex.h"
#include "proxist/base/status.h"
#include "proxist/base/time.h"
#include "proxist/column/schema.h"
#include "proxist/env/clock.h"
#include "proxist/meta/catalog.h"
#include "proxist/meta/store.h"

namespace proxist::server {

/// Floors move in whole UTC days and never down, whatever clocks and declarations do, since
/// ClickHouse may have deleted what lies below. They are in metadata before anybody keeps to them.
/// Thread-safe.
class HistoryFloors {
 public:
  /// Loads what was reached. All outlive this.
  static StatusOr<std::unique_ptr<HistoryFloors>> Open(meta::MetadataStore* metadata,
                                                       const meta::Catalog* catalog,
                                                       const env::Clock* clock);

  /// Raises the floors to what the tables' declarations and the clock say.
  Status Advance();
  /// Rows of the table before it do not exist; kMinRowTimestamp: all do.
  [[nodiscard]] Timestamp Of(TableId table) const;
  /// Of the tables that have one.
  [[nodiscard]] std::map<TableId, Day> All() const;

 private:
  HistoryFloors(meta::MetadataStore* metadata, const meta::Catalog* catalog,
                const env::Clock* clock)
      : metadata_(metadata), catalog_(catalog), clock_(clock) {}

  meta::MetadataStore* const metadata_;
  const meta::Catalog* const catalog_;
  const env::Clock* const clock_;
  std::atomic<bool> any_{false};
  mutable Mutex mutex_;
  std::map<TableId, Day> floors_ PX_GUARDED_BY(mutex_);
};

}  // namespace proxist::server
