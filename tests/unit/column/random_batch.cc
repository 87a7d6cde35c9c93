// Random batches of every type.
#include "tests/unit/column/random_batch.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

#include <gtest/gtest.h>

namespace proxist::column {
namespace {

uint64_t Fixed(Type type, std::mt19937_64* random) {
  const uint64_t bits = (*random)();
  const uint64_t choice = (*random)() % 6;
  switch (type.kind) {
    case TypeKind::kBool:
      return bits & 1;
    case TypeKind::kDecimal: {
      if (choice == 0) return kDecimalLimit - 1;
      if (choice == 1) return static_cast<uint64_t>(1 - kDecimalLimit);
      return bits % kDecimalLimit;
    }
    case TypeKind::kFloat32:
      if (choice == 0) return std::bit_cast<uint32_t>(-0.0F);
      if (choice == 1) return std::bit_cast<uint32_t>(std::numeric_limits<float>::quiet_NaN());
      return std::bit_cast<uint32_t>(static_cast<float>(bits));
    case TypeKind::kFloat64:
      if (choice == 0) return std::bit_cast<uint64_t>(-0.0);
      if (choice == 1) return std::bit_cast<uint64_t>(std::numeric_limits<double>::quiet_NaN());
      if (choice == 2) return 1;  // the least subnormal
      return bits;
    default: {
      const size_t width = WidthOf(type.kind);
      const uint64_t mask = width == 8 ? ~uint64_t{0} : (uint64_t{1} << (width * 8)) - 1;
      if (choice == 0) return mask;
      if (choice == 1) return uint64_t{1} << (width * 8 - 1);
      return bits & mask;
    }
  }
}

std::string Text(std::mt19937_64* random) {
  std::string text((*random)() % 12, 'x');
  for (char& c : text) c = static_cast<char>((*random)());
  return text;
}

Cell CellOf(const ColumnView& column, size_t row) {
  if (!column.IsValid(row)) return std::nullopt;
  if (IsText(column.type.kind)) return std::string(column.TextAt(row));
  switch (WidthOf(column.type.kind)) {
    case 1:
      return uint64_t{column.At<uint8_t>(row)};
    case 2:
      return uint64_t{column.At<uint16_t>(row)};
    case 4:
      return uint64_t{column.At<uint32_t>(row)};
    default:
      return column.At<uint64_t>(row);
  }
}

}  // namespace

SchemaPtr EveryType(SeqMode seq) {
  TableSchema schema;
  schema.id = TableId(1);
  schema.name = "every_type";
  schema.seq = seq;
  schema.columns = {{ColumnId(1), "venue", {TypeKind::kSymbol}},
                    {ColumnId(2), "side", {TypeKind::kSymbol}}};
  schema.series = {1, 0};
  uint32_t id = 3;
  for (int kind = 1; kind <= 15; ++kind) {
    for (const bool nullable : {false, true}) {
      const Type type{static_cast<TypeKind>(kind), static_cast<uint8_t>(kind == 12 ? 4 : 0)};
      schema.columns.push_back(
          {ColumnId(id++), fmt::format("c{}{}", kind, nullable ? "_n" : ""), type, nullable});
    }
  }
  return std::make_shared<const TableSchema>(schema);
}

std::vector<Row> RandomRows(const TableSchema& schema, size_t count, std::mt19937_64* random) {
  std::vector<Row> rows;
  for (size_t i = 0; i < count; ++i) {
    Row row;
    row.symbol = fmt::format("S{}", (*random)() % 5);
    row.ts = static_cast<int64_t>((*random)() % 50);
    if (i % 7 == 0) row.ts = kMaxRowTimestamp.ns();
    row.seq = schema.seq == SeqMode::kAssigned ? 0 : i;
    if (schema.seq == SeqMode::kProducer && (*random)() % 4 == 0) row.op = Op::kCancel;
    for (const ColumnDef& column : schema.columns) {
      if (column.nullable && (*random)() % 3 == 0) {
        row.cells.emplace_back(std::nullopt);
      } else if (IsText(column.type.kind)) {
        row.cells.emplace_back(Text(random));
      } else {
        row.cells.emplace_back(Fixed(column.type, random));
      }
    }
    rows.push_back(std::move(row));
  }
  std::shuffle(rows.begin(), rows.end(), *random);
  return rows;
}

Batch BatchOf(const SchemaPtr& schema, const std::vector<Row>& rows) {
  BatchBuilder builder(schema);
  for (const Row& row : rows) {
    builder.AddRow(row.symbol, Timestamp(row.ts), row.seq, row.op);
    for (size_t i = 0; i < row.cells.size(); ++i) {
      if (!row.cells[i]) continue;
      const TypeKind kind = schema->columns[i].type.kind;
      if (IsText(kind)) {
        builder.SetText(i, std::get<std::string>(*row.cells[i]));
        continue;
      }
      const uint64_t bits = std::get<uint64_t>(*row.cells[i]);
      if (kind == TypeKind::kFloat64) {
        builder.SetFloat(i, std::bit_cast<double>(bits));
      } else if (kind == TypeKind::kFloat32) {
        builder.SetFloat(i, std::bit_cast<float>(static_cast<uint32_t>(bits)));
      } else {
        builder.SetInt(i, static_cast<int64_t>(bits));
      }
    }
  }
  return builder.Build();
}

std::vector<Row> RowsOf(const Batch& batch) {
  std::vector<Row> rows;
  for (size_t i = 0; i < batch.rows; ++i) {
    Row row{std::string(batch.symbol.TextAt(i)),
            batch.ts.At<int64_t>(i),
            batch.seq.values.empty() ? 0 : batch.seq.At<uint64_t>(i),
            batch.OpAt(i),
            {}};
    for (const ColumnView& column : batch.columns) row.cells.push_back(CellOf(column, i));
    rows.push_back(std::move(row));
  }
  return rows;
}

std::vector<std::byte> Encoded(const Batch& batch) {
  std::vector<std::byte> bytes;
  ByteWriter out(&bytes);
  EncodeBatch(batch, &out);
  return bytes;
}

StatusOr<Batch> Decoded(const std::vector<std::byte>& bytes, const SchemaPtr& schema) {
  const std::shared_ptr<std::byte[]> copy(new std::byte[bytes.size()]);
  std::copy(bytes.begin(), bytes.end(), copy.get());
  return DecodeBatch({copy.get(), bytes.size()}, schema, copy);
}

void TouchAll(const Batch& batch) {
  size_t sum = 0;
  for (const Row& row : RowsOf(batch)) sum += row.symbol.size() + row.cells.size();
  EXPECT_GE(sum, batch.rows * batch.columns.size());
}

}  // namespace proxist::column
