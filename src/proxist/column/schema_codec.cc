// The durable encoding of a schema; FORMAT.md describes it byte by byte.
#include <algorithm>

#include "proxist/base/bytes.h"
#include "proxist/column/internal/format.h"
#include "proxist/column/schema.h"

namespace proxist::column {
namespace {

StatusOr<ColumnDef> ReadColumn(ByteReader* in) {
  ColumnDef column;
  PX_ASSIGN_OR_RETURN(const uint32_t id, in->Get<uint32_t>());
  PX_ASSIGN_OR_RETURN(const uint8_t kind, in->Get<uint8_t>());
  PX_ASSIGN_OR_RETURN(column.type.scale, in->Get<uint8_t>());
  PX_ASSIGN_OR_RETURN(const uint8_t nullable, in->Get<uint8_t>());
  PX_ASSIGN_OR_RETURN(const std::string_view name, in->GetString());
  if (id == 0) return DataLoss("schema: column '{}' has id 0", name);
  column.id = ColumnId(id);
  column.type.kind = static_cast<TypeKind>(kind);
  column.nullable = nullable != 0;
  column.name = name;
  return column;
}

/// What format 4 adds.
Status ReadChanges(ByteReader* in, TableSchema* schema) {
  PX_ASSIGN_OR_RETURN(const int64_t history_retain, in->Get<int64_t>());
  PX_ASSIGN_OR_RETURN(const uint8_t versions, in->Get<uint8_t>());
  schema->history_retain = Duration(history_retain);
  schema->versions = static_cast<Versions>(versions);
  for (ColumnDef& column : schema->columns) {
    PX_ASSIGN_OR_RETURN(const uint8_t flags, in->Get<uint8_t>());
    column.dropped = (flags & kColumnDropped) != 0;
    PX_ASSIGN_OR_RETURN(const std::string_view first_name, in->GetString());
    column.first_name = first_name;
    PX_ASSIGN_OR_RETURN(const uint8_t aliases, in->Get<uint8_t>());
    for (uint8_t i = 0; i < aliases; ++i) {
      PX_ASSIGN_OR_RETURN(const std::string_view alias, in->GetString());
      column.aliases.emplace_back(alias);
    }
  }
  return OkStatus();
}

void PutChanges(const TableSchema& schema, ByteWriter* out) {
  out->Put(schema.history_retain.ns());
  out->Put(static_cast<uint8_t>(schema.versions));
  for (const ColumnDef& column : schema.columns) {
    out->Put(static_cast<uint8_t>(column.dropped ? kColumnDropped : 0));
    out->PutString(column.first_name);
    out->Put(static_cast<uint8_t>(column.aliases.size()));
    for (const std::string& alias : column.aliases) out->PutString(alias);
  }
}

/// Programs that know less read what has no more.
uint16_t FormatOf(const TableSchema& schema) {
  const bool changed = schema.history_retain != Duration() ||
                       schema.versions != Versions::kLatest ||
                       std::ranges::any_of(schema.columns, [](const ColumnDef& column) {
                         return column.dropped || !column.aliases.empty();
                       });
  if (changed) return kSchemaFormat;
  return schema.hot_memory_bytes != 0 ? kSchemaFormatWithMemory : kSchemaFormatWithoutMemory;
}

StatusOr<TableSchema> ReadFields(uint16_t format, ByteReader* in) {
  TableSchema schema;
  PX_ASSIGN_OR_RETURN(const uint32_t id, in->Get<uint32_t>());
  PX_ASSIGN_OR_RETURN(const uint32_t version, in->Get<uint32_t>());
  PX_ASSIGN_OR_RETURN(const uint8_t seq, in->Get<uint8_t>());
  PX_ASSIGN_OR_RETURN(const int64_t hot_retain, in->Get<int64_t>());
  PX_ASSIGN_OR_RETURN(const std::string_view tenant, in->GetString());
  PX_ASSIGN_OR_RETURN(const std::string_view name, in->GetString());
  schema.id = TableId(id);
  schema.version = SchemaVersion(version);
  schema.seq = static_cast<SeqMode>(seq);
  schema.hot_retain = Duration(hot_retain);
  schema.tenant = tenant;
  schema.name = name;
  PX_ASSIGN_OR_RETURN(const uint16_t columns, in->Get<uint16_t>());
  for (uint16_t i = 0; i < columns; ++i) {
    PX_ASSIGN_OR_RETURN(ColumnDef column, ReadColumn(in));
    schema.columns.push_back(std::move(column));
  }
  PX_ASSIGN_OR_RETURN(const uint8_t series, in->Get<uint8_t>());
  for (uint8_t i = 0; i < series; ++i) {
    PX_ASSIGN_OR_RETURN(const uint16_t index, in->Get<uint16_t>());
    schema.series.push_back(index);
  }
  if (format > 1) {
    PX_ASSIGN_OR_RETURN(const uint8_t durability, in->Get<uint8_t>());
    schema.durability = static_cast<Durability>(durability);
  }
  if (format > 2) {
    PX_ASSIGN_OR_RETURN(schema.hot_memory_bytes, in->Get<uint64_t>());
  }
  if (format > 3) PX_RETURN_IF_ERROR(ReadChanges(in, &schema));
  if (in->remaining() != 0) return DataLoss("schema: {} bytes follow its end", in->remaining());
  return schema;
}

}  // namespace

std::vector<std::byte> EncodeSchema(const TableSchema& schema) {
  std::vector<std::byte> bytes;
  ByteWriter out(&bytes);
  out.Put(kSchemaMagic);
  const uint16_t format = FormatOf(schema);
  out.Put(format);
  out.Put(schema.id.value());
  out.Put(schema.version.value());
  out.Put(static_cast<uint8_t>(schema.seq));
  out.Put(schema.hot_retain.ns());
  out.PutString(schema.tenant);
  out.PutString(schema.name);
  out.Put(static_cast<uint16_t>(schema.columns.size()));
  for (const ColumnDef& column : schema.columns) {
    out.Put(column.id.value());
    out.Put(static_cast<uint8_t>(column.type.kind));
    out.Put(column.type.scale);
    out.Put(static_cast<uint8_t>(column.nullable));
    out.PutString(column.name);
  }
  out.Put(static_cast<uint8_t>(schema.series.size()));
  for (size_t index : schema.series) out.Put(static_cast<uint16_t>(index));
  out.Put(static_cast<uint8_t>(schema.durability));
  if (format > kSchemaFormatWithoutMemory) out.Put(schema.hot_memory_bytes);
  if (format > kSchemaFormatWithMemory) PutChanges(schema, &out);
  out.Put(Checksum(bytes));
  return bytes;
}

StatusOr<TableSchema> DecodeSchema(std::span<const std::byte> bytes) {
  constexpr size_t kFrame = sizeof kSchemaMagic + sizeof kSchemaFormat + sizeof(uint64_t);
  if (bytes.size() < kFrame) {
    return DataLoss("schema: {} bytes, at least {} expected", bytes.size(), kFrame);
  }
  const ByteSpan body = bytes.first(bytes.size() - sizeof(uint64_t));
  if (LoadAt<uint32_t>(bytes.data(), 0) != kSchemaMagic) {
    return DataLoss("schema: the bytes do not start with a schema's magic");
  }
  if (LoadAt<uint64_t>(body.data() + body.size(), 0) != Checksum(body)) {
    return DataLoss("schema: the checksum does not match");
  }
  ByteReader in(body, "schema");
  PX_RETURN_IF_ERROR(in.GetBytes(sizeof kSchemaMagic).status());
  PX_ASSIGN_OR_RETURN(const uint16_t format, in.Get<uint16_t>());
  if (format == 0 || format > kSchemaFormat) {
    return FailedPrecondition("schema: format {} is not known, this program reads formats 1 to {}",
                              format, kSchemaFormat);
  }
  PX_ASSIGN_OR_RETURN(TableSchema schema, ReadFields(format, &in));
  const Status valid = Validate(schema);
  if (!valid.ok()) return DataLoss("schema: {}", Message(valid));
  return schema;
}

}  // namespace proxist::column
