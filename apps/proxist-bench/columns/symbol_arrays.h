// The same rows as arrays of each symbol: what the plain loops go over.
#pragma once

#include <cstdint>
#include <vector>

#include "apps/proxist-bench/columns/data.h"

namespace proxist::bench {

struct SymbolArrays {
  struct Quotes {
    std::vector<int64_t> ts;
    std::vector<double> bid;
    std::vector<double> ask;
  };
  struct Trades {
    std::vector<int64_t> ts;
    std::vector<double> price;
    std::vector<int64_t> size;
  };
  std::vector<Quotes> quotes;  // by symbol
  std::vector<Trades> trades;

  explicit SymbolArrays(const ColumnData& data);
};

}  // namespace proxist::bench
