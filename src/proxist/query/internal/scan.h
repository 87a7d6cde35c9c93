// Resolved rows of a table's symbols at one cut: memory and history stitched at each series' seam.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "proxist/base/time.h"
#include "proxist/column/schema.h"
#include "proxist/exec/expression.h"
#include "proxist/exec/frame.h"
#include "proxist/query/internal/cold_rows.h"
#include "proxist/query/internal/cut.h"

namespace proxist::query::internal {

/// A closed span of time.
struct Span {
  Timestamp from;
  Timestamp to;
};

/// Rows below 0 do not exist; an upper bound of "now" is Timestamp::Max().
inline constexpr Span kAllTime{kMinRowTimestamp, Timestamp::Max()};

/// 1 ns before and after, for stepping.
inline Timestamp Before(Timestamp ts) { return ts.Minus(Duration(1)); }
inline Timestamp After(Timestamp ts) { return ts.Plus(Duration(1)); }

struct ColdTotals;
struct SeriesFloors;
class SeriesTotals;
class TableScan;

/// One symbol of a TableScan: its series as they stood when it was opened, and what was read of
/// history for it. `series` in calls below are indices 0..series_count()-1, ascending; empty: all.
class SymbolScan {
 public:
  [[nodiscard]] const std::string& text() const { return text_; }
  [[nodiscard]] uint32_t code() const { return code_; }
  [[nodiscard]] size_t series_count() const { return series_.size(); }
  /// Codes of a series' columns, in the schema's order.
  [[nodiscard]] std::span<const uint32_t> series_codes(size_t series) const {
    return series_[series].snapshot.series_codes();
  }
  [[nodiscard]] TableScan& table() const { return *table_; }

  /// The least time from which memory alone answers for `series`; above it nothing is asked of
  /// history. Min when memory knows all.
  [[nodiscard]] Timestamp HotFrom(std::span<const uint32_t> series) const;
  /// The greatest floor among `series`.
  [[nodiscard]] Timestamp GreatestFloor(std::span<const uint32_t> series) const;
  /// True when the rows of `span` are not all in memory and not read from history yet.
  [[nodiscard]] bool NeedsHistory(Span span, std::span<const uint32_t> series) const;

  /// Above the floors memory has at most so many rows: known without a look at one.
  [[nodiscard]] uint64_t MostRowsInMemory() const;
  /// A bound such that [bound, at] holds at least `rows` rows of memory, if memory has so many.
  [[nodiscard]] std::optional<Timestamp> StepBack(Timestamp at, size_t rows,
                                                  std::span<const uint32_t> series) const;
  [[nodiscard]] std::optional<Timestamp> StepForward(Timestamp at, size_t rows,
                                                     std::span<const uint32_t> series) const;
  /// The greatest ts <= at of a late row or boundary that memory holds, and the least >= at.
  [[nodiscard]] std::optional<Timestamp> LateBefore(Timestamp at,
                                                    std::span<const uint32_t> series) const;
  [[nodiscard]] std::optional<Timestamp> LateAfter(Timestamp at,
                                                   std::span<const uint32_t> series) const;

  /// Where the resolved rows of `span` lie in memory, in order, as long as the cut; nothing when
  /// some of them may lie in history alone. Not empty pieces.
  std::optional<std::vector<Piece>> HotPieces(Span span);
  /// For the explanation: takes back that so many rows of HotPieces were read, and says it again.
  void Uncount(uint64_t rows);
  void Count(uint64_t rows);
  /// For the explanation as well: so many rows of HotPieces were answered from where they lie.
  void CountInPlace(uint64_t rows);
  /// All resolved rows of `span`, in order, with the columns of the table scan. Reads history when
  /// it must.
  StatusOr<exec::Frame> Read(Span span, std::span<const uint32_t> series);
  /// The same of all series, but for the rows of memory that `totals` stands for from then on.
  StatusOr<exec::Frame> ReadWithTotals(Span span, SeriesTotals* totals);
  /// Forgets what was read of history, but for totals.
  void DropHistory() { cold_.clear(); }

  /// The end of the part of `span`, from its begin, that totals of history may stand for; nothing
  /// when there is none.
  [[nodiscard]] std::optional<Timestamp> TotalsEnd(Span span) const;
  /// What ReadWithTotals uses for spans that begin as these do.
  void KeepTotals(ColdTotals totals);
  /// What of `span` the totals that are kept do not stand for.
  [[nodiscard]] Span BeyondTotals(Span span) const;
  [[nodiscard]] Lsn persisted() const { return persisted_; }
  [[nodiscard]] SeriesFloors Floors() const;

  SymbolScan();
  ~SymbolScan();

 private:
  friend class TableScan;
  struct Series {
    hot::SeriesSnapshot snapshot;
    Timestamp floor = Timestamp::Min();  // history answers up to here: the snapshot's, or the seam
    bool boundary_known = false;         // the rows at the greatest ts <= floor
    std::vector<hot::RowRun> boundary;
    Timestamp boundary_ts;                  // when boundary is not empty
    Timestamp hot_from = Timestamp::Min();  // memory knows every row at or above it
  };
  /// History's part of a closed span of time.
  struct ColdPart {
    Span span;
    std::shared_ptr<const ColdBatch> batch;
    std::vector<std::vector<uint32_t>> rows;  // by series, indices into the batch
  };

  void AddSeries(const hot::SeriesSnapshot& snapshot);
  /// Calls each(index, series) for these, or for all.
  template <typename Each>
  void ForChosen(std::span<const uint32_t> series, const Each& each) const;
  [[nodiscard]] const ColdPart* CoverOf(Span span, std::span<const uint32_t> series) const;
  /// The closed span of history that `span` needs, if any.
  [[nodiscard]] std::optional<Span> HistorySpan(Span span, std::span<const uint32_t> series) const;
  StatusOr<exec::Frame> ReadRows(Span span, std::span<const uint32_t> series, SeriesTotals* totals);
  [[nodiscard]] StatusOr<exec::Frame> ReadGiven(Span span) const;
  void AppendTotals(uint32_t index, SeriesTotals* totals, std::vector<Piece>* pieces) const;
  void CollectPieces(uint32_t index, Span span, const ColdPart* cold, SeriesTotals* totals,
                     std::vector<Piece>* pieces) const;

  TableScan* table_ = nullptr;
  std::string text_;
  uint32_t code_ = 0;
  Lsn persisted_;                             // history answers with versions up to here...
  Lsn late_above_;                            // ...and memory with those above this one
  std::shared_ptr<const exec::Frame> given_;  // all its rows, when no table has them
  std::vector<Series> series_;
  std::vector<ColdPart> cold_;
  std::unique_ptr<ColdTotals> totals_;
};

/// One table on one shard at a cut. One thread; everything lives no longer than the cut.
class TableScan {
 public:
  /// `columns`: indices into schema->columns that frames hold, in their order. `conditions`: rows
  /// of history that fail one of them may be left out; their columns are the schema's.
  TableScan(QueryContext* context, ShardCut* cut, column::SchemaPtr schema,
            std::vector<size_t> columns, std::vector<exec::ColumnCondition> conditions);

  /// The series of the symbol with this code as they stand now; nullptr when the table has none of
  /// it at the cut.
  std::unique_ptr<SymbolScan> Open(std::string_view symbol, uint32_t code);
  /// A symbol whose rows no table has: those of `given`, sorted, with the columns of this scan.
  std::unique_ptr<SymbolScan> OpenGiven(std::string_view symbol,
                                        std::shared_ptr<const exec::Frame> given);
  /// Reads what `requests` need of history in as few requests as their spans allow.
  struct Request {
    SymbolScan* symbol;
    Span span;
    std::vector<uint32_t> series;
  };
  Status Prefetch(std::span<const Request> requests);
  /// Asks history for totals of symbols that share their persisted LSN, and keeps them in these; OK
  /// when history has none. `wanted` says which; the rest is filled in.
  Status ReadTotals(std::span<SymbolScan* const> symbols, Span span, history::TotalsRequest wanted);
  /// True when history may resolve versions.
  [[nodiscard]] bool PushesDown() const {
    return context_->ports->history != nullptr && context_->ports->rewritten_days != nullptr &&
           !context_->without_history;
  }
  /// UTC days that history holds, ascending; asked once.
  StatusOr<std::span<const Day>> Days();
  /// The answer would need what history holds of this span, and is made without it.
  void NoteMissing(Span span);

  /// No row before it exists.
  [[nodiscard]] Timestamp least() const { return least_; }
  [[nodiscard]] const column::TableSchema& schema() const { return *schema_; }
  [[nodiscard]] const std::vector<size_t>& columns() const { return columns_; }
  [[nodiscard]] ShardCut& cut() const { return *cut_; }
  [[nodiscard]] QueryContext& context() const { return *context_; }
  /// Bytes of one row in a frame, strings' own bytes not counted.
  [[nodiscard]] uint64_t RowBytes() const { return row_bytes_; }
  /// Bytes of one row as history answers it.
  [[nodiscard]] uint64_t ColdRowBytes() const { return row_bytes_ + 32; }

 private:
  friend class SymbolScan;
  Status ReadHistory(std::span<SymbolScan* const> symbols, Span span);
  [[nodiscard]] history::ReadBounds Bounds() const;
  /// Everything but symbols and version.
  void FillRequest(Span span, history::ReadRequest* request) const;
  [[nodiscard]] Status CheckNotOvertaken();
  /// What the cache or history answers; the latter is counted and kept.
  StatusOr<history::ReadResult> Ask(const history::ReadRequest& request,
                                    std::span<SymbolScan* const> symbols);
  std::shared_ptr<const ColdBatch> MakeBatch(history::ReadResult read);
  /// Whose row of history this is.
  StatusOr<std::pair<SymbolScan*, size_t>> PlaceOf(
      const ColdBatch& batch, uint32_t row, const std::map<uint32_t, SymbolScan*>& by_code) const;
  /// The error that a failure of history is to the query; OK stands for a server without history.
  [[nodiscard]] Status Explained(const Status& status, std::string_view symbol, Timestamp floor);
  void NoteSeam(const SymbolScan& symbol);

  QueryContext* context_;
  ShardCut* cut_;
  column::SchemaPtr schema_;
  std::vector<size_t> columns_;
  std::vector<exec::ColumnCondition> conditions_;
  const Timestamp least_;
  const std::optional<Lsn> as_of_;  // versions above it were not known yet
  uint64_t row_bytes_ = 0;
  std::optional<std::vector<Day>> days_;
  std::vector<hot::RowRun> runs_room_;               // of one series at a time
  std::vector<hot::SeriesSnapshot> snapshots_room_;  // of one symbol at a time
};

}  // namespace proxist::query::internal
