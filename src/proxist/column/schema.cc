// What makes a table's declaration valid, and how one may change.
#include "proxist/column/schema.h"

#include <algorithm>
#include <array>

#include "proxist/base/bytes.h"
#include "proxist/column/widen.h"

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

/// Its names and those of others of `schema` before place `i`.
Status CheckNames(const TableSchema& schema, size_t i) {
  const ColumnDef& column = schema.columns[i];
  std::vector<std::string> names = column.aliases;
  names.push_back(column.name);
  if (column.aliases.size() > kMaxAliases) {
    return InvalidArgument("column '{}': {} aliases, at most {} are kept", column.name,
                           column.aliases.size(), kMaxAliases);
  }
  for (const std::string& name : names) {
    PX_RETURN_IF_ERROR(CheckName("column", name));
    if (std::ranges::find(kSystemColumns, name) != kSystemColumns.end()) {
      return InvalidArgument("column '{}': the name is reserved for a system column", name);
    }
    if (std::ranges::count(names, name) > 1) {
      return InvalidArgument("column '{}' is declared twice", name);
    }
    for (size_t before = 0; before < i; ++before) {
      const ColumnDef& other = schema.columns[before];
      if (other.name != name && std::ranges::find(other.aliases, name) == other.aliases.end()) {
        continue;
      }
      if (other.dropped) {
        return InvalidArgument(
            "column '{}': a column of this name was dropped, and names are not "
            "given again",
            name);
      }
      return InvalidArgument("column '{}' is declared twice", name);
    }
  }
  return OkStatus();
}

Status CheckType(const ColumnDef& old, const ColumnDef& now) {
  if (now.type != old.type && !Widens(old.type, now.type)) {
    return FailedPrecondition("column '{}' is {} and can't become {}: {}", old.name,
                              FormatType(old.type), FormatType(now.type),
                              WhyNotWiden(old.type, now.type));
  }
  if (now.nullable != old.nullable) {
    return FailedPrecondition("column '{}' is {} and can't become {}", old.name,
                              old.nullable ? "nullable" : "not nullable",
                              now.nullable ? "nullable" : "not nullable");
  }
  return OkStatus();
}

/// `old` as `now` declares it.
ColumnDef Changed(const ColumnDef& old, const ColumnDef& now) {
  ColumnDef out = old;
  out.type = now.type;
  if (now.name != old.name) {
    std::erase(out.aliases, now.name);
    out.aliases.push_back(old.name);
    out.name = now.name;
    const std::string first = HistoryNameOf(old);
    out.first_name = first == out.name ? "" : first;
  }
  for (const std::string& alias : now.aliases) {
    if (alias == out.name || std::ranges::find(out.aliases, alias) != out.aliases.end()) continue;
    out.aliases.push_back(alias);
  }
  return out;
}

/// The place in `current` of what `now` declares: by its name, or by its aliases.
std::optional<size_t> PlaceOf(const TableSchema& current, const ColumnDef& now) {
  std::optional<size_t> at = current.Find(now.name);
  for (size_t i = 0; i < now.aliases.size() && !at; ++i) at = current.Find(now.aliases[i]);
  return at;
}

Status CheckDrops(const TableSchema& current, const std::vector<bool>& kept, Drops drops) {
  for (size_t i = 0; i < kept.size(); ++i) {
    const ColumnDef& old = current.columns[i];
    if (kept[i] || old.dropped) continue;
    if (std::ranges::find(current.series, i) != current.series.end()) {
      return FailedPrecondition("column '{}' is missing: series columns can't be dropped",
                                old.name);
    }
    if (drops == Drops::kRefused) {
      return FailedPrecondition(
          "column '{}' is missing: dropping it takes its values away for good, and has to be "
          "confirmed (pxctl apply --confirm-drop)",
          old.name);
    }
  }
  return OkStatus();
}

/// The columns that result, and in `places` where those declared stand among them.
StatusOr<std::vector<ColumnDef>> EvolveColumns(const TableSchema& current,
                                               const TableSchema& declared, Drops drops,
                                               std::vector<size_t>* places) {
  std::vector<bool> kept(current.columns.size(), false);
  for (const ColumnDef& now : declared.columns) {
    const std::optional<size_t> at = now.dropped ? std::nullopt : PlaceOf(current, now);
    if (!at) continue;
    if (kept[*at]) {
      return FailedPrecondition("column '{}' is declared twice, the second time as '{}'",
                                current.columns[*at].name, now.name);
    }
    kept[*at] = true;
  }
  PX_RETURN_IF_ERROR(CheckDrops(current, kept, drops));
  std::vector<ColumnDef> columns = current.columns;
  uint32_t next_id = 1;
  for (const ColumnDef& old : columns) next_id = std::max(next_id, old.id.value() + 1);
  size_t least = 0;  // the place that the next one may have
  for (size_t i = 0; i < declared.columns.size(); ++i) {
    const ColumnDef& now = declared.columns[i];
    const std::optional<size_t> at = now.dropped ? std::nullopt : PlaceOf(current, now);
    if (at && *at < least) {
      return FailedPrecondition(
          "column '{}' moved from place {} to {}: columns keep their order, new ones go to the end",
          current.columns[*at].name, *at + 1, i + 1);
    }
    if (at) {
      PX_RETURN_IF_ERROR(CheckType(current.columns[*at], now));
      columns[*at] = Changed(current.columns[*at], now);
      least = *at + 1;
    } else if (!now.dropped) {
      if (!now.nullable) {
        return FailedPrecondition("new column '{}' must be nullable: rows written before have none",
                                  now.name);
      }
      columns.push_back(now);
      columns.back().id = ColumnId(next_id++);
      columns.back().first_name.clear();
      least = columns.size();
    }
    places->push_back(at ? *at : columns.size() - 1);
  }
  for (size_t i = 0; i < kept.size(); ++i) {
    if (kept[i]) continue;
    columns[i].dropped = true;
    columns[i].nullable = true;  // rows from now on have none
  }
  return columns;
}

Status CheckChange(const TableSchema& current, const TableSchema& declared,
                   const std::vector<size_t>& places) {
  if (declared.seq != current.seq) {
    return FailedPrecondition("seq is '{}' and can't become '{}'", NameOf(current.seq),
                              NameOf(declared.seq));
  }
  if (declared.versions != current.versions) {
    return FailedPrecondition("versions is '{}' and can't become '{}': declare another table",
                              NameOf(current.versions), NameOf(declared.versions));
  }
  std::vector<size_t> series;
  for (const size_t index : declared.series) series.push_back(places[index]);
  if (series != current.series) {
    return FailedPrecondition("series is [{}] and can't become [{}]", SeriesNames(current),
                              SeriesNames(declared));
  }
  return OkStatus();
}

}  // namespace

std::optional<size_t> TableSchema::Find(std::string_view wanted) const {
  for (size_t i = 0; i < columns.size(); ++i) {
    if (columns[i].name == wanted && !columns[i].dropped) return i;
  }
  for (size_t i = 0; i < columns.size(); ++i) {
    const std::vector<std::string>& aliases = columns[i].aliases;
    if (aliases.empty() || columns[i].dropped) continue;
    if (std::ranges::find(aliases, wanted) != aliases.end()) return i;
  }
  return std::nullopt;
}

bool TableSchema::SameColumns(const TableSchema& other) const {
  return other.columns.size() <= columns.size() &&
         std::equal(other.columns.begin(), other.columns.end(), columns.begin());
}

std::string_view NameOf(Versions versions) { return versions == Versions::kAll ? "all" : "latest"; }

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
    PX_RETURN_IF_ERROR(in_table(CheckNames(schema, i)));
    PX_RETURN_IF_ERROR(in_table(CheckColumn(schema.columns[i])));
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
  if (schema.versions != Versions::kLatest && schema.versions != Versions::kAll) {
    return in_table(InvalidArgument("versions must be latest or all"));
  }
  constexpr int64_t kDay = Duration::Hours(24).ns();
  if (schema.history_retain < Duration() || schema.history_retain > kMaxHistoryRetain ||
      schema.history_retain.ns() % kDay != 0) {
    return in_table(
        InvalidArgument("a history retention of {} is no whole number of days, 100 "
                        "years at most",
                        FormatDuration(schema.history_retain)));
  }
  if (schema.hot_memory_bytes != 0 && schema.hot_memory_bytes < kLeastHotMemoryBytes) {
    return in_table(InvalidArgument("a hot memory of {} bytes is below the least one of {}",
                                    schema.hot_memory_bytes, kLeastHotMemoryBytes));
  }
  return OkStatus();
}

StatusOr<SchemaPtr> Evolve(const SchemaPtr& current, TableSchema declared, TableId fresh_id,
                           Drops drops) {
  PX_RETURN_IF_ERROR(Validate(declared));
  if (current == nullptr) {
    uint32_t next_id = 1;
    declared.id = fresh_id;
    declared.version = SchemaVersion(1);
    for (ColumnDef& column : declared.columns) {
      column.id = ColumnId(next_id++);
      column.first_name.clear();
    }
    return std::make_shared<const TableSchema>(std::move(declared));
  }
  if (declared.tenant != current->tenant || declared.name != current->name) {
    return FailedPrecondition("table '{}.{}' can't become '{}.{}'", current->tenant, current->name,
                              declared.tenant, declared.name);
  }
  const std::string where = fmt::format("table '{}'", current->name);
  std::vector<size_t> places;
  StatusOr<std::vector<ColumnDef>> columns = EvolveColumns(*current, declared, drops, &places);
  PX_RETURN_IF_ERROR(Annotate(columns.status(), where));
  PX_RETURN_IF_ERROR(Annotate(CheckChange(*current, declared, places), where));
  declared.columns = *std::move(columns);
  declared.series = current->series;
  declared.id = current->id;
  declared.version = current->version;
  if (declared == *current) return current;
  PX_RETURN_IF_ERROR(Validate(declared));
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
