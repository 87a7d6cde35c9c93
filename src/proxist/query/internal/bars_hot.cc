// Blocks of rows are cut into bars; the last one stays for the next block.
#include "proxist/query/internal/bars_hot.h"

#include <algorithm>

#include "proxist/query/internal/piece_columns.h"

namespace proxist::query::internal {
namespace {

// Totals are worth their trouble in bars of more rows than this.
constexpr size_t kLongBarRows = 3 * hot::kChunkRows;
// What a sweep notes of these stays in the second-level cache.
constexpr size_t kSweptRows = 4096;

int64_t LastTs(const Piece& piece) { return piece.ts()[piece.end - 1]; }

}  // namespace

StatusOr<bool> BarsInMemory::Append(SymbolScan& symbol, Span span) {
  if (totals_ && !ahead_.Has(symbol) && LongBars(symbol, span)) return false;
  const std::optional<std::vector<Piece>> pieces =
      ahead_.Take(symbol, span, swept_.has_value() ? nullptr : &aggregates_.rows(),
                  [&](const SymbolScan& next) { return totals_ && LongBars(next, span); });
  if (!pieces.has_value()) return false;
  if (!aggregates_.rows().Covers(*pieces) || (totals_ && MostlyLong(*pieces))) {
    symbol.Uncount(RowsOf(*pieces));
    return false;
  }
  PieceReader reader(*pieces);
  if (swept_.has_value() && swept_->Begin(*pieces)) PX_RETURN_IF_ERROR(Sweep(symbol, &reader));
  PX_RETURN_IF_ERROR(AppendPieces(symbol, reader));
  symbol.CountInPlace(RowsOf(*pieces));
  return true;
}

/// Looks at the first bar alone, before anything is read.
bool BarsInMemory::LongBars(const SymbolScan& symbol, Span span) const {
  if (symbol.MostRowsInMemory() < kLongBarRows) return false;
  const std::optional<Timestamp> far = symbol.StepForward(span.from, kLongBarRows, {});
  if (!far.has_value() || *far > span.to) return false;
  const std::optional<Timestamp> first = symbol.StepForward(span.from, 1, {});
  return first.has_value() && *far < grid_->At(*first).end;
}

bool BarsInMemory::MostlyLong(std::span<const Piece> pieces) const {
  if (pieces.size() * hot::kChunkRows < kLongBarRows) return false;
  size_t all = 0;
  size_t in_long = 0;
  // Stretches of so many rows that lie in one bar; no times but those at their ends are looked at,
  // since each is a cache miss.
  for (size_t i = 0; i < pieces.size();) {
    size_t rows = 0;
    size_t next = i;
    for (; next < pieces.size() && rows < kLongBarRows; ++next) {
      rows += pieces[next].end - pieces[next].begin;
    }
    all += rows;
    const Timestamp end = grid_->At(Timestamp(pieces[i].first_ts())).end;
    const int64_t last = next < pieces.size() ? pieces[next].first_ts() : LastTs(pieces[next - 1]);
    if (rows >= kLongBarRows && Timestamp(last) < end) in_long += rows;
    i = next;
  }
  return 2 * in_long > all;
}

Status BarsInMemory::Sweep(SymbolScan& symbol, PieceReader* reader) {
  // The one of the caller stays at the first row of a bar.
  PieceReader ahead = *reader;
  while (!ahead.done() && !output_->full()) {
    ahead.Take(kSweptRows, &taken_);
    const std::optional<Piece> later = ahead.done() ? std::nullopt : std::optional(ahead.Next());
    const Piece* after = later.has_value() ? &*later : ahead_.Next();
    for (size_t i = 0; i < taken_.size(); ++i) {
      swept_->Add(taken_[i], i + 1 < taken_.size() ? &taken_[i + 1] : after);
    }
    if (!swept_->Fits()) {
      if (!swept_->BeginAgain()) break;
      ahead = *reader;
      continue;
    }
    const exec::BarMarks& marks = swept_->marks();
    const size_t closed = ahead.done() ? marks.bars() : marks.bars() - 1;
    if (closed == 0) continue;
    PX_RETURN_IF_ERROR(Write(symbol, marks.starts().first(closed),
                             [&](size_t at, size_t n, std::span<exec::Column> columns) {
                               swept_->Append(at, n, columns);
                               return OkStatus();
                             }));
    if (ahead.done()) {
      *reader = ahead;
      break;
    }
    reader->Take(marks.rows().back(), &taken_);
    swept_->KeepLast();
  }
  return OkStatus();
}

Status BarsInMemory::AppendPieces(SymbolScan& symbol, PieceReader reader) {
  BlockRows& rows = aggregates_.rows();
  aggregates_.Restart();
  cutter_.Restart();
  first_.clear();
  start_.clear();
  Budget& budget = *symbol.table().context().budget;
  if (filter_.has_value()) filter_->Open(&symbol);
  while (!reader.done() && !output_->full()) {
    const auto known = static_cast<uint32_t>(rows.rows());
    PX_RETURN_IF_ERROR(filter_.has_value() ? aggregates_.Load(&reader, &budget, &*filter_)
                                           : aggregates_.Load(&reader, &budget, &taken_));
    cutter_.Cut(rows.ts().subspan(known), known, &first_, &start_);
    if (first_.empty()) continue;  // nothing was selected
    const size_t closed = reader.done() ? first_.size() : first_.size() - 1;
    if (closed == 0) continue;
    end_.assign(first_.begin() + 1, first_.begin() + static_cast<ptrdiff_t>(closed));
    end_.push_back(closed < first_.size() ? first_[closed] : static_cast<uint32_t>(rows.rows()));
    PX_RETURN_IF_ERROR(Emit(symbol, closed));
    if (closed == first_.size()) break;
    rows.DropFront(first_.back());
    first_.assign(1, 0);
    start_.assign(1, start_.back());
  }
  return OkStatus();
}

Status BarsInMemory::Emit(SymbolScan& symbol, size_t bars) {
  const exec::Parts all{{first_.data(), bars}, {end_.data(), bars}};
  aggregates_.Prepare(all.Longest());
  return Write(
      symbol, {start_.data(), bars}, [&](size_t at, size_t n, std::span<exec::Column> columns) {
        return aggregates_.Append({all.begin.subspan(at, n), all.end.subspan(at, n)}, columns);
      });
}

template <typename Fill>
Status BarsInMemory::Write(SymbolScan& symbol, std::span<const int64_t> starts, const Fill& fill) {
  const auto fill_all = [&](size_t at, size_t n, std::span<exec::Column> columns) -> Status {
    std::fill_n(reinterpret_cast<uint32_t*>(columns[0].ExtendUnset(n)), n, symbol.code());
    if (with_time_) {
      std::copy_n(starts.data() + at, n, reinterpret_cast<int64_t*>(columns[1].ExtendUnset(n)));
    }
    return fill(at, n, columns.subspan(with_time_ ? 2 : 1));
  };
  return output_->Write(starts.size(), symbol.table().cut().symbols, fill_all);
}

}  // namespace proxist::query::internal
