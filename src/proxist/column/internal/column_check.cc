// Lengths, offsets and codes: what makes a column safe to read.
#include "proxist/column/internal/column_check.h"

namespace proxist::column {
namespace {

Status CheckOffsets(const ColumnView& column, size_t rows, std::string_view name) {
  const std::byte* ends = column.values.data();
  if (LoadAt<uint32_t>(ends, 0) != 0) {
    return InvalidArgument("column '{}': the first text offset is {}, expected 0", name,
                           LoadAt<uint32_t>(ends, 0));
  }
  bool descends = false;
  uint32_t last = 0;
  for (size_t row = 0; row < rows; ++row) {
    const auto end = LoadAt<uint32_t>(ends, row + 1);
    descends |= end < last;
    last = end;
  }
  if (descends) {
    for (size_t row = 0; row < rows; ++row) {
      if (LoadAt<uint32_t>(ends, row + 1) >= LoadAt<uint32_t>(ends, row)) continue;
      return InvalidArgument("row {}, column '{}': text offset {} is below the one before, {}", row,
                             name, LoadAt<uint32_t>(ends, row + 1), LoadAt<uint32_t>(ends, row));
    }
  }
  if (last > column.text.size()) {
    return InvalidArgument("column '{}': the last text offset is {}, the text has {} bytes", name,
                           last, column.text.size());
  }
  return OkStatus();
}

}  // namespace

Status CheckStructure(const ColumnView& column, size_t rows, std::string_view name) {
  const bool is_string = column.type.kind == TypeKind::kString;
  const size_t width = is_string ? sizeof(uint32_t) : WidthOf(column.type.kind);
  const size_t expected = (rows + (is_string ? 1 : 0)) * width;
  if (column.values.size() != expected) {
    return InvalidArgument("column '{}': {} bytes of values, {} rows of {} take {}", name,
                           column.values.size(), rows, FormatType(column.type), expected);
  }
  if (!column.validity.empty() && column.validity.size() != (rows + 7) / 8) {
    return InvalidArgument("column '{}': {} bytes of validity, {} rows take {}", name,
                           column.validity.size(), rows, (rows + 7) / 8);
  }
  if (is_string) return CheckOffsets(column, rows, name);
  if (column.type.kind != TypeKind::kSymbol) return OkStatus();
  const size_t entries = column.dictionary.size();
  const auto row =
      FirstBadRow<uint32_t>(column, rows, [entries](uint32_t code) { return code >= entries; });
  if (row) {
    return InvalidArgument("row {}, column '{}': code {}, but the dictionary has {} entries", *row,
                           name, column.At<uint32_t>(*row), entries);
  }
  return OkStatus();
}

}  // namespace proxist::column
