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
  bool operator==(const ColumnDef&) const = default;
};

/// Values are durable.
enum class SeqMode : uint8_t { kProducer = 1, kAssigned = 2 };

/// What a batch survives when it is acked: power loss, or only the end of the server's process.
/// Values are durable.
enum class Durability : uint8_t { kSync = 1, kProcess = 2 };

inline constexpr size_t kMaxSeriesColumns = 3;
inline constexpr size_t kMaxColumns = 256;
inline constexpr size_t kMaxNameBytes = 128;
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
  bool operator==(const TableSchema&) const = default;

  /// The index of `name` in columns, or nothing.
  [[nodiscard]] std::optional<size_t> Find(std::string_view name) const;
};
using SchemaPtr = std::shared_ptr<const TableSchema>;

/// "sync" and "process".
std::string_view NameOf(Durability durability);

/// Names ([a-z_][a-z0-9_]*, not a system column), types, series and bounds. INVALID_ARGUMENT says
/// which declaration is wrong and why.
Status Validate(const TableSchema& schema);

/// The schema that results when `declared` is applied over `current` (nullptr: a new table with
/// `fresh_id`). Same content gives `current` back. Allowed: adding nullable columns at the end,
/// changing hot_retain, hot_memory_bytes and durability. Anything else is FAILED_PRECONDITION with
/// the column and the reason.
StatusOr<SchemaPtr> Evolve(const SchemaPtr& current, TableSchema declared, TableId fresh_id);

/// One flat little-endian encoding, used by the log and the metadata store (FORMAT.md).
std::vector<std::byte> EncodeSchema(const TableSchema& schema);
StatusOr<TableSchema> DecodeSchema(std::span<const std::byte> bytes);

/// hash(tenant, symbol) mod kSlotCount: XXH3-64 over tenant, a zero byte, symbol. Durable: never
/// changes.
SlotId SlotOf(std::string_view tenant, std::string_view symbol);

}  // namespace proxist::column
