// The statements that Proxist sends, and ClickHouse's names for its types.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "proxist/column/schema.h"
#include "proxist/history/history.h"

namespace proxist::history {

/// A column of a history table, as ClickHouse describes it.
struct HistoryColumn {
  std::string name;
  std::string clickhouse_type;  // in ClickHouse's own spelling
  column::Type type;
  bool nullable = false;
};

/// `name` as an identifier, in backticks.
std::string QuoteName(std::string_view name);
/// Any bytes as a string literal of printable ASCII.
std::string QuoteText(std::string_view text);

/// "Nullable(Decimal(18, 4))", "LowCardinality(String)", ... as system.columns spells them.
std::string TypeName(column::Type type, bool nullable);

/// symbol, ts, seq, the declared columns that were not dropped, version, shard, deleted, and where
/// all versions are kept published: the order of an insert.
std::vector<HistoryColumn> HistoryColumns(const column::TableSchema& schema);
/// What a read selects: symbol, ts, seq, the `declared` columns, version, deleted.
std::vector<HistoryColumn> ReadColumns(const column::TableSchema& schema,
                                       const std::vector<size_t>& declared);

/// "`symbol`, `ts`": the columns' names.
std::string NameList(const std::vector<HistoryColumn>& columns);
/// "`symbol`, `ts`, `seq`, `venue`"
std::string OrderBy(const column::TableSchema& schema);
/// The versions that a read takes, as a condition.
std::string SelectedVersions(const ReadRequest& request);

/// `tenant`.`name_history`, quoted.
std::string TableName(const column::TableSchema& schema);
/// What rows of one key and versions are ordered by: OrderBy, and the version where all are kept.
std::string TableOrder(const column::TableSchema& schema);
/// "symbol, ts, seq, venue": the table's ORDER BY as system.tables spells it, without quotes.
std::string SortingKey(const column::TableSchema& schema);

/// A setting of tables that spares merges work.
struct MergeSetting {
  std::string_view name;
  std::string_view value;  // as SQL
};
/// Those that suit at most so many active parts of a partition.
std::vector<MergeSetting> MergeSettings(uint32_t part_limit);
/// The names of those that the server knows: a row for each.
std::string KnownMergeSettingsSql();
/// What brings a table with the settings `present`, "a = 1, b = 2", to these. Other values stay, as
/// somebody's choice.
std::vector<std::string> MergeSettingChanges(std::span<const MergeSetting> wanted,
                                             std::string_view present);

/// CREATE TABLE IF NOT EXISTS; inserts into it are durable when they are acknowledged.
std::string CreateTableSql(const column::TableSchema& schema,
                           std::span<const MergeSetting> merge_settings);
/// How RetentionOf begins.
inline constexpr std::string_view kRetentionBegin = "toDate(ts) + toIntervalDay(";
/// "toDate(ts) + toIntervalDay(92)": when ClickHouse deletes a day, as it spells it itself; empty:
/// never.
std::string RetentionOf(const column::TableSchema& schema);
/// A table's comment says for which version of the schema it was made.
inline constexpr std::string_view kVersionComment = "Proxist schema ";
std::string VersionComment(const column::TableSchema& schema);
/// "ALTER TABLE ... `change`"
std::string AlterTableSql(const column::TableSchema& schema, const std::string& change);
/// The least version that was published after `at`, less one, or `through`.
std::string LastKnownSql(const column::TableSchema& schema, ShardId shard, Timestamp at,
                         Lsn through);
std::string CountVersionsSql(const InsertIntent& intent);
/// The hexadecimal digits of history's id; no row: there is none.
inline constexpr std::string_view kIncarnationSql =
    "SELECT hex(`id`) FROM `proxist`.`incarnation` ORDER BY `created`, `id` LIMIT 1 FORMAT "
    "TabSeparated";
/// The bytes that ClickHouse's hex() shows.
std::string FromHex(std::string_view hex);
/// As rows of tenant, table, day and active parts; and of events: '', its name, 0, its count.
std::string LoadSql();
/// As RowBinary.
std::string VersionsSql(const column::TableSchema& schema, ShardId shard, Day day);
/// `declared` are indices into the schema's columns, the series columns among them.
std::string ReadSql(const ReadRequest& request, const std::vector<size_t>& declared);

}  // namespace proxist::history
