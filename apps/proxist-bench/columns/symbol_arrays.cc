// Copies rows to their symbols, in their order.
#include "apps/proxist-bench/columns/symbol_arrays.h"

namespace proxist::bench {

SymbolArrays::SymbolArrays(const ColumnData& data)
    : quotes(data.manifest().symbols), trades(data.manifest().symbols) {
  const QuoteColumns& q = data.quotes();
  for (size_t row = 0; row < q.ts.size(); ++row) {
    Quotes& to = quotes[static_cast<size_t>(q.symbol[row])];
    to.ts.push_back(q.ts[row]);
    to.bid.push_back(q.bid[row]);
    to.ask.push_back(q.ask[row]);
  }
  const TradeColumns& t = data.trades();
  for (size_t row = 0; row < t.ts.size(); ++row) {
    Trades& to = trades[static_cast<size_t>(t.symbol[row])];
    to.ts.push_back(t.ts[row]);
    to.price.push_back(t.price[row]);
    to.size.push_back(t.size[row]);
  }
}

}  // namespace proxist::bench
