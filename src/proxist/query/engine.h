// Runs plans over memory and history, stitched at the seam.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "proxist/base/ids.h"
#include "proxist/base/status.h"
#include "proxist/base/time.h"
#include "proxist/env/clock.h"
#include "proxist/env/work_pool.h"
#include "proxist/exec/frame.h"
#include "proxist/history/history.h"
#include "proxist/hot/store.h"
#include "proxist/meta/catalog.h"
#include "proxist/query/plan.h"

namespace proxist::query {

/// A shard as queries see it. Any thread.
class ShardView {
 public:
  virtual ~ShardView() = default;
  virtual ShardId id() const = 0;
  virtual const hot::Store& store() const = 0;
  /// As shard::Shard::RewriteHandedToFlush.
  virtual Lsn RewriteHandedToFlush(TableId table) const = 0;
};

/// Part of an answer: columns of equal length. `symbols` resolves symbol codes of this batch.
struct ResultBatch {
  std::vector<exec::NamedColumn> columns;
  std::shared_ptr<const exec::Symbols> symbols;
  std::vector<std::shared_ptr<const void>> keepalive;
  [[nodiscard]] size_t rows() const { return columns.empty() ? 0 : columns[0].column.rows(); }
};

/// What --explain shows.
struct Explain {
  struct Seam {
    ShardId shard;
    std::string table;
    Lsn cut;
    Lsn persisted;
    Timestamp floor;  // the greatest floor among the series read
  };
  /// Rows of history that a partial answer was made without; both ends included.
  struct Missing {
    ShardId shard;
    std::string table;
    Timestamp from;  // Min: from the beginning
    Timestamp to;
  };
  std::vector<Seam> seams;
  std::vector<Missing> missing;  // of each table and shard one; empty: the answer is whole
  uint64_t rows_hot = 0;
  uint64_t rows_in_place = 0;  // of these: answered from where they lie, without copies of columns
  uint64_t rows_cold = 0;
  uint64_t rows_in_totals = 0;  // of memory, not read: totals of their chunks were
  uint64_t history_reads = 0;
  uint32_t attempts = 1;  // more than one: a correction was flushed during the cold read
  Duration plan, hot, cold, compute;
};

/// Of the blocks of history that are kept, since the start.
struct ColdCacheStats {
  uint64_t hits = 0;     // reads of history that a block answered
  uint64_t misses = 0;   // reads that none did
  uint64_t dropped = 0;  // blocks that made room for others
  uint64_t blocks = 0;   // kept now
  uint64_t bytes = 0;
  uint64_t max_bytes = 0;  // 0: nothing is kept
};

struct QueryOptions {
  Duration deadline = Duration::Seconds(60);
  uint64_t memory_bytes = 2ull << 30;  // of rows held at once; RESOURCE_EXHAUSTED beyond
  uint64_t batch_rows = 65536;         // at most in one ResultBatch
  /// Set by any thread once nobody waits for the answer: CANCELLED follows. Outlives the run; may
  /// be null.
  const std::atomic<bool>* cancelled = nullptr;
  size_t threads = 0;  // that work on the query, at most; 0: the caller's and all assistants
  /// ABORTED in place of asking history.
  bool memory_only = false;
  /// ABORTED once predicates would look at more rows of memory than this.
  uint64_t predicate_rows = UINT64_MAX;
  /// When rows of history are needed and history is away, or there is none, the answer is made of
  /// what memory knows, and Explain::missing says what it may lack. Otherwise that is UNAVAILABLE
  /// (FAILED_PRECONDITION without history); so it is when history goes away after rows were shown.
  bool allow_partial = false;
};

namespace internal {
class ColdCache;
class SymbolOrders;
}  // namespace internal

/// Thread-safe; Run may be called from many threads at once.
class Engine {
 public:
  /// Threads that work on queries over many symbols, beside those that ask.
  struct Assistants {
    env::WorkPool* pool = nullptr;       // null: there are none
    size_t least_symbols = 64;           // a query over fewer is answered before one is awake
    size_t group_symbols = 16;           // that a thread takes at once: their rows fit a cache
    uint64_t group_bytes = 16ull << 20;  // of the answer to a group; larger ones are not shared
  };
  struct Ports {
    const meta::Catalog* catalog;
    history::History* history;  // nullptr: there is none
    const env::Clock* clock;
    /// The shard that owns a slot, and all shards.
    std::function<const ShardView*(SlotId)> shard_of;
    std::vector<const ShardView*> shards;
    /// Days in which history may hold several versions of a key of the table, or a cancel, among
    /// what is persisted now; ascending. Null: not known, so rows are read with all their versions.
    std::function<StatusOr<std::vector<Day>>(TableId)> rewritten_days;
    /// The least ts that rows of the table may have: what is older than its retention does not
    /// exist, wherever it still lies. Never falls. Null: kMinRowTimestamp.
    std::function<Timestamp(const column::TableSchema&)> history_floor = nullptr;
    uint64_t cold_cache_bytes = 0;  // of blocks of history that are kept; 0: none
    Assistants assistants = {};
  };
  explicit Engine(Ports ports);
  ~Engine();

  /// Calls `sink` with the answer in order, at least once (an empty answer has a batch with its
  /// columns and no rows). An error from `sink` stops the query. Columns are symbol, ts, seq, then
  /// as the plan says.
  Status Run(const Plan& plan, const QueryOptions& options,
             const std::function<Status(ResultBatch)>& sink, Explain* explain);

  /// Called with the number of the evaluation; `explain` is of this one, up to now.
  using SeamSink = std::function<Status(size_t, ResultBatch, const Explain&)>;
  /// Answers one plan again and again at one cut, once everything at the cut is persisted: first
  /// (evaluation 0) as Run does, then with history read through each of `seams`, where memory could
  /// answer too. All answers are equal, unless history lost or gained rows. ABORTED when a
  /// correction reached history meanwhile; DEADLINE_EXCEEDED when the flush is behind.
  Status RunAtSeams(const Plan& plan, const QueryOptions& options, std::span<const Timestamp> seams,
                    const SeamSink& sink);
  [[nodiscard]] const Ports& ports() const { return ports_; }
  [[nodiscard]] ColdCacheStats cold_cache() const;

 private:
  friend class Lookup;
  Ports ports_;
  std::unique_ptr<internal::SymbolOrders> orders_;
  std::unique_ptr<internal::ColdCache> cache_;  // null: nothing is kept
};

}  // namespace proxist::query
