// Any bytes as a map and a CSV file: reading them never crashes, does not depend on how the bytes
// arrive, and what it accepts is a valid batch.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "proxist/client/csv_reader.h"
#include "proxist/client/import_map.h"
#include "proxist/client/row_mapper.h"
#include "proxist/column/batch.h"

namespace proxist::client {
namespace {

using column::TypeKind;

constexpr size_t kChunkRows = 7;

column::SchemaPtr FuzzSchema() {
  column::TableSchema schema;
  schema.name = "t";
  schema.columns = {{ColumnId(1), "venue", {TypeKind::kSymbol}, true},
                    {ColumnId(2), "price", {TypeKind::kDecimal, 4}, true},
                    {ColumnId(3), "size", {TypeKind::kInt16}, true},
                    {ColumnId(4), "rate", {TypeKind::kFloat64}, true},
                    {ColumnId(5), "flag", {TypeKind::kBool}, true},
                    {ColumnId(6), "sent", {TypeKind::kTimestamp}, true},
                    {ColumnId(7), "note", {TypeKind::kString}}};
  return std::make_shared<const column::TableSchema>(schema);
}

void Expect(bool condition) {
  if (!condition) std::abort();
}

struct Outcome {
  uint64_t rows = 0;
  Status status;
};

void CheckBatch(const column::Batch& batch) {
  const Status valid = column::ValidateBatch(batch);
  // Only the server's rule about keys is not the mapper's to keep.
  Expect(valid.ok() || Message(valid).find("its key") != std::string_view::npos);
  std::vector<std::byte> encoded;
  ByteWriter writer(&encoded);
  column::EncodeBatch(batch, &writer);
}

Outcome Read(const ImportMap& map, std::string_view csv, size_t piece) {
  size_t at = 0;
  CsvOptions options = map.csv;
  options.max_record_bytes = 4096;
  CsvReader reader(
      [&](std::span<char> out) -> StatusOr<size_t> {
        const size_t n = std::min({piece, out.size(), csv.size() - at});
        std::memcpy(out.data(), csv.data() + at, n);
        at += n;
        return n;
      },
      options);
  Outcome out;
  auto mapper = RowMapper::Create(map, FuzzSchema(), kChunkRows);
  out.status = mapper.ok() ? reader.SkipLines(map.skip_lines) : mapper.status();
  CsvRecord record;
  bool header_due = map.header;
  while (out.status.ok()) {
    const StatusOr<bool> more = reader.Next(&record);
    out.status = more.status();
    if (!more.ok() || !*more) break;
    out.status = header_due ? (*mapper)->BindHeader(record) : (*mapper)->Add(record);
    if (!header_due && out.status.ok()) ++out.rows;
    header_due = false;
    if ((*mapper)->full()) CheckBatch((*mapper)->Take());
  }
  return out;
}

void Run(std::string_view input) {
  const size_t cut = input.find('\0');
  const std::string_view yaml = input.substr(0, cut);
  const std::string_view csv = cut == std::string_view::npos ? "" : input.substr(cut + 1);
  const StatusOr<ImportMap> map = ParseImportMap(yaml, "fuzz", "t");
  if (!map.ok()) return;
  (void)CanonicalText(*map);
  const Outcome whole = Read(*map, csv, csv.size() + 1);
  const Outcome pieces = Read(*map, csv, 1);
  Expect(whole.rows == pieces.rows && whole.status == pieces.status);
}

}  // namespace
}  // namespace proxist::client

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  proxist::client::Run({reinterpret_cast<const char*>(data), size});
  return 0;
}
