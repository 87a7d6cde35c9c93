// Structural checks of one column, shared by the decoder and the validator.
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

#include "proxist/base/status.h"
#include "proxist/column/batch.h"

namespace proxist::column {

/// Rows fit the uint32 offsets and row numbers of the encoding.
inline constexpr size_t kMaxBatchRows = 0xfffffffe;

/// After OK no accessor reads out of bounds for rows below `rows`: buffers have the lengths the
/// type asks for, string offsets ascend within the text, codes of valid rows are in the dictionary.
/// INVALID_ARGUMENT names the column (`name`), where it applies the row, and the reason.
Status CheckStructure(const ColumnView& column, size_t rows, std::string_view name);

/// The first row below `rows` that has a value and whose T satisfies `bad`. One pass that looks at
/// no validity when nothing is bad.
template <typename T, typename Bad>
std::optional<size_t> FirstBadRow(const ColumnView& column, size_t rows, Bad bad) {
  const std::byte* values = column.values.data();
  bool any = false;
  for (size_t row = 0; row < rows; ++row) any |= bad(LoadAt<T>(values, row));
  if (!any) return std::nullopt;
  for (size_t row = 0; row < rows; ++row) {
    if (bad(LoadAt<T>(values, row)) && column.IsValid(row)) return row;
  }
  return std::nullopt;
}

}  // namespace proxist::column
