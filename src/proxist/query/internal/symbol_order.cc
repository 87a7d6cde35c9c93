// Sorts anew when a symbol has come.
#include "proxist/query/internal/symbol_order.h"

#include <algorithm>

namespace proxist::query::internal {

std::shared_ptr<const std::vector<uint32_t>> SymbolOrders::Of(const ShardCut& cut, TableId table) {
  std::vector<uint32_t> codes;
  cut.guard.SymbolsOf(table, &codes);
  const size_t symbols = codes.size();
  const std::pair key{cut.view, table};
  {
    MutexLock lock(&mutex_);
    const auto known = orders_.find(key);
    if (known != orders_.end() && known->second.symbols == symbols &&
        cut.symbols->Knows(known->second.greatest)) {
      return known->second.codes;
    }
  }
  // A code that the cut does not know belongs to a symbol without a row in it.
  std::erase_if(codes, [&](uint32_t code) { return !cut.symbols->Knows(code); });
  std::sort(codes.begin(), codes.end(),
            [&](uint32_t a, uint32_t b) { return cut.symbols->Text(a) < cut.symbols->Text(b); });
  const uint32_t greatest = codes.empty() ? 0 : *std::max_element(codes.begin(), codes.end());
  const bool whole = codes.size() == symbols && !codes.empty();
  auto sorted = std::make_shared<const std::vector<uint32_t>>(std::move(codes));
  if (whole) {
    MutexLock lock(&mutex_);
    orders_[key] = {symbols, greatest, sorted};
  }
  return sorted;
}

}  // namespace proxist::query::internal
