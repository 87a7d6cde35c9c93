// Every name and value is quoted here, so that no text from outside becomes SQL.
#include "proxist/history/internal/sql.h"

#include <algorithm>
#include <charconv>

#include "proxist/history/internal/push_down_sql.h"
#include "proxist/history/monitor.h"

namespace proxist::history {
namespace {

using column::HistoryNameOf;
using column::Type;
using column::TypeKind;

std::string ScalarName(Type type) {
  switch (type.kind) {
    case TypeKind::kBool:
      return "Bool";
    case TypeKind::kInt8:
      return "Int8";
    case TypeKind::kInt16:
      return "Int16";
    case TypeKind::kInt32:
      return "Int32";
    case TypeKind::kInt64:
      return "Int64";
    case TypeKind::kUint8:
      return "UInt8";
    case TypeKind::kUint16:
      return "UInt16";
    case TypeKind::kUint32:
      return "UInt32";
    case TypeKind::kUint64:
      return "UInt64";
    case TypeKind::kFloat32:
      return "Float32";
    case TypeKind::kFloat64:
      return "Float64";
    case TypeKind::kDecimal:
      return fmt::format("Decimal(18, {})", type.scale);
    case TypeKind::kTimestamp:
      return "DateTime64(9, 'UTC')";
    case TypeKind::kString:
    case TypeKind::kSymbol:
      return "String";
  }
  return "";
}

// An acknowledged insert survives power loss, and one that is sent again is known by its token.
// Sparse serialization takes -0.0 for the default value and gives back 0.0, so it is off.
constexpr std::string_view kTableSettings =
    "fsync_after_insert = 1, fsync_part_directory = 1, non_replicated_deduplication_window = 1000, "
    "ratio_of_defaults_for_sparse_serialization = 1, ttl_only_drop_parts = 1";

// Parts are merged ten at a time, not five, so that each row is written anew a third less often: as
// long as many more may wait, since fewer than ten of one size are left alone for an hour.
constexpr MergeSetting kWideMerges{"merge_selector_base", "10"};
constexpr uint32_t kPartsOfWideMerges = 100;
// Statistics of columns, which merges make and no query of Proxist reads, take a fifth of a merge.
constexpr MergeSetting kNoStatistics{"auto_statistics_types", "''"};

// From the first day below the floor that queries keep to until ClickHouse may delete it: queries
// that began before, and clocks that differ, are over by then.
constexpr int64_t kDaysBehindFloor = 2;

HistoryColumn MakeColumn(std::string_view name, Type type, bool nullable = false) {
  return {std::string(name), TypeName(type, nullable), type, nullable};
}

std::vector<HistoryColumn> KeyColumns() {
  return {MakeColumn("symbol", {TypeKind::kSymbol}), MakeColumn("ts", {TypeKind::kTimestamp}),
          MakeColumn("seq", {TypeKind::kUint64})};
}

std::string Instant(Timestamp ts) {
  const Timestamp clamped = std::clamp(ts, kMinRowTimestamp, kMaxRowTimestamp);
  return fmt::format("fromUnixTimestamp64Nano(toInt64({}), 'UTC')", clamped.ns());
}

}  // namespace

std::string OrderBy(const column::TableSchema& schema) {
  std::string out = "`symbol`, `ts`, `seq`";
  for (const size_t index : schema.series) {
    out += ", " + QuoteName(HistoryNameOf(schema.columns[index]));
  }
  return out;
}

std::string NameList(const std::vector<HistoryColumn>& columns) {
  std::string out;
  for (const HistoryColumn& c : columns) out += (out.empty() ? "" : ", ") + QuoteName(c.name);
  return out;
}

std::string QuoteName(std::string_view name) {
  std::string out = "`";
  for (const char c : name) {
    if (c == '`' || c == '\\') out += '\\';
    out += c;
  }
  return out + '`';
}

std::string QuoteText(std::string_view text) {
  static constexpr char kHex[] = "0123456789abcdef";
  std::string out = "'";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte > 0x7e || c == '\'' || c == '\\') {
      out += "\\x";
      out += kHex[byte >> 4];
      out += kHex[byte & 15];
    } else {
      out += c;
    }
  }
  return out + '\'';
}

std::string TypeName(Type type, bool nullable) {
  std::string name = ScalarName(type);
  if (nullable) name = "Nullable(" + name + ")";
  if (type.kind == TypeKind::kSymbol) name = "LowCardinality(" + name + ")";
  return name;
}

std::vector<HistoryColumn> HistoryColumns(const column::TableSchema& schema) {
  std::vector<HistoryColumn> out = KeyColumns();
  for (const column::ColumnDef& def : schema.columns) {
    if (def.dropped) continue;
    out.push_back(MakeColumn(HistoryNameOf(def), def.type, def.nullable));
  }
  out.push_back(MakeColumn("version", {TypeKind::kUint64}));
  out.push_back(MakeColumn("shard", {TypeKind::kUint16}));
  out.push_back(MakeColumn("deleted", {TypeKind::kUint8}));
  if (schema.versions == column::Versions::kAll) {
    out.push_back(MakeColumn("published", {TypeKind::kTimestamp}));
  }
  return out;
}

std::vector<HistoryColumn> ReadColumns(const column::TableSchema& schema,
                                       const std::vector<size_t>& declared) {
  std::vector<HistoryColumn> out = KeyColumns();
  for (const size_t index : declared) {
    const column::ColumnDef& def = schema.columns[index];
    out.push_back(MakeColumn(HistoryNameOf(def), def.type, def.nullable));
  }
  out.push_back(MakeColumn("version", {TypeKind::kUint64}));
  out.push_back(MakeColumn("deleted", {TypeKind::kUint8}));
  return out;
}

std::string TableName(const column::TableSchema& schema) {
  return QuoteName(schema.tenant) + "." + QuoteName(schema.name + "_history");
}

std::string TableOrder(const column::TableSchema& schema) {
  const bool all = schema.versions == column::Versions::kAll;
  return OrderBy(schema) + (all ? ", `version`" : "");
}

std::string SortingKey(const column::TableSchema& schema) {
  std::string out = TableOrder(schema);
  std::erase(out, '`');
  return out;
}

std::string KnownMergeSettingsSql() {
  return fmt::format(
      "SELECT name FROM system.merge_tree_settings WHERE name IN ({}, {}) FORMAT TabSeparated",
      QuoteText(kWideMerges.name), QuoteText(kNoStatistics.name));
}

std::vector<MergeSetting> MergeSettings(uint32_t part_limit) {
  std::vector<MergeSetting> settings = {kNoStatistics};
  if (part_limit >= kPartsOfWideMerges) settings.push_back(kWideMerges);
  return settings;
}

std::vector<std::string> MergeSettingChanges(std::span<const MergeSetting> wanted,
                                             std::string_view present) {
  // "10" must not be found in "100".
  const std::string all = fmt::format(" {},", present);
  const auto has = [&](std::string_view what) {
    return all.find(fmt::format(" {}", what)) != all.npos;
  };
  std::vector<std::string> changes;
  for (const MergeSetting& setting : wanted) {
    if (has(fmt::format("{} = ", setting.name))) continue;
    changes.push_back(fmt::format("MODIFY SETTING {} = {}", setting.name, setting.value));
  }
  const bool wide =
      std::ranges::find(wanted, kWideMerges.name, &MergeSetting::name) != wanted.end();
  if (!wide && has(fmt::format("{} = {},", kWideMerges.name, kWideMerges.value))) {
    changes.push_back(fmt::format("RESET SETTING {}", kWideMerges.name));
  }
  return changes;
}

std::string CreateTableSql(const column::TableSchema& schema,
                           std::span<const MergeSetting> merge_settings) {
  std::string settings(kTableSettings);
  for (const MergeSetting& setting : merge_settings) {
    settings += fmt::format(", {} = {}", setting.name, setting.value);
  }
  std::string columns;
  for (const HistoryColumn& c : HistoryColumns(schema)) {
    columns +=
        fmt::format("{}{} {}", columns.empty() ? "" : ", ", QuoteName(c.name), c.clickhouse_type);
  }
  const std::string retention = RetentionOf(schema);
  return fmt::format(
      "CREATE TABLE IF NOT EXISTS {} ({}) ENGINE = {} PARTITION BY toDate(`ts`) ORDER BY ({}){} "
      "SETTINGS {} COMMENT {}",
      TableName(schema), columns,
      schema.versions == column::Versions::kAll ? "MergeTree" : "ReplacingMergeTree(`version`)",
      TableOrder(schema), retention.empty() ? "" : " TTL " + retention, settings,
      QuoteText(VersionComment(schema)));
}

std::string VersionComment(const column::TableSchema& schema) {
  return fmt::format("{}{}", kVersionComment, schema.version.value());
}

std::string RetentionOf(const column::TableSchema& schema) {
  if (schema.history_retain == Duration()) return "";
  const int64_t days = schema.history_retain.ns() / Duration::Hours(24).ns();
  return fmt::format("{}{})", kRetentionBegin, days + kDaysBehindFloor);
}

std::string AlterTableSql(const column::TableSchema& schema, const std::string& change) {
  return fmt::format("ALTER TABLE {} {}", TableName(schema), change);
}

std::string InsertSql(const column::TableSchema& schema) {
  return fmt::format("INSERT INTO {} ({}) FORMAT Native", TableName(schema),
                     NameList(HistoryColumns(schema)));
}

std::string LastKnownSql(const column::TableSchema& schema, ShardId shard, Timestamp at,
                         Lsn through) {
  return fmt::format(
      "SELECT if(count() = 0, toUInt64({0}), min(`version`) - 1) FROM {1} WHERE `shard` = {2} AND "
      "`version` <= {0} AND `published` > {3} FORMAT TabSeparated",
      through.value(), TableName(schema), shard.value(), Instant(at));
}

std::string CountVersionsSql(const InsertIntent& intent) {
  std::string ranges;
  for (const LsnRange& range : intent.ranges) {
    ranges += fmt::format("{}(`shard` = {} AND `version` BETWEEN {} AND {})",
                          ranges.empty() ? "" : " OR ", range.shard.value(), range.first.value(),
                          range.last.value());
  }
  if (ranges.empty()) ranges = "0";
  return fmt::format(
      "SELECT uniqExact(`shard`, `version`) FROM {} WHERE toDate(`ts`) = toDate({}) AND ({}) "
      "FORMAT TabSeparated",
      TableName(*intent.schema), QuoteText(FormatDay(intent.day)), ranges);
}

std::string FromHex(std::string_view hex) {
  std::string out;
  for (size_t i = 0; i + 1 < hex.size(); i += 2) {
    unsigned byte = 0;
    std::from_chars(hex.data() + i, hex.data() + i + 2, byte, 16);
    out += static_cast<char>(byte);
  }
  return out;
}

std::string LoadSql() {
  return fmt::format(
      "SELECT database, replaceRegexpOne(table, '_history$', ''), toUInt16(toDate(partition)), "
      "count() AS parts FROM system.parts WHERE active AND endsWith(table, '_history') AND "
      "match(partition, '^[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}$') GROUP BY 1, 2, 3 HAVING parts > {} "
      "UNION ALL SELECT '', event, 0, value FROM system.events WHERE event IN "
      "('DelayedInserts', 'RejectedInserts') FORMAT TabSeparated",
      HistoryLoad::kFewParts);
}

std::string VersionsSql(const column::TableSchema& schema, ShardId shard, Day day) {
  return fmt::format(
      "SELECT DISTINCT `version` FROM {} WHERE toDate(`ts`) = toDate({}) AND `shard` = {} ORDER BY "
      "`version` FORMAT RowBinary",
      TableName(schema), QuoteText(FormatDay(day)), shard.value());
}

std::string SelectedVersions(const ReadRequest& request) {
  std::string symbols;
  for (const std::string& symbol : request.symbols) {
    symbols += (symbols.empty() ? "" : ",") + QuoteText(symbol);
  }
  return fmt::format(
      "`shard` = {} AND `symbol` IN ({}) AND `ts` >= {} AND `ts` <= {} AND `version` <= {}",
      request.shard.value(), symbols, Instant(request.from), Instant(request.to),
      request.max_version.value());
}

std::string ReadSql(const ReadRequest& request, const std::vector<size_t>& declared) {
  const column::TableSchema& schema = *request.schema;
  const std::string names = NameList(ReadColumns(schema, declared));
  if (request.push_down.has_value()) {
    return fmt::format("SELECT {} FROM ({}) ORDER BY {} LIMIT {} FORMAT Native", names,
                       ResolvedSql(request, declared), OrderBy(schema), request.max_rows + 1);
  }
  return fmt::format("SELECT {} FROM {} WHERE {} ORDER BY {}, `version` LIMIT {} FORMAT Native",
                     names, TableName(schema), SelectedVersions(request), OrderBy(schema),
                     request.max_rows + 1);
}

}  // namespace proxist::history
