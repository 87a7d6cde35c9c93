// Encoding a batch without a copy on the way.
#pragma once

#include <cstddef>
#include <span>

#include "proxist/column/batch.h"

namespace proxist::column {

/// What EncodeBatch of `batch` writes.
size_t EncodedBytes(const Batch& batch);
/// EncodeBatch into memory of exactly EncodedBytes(batch) bytes.
void EncodeBatchInto(const Batch& batch, std::span<std::byte> out);

}  // namespace proxist::column
