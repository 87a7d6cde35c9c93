// Goes over both sides once, a block of left rows at a time.
#include "proxist/query/internal/asof_hot.h"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

namespace proxist::query::internal {
namespace {

// Left rows that are matched together; what one block matched is fetched while the next one is.
constexpr size_t kBlockRows = 512;

/// Rows of memory that a side reads, and those of them that it selects.
struct SideRows {
  uint64_t read = 0;
  std::vector<Piece> selected;
};

/// Reads the rows of spans of one side. One thread.
class SideReader {
 public:
  SideReader(SymbolScan* symbol, std::optional<BlockFilter>* filter)
      : symbol_(*symbol), filter_(*filter), budget_(*symbol->table().context().budget) {
    if (filter_.has_value()) filter_->Open(symbol);
  }

  /// Appends the rows of the span. False when they are not known without history.
  StatusOr<bool> Append(Span span, SideRows* out) {
    std::optional<std::vector<Piece>> pieces = symbol_.HotPieces(span);
    if (!pieces.has_value()) return false;
    out->read += RowsOf(*pieces);
    if (filter_.has_value()) {
      PX_ASSIGN_OR_RETURN(*pieces, filter_->Runs(*pieces));
    }
    if (out->selected.empty()) {
      out->selected = std::move(*pieces);
    } else {
      out->selected.insert(out->selected.end(), pieces->begin(), pieces->end());
    }
    return true;
  }

  /// The right rows that the left rows of [first, last] may match.
  StatusOr<bool> AppendMatches(Timestamp first, Timestamp last, const exec::AsofRule& rule,
                               SideRows* out) {
    if (rule.forward) {
      const Timestamp edge = rule.strict ? After(last) : last;
      const Timestamp begin = rule.strict ? After(first) : first;
      if (!filter_.has_value()) {
        const auto end = symbol_.StepForward(edge, 1, {});
        return Append({begin, end.value_or(Timestamp::Max())}, out);
      }
      if (begin < edge) {
        PX_ASSIGN_OR_RETURN(const bool known, Append({begin, Before(edge)}, out));
        if (!known) return false;
      }
      return AppendOneBeyond(edge, rule, out);
    }
    const Timestamp edge = rule.strict ? Before(first) : first;
    const Timestamp end = rule.strict ? Before(last) : last;
    if (!filter_.has_value()) {
      const auto begin = symbol_.StepBack(edge, 1, {});
      return Append({begin.value_or(kMinRowTimestamp), end}, out);
    }
    PX_ASSIGN_OR_RETURN(const bool known, AppendOneBeyond(edge, rule, out));
    if (!known || edge >= end) return known;
    return Append({After(edge), end}, out);
  }

 private:
  /// Appends the selected row that is the nearest one at or beyond the edge, if it is within the
  /// tolerance: walks away from the edge by more and more rows.
  StatusOr<bool> AppendOneBeyond(Timestamp edge, const exec::AsofRule& rule, SideRows* out) {
    constexpr size_t kGrowth = 8;
    constexpr size_t kMostRows = 65536;
    Timestamp stop = rule.forward ? Timestamp::Max() : Timestamp::Min();
    if (rule.tolerance.has_value()) {
      stop = rule.forward ? edge.Plus(*rule.tolerance) : edge.Minus(*rule.tolerance);
    }
    for (size_t rows = 1;; rows = std::min(rows * kGrowth, kMostRows)) {
      const std::optional<Timestamp> far =
          rule.forward ? symbol_.StepForward(edge, rows, {}) : symbol_.StepBack(edge, rows, {});
      const Span span = rule.forward ? Span{edge, far.value_or(Timestamp::Max())}
                                     : Span{far.value_or(kMinRowTimestamp), edge};
      SideRows found;
      const uint64_t held = budget_.held();
      PX_ASSIGN_OR_RETURN(const bool known, Append(span, &found));
      if (!known) return false;
      budget_.ReleaseTo(held);
      out->read += found.read;
      if (!found.selected.empty()) {
        Piece one = rule.forward ? found.selected.front() : found.selected.back();
        if (rule.forward) {
          one.end = one.begin + 1;
        } else {
          one.begin = one.end - 1;
        }
        out->selected.push_back(one);
        return true;
      }
      if (!far.has_value() || (rule.forward ? *far >= stop : *far <= stop)) return true;
      edge = rule.forward ? After(*far) : Before(*far);
    }
  }

  SymbolScan& symbol_;
  std::optional<BlockFilter>& filter_;
  Budget& budget_;
};

class Writer {
 public:
  Writer(SymbolScan& left, const PieceRuns& right, const exec::AsofRule& rule,
         const AsofColumns& columns, Output* output)
      : left_(left),
        right_(right),
        pass_(right.times(), rule),
        columns_(columns),
        output_(*output) {}

  Status Write(std::span<const Piece> pieces) {
    PieceReader reader(pieces);
    size_t at = 0;
    for (; !reader.done() && !output_.full(); at = 1 - at) {
      Rows& now = rows_[at];
      now.count = reader.Take(kBlockRows, &now.pieces);
      if (!reader.done()) PrefetchLeft(reader.Next());
      Match(&now);
      PX_RETURN_IF_ERROR(Emit(&rows_[1 - at]));
    }
    return Emit(&rows_[1 - at]);
  }

 private:
  /// Some rows on the left, with their matches.
  struct Rows {
    std::vector<Piece> pieces;
    size_t count = 0;
    std::vector<exec::RunMatches> runs;
    std::array<uint32_t, kBlockRows> matches;
  };

  void Match(Rows* rows) {
    rows->runs.clear();
    size_t at = 0;
    for (const Piece& piece : rows->pieces) {
      const size_t n = piece.end - piece.begin;
      const size_t known = rows->runs.size();
      pass_.Match({piece.ts() + piece.begin, n}, rows->matches.data() + at, &rows->runs);
      right_.Prefetch({std::span(rows->runs).subspan(known), {rows->matches.data() + at, n}});
      at += n;
    }
  }

  void PrefetchLeft(const Piece& piece) const {
    const uint32_t end = std::min(piece.end, piece.begin + static_cast<uint32_t>(kBlockRows));
    PrefetchRows(piece.ts(), sizeof(int64_t), piece.begin, end);
    PrefetchRows(piece.seq(), sizeof(uint64_t), piece.begin, end);
    for (const FixedColumn& column : columns_.left) {
      PrefetchRows(hot::ValuesOf(*piece.block, column.index), column.width, piece.begin, end);
    }
  }

  Status Emit(Rows* rows) {
    PieceReader reader(rows->pieces);
    const size_t count = std::exchange(rows->count, 0);
    size_t run = 0;
    const auto fill = [&](size_t at, size_t n, std::span<exec::Column> columns) {
      reader.Take(n, &taken_);
      cut_.clear();
      for (size_t left = n; left > 0;) {
        exec::RunMatches& matches = rows->runs[run];
        exec::RunMatches& part = cut_.emplace_back(matches);
        part.rows = static_cast<uint32_t>(std::min<size_t>(left, matches.rows));
        left -= part.rows;
        matches.rows -= part.rows;
        if (matches.rows == 0) ++run;
      }
      Fill(taken_, {cut_, {rows->matches.data() + at, n}}, columns);
      return OkStatus();
    };
    return output_.Write(count, left_.table().cut().symbols, fill);
  }

  void Fill(std::span<const Piece> pieces, const RightRows& matches,
            std::span<exec::Column> columns) const {
    const size_t n = matches.rows.size();
    AppendKeys(pieces, n, left_.code(), columns);
    size_t c = kKeyColumns;
    for (const FixedColumn& column : columns_.left) {
      internal::AppendValues(pieces, n, column.index, &columns[c++]);
    }
    for (size_t i = 0; i < columns_.right.size(); ++i) {
      right_.AppendValues(matches, i, &columns[c++]);
    }
    if (columns_.right_seq) right_.AppendSeqs(matches, &columns[c++]);
    right_.AppendTimes(matches, &columns[c]);
  }

  SymbolScan& left_;
  const PieceRuns& right_;
  exec::AsofPass pass_;
  const AsofColumns& columns_;
  Output& output_;
  std::array<Rows, 2> rows_;
  std::vector<Piece> taken_;
  std::vector<exec::RunMatches> cut_;
};

}  // namespace

StatusOr<bool> AsofInMemory(SymbolScan& left, SymbolScan* right, Span span,
                            const exec::AsofRule& rule, const AsofColumns& columns,
                            AsofFilters* filters, Output* output) {
  Budget& budget = *left.table().context().budget;
  const uint64_t held = budget.held();
  SideRows left_rows;
  PX_ASSIGN_OR_RETURN(const bool left_known,
                      SideReader(&left, &filters->left).Append(span, &left_rows));
  if (!left_known) return false;
  SideRows right_rows;
  if (right != nullptr && !left_rows.selected.empty()) {
    const Piece& last = left_rows.selected.back();
    PX_ASSIGN_OR_RETURN(const bool right_known,
                        SideReader(right, &filters->right)
                            .AppendMatches(Timestamp(left_rows.selected.front().first_ts()),
                                           Timestamp(last.ts()[last.end - 1]), rule, &right_rows));
    if (!right_known) {
      left.Uncount(left_rows.read + right_rows.read);
      budget.ReleaseTo(held);
      return false;
    }
  }
  left.CountInPlace(left_rows.read + right_rows.read);
  if (left_rows.selected.empty()) return true;
  PX_RETURN_IF_ERROR(
      budget.Charge(PieceRuns::BytesOf(right_rows.selected.size(), columns.right.size())));
  const PieceRuns runs(right_rows.selected, columns.right);
  PX_RETURN_IF_ERROR(Writer(left, runs, rule, columns, output).Write(left_rows.selected));
  return true;
}

}  // namespace proxist::query::internal
