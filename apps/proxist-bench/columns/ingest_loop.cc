// Appends alone: no check, no reader, no order.
#include "apps/proxist-bench/columns/ingest_loop.h"

#include <algorithm>
#include <vector>

#include "proxist/env/clock.h"

namespace proxist::bench {
namespace {

struct Arrays {
  std::vector<int64_t> ts;
  std::vector<uint64_t> seq;
  std::vector<double> bid;
  std::vector<double> ask;
  std::vector<int64_t> bsize;
  std::vector<int64_t> asize;
};

}  // namespace

IngestCost AppendToArrays(const ColumnData& data) {
  const env::Clock& clock = env::SystemClock();
  const QuoteColumns& q = data.quotes();
  std::vector<Arrays> symbols(data.manifest().symbols);
  IngestCost cost;
  const Duration first = clock.Monotonic();
  for (size_t begin = 0; begin < q.ts.size(); begin += LoadedStore::kBatchRows) {
    const Duration began = clock.Monotonic();
    const size_t end = std::min(q.ts.size(), begin + LoadedStore::kBatchRows);
    for (size_t row = begin; row < end; ++row) {
      Arrays& to = symbols[static_cast<size_t>(q.symbol[row])];
      to.ts.push_back(q.ts[row]);
      to.seq.push_back(row + 1);
      to.bid.push_back(q.bid[row]);
      to.ask.push_back(q.ask[row]);
      to.bsize.push_back(q.bsize[row]);
      to.asize.push_back(q.asize[row]);
    }
    cost.batches.Add(Duration(clock.Monotonic().ns() - began.ns()));
  }
  cost.total = Duration(clock.Monotonic().ns() - first.ns());
  cost.rows = q.ts.size();
  return cost;
}

}  // namespace proxist::bench
