// Whether answers depend on where the seam lies: the check of a live table.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "proxist/base/status.h"
#include "proxist/base/time.h"
#include "proxist/column/schema.h"
#include "proxist/query/engine.h"
#include "proxist/query/plan.h"

namespace proxist::query {

/// A plan and how a person would write it.
struct NamedPlan {
  std::string text;
  Plan plan;
};

struct VerifyOptions {
  std::vector<NamedPlan> plans;   // empty: queries of sampled symbols, over rows of memory
  uint64_t max_rows = 1'000'000;  // that all evaluations read
  Duration deadline = Duration::Seconds(10);
  uint64_t memory_bytes = 1ull << 30;  // of one evaluation's rows
  uint64_t seed = 0;                   // of the sample
};

struct SeamDifference {
  std::string query;
  Timestamp seam;           // history was read up to here
  std::string row_at_low;   // the first row that differs, as memory answers; empty: it has no more
  std::string row_at_seam;  // as history does
};

struct VerifyReport {
  uint64_t queries = 0;  // compared at all their seams
  uint64_t evaluations = 0;
  uint64_t rows_read = 0;
  bool complete = true;                     // false: a bound was reached before the sample was done
  std::vector<std::string> skipped;         // queries that could not be compared, with the reason
  std::vector<SeamDifference> differences;  // at most kMaxSeamDifferences
};

inline constexpr size_t kMaxSeamDifferences = 20;

/// Evaluates queries about `table` at several seams and compares the answers to the bit. What
/// memory does not hold has nothing to be compared with. Waits for the flush to persist what is
/// published; while it compares, memory that eviction frees is kept. FAILED_PRECONDITION without
/// history. Any thread; blocks for up to the deadline.
StatusOr<VerifyReport> VerifySeam(Engine* engine, const column::SchemaPtr& table,
                                  const VerifyOptions& options);

}  // namespace proxist::query
