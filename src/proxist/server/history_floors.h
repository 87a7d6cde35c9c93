// From which day on each table's rows exist: what is older than its history retention is gone.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

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

  /// Raises the floors to what the tables' declarations and the clock say. An error of one table
  /// does not keep the others back; it is tried again at the next call.
  Status Advance();
  /// The last Advance's; empty: it went well.
  [[nodiscard]] std::string last_error() const;
  /// As meta::Catalog::Apply. The floor that the declaration asks for is recorded in the same
  /// write, so that no retention is ever declared, and kept by ClickHouse, without its floor.
  StatusOr<column::SchemaPtr> Declare(meta::Catalog* catalog, const column::TableSchema& declared,
                                      std::string_view author, column::Drops drops);
  /// Rows of the table before it do not exist; kMinRowTimestamp: all do.
  [[nodiscard]] Timestamp Of(TableId table) const;
  /// Of the tables that have one.
  [[nodiscard]] std::map<TableId, Day> All() const;

 private:
  HistoryFloors(meta::MetadataStore* metadata, const meta::Catalog* catalog,
                const env::Clock* clock)
      : metadata_(metadata), catalog_(catalog), clock_(clock) {}

  /// The floor that the table should have now, if it has a lower one.
  [[nodiscard]] std::optional<Day> Due(const column::TableSchema& schema) const;
  void Reached(TableId table, Day floor);

  meta::MetadataStore* const metadata_;
  const meta::Catalog* const catalog_;
  const env::Clock* const clock_;
  std::atomic<bool> any_{false};
  Mutex raising_;  // one floor is recorded after the other, so that none goes down
  mutable Mutex mutex_;
  std::string last_error_ PX_GUARDED_BY(mutex_);
  std::map<TableId, Day> floors_ PX_GUARDED_BY(mutex_);
};

}  // namespace proxist::server
