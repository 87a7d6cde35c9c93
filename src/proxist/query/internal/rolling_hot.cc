// Blocks of rows, each behind those before it that its windows reach back to.
#include "proxist/query/internal/rolling_hot.h"

#include <algorithm>
#include <cstring>
#include <numeric>

#include "proxist/exec/slices.h"

namespace proxist::query::internal {
namespace {

// What a sweep notes of these stays in the second-level cache.
constexpr size_t kSweptRows = 4096;

/// Drops the first rows of `pieces`, at most `n`; returns how many.
size_t DropRows(size_t n, std::vector<Piece>* pieces) {
  size_t dropped = 0;
  auto at = pieces->begin();
  for (; at != pieces->end() && dropped < n; ++at) {
    const size_t rows = at->end - at->begin;
    if (rows > n - dropped) {
      at->begin += static_cast<uint32_t>(n - dropped);
      dropped = n;
      break;
    }
    dropped += rows;
  }
  pieces->erase(pieces->begin(), at);
  return dropped;
}

/// Drops from `pieces` the rows before `from`; returns how many.
size_t DropBefore(Timestamp from, std::vector<Piece>* pieces) {
  size_t dropped = 0;
  auto at = pieces->begin();
  for (; at != pieces->end(); ++at) {
    const int64_t* ts = at->ts();
    const int64_t* first = std::lower_bound(ts + at->begin, ts + at->end, from.ns());
    const auto row = static_cast<uint32_t>(first - ts);
    dropped += row - at->begin;
    at->begin = row;
    if (row < at->end) break;
  }
  pieces->erase(pieces->begin(), at);
  return dropped;
}

}  // namespace

template <typename AppendAggregates>
Status RollingInMemory::Write(SymbolScan& symbol, std::span<const Piece> pieces,
                              const exec::Parts& all, const Piece* next,
                              const AppendAggregates& append) {
  PieceReader reader(pieces);
  const auto fill = [&](size_t at, size_t n, std::span<exec::Column> columns) {
    reader.Take(n, &out_);
    copies_.clear();
    if (out_.size() == 1) {
      std::optional<Piece> after;
      if (next != nullptr) {
        after = *next;
        after->begin += static_cast<uint32_t>(at);
      }
      CopyLater(out_[0], after.has_value() ? &*after : nullptr, symbol.code(), columns);
    } else {
      AppendKeys(out_, n, symbol.code(), columns);
      size_t c = kKeyColumns;
      for (const FixedColumn& column : columns_) AppendValues(out_, n, column.index, &columns[c++]);
    }
    const exec::Parts parts{all.begin.subspan(at, n), all.end.subspan(at, n)};
    return append(parts, columns.subspan(kKeyColumns + columns_.size()));
  };
  return output_->Write(all.size(), symbol.table().cut().symbols, fill);
}

StatusOr<bool> RollingInMemory::Append(SymbolScan& symbol, Timestamp from, Span span) {
  const std::optional<std::vector<Piece>> pieces = ahead_.Take(
      symbol, {from, span.to}, Looks() || swept_.has_value() ? nullptr : &aggregates_.rows(),
      [](SymbolScan&) { return false; });
  if (!pieces.has_value()) return false;
  if (!aggregates_.rows().Covers(*pieces)) {
    symbol.Uncount(RowsOf(*pieces));
    return false;
  }
  if (Looks()) {
    PX_RETURN_IF_ERROR(AppendWhereTheyLie(symbol, *pieces, span));
  } else {
    PieceReader reader(*pieces);
    size_t skip = 0;
    if (swept_.has_value()) PX_RETURN_IF_ERROR(Sweep(symbol, span, &reader, &skip));
    PX_RETURN_IF_ERROR(AppendPieces(symbol, reader, skip, span));
  }
  symbol.CountInPlace(RowsOf(*pieces));
  return true;
}

/// Rows that are their own windows are not copied side by side.
Status RollingInMemory::AppendWhereTheyLie(SymbolScan& symbol, std::span<const Piece> pieces,
                                           Span span) {
  aggregates_.Restart();
  PieceReader reader(pieces);
  while (!reader.done() && !output_->full()) {
    reader.Take(hot::kChunkRows, &taken_);
    const std::optional<Piece> later = reader.done() ? std::nullopt : std::optional(reader.Next());
    DropBefore(span.from, &taken_);
    for (size_t i = 0; i < taken_.size(); ++i) {
      const Piece& piece = taken_[i];
      const Piece* next = i + 1 < taken_.size() ? &taken_[i + 1]
                          : later.has_value()   ? &*later
                                                : ahead_.Next();
      const uint32_t n = piece.end - piece.begin;
      for (auto known = static_cast<uint32_t>(each_.size()); known <= n; ++known) {
        each_.push_back(known);
      }
      aggregates_.LookAt(piece, next);
      const exec::Parts all{std::span(each_).first(n), std::span(each_).subspan(1, n)};
      PX_RETURN_IF_ERROR(Write(symbol, {&piece, 1}, all, next,
                               [&](const exec::Parts& parts, std::span<exec::Column> columns) {
                                 return aggregates_.Append(parts, columns, copies_);
                               }));
      if (next == nullptr || next->end - next->begin <= n) continue;
      Piece rest = *next;  // what was not asked for yet
      rest.begin += n;
      aggregates_.rows().Prefetch(rest);
    }
  }
  return OkStatus();
}

size_t RollingInMemory::KeepOutput(size_t skip, Timestamp from) {
  const size_t skipped = DropRows(skip, &taken_);
  return skipped + DropBefore(from, &taken_);
}

void RollingInMemory::SetWindows(std::span<const int64_t> ts, size_t first) {
  const size_t n = ts.size() - first;
  begin_.resize(n);
  end_.resize(n);
  std::iota(end_.begin(), end_.end(), static_cast<uint32_t>(first) + 1);
  if (window_.has_value()) {
    exec::TrailingWindows(ts, static_cast<uint32_t>(first), *window_, begin_.data());
  } else {
    std::iota(begin_.begin(), begin_.end(), static_cast<uint32_t>(first));
  }
}

Status RollingInMemory::Sweep(SymbolScan& symbol, Span span, PieceReader* reader, size_t* skip) {
  Budget& budget = *symbol.table().context().budget;
  size_t charged = 0;  // rows
  swept_->Restart();
  PieceReader ahead = *reader;
  while (!ahead.done() && !output_->full()) {
    const size_t known = swept_->ts().size();
    ahead.Take(std::max(kSweptRows, *skip), &taken_);
    const std::optional<Piece> later = ahead.done() ? std::nullopt : std::optional(ahead.Next());
    const Piece* after = later.has_value() ? &*later : ahead_.Next();
    for (size_t i = 0; i < taken_.size(); ++i) {
      const Piece* next = i + 1 < taken_.size() ? &taken_[i + 1] : after;
      if (next != nullptr) PrefetchRows(next->seq(), sizeof(uint64_t), next->begin, next->end);
      swept_->Add(taken_[i], next);
    }
    const std::span<const int64_t> ts = swept_->ts();
    if (ts.size() > charged) {
      PX_RETURN_IF_ERROR(budget.Charge((ts.size() - charged) * swept_->RowBytes()));
      charged = ts.size();
    }
    // Rows that are out already are known, but for those that are read again.
    const size_t first = known + KeepOutput(known < *skip ? *skip - known : 0, span.from);
    if (first == ts.size()) continue;
    SetWindows(ts, first);
    const exec::Parts all{begin_, end_};
    const size_t longest = all.Longest();
    if (!swept_->Fits(longest)) {
      if (longest > exec::BarSums::kLongest || !swept_->BeginAgain()) return OkStatus();
      ahead = *reader;
      continue;
    }
    PX_RETURN_IF_ERROR(Write(symbol, taken_, all, nullptr,
                             [&](const exec::Parts& parts, std::span<exec::Column> columns) {
                               for (const exec::WordCopy& copy : copies_) {
                                 std::memcpy(copy.to, copy.from, parts.size() * sizeof(int64_t));
                               }
                               swept_->Append(parts, columns);
                               return OkStatus();
                             }));
    const uint32_t keep = begin_.back();
    reader->Take(keep, &gone_);
    swept_->DropFront(keep);
    *skip = swept_->ts().size();
  }
  *reader = ahead;
  return OkStatus();
}

Status RollingInMemory::AppendPieces(SymbolScan& symbol, PieceReader reader, size_t skip,
                                     Span span) {
  BlockRows& rows = aggregates_.rows();
  aggregates_.Restart();
  Budget& budget = *symbol.table().context().budget;
  if (filter_.has_value()) filter_->Open(&symbol);
  while (!reader.done() && !output_->full()) {
    const size_t known = rows.rows();
    PX_RETURN_IF_ERROR(filter_.has_value() ? aggregates_.Load(&reader, &budget, &*filter_, &taken_)
                                           : aggregates_.Load(&reader, &budget, &taken_));
    const size_t loaded = rows.rows() - known;
    const size_t first = known + KeepOutput(skip, span.from);
    skip -= std::min(skip, loaded);
    if (first == rows.rows()) continue;
    SetWindows(rows.ts(), first);
    const uint32_t keep = begin_.back();
    const exec::Parts all{begin_, end_};
    aggregates_.Prepare(all.Longest());
    PX_RETURN_IF_ERROR(Write(symbol, taken_, all, nullptr,
                             [&](const exec::Parts& parts, std::span<exec::Column> columns) {
                               return aggregates_.Append(parts, columns, copies_);
                             }));
    rows.DropFront(keep);
  }
  return OkStatus();
}

/// Appends the rows' own columns, of which those of eight bytes are set by
/// `copies_`.
void RollingInMemory::CopyLater(const Piece& piece, const Piece* next, uint32_t symbol,
                                std::span<exec::Column> columns) {
  const size_t n = piece.end - piece.begin;
  std::fill_n(reinterpret_cast<uint32_t*>(columns[0].ExtendUnset(n)), n, symbol);
  const auto later = [&](const void* values, const void* values_of_next, exec::Column* out) {
    const auto at = [](const void* of, const Piece& rows) {
      return static_cast<const std::byte*>(of) + rows.begin * sizeof(int64_t);
    };
    copies_.push_back({at(values, piece), out->ExtendUnset(n),
                       values_of_next == nullptr ? nullptr : at(values_of_next, *next)});
  };
  later(piece.ts(), next == nullptr ? nullptr : next->ts(), &columns[1]);
  later(piece.seq(), next == nullptr ? nullptr : next->seq(), &columns[2]);
  size_t c = kKeyColumns;
  for (const FixedColumn& column : columns_) {
    exec::Column* out = &columns[c++];
    const std::byte* values = hot::ValuesOf(*piece.block, column.index);
    if (column.width == sizeof(int64_t) && values != nullptr &&
        hot::AllValid(*piece.block, column.index, piece.begin, piece.end)) {
      later(values, next == nullptr ? nullptr : hot::ValuesOf(*next->block, column.index), out);
    } else {
      AppendValues({&piece, 1}, n, column.index, out);
    }
  }
}

}  // namespace proxist::query::internal
