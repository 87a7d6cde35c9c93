// Rows whose content follows from their LSN, and a schema with a column of every type.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "proxist/column/batch.h"
#include "proxist/hot/store.h"

namespace proxist::hot {

inline constexpr TableId kTable{7};

inline uint64_t Mix(uint64_t x) {
  x += 0x9e3779b97f4a7c15;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
  x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
  return x ^ (x >> 31);
}

/// venue, then a nullable column of every type.
inline column::SchemaPtr EveryType(uint32_t version = 1, size_t columns = 15) {
  using column::TypeKind;
  column::TableSchema schema;
  schema.id = kTable;
  schema.version = SchemaVersion(version);
  schema.name = "t";
  schema.columns.push_back({ColumnId(1), "venue", {TypeKind::kSymbol, 0}, false});
  for (uint8_t kind = 1; kind <= columns; ++kind) {
    const uint8_t scale = TypeKind{kind} == TypeKind::kDecimal ? 4 : 0;
    schema.columns.push_back(
        {ColumnId(kind + 1u), "c" + std::to_string(kind), {TypeKind{kind}, scale}, true});
  }
  schema.series = {0};
  return std::make_shared<const column::TableSchema>(schema);
}

/// ts, seq and four 8-byte columns: 48 bytes a row.
inline column::SchemaPtr Quotes() {
  using column::TypeKind;
  column::TableSchema schema;
  schema.id = kTable;
  schema.name = "quotes";
  schema.columns = {{ColumnId(1), "venue", {TypeKind::kSymbol, 0}, false},
                    {ColumnId(2), "bid", {TypeKind::kDecimal, 4}, false},
                    {ColumnId(3), "bid_size", {TypeKind::kInt64, 0}, false},
                    {ColumnId(4), "ask", {TypeKind::kDecimal, 4}, false},
                    {ColumnId(5), "ask_size", {TypeKind::kFloat64, 0}, false}};
  schema.series = {0};
  return std::make_shared<const column::TableSchema>(schema);
}

struct Cell {
  bool valid = false;
  uint64_t bits = 0;
  std::string text;
};

/// What the row with this LSN has in a column.
inline Cell CellFor(uint64_t lsn, size_t column, column::TypeKind kind) {
  const uint64_t random = Mix(lsn * 64 + column);
  Cell cell{.valid = random % 5 != 0};
  if (!cell.valid) return cell;
  const uint64_t value = random >> 8;
  if (kind == column::TypeKind::kString) {
    cell.text = std::string(value % 3 == 0 ? 0 : value % 90, static_cast<char>('a' + value % 26));
  } else if (kind == column::TypeKind::kSymbol) {
    cell.text = "s" + std::to_string(value % 9);
  } else if (kind == column::TypeKind::kBool) {
    cell.bits = value & 1;
  } else if (kind == column::TypeKind::kFloat32 || kind == column::TypeKind::kFloat64) {
    cell.bits = value % 1000;
  } else {
    const size_t width = column::WidthOf(kind);
    cell.bits = width == 8 ? value : value & ((uint64_t{1} << (width * 8)) - 1);
  }
  return cell;
}

inline void SetCells(const column::TableSchema& schema, uint64_t lsn,
                     column::BatchBuilder* builder) {
  for (size_t c = 1; c < schema.columns.size(); ++c) {
    const column::TypeKind kind = schema.columns[c].type.kind;
    const Cell cell = CellFor(lsn, c, kind);
    if (!cell.valid) continue;
    if (column::IsText(kind)) {
      builder->SetText(c, cell.text);
    } else if (column::IsFloat(kind)) {
      builder->SetFloat(c, static_cast<double>(cell.bits));
    } else {
      builder->SetInt(c, static_cast<int64_t>(cell.bits));
    }
  }
}

/// Empty when the block's cell is what CellFor says, else what is wrong.
inline std::string CheckCell(const RowBlock& block, uint32_t row, size_t column,
                             column::TypeKind kind, const column::Dictionary& dictionary) {
  const Cell want = CellFor(block.lsn(row), column, kind);
  if (IsValid(block, column, row) != want.valid) return "validity";
  if (AllValid(block, column, row, row + 1) != want.valid) return "validity of a range";
  if (!want.valid) return "";
  const std::byte* values = ValuesOf(block, column);
  if (kind == column::TypeKind::kString) {
    return AsText(TextOf(block, column, row)) == want.text ? "" : "text";
  }
  if (kind == column::TypeKind::kSymbol) {
    return dictionary.At(LoadAt<uint32_t>(values, row)) == want.text ? "" : "symbol";
  }
  if (kind == column::TypeKind::kFloat64) {
    return LoadAt<double>(values, row) == static_cast<double>(want.bits) ? "" : "float64";
  }
  if (kind == column::TypeKind::kFloat32) {
    return LoadAt<float>(values, row) == static_cast<float>(want.bits) ? "" : "float32";
  }
  uint64_t got = 0;
  const size_t width = column::WidthOf(kind);
  std::memcpy(&got, values + row * width, width);
  return got == want.bits ? "" : "value";
}

}  // namespace proxist::hot
