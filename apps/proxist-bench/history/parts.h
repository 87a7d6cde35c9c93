// The parts of the history benchmark, and the bare table that gives their floors.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "apps/proxist-bench/history/feed.h"
#include "apps/proxist-bench/history/run.h"
#include "apps/proxist-bench/history/server.h"
#include "bench/report.h"
#include "proxist/history/history.h"

namespace proxist::bench {

/// Each sets `agreed` to false when ClickHouse does not hold what was acked.
StatusOr<Result> MeasureSteady(const HistoryBenchOptions& options, bool* agreed);
/// With rows in order, and with late rows.
StatusOr<std::vector<Result>> MeasureFlatOut(const HistoryBenchOptions& options, bool* agreed);
StatusOr<Result> MeasureOutage(const HistoryBenchOptions& options, bool* agreed);
/// Cold queries and live views, each beside a bare SELECT.
StatusOr<std::vector<Result>> MeasureReads(const HistoryBenchOptions& options);

inline double Ratio(Duration a, Duration b) {
  return b.ns() == 0 ? 0 : static_cast<double>(a.ns()) / static_cast<double>(b.ns());
}

/// A history table that no flush knows, on the same server: blocks are inserted as the flush does,
/// by a plain loop. One thread.
class BareTable {
 public:
  BareTable(const history::ClickHouseAddress& address, const std::string& database);
  Status Create();
  /// One block of the rows of `batches`, which lie on one day.
  std::vector<std::byte> Encode(std::vector<column::Batch> batches);
  Status Insert(const std::vector<std::byte>& block);

 private:
  std::unique_ptr<history::History> history_;
  history::Connection connection_;
  column::SchemaPtr schema_;
  uint64_t next_lsn_ = 1;
  uint64_t blocks_ = 0;
};

}  // namespace proxist::bench
