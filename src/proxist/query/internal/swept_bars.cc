// Marks of bars once, then the sums of each column, while a piece is in the
// cache.
#include "proxist/query/internal/swept_bars.h"

namespace proxist::query::internal {

using Kind = AggregateKind;

std::optional<SweptBars> SweptBars::Make(const Side& side, const Aggregates& aggregates,
                                         const exec::BarGrid& grid) {
  const std::optional<Duration> interval = grid.Even();
  if (!interval.has_value() || interval->ns() >= exec::BarMarks::kReach) return std::nullopt;
  std::optional<SweptSums> sums = SweptSums::Make(side, aggregates);
  if (!sums.has_value()) return std::nullopt;
  return SweptBars(std::move(*sums), grid);
}

bool SweptBars::Begin(std::span<const Piece> pieces) {
  if (pieces.empty()) return false;
  const exec::BarGrid::Bar bar = grid_.At(Timestamp(pieces.front().first_ts()));
  // It may be cut short by the end of time.
  const int64_t length = bar.end.ns() - bar.start.ns();
  const Piece& last = pieces.back();
  if (length != grid_.Even()->ns() ||
      last.ts()[last.end - 1] - bar.start.ns() >= exec::BarMarks::kReach) {
    return false;
  }
  base_ = bar.start;
  marks_.Restart(base_, *grid_.Even());
  sums_.Restart();
  return true;
}

void SweptBars::Add(const Piece& piece, const Piece* ahead) {
  const size_t n = piece.end - piece.begin;
  if (ahead != nullptr) sums_.AskFor(*ahead, n);
  const std::span<const int64_t> ts(piece.ts() + piece.begin, n);
  if (sums_.size() == 0) marks_.Add(ts, ahead == nullptr ? nullptr : ahead->ts() + ahead->begin);
  for (size_t i = 0; i < sums_.size(); ++i) {
    const double* values = sums_.Values(piece, i);
    const int64_t* weights = sums_.Weights(piece, i);
    const exec::internal::Ahead next = sums_.Ahead(ahead, i);
    if (i == 0) {
      marks_.AddWith(ts, values, weights, next, &sums_.of(i));
    } else {
      sums_.of(i).Add(values, weights, n, marks_, next);
    }
  }
}

bool SweptBars::Fits() const { return sums_.Fits(marks_.Longest()); }

bool SweptBars::BeginAgain() {
  if (marks_.Longest() > exec::BarSums::kLongest) return false;
  marks_.Restart(base_, *grid_.Even());
  return sums_.RestartWider();
}

int64_t SweptBars::RowsOf(size_t bar) const {
  const std::span<const uint32_t> rows = marks_.rows();
  return (bar + 1 < rows.size() ? rows[bar + 1] : marks_.row_count()) - rows[bar];
}

void SweptBars::Append(size_t first, size_t n, std::span<exec::Column> columns) {
  for (size_t i = 0; i < sums_.items().size(); ++i) {
    const SweptSums::Item& item = sums_.items()[i];
    exec::Column& out = columns[i];
    const size_t base = out.rows();
    std::byte* to = out.ExtendUnset(n);
    auto* reals = reinterpret_cast<double*>(to);
    exec::BarSums* sums = sums_.size() == 0 ? nullptr : &sums_.of(item.sums);
    switch (item.kind) {
      case Kind::kSum:
        sums->Sums(first, n, reals);
        break;
      case Kind::kMean:
        sums->Sums(first, n, reals);
        for (size_t bar = 0; bar < n; ++bar) reals[bar] /= static_cast<double>(RowsOf(first + bar));
        break;
      case Kind::kVwap:
        if (!sums->Quotients(first, n, reals)) break;
        for (size_t bar = 0; bar < n; ++bar) {
          if (!sums->IsZero(first + bar)) continue;
          reals[bar] = 0;
          out.SetNull(base + bar);
        }
        break;
      default:
        for (size_t bar = 0; bar < n; ++bar) {
          reinterpret_cast<int64_t*>(to)[bar] = RowsOf(first + bar);
        }
    }
  }
}

void SweptBars::KeepLast() {
  marks_.KeepLast();
  for (size_t i = 0; i < sums_.size(); ++i) sums_.of(i).KeepLast();
}

}  // namespace proxist::query::internal
