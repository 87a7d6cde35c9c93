// The symbol after the one that is taken is found by its place among those to come.
#include "proxist/query/internal/pieces_ahead.h"

#include <algorithm>

namespace proxist::query::internal {

void PiecesAhead::Open(std::span<SymbolScan* const> symbols) {
  symbols_.assign(symbols.begin(), symbols.end());
  next_ = 0;
  ahead_ = nullptr;
}

std::optional<std::vector<Piece>> PiecesAhead::Take(SymbolScan& symbol, Span span,
                                                    const BlockRows& rows,
                                                    const std::function<bool(SymbolScan&)>& skip) {
  std::optional<std::vector<Piece>> taken;
  if (ahead_ == &symbol) {
    taken = std::move(pieces_);
    if (taken.has_value()) symbol.Count(*taken);
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
  next.Uncount(*pieces_);  // it may never be taken
  if (!pieces_->empty()) rows.Prefetch(pieces_->front());
  return taken;
}

}  // namespace proxist::query::internal
