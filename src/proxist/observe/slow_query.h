// The slow-query log.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "proxist/base/status.h"
#include "proxist/base/time.h"
#include "proxist/query/engine.h"

namespace proxist::observe {

/// A query that ended, as the log shows it.
struct FinishedQuery {
  std::string_view operation;  // "asof", ...
  std::string tables;
  uint64_t rows_out = 0;
  Duration elapsed;
  Status status;
};

/// "query operator=asof tables=trades,quotes status=OK elapsed_ms=12.345 rows_out=9 rows_hot=..
/// ...".
std::string DescribeQuery(const FinishedQuery& query, const query::Explain& explain);

/// Logs the query as a warning when it took at least `threshold`; a zero threshold logs none.
void LogIfSlow(const FinishedQuery& query, const query::Explain& explain, Duration threshold);

}  // namespace proxist::observe
