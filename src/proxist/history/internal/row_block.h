// Selected rows as one Native block.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "proxist/column/schema.h"
#include "proxist/history/internal/row_selection.h"

namespace proxist::history {

/// Of rows: everything that history keeps, what a table declares (symbol, ts and seq first), or
/// symbol, ts, seq and the series columns.
enum class BlockColumns { kAll, kDeclared, kKeys };

/// Appends a block of the selected rows in the parts' order. A batch of an older or newer schema
/// than `schema` gives the columns that both have; others are null.
void EncodeBlock(const column::TableSchema& schema, std::span<const SelectedRows> parts,
                 BlockColumns wanted, std::vector<std::byte>* out);

}  // namespace proxist::history
