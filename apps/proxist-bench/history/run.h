// history: how fast rows reach ClickHouse, what that costs it, and what an outage does.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "bench/report.h"
#include "proxist/base/status.h"

namespace proxist::bench {

struct HistoryBenchOptions {
  std::string directory;           // where its servers keep their data
  uint32_t steady_seconds = 20;    // 0: not measured
  uint32_t steady_rate = 100'000;  // rows per second
  /// A round's, which should take some seconds: ClickHouse then merges beside it as it does for
  /// as long as rows come. 0: not measured.
  uint32_t flat_rows = 20'000'000;
  uint32_t read_rows = 3'000'000;  // that cold queries are asked over; 0: not measured
  uint32_t outage_seconds = 10;    // 0: not measured
  uint32_t outage_rate = 200'000;
};

/// Prints each part as it ends through `show`. False: what ClickHouse holds is not what was acked.
StatusOr<bool> RunHistoryBench(const HistoryBenchOptions& options,
                               const std::function<void(const Result&)>& show);

}  // namespace proxist::bench
