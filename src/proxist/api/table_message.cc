// Table declarations between the wire and the domain.
#include "proxist/api/table_message.h"

#include "proxist/api/column_message.h"
#include "proxist/v1/proxist.pb.h"

namespace proxist::api {

using column::ColumnDef;
using column::SeqMode;
using column::TableSchema;

StatusOr<column::Durability> DecodeDurability(v1::Durability message) {
  switch (message) {
    case v1::DURABILITY_UNSPECIFIED:
    case v1::DURABILITY_SYNC:
      return column::Durability::kSync;
    case v1::DURABILITY_PROCESS:
      return column::Durability::kProcess;
    default:
      return InvalidArgument("durability {} is not known", static_cast<int>(message));
  }
}

v1::Durability EncodeDurability(column::Durability durability) {
  return durability == column::Durability::kProcess ? v1::DURABILITY_PROCESS : v1::DURABILITY_SYNC;
}

StatusOr<TableSchema> DecodeTable(const v1::Table& message) {
  TableSchema schema;
  if (!message.tenant().empty()) schema.tenant = message.tenant();
  schema.name = message.name();
  for (const v1::ColumnDef& declared : message.columns()) {
    StatusOr<column::Type> type = DecodeType(declared.type());
    if (!type.ok()) {
      return Annotate(type.status(),
                      fmt::format("table {}: column {}", message.name(), declared.name()));
    }
    schema.columns.push_back({ColumnId(static_cast<uint32_t>(schema.columns.size() + 1)),
                              declared.name(), *type, declared.nullable()});
    schema.columns.back().aliases.assign(declared.aliases().begin(), declared.aliases().end());
  }
  for (const std::string& name : message.series()) {
    const std::optional<size_t> index = schema.Find(name);
    if (!index) {
      return InvalidArgument("table {}: series column {} is not declared", message.name(), name);
    }
    schema.series.push_back(*index);
  }
  switch (message.seq()) {
    case v1::SEQ_MODE_UNSPECIFIED:
    case v1::SEQ_MODE_PRODUCER:
      schema.seq = SeqMode::kProducer;
      break;
    case v1::SEQ_MODE_ASSIGNED:
      schema.seq = SeqMode::kAssigned;
      break;
    default:
      return InvalidArgument("table {}: seq mode {} is not known", message.name(),
                             static_cast<int>(message.seq()));
  }
  StatusOr<column::Durability> durability = DecodeDurability(message.durability());
  if (!durability.ok()) {
    return Annotate(durability.status(), fmt::format("table {}", message.name()));
  }
  schema.durability = *durability;
  if (message.hot_retain_ns() < 0) {
    return InvalidArgument("table {}: a hot retention of {} ns is negative", message.name(),
                           message.hot_retain_ns());
  }
  if (message.hot_retain_ns() > 0) schema.hot_retain = Duration(message.hot_retain_ns());
  schema.hot_memory_bytes = message.hot_memory_bytes();
  schema.history_retain = Duration(message.history_retain_ns());
  if (message.versions() < v1::VERSIONS_UNSPECIFIED || message.versions() > v1::VERSIONS_ALL) {
    return InvalidArgument("table {}: versions {} is not known", message.name(),
                           static_cast<int>(message.versions()));
  }
  if (message.versions() == v1::VERSIONS_ALL) schema.versions = column::Versions::kAll;
  return schema;
}

void EncodeTable(const TableSchema& schema, v1::Table* message) {
  message->set_tenant(schema.tenant);
  message->set_name(schema.name);
  for (size_t index : schema.series) message->add_series(schema.columns[index].name);
  for (const ColumnDef& column : schema.columns) {
    if (column.dropped) continue;
    v1::ColumnDef* out = message->add_columns();
    for (const std::string& alias : column.aliases) out->add_aliases(alias);
    out->set_name(column.name);
    EncodeType(column.type, out->mutable_type());
    out->set_nullable(column.nullable);
  }
  message->set_seq(schema.seq == SeqMode::kAssigned ? v1::SEQ_MODE_ASSIGNED
                                                    : v1::SEQ_MODE_PRODUCER);
  message->set_hot_retain_ns(schema.hot_retain.ns());
  message->set_hot_memory_bytes(schema.hot_memory_bytes);
  message->set_version(schema.version.value());
  message->set_history_retain_ns(schema.history_retain.ns());
  message->set_versions(schema.versions == column::Versions::kAll ? v1::VERSIONS_ALL
                                                                  : v1::VERSIONS_LATEST);
  message->set_durability(EncodeDurability(schema.durability));
}

}  // namespace proxist::api
