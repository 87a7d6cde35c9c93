// Totals of history's rows in place of the rows, for bars over long spans.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <vector>

#include "proxist/history/history.h"
#include "proxist/query/internal/scan.h"
#include "proxist/query/internal/series_totals.h"

namespace proxist::query::internal {

/// What history answered about a span of a symbol: a few rows, and totals for the others.
struct ColdTotals {
  Span span;
  std::shared_ptr<const ColdBatch> batch;  // the rows
  std::shared_ptr<const std::vector<history::TotalsGroup>> groups;
  std::vector<std::vector<size_t>> by_series;  // indices into groups, ascending in time
};

/// Asks history for totals where nothing in memory changes what they stand for, and for the rows of
/// the rest of `span`. What it finds out is kept in the symbols, for ReadWithTotals. `wish`: of the
/// totals that these reads will be given.
Status PrefetchWithTotals(std::span<SymbolScan* const> symbols, Span span,
                          const SeriesTotals& wish);

}  // namespace proxist::query::internal
