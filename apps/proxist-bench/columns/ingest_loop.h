// The floor of taking rows in: quotes appended to arrays of their symbols, batch by batch.
#pragma once

#include "apps/proxist-bench/columns/data.h"
#include "apps/proxist-bench/columns/loaded_store.h"

namespace proxist::bench {

/// Six growing arrays a symbol: ts, seq, bid, ask, bsize, asize.
IngestCost AppendToArrays(const ColumnData& data);

}  // namespace proxist::bench
