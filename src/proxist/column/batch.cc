// Cells of a batch, its size, and batches made of some of its rows.
#include "proxist/column/batch.h"

#include <limits>

#include "proxist/base/check.h"
#include "proxist/column/internal/owned_column.h"

namespace proxist::column {
namespace {

constexpr uint32_t kNoCode = std::numeric_limits<uint32_t>::max();

template <typename T>
void GatherFixed(const ColumnView& from, std::span<const uint32_t> rows, std::byte* out) {
  for (size_t i = 0; i < rows.size(); ++i) {
    std::memcpy(out + i * sizeof(T), from.values.data() + rows[i] * sizeof(T), sizeof(T));
  }
}

void GatherFixed(const ColumnView& from, std::span<const uint32_t> rows, OwnedColumn* to) {
  const size_t width = WidthOf(from.type.kind);
  to->values.resize(rows.size() * width);
  std::byte* out = to->values.data();
  switch (width) {
    case 1:
      return GatherFixed<uint8_t>(from, rows, out);
    case 2:
      return GatherFixed<uint16_t>(from, rows, out);
    case 4:
      return GatherFixed<uint32_t>(from, rows, out);
    default:
      return GatherFixed<uint64_t>(from, rows, out);
  }
}

void GatherStrings(const ColumnView& from, std::span<const uint32_t> rows, OwnedColumn* to) {
  to->values.reserve((rows.size() + 1) * sizeof(uint32_t));
  ByteWriter ends(&to->values);
  ByteWriter text(&to->text);
  ends.Put(uint32_t{0});
  for (uint32_t row : rows) {
    if (from.IsValid(row)) text.PutBytes(AsBytes(from.TextAt(row)));
    ends.Put(static_cast<uint32_t>(text.size()));
  }
}

// Codes are renumbered in order of first use, so entries that no row uses are left behind.
void GatherSymbols(const ColumnView& from, std::span<const uint32_t> rows, OwnedColumn* to) {
  std::vector<uint32_t> codes(from.dictionary.size(), kNoCode);
  to->values.resize(rows.size() * sizeof(uint32_t));
  for (size_t i = 0; i < rows.size(); ++i) {
    uint32_t code = 0;
    if (from.IsValid(rows[i])) {
      const auto old = from.At<uint32_t>(rows[i]);
      if (codes[old] == kNoCode) codes[old] = to->AddEntry(from.dictionary[old]);
      code = codes[old];
    }
    std::memcpy(to->values.data() + i * sizeof code, &code, sizeof code);
  }
}

OwnedColumn GatherColumn(const ColumnView& from, std::span<const uint32_t> rows) {
  OwnedColumn to;
  to.type = from.type;
  if (!from.validity.empty()) {
    to.validity.resize((rows.size() + 7) / 8);
    for (size_t i = 0; i < rows.size(); ++i) {
      if (from.IsValid(rows[i])) to.validity[i >> 3] |= std::byte{1} << (i & 7);
    }
  }
  if (from.type.kind == TypeKind::kString) {
    GatherStrings(from, rows, &to);
  } else if (from.type.kind == TypeKind::kSymbol) {
    GatherSymbols(from, rows, &to);
  } else {
    GatherFixed(from, rows, &to);
  }
  return to;
}

size_t SizeBytes(const ColumnView& column) {
  size_t size = column.values.size() + column.validity.size() + column.text.size();
  for (std::string_view entry : column.dictionary) size += entry.size() + sizeof entry;
  return size;
}

}  // namespace

std::string_view ColumnView::TextAt(size_t row) const {
  if (type.kind == TypeKind::kSymbol) return dictionary[At<uint32_t>(row)];
  const auto begin = At<uint32_t>(row);
  return AsText(text).substr(begin, At<uint32_t>(row + 1) - begin);
}

Batch Gather(const Batch& batch, std::span<const uint32_t> rows) {
  auto owned = std::make_shared<OwnedBatch>();
  owned->symbol = GatherColumn(batch.symbol, rows);
  owned->ts = GatherColumn(batch.ts, rows);
  owned->seq.type = batch.seq.type;
  if (!batch.seq.values.empty()) owned->seq = GatherColumn(batch.seq, rows);
  owned->op.type = batch.op.type;
  if (!batch.op.values.empty()) owned->op = GatherColumn(batch.op, rows);
  owned->columns.reserve(batch.columns.size());
  for (const ColumnView& column : batch.columns) {
    owned->columns.push_back(GatherColumn(column, rows));
  }
  return ViewOf(std::move(owned), batch.schema, rows.size());
}

size_t SizeBytes(const Batch& batch) {
  size_t size =
      SizeBytes(batch.symbol) + SizeBytes(batch.ts) + SizeBytes(batch.seq) + SizeBytes(batch.op);
  for (const ColumnView& column : batch.columns) size += SizeBytes(column);
  return size;
}

}  // namespace proxist::column
