// The durable history: what the flush writes to and cold reads come from.
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "proxist/base/ids.h"
#include "proxist/base/status.h"
#include "proxist/base/time.h"
#include "proxist/column/batch.h"
#include "proxist/column/schema.h"
#include "proxist/exec/expression.h"
#include "proxist/exec/totals.h"
#include "proxist/history/clickhouse.h"

namespace proxist::history {

/// Rows of one published batch that a flush takes: row i of `batch` has LSN first + i.
struct SourceBatch {
  ShardId shard;
  column::Batch batch;
  Lsn first;
  Timestamp published = kMinRowTimestamp;  // when they became visible
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

/// What to leave out before rows travel. Versions are resolved before anything is left out: a key
/// is in the answer with its highest version at or below max_version, unless that is a cancel or
/// fails a condition.
struct PushDown {
  /// Every day of the span in which a key may have more than one version or a cancel; ascending.
  std::vector<Day> rewritten_days;
  /// Their columns are the schema's, never floats.
  std::vector<exec::ColumnCondition> conditions;
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
  std::optional<PushDown> push_down;  // none: every stored version
  ReadBounds bounds;
  size_t max_rows = 50'000'000;  // RESOURCE_EXHAUSTED beyond
};

/// What rows of one series in one interval come to.
struct TotalsRequest {
  /// Which rows, and the columns of those that are answered as rows; with push_down.
  ReadRequest rows;
  std::vector<size_t> columns;  // numbers, whose totals are wanted
  /// Columns whose products are summed up: value and weight, both integers or decimals, or both
  /// floats.
  std::optional<std::pair<size_t, size_t>> weighted;
  /// The rows that stay are the first and last with a value here, where there is one.
  std::optional<size_t> ends;
  std::optional<Duration> interval;  // above 0; none: the whole span is one
  Timestamp origin;                  // an interval begins here
};

/// One series in one interval.
struct TotalsGroup {
  size_t first = 0;  // its rows in TotalsResult::ends: one, or two
  size_t count = 0;
  uint64_t rows = 0;  // beside these, which the totals stand for
  std::vector<exec::ColumnTotals> columns;
  std::optional<exec::WeightedTotals> weighted;
};

/// Every stored version of the rows asked for, sorted by (symbol, ts, seq, series columns,
/// version).
struct ReadResult {
  column::Batch batch;  // op is kCancel where deleted = 1; columns not asked for are all null
  std::vector<uint64_t> versions;  // of each row
};

struct TotalsResult {
  ReadResult ends;  // the rows that stay, in order
  std::vector<TotalsGroup> groups;
};

/// Where ClickHouse reaches a node that answers the requests of live views (FORMAT.md).
struct LiveEndpoint {
  std::string url;    // "http://127.0.0.1:7402"
  std::string token;  // that opens these requests and nothing else
  uint32_t shards = 1;
};

/// Where persisted rows live. Thread-safe; calls may block for their timeout. ClickHouse is the one
/// production implementation; the simulator brings its own.
class History {
 public:
  virtual ~History() = default;
  /// Creates database and table, or makes an existing table what `schema` says, which is the newest
  /// version of it: adds and drops columns, widens them, gives them their names, sets the
  /// retention. Nothing when a newer version was seen already. FAILED_PRECONDITION names a drifted
  /// column.
  virtual Status EnsureTable(const column::TableSchema& schema) = 0;
  /// Makes the table's live view what `endpoint` asks for; cheap when it is that already. After
  /// EnsureTable. FAILED_PRECONDITION: something that is no live view has its name. A history that
  /// nobody asks in SQL has none.
  virtual Status EnsureView(const column::TableSchema& /*schema*/,
                            const LiveEndpoint& /*endpoint*/) {
    return OkStatus();
  }
  /// Sends one block, sorted by the table's ORDER BY, of the rows of `sources` that `intent`
  /// describes. OK: durable in ClickHouse. Sending it again is harmless.
  virtual Status Insert(const InsertIntent& intent, std::span<const SourceBatch> sources) = 0;
  /// Distinct versions in history for the intent's ranges, table and day.
  virtual StatusOr<uint64_t> CountVersions(const InsertIntent& intent) = 0;
  virtual StatusOr<ReadResult> Read(const ReadRequest& request) = 0;
  /// Of a table that keeps all versions: the greatest LSN of `shard` at or below `through` such
  /// that no row of the table at or below it was published after `at`. All of it is persisted.
  virtual StatusOr<Lsn> LastKnown(const column::TableSchema& /*schema*/, ShardId /*shard*/,
                                  Timestamp /*at*/, Lsn /*through*/,
                                  const ReadBounds& /*bounds*/ = {}) {
    return Unimplemented("this history keeps no times of publication");
  }
  /// Exact totals of resolved rows. UNIMPLEMENTED where rows must be read instead: totals are not
  /// computed here, or some value is such that they would not be exact.
  virtual StatusOr<TotalsResult> ReadTotals(const TotalsRequest& /*request*/) {
    return Unimplemented("this history computes no totals");
  }
  /// UTC days of `schema` that hold rows of any shard, ascending.
  virtual StatusOr<std::vector<Day>> Days(const column::TableSchema& schema,
                                          const ReadBounds& bounds = {}) = 0;
  /// The id stored in history; where there is none, `fresh` is stored, unless it is empty.
  virtual StatusOr<std::string> Incarnation(std::string_view fresh) = 0;
  virtual Status Ping() = 0;
};

/// The number of rows of `sources` that `intent` describes.
uint64_t CountRows(const InsertIntent& intent, std::span<const SourceBatch> sources);

/// Over ClickHouse's HTTP interface, Native format; for a caller that heeds no limit of parts.
std::unique_ptr<History> MakeClickHouseHistory(ClickHouseAddress address);

}  // namespace proxist::history
