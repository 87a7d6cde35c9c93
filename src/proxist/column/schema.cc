// What makes a table's declaration valid, and how one may change.
#include "proxist/column/schema.h"

#include <algorithm>
#include <array>

#include "proxist/base/bytes.h"

namespace proxist::column {
namespace {

constexpr std::array<std::string_view, 7> kSystemColumns{"symbol", "ts",      "seq", "version",
                                                         "shard",  "deleted", "op"};
// The history table of `t` is `t_history`, in the database of its tenant.
constexpr std::string_view kHistorySuffix = "_history";
constexpr std::array<std::string_view, 2> kHistoryDatabases{"system", "information_schema"};

bool IsLower(char c) { return c >= 'a' && c <= 'z'; }
bool IsDigit(char c) { return c >= '0' && c <= '9'; }

Status CheckName(std::string_view what, std::string_view name) {
  if (name.empty()) return InvalidArgument("{}: the name is empty", what);
  if (name.size() > kMaxNameBytes) {
    return InvalidArgument("{} '{}...': the name has {} bytes, at most {} are allowed", what,
                           name.substr(0, 32), name.size(), kMaxNameBytes);
  }
  if (name[0] == '_') {
    return InvalidArgument("{} '{}': names that start with '_' are reserved", what, name);
  }
  const bool plain = IsLower(name[0]) && std::all_of(name.begin(), name.end(), [](char c) {
                       return IsLower(c) || IsDigit(c) || c == '_';
                     });
  if (!plain) {
    return InvalidArgument("{} '{}': a name is a-z, 0-9 and '_', starting with a letter", what,
                           name);
  }
  return OkStatus();
}

Status CheckColumn(const ColumnDef& column) {
  PX_RETURN_IF_ERROR(CheckName("column", column.name));
  if (std::find(kSystemColumns.begin(), kSystemColumns.end(), column.name) !=
      kSystemColumns.end()) {
    return InvalidArgument("column '{}': the name is reserved for a system column", column.name);
  }
  const auto kind = static_cast<uint8_t>(column.type.kind);
  if (kind < static_cast<uint8_t>(TypeKind::kBool) ||
      kind > static_cast<uint8_t>(TypeKind::kSymbol)) {
    return InvalidArgument("column '{}': unknown type {}", column.name, kind);
  }
  const uint8_t limit = column.type.kind == TypeKind::kDecimal ? kMaxDecimalScale : 0;
  if (column.type.scale > limit) {
    return InvalidArgument("column '{}': scale {} is above {}", column.name, column.type.scale,
                           limit);
  }
  return OkStatus();
}

Status CheckSeries(const TableSchema& schema) {
  if (schema.series.size() > kMaxSeriesColumns) {
    return InvalidArgument("series: {} columns, at most {} are allowed", schema.series.size(),
                           kMaxSeriesColumns);
  }
  for (size_t i = 0; i < schema.series.size(); ++i) {
    const size_t index = schema.series[i];
    if (index >= schema.columns.size()) {
      return InvalidArgument("series: there is no column number {}", index);
    }
    const ColumnDef& column = schema.columns[index];
    if (column.type.kind != TypeKind::kSymbol) {
      return InvalidArgument("series column '{}': its type is {}, it must be symbol", column.name,
                             FormatType(column.type));
    }
    if (column.nullable) {
      return InvalidArgument("series column '{}': it must not be nullable", column.name);
    }
    if (std::count(schema.series.begin(), schema.series.end(), index) > 1) {
      return InvalidArgument("series column '{}' is named twice", column.name);
    }
  }
  return OkStatus();
}

std::string_view NameOf(SeqMode mode) {
  return mode == SeqMode::kProducer ? "producer" : "assigned";
}

std::string SeriesNames(const TableSchema& schema) {
  std::string names;
  for (size_t index : schema.series) {
    if (!names.empty()) names += ", ";
    names += schema.columns[index].name;
  }
  return names;
}

Status CheckKeptColumn(const TableSchema& current, const TableSchema& declared, size_t i) {
  const ColumnDef& old = current.columns[i];
  const std::optional<size_t> at = declared.Find(old.name);
  if (!at) return FailedPrecondition("column '{}' is missing: columns can't be dropped", old.name);
  const ColumnDef& now = declared.columns[*at];
  if (*at != i) {
    return FailedPrecondition(
        "column '{}' moved from place {} to {}: columns keep their order, new ones go to the end",
        old.name, i + 1, *at + 1);
  }
  if (now.type != old.type) {
    return FailedPrecondition("column '{}' is {} and can't become {}", old.name,
                              FormatType(old.type), FormatType(now.type));
  }
  if (now.nullable != old.nullable) {
    return FailedPrecondition("column '{}' is {} and can't become {}", old.name,
                              old.nullable ? "nullable" : "not nullable",
                              now.nullable ? "nullable" : "not nullable");
  }
  return OkStatus();
}

Status CheckChange(const TableSchema& current, const TableSchema& declared) {
  if (declared.seq != current.seq) {
    return FailedPrecondition("seq is '{}' and can't become '{}'", NameOf(current.seq),
                              NameOf(declared.seq));
  }
  for (size_t i = 0; i < current.columns.size(); ++i) {
    PX_RETURN_IF_ERROR(CheckKeptColumn(current, declared, i));
  }
  if (declared.series != current.series) {
    return FailedPrecondition("series is [{}] and can't become [{}]", SeriesNames(current),
                              SeriesNames(declared));
  }
  for (size_t i = current.columns.size(); i < declared.columns.size(); ++i) {
    if (!declared.columns[i].nullable) {
      return FailedPrecondition("new column '{}' must be nullable: rows written before have none",
                                declared.columns[i].name);
    }
  }
  return OkStatus();
}

}  // namespace

std::optional<size_t> TableSchema::Find(std::string_view wanted) const {
  for (size_t i = 0; i < columns.size(); ++i) {
    if (columns[i].name == wanted) return i;
  }
  return std::nullopt;
}

std::string_view NameOf(Durability durability) {
  return durability == Durability::kProcess ? "process" : "sync";
}

Status Validate(const TableSchema& schema) {
  PX_RETURN_IF_ERROR(CheckName("table", schema.name));
  const auto in_table = [&](const Status& status) {
    return Annotate(status, fmt::format("table '{}'", schema.name));
  };
  if (std::string_view(schema.name).ends_with(kHistorySuffix)) {
    return InvalidArgument("table '{}': names that end with '{}' are reserved", schema.name,
                           kHistorySuffix);
  }
  PX_RETURN_IF_ERROR(in_table(CheckName("tenant", schema.tenant)));
  if (std::find(kHistoryDatabases.begin(), kHistoryDatabases.end(), schema.tenant) !=
      kHistoryDatabases.end()) {
    return in_table(InvalidArgument("tenant '{}': the name is reserved", schema.tenant));
  }
  if (schema.columns.size() > kMaxColumns) {
    return in_table(
        InvalidArgument("{} columns, at most {} are allowed", schema.columns.size(), kMaxColumns));
  }
  for (size_t i = 0; i < schema.columns.size(); ++i) {
    PX_RETURN_IF_ERROR(in_table(CheckColumn(schema.columns[i])));
    if (schema.Find(schema.columns[i].name) != i) {
      return in_table(InvalidArgument("column '{}' is declared twice", schema.columns[i].name));
    }
  }
  PX_RETURN_IF_ERROR(in_table(CheckSeries(schema)));
  if (schema.seq != SeqMode::kProducer && schema.seq != SeqMode::kAssigned) {
    return in_table(InvalidArgument("seq must be producer or assigned"));
  }
  if (schema.durability != Durability::kSync && schema.durability != Durability::kProcess) {
    return in_table(InvalidArgument("durability must be sync or process"));
  }
  if (schema.hot_retain < Duration()) {
    return in_table(InvalidArgument("hot retention is negative ({} ns)", schema.hot_retain.ns()));
  }
  if (schema.hot_memory_bytes != 0 && schema.hot_memory_bytes < kLeastHotMemoryBytes) {
    return in_table(InvalidArgument("a hot memory of {} bytes is below the least one of {}",
                                    schema.hot_memory_bytes, kLeastHotMemoryBytes));
  }
  return OkStatus();
}

StatusOr<SchemaPtr> Evolve(const SchemaPtr& current, TableSchema declared, TableId fresh_id) {
  PX_RETURN_IF_ERROR(Validate(declared));
  uint32_t next_id = 1;
  if (current == nullptr) {
    declared.id = fresh_id;
    declared.version = SchemaVersion(1);
    for (ColumnDef& column : declared.columns) column.id = ColumnId(next_id++);
    return std::make_shared<const TableSchema>(std::move(declared));
  }
  if (declared.tenant != current->tenant || declared.name != current->name) {
    return FailedPrecondition("table '{}.{}' can't become '{}.{}'", current->tenant, current->name,
                              declared.tenant, declared.name);
  }
  PX_RETURN_IF_ERROR(
      Annotate(CheckChange(*current, declared), fmt::format("table '{}'", current->name)));
  declared.id = current->id;
  declared.version = current->version;
  for (size_t i = 0; i < declared.columns.size(); ++i) {
    const bool kept = i < current->columns.size();
    declared.columns[i].id = kept ? current->columns[i].id : ColumnId(next_id);
    next_id = std::max(next_id, declared.columns[i].id.value() + 1);
  }
  if (declared == *current) return current;
  declared.version = current->version.Next();
  return std::make_shared<const TableSchema>(std::move(declared));
}

SlotId SlotOf(std::string_view tenant, std::string_view symbol) {
  std::string key;
  key.reserve(tenant.size() + 1 + symbol.size());
  key.append(tenant).append(1, '\0').append(symbol);
  return SlotId(static_cast<uint16_t>(Checksum(AsBytes(key)) % kSlotCount));
}

}  // namespace proxist::column
