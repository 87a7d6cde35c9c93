// Rows of each group that lie beyond a span which was read: what windows reach back or forward to.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "proxist/exec/group.h"
#include "proxist/query/internal/cursor.h"
#include "proxist/query/internal/side.h"

namespace proxist::query::internal {

/// The rows of `frame` at `rows`.
exec::Frame PickRows(const exec::Frame& frame, const std::vector<int64_t>& rows);
/// Appends the rows of `part`, which has the same columns.
void AppendFrame(const exec::Frame& part, exec::Frame* all);

struct BeyondRequest {
  const Side* side;
  SymbolScan* symbol;
  std::span<const size_t> by;  // slots that group
  exec::Grouping* grouping;
  size_t groups;  // those with ids below this are wanted
  uint64_t rows;  // of each, at most
};

/// The nearest selected rows of each wanted group before the end of `beyond` (backward) or after
/// its begin (forward), in order.
StatusOr<exec::Frame> ReadBeyond(const BeyondRequest& request, Direction direction, Span beyond);

}  // namespace proxist::query::internal
