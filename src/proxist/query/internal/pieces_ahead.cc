// The symbol after the one that is taken is found by its place among those to come.
#include "proxist/query/internal/pieces_ahead.h"

#include <algorithm>

namespace proxist::query::internal {
namespace {

// Their rows have room in the second-level cache beside the symbol that is worked on.
constexpr size_t kPiecesAsked = 8;

}  // namespace

void PiecesAhead::Open(std::span<SymbolScan* const> symbols) {
  symbols_.assign(symbols.begin(), symbols.end());
  next_ = 0;
  ahead_ = nullptr;
}

std::optional<std::vector<Piece>> PiecesAhead::Take(SymbolScan& symbol, Span span,
                                                    const BlockRows* rows,
                                                    const std::function<bool(SymbolScan&)>& skip) {
  std::optional<std::vector<Piece>> taken;
  if (ahead_ == &symbol) {
    taken = std::move(pieces_);
    if (taken.has_value()) symbol.Count(RowsOf(*taken));
  } else {
    taken = symbol.HotPieces(span);
  }
  ahead_ = nullptr;
  while (next_ < symbols_.size() && symbols_[next_] != &symbol) ++next_;
  if (++next_ >= symbols_.size()) return taken;
  SymbolScan& next = *symbols_[next_];
  if (skip(next)) return taken;
  ahead_ = &next;
  pieces_ = next.HotPieces(span);
  if (!pieces_.has_value()) return taken;
  next.Uncount(RowsOf(*pieces_));  // it may never be taken
  if (rows == nullptr) return taken;
  const size_t asked = std::min(kPiecesAsked, pieces_->size());
  for (const Piece& piece : std::span(*pieces_).first(asked)) rows->Prefetch(piece);
  return taken;
}

}  // namespace proxist::query::internal
