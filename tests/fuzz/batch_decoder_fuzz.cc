// Any bytes as a batch: decoding, validating and reading them neither crashes nor changes them.
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <vector>

#include "proxist/column/batch.h"

namespace proxist::column {
namespace {

SchemaPtr FuzzSchema(SeqMode seq) {
  TableSchema schema;
  schema.id = TableId(1);
  schema.name = "fuzz";
  schema.seq = seq;
  schema.columns = {{ColumnId(1), "venue", {TypeKind::kSymbol}},
                    {ColumnId(2), "flag", {TypeKind::kBool}, true},
                    {ColumnId(3), "price", {TypeKind::kDecimal, 4}, true},
                    {ColumnId(4), "size", {TypeKind::kUint16}},
                    {ColumnId(5), "note", {TypeKind::kString}, true},
                    {ColumnId(6), "tag", {TypeKind::kSymbol}, true}};
  schema.series = {0};
  return std::make_shared<const TableSchema>(schema);
}

void Expect(bool condition) {
  if (!condition) std::abort();
}

uint64_t ReadCells(const Batch& batch) {
  uint64_t sum = 0;
  for (size_t row = 0; row < batch.rows; ++row) {
    sum += batch.symbol.TextAt(row).size() + static_cast<uint64_t>(batch.ts.At<int64_t>(row)) +
           static_cast<uint64_t>(batch.OpAt(row));
    for (const ColumnView& column : batch.columns) {
      if (!column.IsValid(row)) continue;
      if (!IsText(column.type.kind)) continue;
      for (const char c : column.TextAt(row)) sum += static_cast<uint8_t>(c);
    }
  }
  return sum;
}

void Check(ByteSpan bytes, const SchemaPtr& schema) {
  // A copy of exactly the size, so that the sanitizer sees a read past the end.
  const auto copy = std::make_shared<std::vector<std::byte>>(bytes.begin(), bytes.end());
  copy->shrink_to_fit();
  const StatusOr<Batch> batch = DecodeBatch(*copy, schema, copy);
  if (!batch.ok()) return Expect(batch.status().code() == absl::StatusCode::kDataLoss);
  const uint64_t sum = ReadCells(*batch);
  std::vector<std::byte> encoded;
  ByteWriter out(&encoded);
  EncodeBatch(*batch, &out);
  // Without rows, buffers that are there and empty look like those that are not.
  if (batch->rows > 0) Expect(encoded == *copy);
  const Status valid = ValidateBatch(*batch);
  if (!valid.ok()) return Expect(valid.code() == absl::StatusCode::kInvalidArgument);
  std::vector<uint32_t> all(batch->rows);
  for (uint32_t row = 0; row < all.size(); ++row) all[row] = row;
  const Batch gathered = Gather(*batch, all);
  Expect(ValidateBatch(gathered).ok());
  Expect(ReadCells(gathered) == sum);
}

}  // namespace
}  // namespace proxist::column

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using proxist::column::SeqMode;
  static const auto kProducer = proxist::column::FuzzSchema(SeqMode::kProducer);
  static const auto kAssigned = proxist::column::FuzzSchema(SeqMode::kAssigned);
  const proxist::ByteSpan bytes(reinterpret_cast<const std::byte*>(data), size);
  proxist::column::Check(bytes, kProducer);
  proxist::column::Check(bytes, kAssigned);
  return 0;
}
