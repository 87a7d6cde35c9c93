// An encoded block as rows, for looking at what a snapshot holds without a store.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "proxist/base/bytes.h"
#include "proxist/base/ids.h"
#include "proxist/base/status.h"
#include "proxist/column/batch.h"

namespace proxist::hot {

/// Every version in a block, in the block's order: (ts, seq, lsn).
struct BlockRows {
  uint64_t id = 0;      // of a chunk; 0: an overlay
  column::Batch batch;  // owns its memory; has no seq in a table that assigns it
  std::vector<Lsn> lsns;
};

/// The dictionary of a snapshot and the series that a block belongs to.
struct BlockContext {
  column::SchemaPtr schema;              // the block's columns, or more
  std::span<const std::string> strings;  // by code
  std::span<const uint32_t> codes;       // of the symbol and the series columns
};

/// Decodes the block that `bytes` start with. DATA_LOSS: it is damaged, or does not fit `context`.
StatusOr<BlockRows> ReadBlockRows(ByteSpan bytes, const BlockContext& context);

}  // namespace proxist::hot
