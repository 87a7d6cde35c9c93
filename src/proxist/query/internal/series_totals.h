// Long bars and windows: whole chunks of a series by their totals, the rest row by row.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "proxist/exec/slices.h"
#include "proxist/exec/totals.h"
#include "proxist/history/history.h"
#include "proxist/hot/store.h"
#include "proxist/query/internal/side.h"

namespace proxist::query::internal {

/// What totals a read may use, and for what. Exactly one of `grid` and `whole` is set.
struct TotalsWish {
  std::vector<size_t> slots;  // columns whose totals are used
  bool weighted = false;      // products of hot::kPriceColumn and hot::kSizeColumn are used
  /// Bars: totals stay within a bar. Each bar keeps rows of its own.
  std::optional<exec::BarGrid> grid;
  /// Bars keep the first and the last row that have a value here.
  std::optional<size_t> ends;
  /// What `grid` is when every bar is as long as the others, so that history can tell them apart:
  /// their length (none: one bar of the whole span) and a begin.
  struct Regular {
    std::optional<Duration> interval;
    Timestamp origin;
  };
  std::optional<Regular> regular;
  /// A window: totals stand for rows of this span alone.
  std::optional<Span> whole;
};

/// Reads series of one symbol by runs and totals. One thread.
class SeriesTotals {
 public:
  /// Rows of one series within a bar or window, which are not among the rows read.
  struct Part {
    uint32_t series;
    int64_t start;  // of the bar; 0: of the window
    hot::SpanTotals totals;
  };
  SeriesTotals(const Side& side, TotalsWish wish);

  /// Appends runs of the rows with from <= ts < end (Max: included) that no part stands for.
  void Read(const hot::SeriesSnapshot& snapshot, uint32_t series, Timestamp from, Timestamp end,
            std::vector<hot::RowRun>* runs);
  /// What to ask of history about the rows of `span`; nothing when it can't give what is wished.
  [[nodiscard]] std::optional<history::TotalsRequest> ColdRequest(Span span) const;
  /// A part that history gave; `at` is the time of one of the rows that stay.
  void AddCold(uint32_t series, Timestamp at, const history::TotalsGroup& group);
  [[nodiscard]] const std::vector<Part>& parts() const { return parts_; }
  /// Rows that the parts stand for, and the bytes that they take.
  [[nodiscard]] uint64_t rows() const;
  [[nodiscard]] uint64_t bytes() const;
  /// Which of a part's columns are those of `slot`.
  [[nodiscard]] size_t IndexOf(size_t slot) const;

 private:
  void ReadBars(const hot::SeriesSnapshot& snapshot, uint32_t series, Timestamp from, Timestamp end,
                std::vector<hot::RowRun>* runs);
  void ReadBar(const hot::SeriesSnapshot& snapshot, uint32_t series, Timestamp from, Timestamp end,
               std::vector<hot::RowRun>* runs);
  [[nodiscard]] bool EndsKnown(const hot::SpanTotals& totals) const;

  TotalsWish wish_;
  std::optional<size_t> ends_column_;
  std::optional<std::pair<size_t, size_t>> weighted_columns_;
  bool one_kind_ = false;  // both floats, or neither
  hot::SpanTotals blank_;
  std::vector<Part> parts_;
};

/// Parts by group and bar, for the aggregates that start from them.
class GroupTotals {
 public:
  /// `by` are series columns of the side.
  GroupTotals(const Side& side, const SymbolScan& symbol, std::vector<size_t> by,
              const SeriesTotals& read);
  [[nodiscard]] bool empty() const { return sums_.empty(); }
  /// The totals of the group that `row` of the frame belongs to, in the bar; nullptr: none.
  [[nodiscard]] const hot::SpanTotals* Find(const exec::Frame& frame, size_t row,
                                            int64_t start) const;

 private:
  using Key = std::pair<std::vector<uint32_t>, int64_t>;
  std::vector<size_t> by_;
  std::map<Key, hot::SpanTotals> sums_;
};

}  // namespace proxist::query::internal
