// Finds a key that stands twice in a batch.
#pragma once

#include <cstddef>
#include <optional>

#include "proxist/column/batch.h"

namespace proxist::column {

struct DuplicateKey {
  size_t first;   // the earlier row
  size_t second;  // the later one, which repeats its key
};

/// Two rows with equal symbol, series values, ts and seq, compared as text. The batch is
/// structurally sound, its keys have no nulls and its seq has a value for every row. Rows that
/// ascend, in the whole batch or within each series, cost one pass without hashing.
std::optional<DuplicateKey> FindDuplicateKey(const Batch& batch);

}  // namespace proxist::column
