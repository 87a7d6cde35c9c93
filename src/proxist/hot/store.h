// Today's rows in memory: one Store per shard, one writer, any number of readers without locks.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "proxist/base/ids.h"
#include "proxist/base/status.h"
#include "proxist/base/time.h"
#include "proxist/column/batch.h"
#include "proxist/column/dictionary.h"
#include "proxist/column/schema.h"
#include "proxist/exec/totals.h"
#include "proxist/hot/ready_memory.h"
#include "proxist/hot/row_block.h"

namespace proxist::hot {

namespace internal {
class WideBlocks;
}  // namespace internal

/// Rows of a chunk, at most.
inline constexpr uint32_t kChunkRows = 512;

/// A row of a series that lies at or below its floor and is not in history yet, or a version of
/// one.
struct LateRow {
  const RowBlock* block = nullptr;
  uint32_t row = 0;
};

/// Columns of these names, if they are numbers, have totals of their products.
inline constexpr std::string_view kPriceColumn = "price";
inline constexpr std::string_view kSizeColumn = "size";

/// What a span of a series comes to. The caller says what is wanted, by what it puts in.
struct SpanTotals {
  struct Part {
    size_t column;  // of the schema; a number
    exec::ColumnTotals total;
  };
  std::vector<Part> columns;
  std::optional<exec::WeightedTotals> weighted;  // of kPriceColumn and kSizeColumn

  std::vector<RowRun> runs;  // rows that are in no total, in order, as Runs gives them
  uint64_t rows = 0;         // that the totals stand for
  /// The least and greatest ts of these.
  Timestamp first = Timestamp::Max();
  Timestamp last = Timestamp::Min();
};

/// What one reader sees of one series, captured at one moment; valid while the ReadGuard lives. One
/// thread.
class SeriesSnapshot {
 public:
  /// Exclusive: memory holds every row with ts > floor. Timestamp::Min() when nothing was evicted.
  [[nodiscard]] Timestamp floor() const { return floor_; }
  [[nodiscard]] uint32_t symbol_code() const { return key_[0]; }
  /// Codes of the series columns, in the schema's series order.
  [[nodiscard]] std::span<const uint32_t> series_codes() const { return {key_ + 1, key_count_}; }

  /// Appends runs that cover, in order, the resolved rows (no superseded version, no cancelled row)
  /// with from <= ts < to and ts > floor. `to` may be Timestamp::Max(), which includes it.
  void Runs(Timestamp from, Timestamp to, std::vector<RowRun>* out) const;
  /// The same rows as runs and totals, which are exact: a chunk is in the totals when it lies in
  /// the span whole, the cut shows all of it, and the overlay changes nothing inside it. Adds to
  /// `out`.
  void Totals(Timestamp from, Timestamp to, SpanTotals* out) const;
  /// The greatest x such that at least `rows` resolved rows have x <= ts <= at, with ts > floor;
  /// nothing when there are fewer than `rows` above the floor (the caller then reads all of them
  /// and goes below it).
  [[nodiscard]] std::optional<Timestamp> StepBack(Timestamp at, size_t rows) const;
  /// The least x such that at least `rows` resolved rows have at <= ts <= x; nothing when there are
  /// fewer.
  [[nodiscard]] std::optional<Timestamp> StepForward(Timestamp at, size_t rows) const;
  /// There are at most so many rows above the floor, of all cuts: known without a look at one.
  [[nodiscard]] uint64_t MostRows() const;
  /// The rows at the greatest ts at or below the floor, resolved, when memory knows them; nothing
  /// when it does not (read history). An empty list means that there is no row at or below the
  /// floor.
  [[nodiscard]] std::optional<std::span<const RowRun>> Boundary() const;
  /// Versions with ts <= floor and lsn > `persisted`, sorted by (ts, seq, lsn), cancels included:
  /// what the stitcher lays over history. from <= ts <= to.
  void LateRows(Timestamp from, Timestamp to, Lsn persisted, std::vector<LateRow>* out) const;

 private:
  friend class ReadGuard;
  friend class Store;
  const void* state_ = nullptr;
  Lsn cut_;
  Timestamp floor_ = Timestamp::Min();
  uint32_t key_[1 + column::kMaxSeriesColumns] = {};
  uint32_t key_count_ = 0;
  /// Not null: blocks may have other kinds of columns than `schema_`, and are shown as it has them.
  internal::WideBlocks* wide_ = nullptr;
  const column::TableSchema* schema_ = nullptr;
};

class SpillBatch;
class Store;
struct SealedChunk;
struct SpillResult;

/// The last row of a symbol at or before a moment.
struct LastRow {
  /// Memory above the floors of the symbol's series decides it; false: look below a floor.
  bool known = true;
  RowRun run;                          // of one row; no block: there is none
  Timestamp floor = Timestamp::Min();  // the greatest of the symbol's series
};

/// Pins an epoch, so that what a snapshot shows stays in memory, and fixes the cut P. One thread at
/// a time; short-lived: memory that eviction frees waits for it.
class ReadGuard {
 public:
  ~ReadGuard();
  ReadGuard(ReadGuard&&) noexcept;
  ReadGuard(const ReadGuard&) = delete;
  [[nodiscard]] Lsn cut() const { return cut_; }
  /// The same cut for another thread; lives no longer than this. ReadAs is called of it anew.
  [[nodiscard]] ReadGuard Lend() const { return {store_, kLent, cut_}; }
  /// Snapshots that are taken from now on show blocks with the types of `schema`, which outlives
  /// the guard, whatever version they were made for. False: the store has a version with other
  /// types that is newer, in which rows of the cut may be; the reader has to take that one.
  [[nodiscard]] bool ReadAs(const column::TableSchema& schema);
  /// True when all that was shown of the table so far, without ReadAs, has the types of `schema`.
  [[nodiscard]] bool ShowsPlainly(const column::TableSchema& schema) const;
  /// All series of `symbol` (a dictionary code) in `table`, ordered by series values' text.
  /// Appends.
  void SeriesOf(TableId table, uint32_t symbol, std::vector<SeriesSnapshot>* out) const;
  /// Asks for the memory that SeriesOf of these symbols and the first looks at their series read:
  /// each is a chain of cache misses, and those of many symbols overlap.
  void Prefetch(TableId table, std::span<const uint32_t> symbols) const;
  /// The last resolved row of each symbol with ts <= at, in order (ts, seq, series), at the cut.
  /// `out` has as many places. Valid while the guard lives.
  void LastRows(TableId table, std::span<const uint32_t> symbols, Timestamp at, LastRow* out) const;
  /// Codes of all symbols that have a series in `table`, in the order in which they came. Appends.
  void SymbolsOf(TableId table, std::vector<uint32_t>* out) const;
  /// The store's persisted LSN, loaded now. Load it after the snapshots that it is used with: every
  /// row of them with a greater LSN is then still in memory.
  [[nodiscard]] Lsn persisted() const;
  /// Nothing is asked of the guard any more: what it showed stays in memory, what is made from now
  /// on need not.
  void Settle();

 private:
  friend class Store;
  static constexpr size_t kLent = SIZE_MAX;  // the slot is another guard's
  ReadGuard(const Store* store, size_t slot, Lsn cut);
  const Store* store_;
  size_t slot_;
  Lsn cut_;
  std::unique_ptr<internal::WideBlocks> wide_;  // once ReadAs was called
};

/// What scattering a batch found out, for the flush.
struct ScatterResult {
  /// Days in which the batch may rewrite a key that already exists or existed (corrections,
  /// cancels, rows at or below the floor); sorted, without repeats.
  std::vector<Day> rewritten_days;
  /// Series that did not exist before.
  uint32_t new_series = 0;
};

struct EvictResult {
  uint64_t rows = 0;
  uint64_t bytes = 0;
  uint64_t series = 0;  // whose floor rose
};

/// A series by its strings, with its floor: the series manifest that outlives memory.
struct SeriesRecord {
  std::string symbol;
  std::vector<std::string> series;  // in the schema's series order
  Timestamp floor = Timestamp::Min();
};

/// What is read from files instead of from memory.
struct SpilledStats {
  uint64_t chunks = 0;
  uint64_t bytes = 0;  // in the files
};

struct TableStats {
  uint64_t rows = 0;            // in memory or spilled, superseded versions included
  uint64_t bytes = 0;           // of memory, of chunks and overlays
  uint64_t retired_bytes = 0;   // of these, what goes when readers are done
  uint64_t spilled_chunks = 0;  // whose rows are read from files
  uint64_t spilled_bytes = 0;   // of these, in the files
  uint64_t series = 0;
  uint64_t overlay_rows = 0;
  Timestamp max_ts = Timestamp::Min();
};

struct StoreOptions {
  uint32_t chunk_rows = kChunkRows;  // at most kChunkRows; few make many chunks of little data
  size_t overlay_compact_rows = 32;  // per series, up to which the overlay stays as it is
  size_t max_readers = 256;          // guards alive at once; Read() waits for a slot beyond it
  bool huge_pages = true;
  ReadyMemory ready;
};

/// Writer methods belong to one thread (the shard's); Read, stats and the dictionary to any.
class Store {
 public:
  explicit Store(const StoreOptions& options);
  ~Store();
  Store(const Store&) = delete;
  Store& operator=(const Store&) = delete;

  // Writer.
  /// Adds a table or takes a newer schema version of one.
  void SetSchema(const column::SchemaPtr& schema);
  /// Recreates a series with its floor (no rows yet): at recovery, before replay.
  void RestoreSeries(TableId table, const SeriesRecord& series);
  /// Copies the batch's rows, LSNs `first`.., past what readers see. `now` is the publication time
  /// that hot retention counts from. With assigned seq, seq is the row's LSN. The batch passed
  /// ValidateBatch. Rows with ts <= floor and lsn <= persisted() are skipped (replay of what was
  /// evicted).
  ScatterResult Scatter(const column::Batch& batch, Lsn first, Timestamp now);
  /// Makes every scattered row with lsn <= `last` visible at once. Never moves down.
  void Publish(Lsn last);
  /// Everything at or below `lsn` is in history. Never moves down.
  void SetPersisted(Lsn lsn);
  /// The floors that eviction would raise: for each series whose floor can rise, at most to just
  /// below `before` and below its least unpersisted row, over rows published at or before
  /// `published`. Changes nothing. Record the plan in metadata, then Evict it.
  [[nodiscard]] std::vector<SeriesRecord> PlanEviction(TableId table, Timestamp before,
                                                       Timestamp published) const;
  /// Raises floors as planned (never down, never over an unpersisted row) and frees what no reader
  /// needs, now or later. Each series' boundary becomes its last resolved row(s) that left, if any
  /// did.
  EvictResult Evict(TableId table, std::span<const SeriesRecord> plan);
  /// Compacts overlays that are due, drops late rows that are persisted and unpinned, reclaims
  /// retired memory. Bounded work per call; true while there is more to do.
  bool Maintain();
  /// Puts chunks that lie in files in place of those in memory, whose memory goes when no reader
  /// needs it. What compaction or eviction replaced meanwhile is left out.
  SpillResult Spill(SpillBatch batch);
  /// All series of a table with their floors, for the manifest.
  [[nodiscard]] std::vector<SeriesRecord> Manifest(TableId table) const;

  // Any thread.
  [[nodiscard]] ReadGuard Read() const;
  [[nodiscard]] Lsn published() const;
  [[nodiscard]] Lsn persisted() const;
  [[nodiscard]] const column::Dictionary& dictionary() const;
  [[nodiscard]] column::SchemaPtr SchemaOf(TableId table) const;
  [[nodiscard]] TableStats StatsOf(TableId table) const;
  /// Appends every chunk that another one of its series follows.
  void SealedChunks(std::vector<SealedChunk>* out) const;
  /// Of memory: what is spilled counts with its headers alone.
  [[nodiscard]] uint64_t bytes() const;
  /// Of memory that is ready for chunks; bytes() does not count it.
  [[nodiscard]] uint64_t ready_bytes() const;
  [[nodiscard]] SpilledStats spilled() const;
  /// Of bytes(), what goes when the readers that may see it are done.
  [[nodiscard]] uint64_t retired_bytes() const;

 private:
  friend class ReadGuard;
  friend class ImageLoader;
  friend class StoreImage;
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace proxist::hot
