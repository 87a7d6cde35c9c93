// The right side of a join: the symbols that its left side has at hand.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "proxist/query/internal/side.h"

namespace proxist::query::internal {

/// One thread.
class RightScans {
 public:
  /// Takes the place of those opened before. Of several symbols the history in `span` is read
  /// together, unless it is too much to hold at once: each then reads its own.
  Status Open(Side* side, QueryContext* context, std::span<SymbolScan* const> left, Span span);
  /// Of a symbol that was given to Open last; nullptr when the right table has nothing of it.
  [[nodiscard]] SymbolScan* Of(const SymbolScan& left) const;

 private:
  struct Opened {
    const SymbolScan* left;
    std::unique_ptr<SymbolScan> right;
  };
  std::vector<Opened> open_;  // a group of symbols at most
};

}  // namespace proxist::query::internal
