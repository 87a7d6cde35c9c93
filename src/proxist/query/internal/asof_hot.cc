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

/// The right rows that the left rows of [first, last] may match; nothing when that is not known
/// without history.
std::optional<std::vector<Piece>> RightPieces(SymbolScan& right, Timestamp first, Timestamp last,
                                              const exec::AsofRule& rule) {
  if (rule.forward) {
    const Timestamp from = rule.strict ? After(first) : first;
    const Timestamp end =
        right.StepForward(rule.strict ? After(last) : last, 1, {}).value_or(Timestamp::Max());
    return right.HotPieces({from, end});
  }
  const Timestamp to = rule.strict ? Before(last) : last;
  const std::optional<Timestamp> from = right.StepBack(rule.strict ? Before(first) : first, 1, {});
  return right.HotPieces({from.value_or(kMinRowTimestamp), to});
}

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
                            Output* output) {
  const std::optional<std::vector<Piece>> left_pieces = left.HotPieces(span);
  if (!left_pieces.has_value()) return false;
  if (left_pieces->empty()) return true;
  std::optional<std::vector<Piece>> right_pieces(std::in_place);
  if (right != nullptr) {
    const Piece& last = left_pieces->back();
    right_pieces = RightPieces(*right, Timestamp(left_pieces->front().first_ts()),
                               Timestamp(last.ts()[last.end - 1]), rule);
    if (!right_pieces.has_value()) return false;
  }
  Budget& budget = *left.table().context().budget;
  PX_RETURN_IF_ERROR(budget.Charge(PieceRuns::BytesOf(right_pieces->size(), columns.right.size())));
  const PieceRuns runs(*right_pieces, columns.right);
  PX_RETURN_IF_ERROR(Writer(left, runs, rule, columns, output).Write(*left_pieces));
  left.CountInPlace(*left_pieces);
  left.CountInPlace(*right_pieces);
  return true;
}

}  // namespace proxist::query::internal
