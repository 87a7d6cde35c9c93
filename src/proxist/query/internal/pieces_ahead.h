// Where the rows of symbols lie, one symbol ahead, so that memory is on its way while another is
// worked on.
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "proxist/query/internal/block_rows.h"
#include "proxist/query/internal/scan.h"

namespace proxist::query::internal {

/// One thread.
class PiecesAhead {
 public:
  /// The symbols to come, in the order in which they will be taken, if they are; they outlive that.
  void Open(std::span<SymbolScan* const> symbols);
  /// True when the symbol is the one that was looked at ahead: `skip` did not hold for it.
  [[nodiscard]] bool Has(const SymbolScan& symbol) const { return ahead_ == &symbol; }
  /// What HotPieces gives for the symbol. Then finds those of the next one, unless `skip` says that
  /// it will not be taken, and asks for its first rows, as `rows` will read them; null: the caller
  /// asks for them as it goes, by Next.
  std::optional<std::vector<Piece>> Take(SymbolScan& symbol, Span span, const BlockRows* rows,
                                         const std::function<bool(SymbolScan&)>& skip);
  /// Where the rows begin that will be read after those of the symbol that was taken, if that is
  /// known. Until the next Take.
  [[nodiscard]] const Piece* Next() const {
    return ahead_ == nullptr || !pieces_.has_value() || pieces_->empty() ? nullptr
                                                                         : &pieces_->front();
  }

 private:
  std::vector<SymbolScan*> symbols_;
  size_t next_ = 0;
  SymbolScan* ahead_ = nullptr;  // whose pieces these are
  std::optional<std::vector<Piece>> pieces_;
};

}  // namespace proxist::query::internal
