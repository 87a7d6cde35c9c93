// The right side of a join: the symbols that its left side has at hand.
#pragma once

#include <map>
#include <memory>
#include <span>
#include <string>

#include "proxist/query/internal/side.h"

namespace proxist::query::internal {

/// One thread.
class RightScans {
 public:
  /// Takes the place of those opened before. Of several symbols the history in `span` is read
  /// together, unless it is too much to hold at once: each then reads its own.
  Status Open(Side* side, QueryContext* context, std::span<SymbolScan* const> left, Span span);
  /// nullptr when the right table has nothing of the symbol.
  [[nodiscard]] SymbolScan* Of(const SymbolScan& left) const;

 private:
  std::map<std::string, std::unique_ptr<SymbolScan>> open_;
};

}  // namespace proxist::query::internal
