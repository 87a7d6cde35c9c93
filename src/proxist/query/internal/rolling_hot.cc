// Blocks of rows, each behind those before it that its windows reach back to.
#include "proxist/query/internal/rolling_hot.h"

#include <algorithm>
#include <numeric>

#include "proxist/exec/slices.h"

namespace proxist::query::internal {
namespace {

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

StatusOr<bool> RollingInMemory::Append(SymbolScan& symbol, Timestamp from, Span span) {
  const std::optional<std::vector<Piece>> pieces =
      ahead_.Take(symbol, {from, span.to}, Looks() ? nullptr : &aggregates_.rows(),
                  [](SymbolScan&) { return false; });
  if (!pieces.has_value()) return false;
  if (!aggregates_.rows().Covers(*pieces)) {
    symbol.Uncount(*pieces);
    return false;
  }
  PX_RETURN_IF_ERROR(Looks() ? AppendWhereTheyLie(symbol, *pieces, span)
                             : AppendPieces(symbol, *pieces, span));
  symbol.CountInPlace(*pieces);
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
      PX_RETURN_IF_ERROR(Write(symbol, {&piece, 1}, all, next));
      if (next == nullptr || next->end - next->begin <= n) continue;
      Piece rest = *next;  // what was not asked for yet
      rest.begin += n;
      aggregates_.rows().Prefetch(rest);
    }
  }
  return OkStatus();
}

Status RollingInMemory::AppendPieces(SymbolScan& symbol, std::span<const Piece> pieces, Span span) {
  BlockRows& rows = aggregates_.rows();
  aggregates_.Restart();
  Budget& budget = *symbol.table().context().budget;
  PieceReader reader(pieces);
  while (!reader.done() && !output_->full()) {
    const size_t known = rows.rows();
    PX_RETURN_IF_ERROR(aggregates_.Load(&reader, &budget, &taken_));
    const size_t first = known + DropBefore(span.from, &taken_);
    const size_t n = rows.rows() - first;
    if (n == 0) continue;
    begin_.resize(n);
    end_.resize(n);
    std::iota(end_.begin(), end_.end(), static_cast<uint32_t>(first) + 1);
    if (window_.has_value()) {
      exec::TrailingWindows(rows.ts(), static_cast<uint32_t>(first), *window_, begin_.data());
    } else {
      std::iota(begin_.begin(), begin_.end(), static_cast<uint32_t>(first));
    }
    const uint32_t keep = begin_.back();
    PX_RETURN_IF_ERROR(Emit(symbol));
    rows.DropFront(keep);
  }
  return OkStatus();
}

Status RollingInMemory::Emit(SymbolScan& symbol) {
  const exec::Parts all{begin_, end_};
  aggregates_.Prepare(all.Longest());
  return Write(symbol, taken_, all, nullptr);
}

/// Appends the rows' own columns, of which those of eight bytes are set by `copies_`.
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

Status RollingInMemory::Write(SymbolScan& symbol, std::span<const Piece> pieces,
                              const exec::Parts& all, const Piece* next) {
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
    return aggregates_.Append(parts, columns.subspan(kKeyColumns + columns_.size()), copies_);
  };
  return output_->Write(all.size(), symbol.table().cut().symbols, fill);
}

}  // namespace proxist::query::internal
