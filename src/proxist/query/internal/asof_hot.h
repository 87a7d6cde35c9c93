// As-of of one symbol whose rows all lie in memory: read where they lie, without copies of a side.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "proxist/exec/asof.h"
#include "proxist/query/internal/block_filter.h"
#include "proxist/query/internal/operators.h"
#include "proxist/query/internal/piece_columns.h"

namespace proxist::query::internal {

/// Which columns come out after symbol, ts and seq, as indices into their schemas; right_ts ends
/// them.
struct AsofColumns {
  std::vector<FixedColumn> left;
  std::vector<FixedColumn> right;
  bool right_seq = false;
};

/// What selects the rows of each side; none: all of them.
struct AsofFilters {
  std::optional<BlockFilter> left;
  std::optional<BlockFilter> right;
};

/// Appends the symbol's answer for the left rows of `span`, of a plan without groups and without
/// string columns. `right` may be null: no right rows. False when history may be needed: nothing
/// was appended.
StatusOr<bool> AsofInMemory(SymbolScan& left, SymbolScan* right, Span span,
                            const exec::AsofRule& rule, const AsofColumns& columns,
                            AsofFilters* filters, Output* output);

}  // namespace proxist::query::internal
