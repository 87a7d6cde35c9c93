// A CSV file of rows that a query works on.
#pragma once

#include <memory>
#include <string>

#include "proxist/base/status.h"
#include "proxist/query/engine.h"

namespace proxist::client {

inline constexpr size_t kMaxFileRows = 1'000'000;

/// The rows of the file (plain, gzip or zip) at `path`. Its header names the columns: symbol, ts,
/// perhaps seq, and others as `name` or `name:type`. Without a type a column is int64 when all its
/// values are whole numbers, float64 when all are numbers, else string. Times are ISO-8601 or
/// integer nanoseconds, one of the two in a column. Empty is null beyond symbol, ts and seq.
/// INVALID_ARGUMENT begins with the path and names line and column; RESOURCE_EXHAUSTED beyond
/// kMaxFileRows; errors of DataFile.
StatusOr<std::shared_ptr<const query::ResultBatch>> ReadRowFile(const std::string& path);

}  // namespace proxist::client
