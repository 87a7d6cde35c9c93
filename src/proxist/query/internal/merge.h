// Pieces of several series in one order, and pieces as columns.
#pragma once

#include <span>
#include <vector>

#include "proxist/query/internal/cold_rows.h"

namespace proxist::query::internal {

/// Merges the series' pieces, each sorted by (ts, seq), into (ts, seq, position in `series`).
std::vector<Piece> Merge(std::span<const std::vector<Piece>> series);

/// The rows of `pieces` as a frame with `columns` (indices into the schema's columns). Symbols
/// become codes of `symbols`' base (memory) or of it (history). String bytes of memory live as long
/// as the cut; `frame->keepalive` is the caller's to fill for history's.
exec::Frame MakeFrame(std::span<const Piece> pieces, std::span<const size_t> columns,
                      const column::TableSchema& schema);

}  // namespace proxist::query::internal
