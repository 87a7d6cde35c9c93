// The flat encoding of a batch; FORMAT.md describes it byte by byte.
#include <cstring>
#include <limits>

#include "proxist/base/check.h"
#include "proxist/column/batch.h"
#include "proxist/column/batch_encoding.h"
#include "proxist/column/internal/column_check.h"
#include "proxist/column/internal/format.h"

namespace proxist::column {
namespace {

size_t DictionaryTextBytes(const ColumnView& column) {
  size_t size = 0;
  for (std::string_view entry : column.dictionary) size += entry.size();
  return size;
}

size_t EncodedBytes(const ColumnView& column) {
  return kColumnHeaderBytes + column.values.size() + column.validity.size() +
         column.dictionary.size() * sizeof(uint32_t) + DictionaryTextBytes(column) +
         column.text.size();
}

/// Writes to memory that has room for all of it.
class Cursor {
 public:
  explicit Cursor(std::byte* at) : at_(at) {}
  template <typename T>
  void Put(T value) {
    std::memcpy(at_, &value, sizeof value);
    at_ += sizeof value;
  }
  void PutBytes(ByteSpan bytes) {
    if (!bytes.empty()) std::memcpy(at_, bytes.data(), bytes.size());
    at_ += bytes.size();
  }
  [[nodiscard]] std::byte* at() const { return at_; }

 private:
  std::byte* at_;
};

void EncodeColumn(const ColumnView& column, Cursor* out) {
  const size_t text = column.text.size() + DictionaryTextBytes(column);
  PX_CHECK(text <= std::numeric_limits<uint32_t>::max());
  out->Put(static_cast<uint8_t>(column.type.kind));
  out->Put(column.type.scale);
  out->Put(static_cast<uint8_t>(column.validity.empty() ? 0 : kColumnHasValidity));
  out->Put(uint8_t{0});
  out->Put(static_cast<uint32_t>(column.dictionary.size()));
  out->Put(static_cast<uint32_t>(text));
  out->PutBytes(column.values);
  out->PutBytes(column.validity);
  uint32_t end = 0;
  for (std::string_view entry : column.dictionary) {
    end += static_cast<uint32_t>(entry.size());
    out->Put(end);
  }
  for (std::string_view entry : column.dictionary) out->PutBytes(AsBytes(entry));
  out->PutBytes(column.text);
}

Status ReadDictionary(ByteReader* in, uint32_t entries, uint32_t text_bytes, std::string_view name,
                      ColumnView* column) {
  PX_ASSIGN_OR_RETURN(const ByteSpan ends, in->GetBytes(size_t{entries} * sizeof(uint32_t)));
  PX_ASSIGN_OR_RETURN(const ByteSpan text, in->GetBytes(text_bytes));
  column->dictionary.reserve(entries);
  uint32_t begin = 0;
  for (uint32_t i = 0; i < entries; ++i) {
    const auto end = LoadAt<uint32_t>(ends.data(), i);
    if (end < begin || end > text_bytes) {
      return DataLoss("column '{}': dictionary entry {} ends at {}, outside {}..{}", name, i, end,
                      begin, text_bytes);
    }
    column->dictionary.push_back(AsText(text.subspan(begin, end - begin)));
    begin = end;
  }
  if (begin != text_bytes) {
    return DataLoss("column '{}': {} bytes follow the dictionary's last entry", name,
                    text_bytes - begin);
  }
  return OkStatus();
}

StatusOr<ColumnView> ReadColumn(ByteReader* in, size_t rows, Type type, std::string_view name) {
  PX_ASSIGN_OR_RETURN(const uint8_t kind, in->Get<uint8_t>());
  PX_ASSIGN_OR_RETURN(const uint8_t scale, in->Get<uint8_t>());
  PX_ASSIGN_OR_RETURN(const uint8_t flags, in->Get<uint8_t>());
  PX_ASSIGN_OR_RETURN(const uint8_t reserved, in->Get<uint8_t>());
  PX_ASSIGN_OR_RETURN(const uint32_t entries, in->Get<uint32_t>());
  PX_ASSIGN_OR_RETURN(const uint32_t text_bytes, in->Get<uint32_t>());
  if (kind != static_cast<uint8_t>(type.kind) || scale != type.scale) {
    return DataLoss("column '{}': type {} with scale {}, the schema says {}", name, kind, scale,
                    FormatType(type));
  }
  if ((flags & ~kColumnHasValidity) != 0 || reserved != 0) {
    return DataLoss("column '{}': unknown flags {:#x}", name, flags | reserved << 8);
  }
  ColumnView column;
  column.type = type;
  const bool is_string = type.kind == TypeKind::kString;
  const size_t width = is_string ? sizeof(uint32_t) : WidthOf(type.kind);
  PX_ASSIGN_OR_RETURN(column.values, in->GetBytes((rows + (is_string ? 1 : 0)) * width));
  if ((flags & kColumnHasValidity) != 0) {
    PX_ASSIGN_OR_RETURN(column.validity, in->GetBytes((rows + 7) / 8));
  }
  if (type.kind == TypeKind::kSymbol) {
    PX_RETURN_IF_ERROR(ReadDictionary(in, entries, text_bytes, name, &column));
  } else if (is_string && entries == 0) {
    PX_ASSIGN_OR_RETURN(column.text, in->GetBytes(text_bytes));
  } else if (entries != 0 || text_bytes != 0) {
    return DataLoss("column '{}': a {} has no dictionary", name, FormatType(type));
  }
  const Status safe = CheckStructure(column, rows, name);
  if (!safe.ok()) return DataLoss("{}", Message(safe));
  return column;
}

// Symbol, ts, seq and op are never null, so that their readers need not look at validity.
StatusOr<ColumnView> ReadSystemColumn(ByteReader* in, size_t rows, Type type,
                                      std::string_view name) {
  PX_ASSIGN_OR_RETURN(ColumnView column, ReadColumn(in, rows, type, name));
  if (!column.validity.empty()) return DataLoss("column '{}': it can't have nulls", name);
  return column;
}

}  // namespace

size_t EncodedBytes(const Batch& batch) {
  size_t bytes = kBatchHeaderBytes + EncodedBytes(batch.symbol) + EncodedBytes(batch.ts);
  if (!batch.seq.values.empty()) bytes += EncodedBytes(batch.seq);
  if (!batch.op.values.empty()) bytes += EncodedBytes(batch.op);
  for (const ColumnView& column : batch.columns) bytes += EncodedBytes(column);
  return bytes;
}

void EncodeBatchInto(const Batch& batch, std::span<std::byte> bytes) {
  PX_CHECK(batch.rows <= kMaxBatchRows && batch.columns.size() <= kMaxColumns);
  uint8_t flags = 0;
  if (!batch.seq.values.empty()) flags |= kBatchHasSeq;
  if (!batch.op.values.empty()) flags |= kBatchHasOps;
  Cursor out(bytes.data());
  out.Put(static_cast<uint8_t>(kBatchFormat));
  out.Put(flags);
  out.Put(static_cast<uint16_t>(batch.columns.size()));
  out.Put(static_cast<uint32_t>(batch.rows));
  EncodeColumn(batch.symbol, &out);
  EncodeColumn(batch.ts, &out);
  if ((flags & kBatchHasSeq) != 0) EncodeColumn(batch.seq, &out);
  if ((flags & kBatchHasOps) != 0) EncodeColumn(batch.op, &out);
  for (const ColumnView& column : batch.columns) EncodeColumn(column, &out);
  PX_CHECK(out.at() == bytes.data() + bytes.size());
}

void EncodeBatch(const Batch& batch, ByteWriter* out) {
  std::vector<std::byte> bytes(EncodedBytes(batch));
  EncodeBatchInto(batch, bytes);
  out->PutBytes(bytes);
}

StatusOr<Batch> DecodeBatch(ByteSpan bytes, SchemaPtr schema, std::shared_ptr<const void> owner) {
  ByteReader in(bytes, "batch");
  PX_ASSIGN_OR_RETURN(const uint8_t format, in.Get<uint8_t>());
  PX_ASSIGN_OR_RETURN(const uint8_t flags, in.Get<uint8_t>());
  PX_ASSIGN_OR_RETURN(const uint16_t columns, in.Get<uint16_t>());
  PX_ASSIGN_OR_RETURN(const uint32_t rows, in.Get<uint32_t>());
  if (format != kBatchFormat) {
    return DataLoss("batch: format {} is not known, this program reads format {}", format,
                    kBatchFormat);
  }
  if ((flags & ~(kBatchHasSeq | kBatchHasOps)) != 0) {
    return DataLoss("batch: unknown flags {:#x}", flags);
  }
  if (rows > 0 && schema->seq == SeqMode::kProducer && (flags & kBatchHasSeq) == 0) {
    return DataLoss("batch: no seq, table '{}' takes it from the producer", schema->name);
  }
  if (rows > kMaxBatchRows) return DataLoss("batch: {} rows, at most {}", rows, kMaxBatchRows);
  if (columns != schema->columns.size()) {
    return DataLoss("batch: {} columns, version {} of table '{}' has {}", columns,
                    schema->version.value(), schema->name, schema->columns.size());
  }
  Batch batch;
  batch.rows = rows;
  PX_ASSIGN_OR_RETURN(batch.symbol, ReadSystemColumn(&in, rows, {TypeKind::kSymbol}, "symbol"));
  PX_ASSIGN_OR_RETURN(batch.ts, ReadSystemColumn(&in, rows, {TypeKind::kTimestamp}, "ts"));
  batch.seq.type = {TypeKind::kUint64};
  if ((flags & kBatchHasSeq) != 0) {
    PX_ASSIGN_OR_RETURN(batch.seq, ReadSystemColumn(&in, rows, batch.seq.type, "seq"));
  }
  batch.op.type = {TypeKind::kUint8};
  if ((flags & kBatchHasOps) != 0) {
    PX_ASSIGN_OR_RETURN(batch.op, ReadSystemColumn(&in, rows, batch.op.type, "op"));
  }
  batch.columns.reserve(columns);
  for (const ColumnDef& column : schema->columns) {
    PX_ASSIGN_OR_RETURN(ColumnView view, ReadColumn(&in, rows, column.type, column.name));
    batch.columns.push_back(std::move(view));
  }
  if (in.remaining() != 0) return DataLoss("batch: {} bytes follow its end", in.remaining());
  batch.schema = std::move(schema);
  batch.owner = std::move(owner);
  return batch;
}

}  // namespace proxist::column
