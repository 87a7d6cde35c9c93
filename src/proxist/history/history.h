// The durable history: what the flush writes to and cold reads come from.
#pragma once

#include <atomic>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "proxist/base/ids.h"
#include "proxist/base/status.h"
#include "proxist/base/time.h"
#include "proxist/column/batch.h"
#include "proxist/column/schema.h"
#include "proxist/history/clickhouse.h"

namespace proxist::history {

/// Rows of one published batch that a flush takes: row i of `batch` has LSN first + i.
struct SourceBatch {
  ShardId shard;
  column::Batch batch;
  Lsn first;
};

struct LsnRange {
  ShardId shard;
  Lsn first;
  Lsn last;
  bool operator==(const LsnRange&) const = default;
};

/// One insert: the rows of one table and UTC day in given LSN ranges. The same description always
/// gives the same block, whatever memory held.
struct InsertIntent {
  std::string
      token;  // insert_deduplication_token: incarnation, shards, epochs, ranges, table and day
  column::SchemaPtr schema;
  Day day;
  std::vector<LsnRange> ranges;
};

/// How long a reader waits.
struct ReadBounds {
  Duration timeout = Duration::Seconds(30);
  /// Set by any thread: CANCELLED follows within about a second. Outlives the call; may be null.
  const std::atomic<bool>* cancelled = nullptr;
};

struct ReadRequest {
  column::SchemaPtr schema;
  ShardId shard;
  std::vector<std::string> symbols;  // not empty
  Timestamp from;                    // included
  Timestamp to;                      // included
  Lsn max_version;
  std::vector<size_t>
      columns;  // indices into schema->columns, series columns always added by the reader
  ReadBounds bounds;
  size_t max_rows = 50'000'000;  // RESOURCE_EXHAUSTED beyond
};

/// Every stored version of the rows asked for, sorted by (symbol, ts, seq, series columns,
/// version).
struct ReadResult {
  column::Batch batch;  // op is kCancel where deleted = 1; columns not asked for are all null
  std::vector<uint64_t> versions;  // of each row
};

/// Where persisted rows live. Thread-safe; calls may block for their timeout. ClickHouse is the one
/// production implementation; the simulator brings its own.
class History {
 public:
  virtual ~History() = default;
  /// Creates database and table, or adds the columns that `schema` has beyond them.
  /// FAILED_PRECONDITION names a drifted column.
  virtual Status EnsureTable(const column::TableSchema& schema) = 0;
  /// Sends one block, sorted by the table's ORDER BY, of the rows of `sources` that `intent`
  /// describes. OK: durable in ClickHouse. Sending it again is harmless.
  virtual Status Insert(const InsertIntent& intent, std::span<const SourceBatch> sources) = 0;
  /// Distinct versions in history for the intent's ranges, table and day.
  virtual StatusOr<uint64_t> CountVersions(const InsertIntent& intent) = 0;
  virtual StatusOr<ReadResult> Read(const ReadRequest& request) = 0;
  /// UTC days of `schema` that hold rows of any shard, ascending.
  virtual StatusOr<std::vector<Day>> Days(const column::TableSchema& schema,
                                          const ReadBounds& bounds = {}) = 0;
  /// The id stored in history; where there is none, `fresh` is stored, unless it is empty.
  virtual StatusOr<std::string> Incarnation(std::string_view fresh) = 0;
  virtual Status Ping() = 0;
};

/// The number of rows of `sources` that `intent` describes.
uint64_t CountRows(const InsertIntent& intent, std::span<const SourceBatch> sources);

/// Over ClickHouse's HTTP interface, Native format.
std::unique_ptr<History> MakeClickHouseHistory(ClickHouseAddress address);

}  // namespace proxist::history
