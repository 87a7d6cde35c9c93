// Memory behind batches that own their columns.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "proxist/column/batch.h"

namespace proxist::column {

/// The buffers of one column. One thread, then immutable.
struct OwnedColumn {
  Type type;
  std::vector<std::byte> values;
  std::vector<std::byte> validity;
  std::vector<std::byte> text;       // strings' bytes, or the dictionary entries' one after another
  std::vector<uint32_t> entry_ends;  // symbols only: where each entry ends in `text`

  /// Appends a dictionary entry and returns its code.
  uint32_t AddEntry(std::string_view entry);
  /// Valid as long as this object is neither moved nor changed.
  [[nodiscard]] ColumnView View() const;
};

struct OwnedBatch {
  OwnedColumn symbol;
  OwnedColumn ts;
  OwnedColumn seq;
  OwnedColumn op;
  std::vector<OwnedColumn> columns;
};

/// The batch over `owned`, which it keeps alive.
Batch ViewOf(std::shared_ptr<const OwnedBatch> owned, SchemaPtr schema, size_t rows);

}  // namespace proxist::column
