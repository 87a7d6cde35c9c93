// What a table looks like: its columns, what makes a series, how seq is given.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "proxist/base/ids.h"
#include "proxist/base/status.h"
#include "proxist/base/time.h"
#include "proxist/column/type.h"

namespace proxist::column {

/// A typed column beyond symbol, ts and seq, which every table has.
struct ColumnDef {
  ColumnId id;  // 1.. in order of declaration; stable, never reused
  std::string name;
  Type type;
  bool nullable = false;
  /// Its values are gone for queries; its place, id and names are not given again.
  bool dropped = false;
  /// Earlier names, which go on standing for it.
  std::vector<std::string> aliases = {};
  /// The name of its first version when that is another one: history's tables keep to it.
  std::string first_name = {};
  bool operator==(const ColumnDef&) const = default;
};

/// Values are durable.
enum class SeqMode : uint8_t { kProducer = 1, kAssigned = 2 };

/// What a batch survives when it is acked: power loss, or only the end of the server's process.
/// Values are durable.
enum class Durability : uint8_t { kSync = 1, kProcess = 2 };

/// Which versions of a key history keeps. Values are durable.
enum class Versions : uint8_t { kLatest = 1, kAll = 2 };

inline constexpr size_t kMaxSeriesColumns = 3;
inline constexpr size_t kMaxColumns = 256;
inline constexpr size_t kMaxNameBytes = 128;
inline constexpr size_t kMaxAliases = 16;
inline constexpr Duration kMaxHistoryRetain = Duration::Hours(24 * 36'500);
inline constexpr uint64_t kLeastHotMemoryBytes = uint64_t{1} << 20;
inline constexpr std::string_view kDefaultTenant = "default";

/// One version of a table's schema. Immutable once shared; a change makes a new one.
struct TableSchema {
  TableId id;
  SchemaVersion version{1};
  std::string tenant{kDefaultTenant};
  std::string name;
  std::vector<ColumnDef> columns;
  std::vector<size_t> series;  // indices into columns: symbol type, not nullable, at most 3
  SeqMode seq = SeqMode::kProducer;
  Duration hot_retain = Duration::Hours(24);  // counted from publication
  uint64_t hot_memory_bytes = 0;              // limit of its rows' memory on a node; 0: none
  Durability durability = Durability::kSync;  // of the acks of batches decoded with this version
  Duration history_retain;                    // whole days by ts; zero: without end
  Versions versions = Versions::kLatest;
  bool operator==(const TableSchema&) const = default;

  /// The index in columns of the one that `name` or an alias names now, or nothing.
  [[nodiscard]] std::optional<size_t> Find(std::string_view name) const;
  /// True when `other`, another version of the table, has columns of the same types and names, or
  /// fewer.
  [[nodiscard]] bool SameColumns(const TableSchema& other) const;
};
using SchemaPtr = std::shared_ptr<const TableSchema>;

/// "sync" and "process".
std::string_view NameOf(Durability durability);
/// "latest" and "all".
std::string_view NameOf(Versions versions);
/// The column's name in history's tables.
inline const std::string& HistoryNameOf(const ColumnDef& column) {
  return column.first_name.empty() ? column.name : column.first_name;
}

/// Names ([a-z_][a-z0-9_]*, not a system column), types, series and bounds. INVALID_ARGUMENT says
/// which declaration is wrong and why.
Status Validate(const TableSchema& schema);

/// Whether columns that a declaration leaves out may go with all their values.
enum class Drops : uint8_t { kRefused, kConfirmed };

/// The schema that results when `declared` is applied over `current` (nullptr: a new table with
/// `fresh_id`). Same content gives `current` back. Allowed: adding nullable columns at the end,
/// wider types (Widens), other names for columns whose present name is declared as an alias,
/// leaving columns out if `drops` are confirmed, changing hot_retain, hot_memory_bytes, durability
/// and history_retain. Anything else is FAILED_PRECONDITION with the column and the reason. Columns
/// keep their places, dropped ones too; aliases stay.
StatusOr<SchemaPtr> Evolve(const SchemaPtr& current, TableSchema declared, TableId fresh_id,
                           Drops drops = Drops::kRefused);

/// One flat little-endian encoding, used by the log and the metadata store (FORMAT.md).
std::vector<std::byte> EncodeSchema(const TableSchema& schema);
StatusOr<TableSchema> DecodeSchema(std::span<const std::byte> bytes);

/// hash(tenant, symbol) mod kSlotCount: XXH3-64 over tenant, a zero byte, symbol. Durable: never
/// changes.
SlotId SlotOf(std::string_view tenant, std::string_view symbol);

}  // namespace proxist::column
