// Any bytes as ClickHouse's answer to a read: refused or decoded, never out of bounds.
#include <cstdint>
#include <cstdlib>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include "proxist/history/internal/read_result.h"

namespace {

using proxist::column::Type;
using proxist::column::TypeKind;

proxist::column::SchemaPtr EveryType() {
  auto schema = std::make_shared<proxist::column::TableSchema>();
  for (uint8_t kind = 1; kind <= static_cast<uint8_t>(TypeKind::kSymbol); ++kind) {
    for (const bool nullable : {false, true}) {
      const auto id = static_cast<uint32_t>(schema->columns.size() + 1);
      schema->columns.push_back({proxist::ColumnId(id), "c" + std::to_string(id),
                                 Type{static_cast<TypeKind>(kind)}, nullable});
    }
  }
  return schema;
}

/// Looks at every byte that a reader of `view` may look at.
uint64_t Touch(const proxist::column::ColumnView& view, size_t rows) {
  uint64_t sum = 0;
  const size_t width = proxist::column::WidthOf(view.type.kind);
  for (size_t row = 0; row < rows; ++row) {
    if (!view.IsValid(row)) continue;
    if (proxist::column::IsText(view.type.kind)) {
      for (const char c : view.TextAt(row)) sum += static_cast<unsigned char>(c);
    } else {
      for (size_t i = 0; i < width; ++i) sum += static_cast<uint8_t>(view.values[row * width + i]);
    }
  }
  return sum;
}

}  // namespace

/// The first byte picks how many of the columns were asked for.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const proxist::column::SchemaPtr schema = EveryType();
  if (size == 0) return 0;
  std::vector<size_t> declared(data[0] % (schema->columns.size() + 1));
  std::iota(declared.begin(), declared.end(), schema->columns.size() - declared.size());
  proxist::history::NativeReader reader(proxist::history::ReadColumns(*schema, declared));
  const proxist::ByteSpan body(reinterpret_cast<const std::byte*>(data + 1), size - 1);
  if (!reader.Append(body, 1 << 20).ok()) return 0;
  const auto result = proxist::history::MakeReadResult(schema, declared, std::move(reader));
  if (!result.ok()) return 0;
  const proxist::column::Batch& batch = result->batch;
  uint64_t sum = Touch(batch.symbol, batch.rows) + Touch(batch.ts, batch.rows) +
                 Touch(batch.seq, batch.rows) + Touch(batch.op, batch.rows);
  for (const auto& column : batch.columns) sum += Touch(column, batch.rows);
  if (result->versions.size() != batch.rows) std::abort();
  return sum == 0xdeadbeefdeadbeef ? 1 : 0;
}
