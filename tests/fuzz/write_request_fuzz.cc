// Any bytes as a write request: refused, or a batch that the log gives back as it is.
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <vector>

#include "proxist/api/write_request.h"
#include "proxist/column/batch.h"
#include "proxist/v1/proxist.pb.h"

namespace proxist::api {
namespace {

using column::TypeKind;

/// A series column, then a nullable column of every type.
column::SchemaPtr FuzzSchema(column::SeqMode seq) {
  column::TableSchema schema;
  schema.id = TableId(1);
  schema.name = "fuzz";
  schema.seq = seq;
  schema.columns.push_back({ColumnId(1), "venue", {TypeKind::kSymbol}});
  for (uint8_t kind = 1; kind <= static_cast<uint8_t>(TypeKind::kSymbol); ++kind) {
    const uint8_t scale = TypeKind{kind} == TypeKind::kDecimal ? 4 : 0;
    schema.columns.push_back(
        {ColumnId(kind + 1u), "c" + std::to_string(kind), {TypeKind{kind}, scale}, true});
  }
  schema.series = {0};
  return std::make_shared<const column::TableSchema>(schema);
}

void Expect(bool condition) {
  if (!condition) std::abort();
}

/// Every cell of a valid batch, as text or bytes.
std::vector<std::string> CellsOf(const column::Batch& batch) {
  std::vector<std::string> cells;
  const auto add = [&](const column::ColumnView& view) {
    const size_t width = column::WidthOf(view.type.kind);
    for (size_t row = 0; row < batch.rows; ++row) {
      if (!view.IsValid(row)) {
        cells.emplace_back("null");
      } else if (column::IsText(view.type.kind)) {
        cells.emplace_back(view.TextAt(row));
      } else {
        cells.emplace_back(AsText(view.values.subspan(row * width, width)));
      }
    }
  };
  add(batch.symbol);
  add(batch.ts);
  if (!batch.seq.values.empty()) add(batch.seq);
  for (const column::ColumnView& view : batch.columns) add(view);
  for (size_t row = 0; row < batch.rows; ++row) {
    cells.push_back(std::to_string(static_cast<int>(batch.OpAt(row))));
  }
  return cells;
}

/// What ingest takes, the log has to give back at a restart.
void CheckLogged(const column::Batch& batch, const std::vector<std::string>& cells) {
  auto encoded = std::make_shared<std::vector<std::byte>>();
  ByteWriter out(encoded.get());
  column::EncodeBatch(batch, &out);
  const auto replayed = column::DecodeBatch(*encoded, batch.schema, encoded);
  Expect(replayed.ok() && column::ValidateBatch(*replayed).ok());
  Expect(CellsOf(*replayed) == cells);
}

/// As a client sends it again.
void CheckSentAgain(const column::Batch& batch, const std::vector<std::string>& cells) {
  auto request = std::make_shared<v1::WriteRequest>();
  EncodeWriteRequest(batch, request.get());
  const auto again = DecodeWriteRequest(request, batch.schema);
  Expect(again.ok() && column::ValidateBatch(*again).ok());
  Expect(CellsOf(*again) == cells);
}

void Check(std::shared_ptr<const v1::WriteRequest> request, const column::SchemaPtr& schema) {
  const StatusOr<column::Batch> batch = DecodeWriteRequest(std::move(request), schema);
  const Status status = batch.ok() ? column::ValidateBatch(*batch) : batch.status();
  if (!status.ok()) return Expect(absl::IsInvalidArgument(status));
  const std::vector<std::string> cells = CellsOf(*batch);
  CheckLogged(*batch, cells);
  CheckSentAgain(*batch, cells);
  std::vector<uint32_t> all(batch->rows);
  for (uint32_t row = 0; row < all.size(); ++row) all[row] = row;
  const column::Batch gathered = column::Gather(*batch, all);
  Expect(column::ValidateBatch(gathered).ok() && CellsOf(gathered) == cells);
}

}  // namespace
}  // namespace proxist::api

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using proxist::column::SeqMode;
  static const auto kProducer = proxist::api::FuzzSchema(SeqMode::kProducer);
  static const auto kAssigned = proxist::api::FuzzSchema(SeqMode::kAssigned);
  if (size > (1u << 18)) return 0;
  auto request = std::make_shared<proxist::v1::WriteRequest>();
  if (!request->ParseFromArray(data, static_cast<int>(size))) return 0;
  proxist::api::Check(request, kProducer);
  proxist::api::Check(request, kAssigned);
  return 0;
}
