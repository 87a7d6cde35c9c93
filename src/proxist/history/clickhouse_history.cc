// History in ClickHouse tables; FORMAT.md has their layout.
#include <algorithm>
#include <charconv>
#include <limits>
#include <map>
#include <numeric>
#include <optional>
#include <string>
#include <utility>

#include "proxist/base/bytes.h"
#include "proxist/base/check.h"
#include "proxist/base/mutex.h"
#include "proxist/column/widen.h"
#include "proxist/history/history.h"
#include "proxist/history/insert_block.h"
#include "proxist/history/internal/block_buffers.h"
#include "proxist/history/internal/connection_pool.h"
#include "proxist/history/internal/live_view.h"
#include "proxist/history/internal/push_down_sql.h"
#include "proxist/history/internal/read_result.h"
#include "proxist/history/internal/row_selection.h"
#include "proxist/history/internal/sql.h"
#include "proxist/history/internal/totals_result.h"
#include "proxist/history/monitor.h"

namespace proxist::history {
namespace {

constexpr Duration kStatementTimeout = Duration::Seconds(30);
constexpr Duration kInsertTimeout = Duration::Seconds(120);
constexpr Duration kPingTimeout = Duration::Seconds(2);
constexpr Duration kProbeTimeout = Duration::Seconds(5);
constexpr size_t kMaxReadBytes = 8ull << 30;
constexpr size_t kMaxStatementBytes = 1ull << 30;

Connection::Settings ReadOnly() {
  return {
      {"readonly", "2"},
      {"cancel_http_readonly_queries_on_client_close", "1"},
      {"low_cardinality_allow_in_native_format", "1"},
      {"max_query_size", "1073741824"},
      {"max_ast_elements", "100000000"},
      {"max_expanded_ast_elements", "100000000"},
  };
}

/// Fields of TabSeparated text whose values need no escapes.
std::vector<std::vector<std::string>> SplitRows(std::string_view text) {
  std::vector<std::vector<std::string>> rows;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    std::vector<std::string>& row = rows.emplace_back();
    while (true) {
      const size_t tab = line.find('\t');
      row.emplace_back(line.substr(0, tab));
      if (tab == std::string_view::npos) break;
      line.remove_prefix(tab + 1);
    }
  }
  return rows;
}

StatusOr<uint64_t> ParseNumber(std::string_view text) {
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) {
    return Internal("ClickHouse answers '{}' where a number is expected", text.substr(0, 100));
  }
  return value;
}

/// Another server is worth a try.
bool IsAway(const Status& status) {
  return absl::IsUnavailable(status) || absl::IsDeadlineExceeded(status) ||
         absl::IsPermissionDenied(status);
}

/// The columns that a read selects: those asked for, the series columns, those of conditions.
std::vector<size_t> DeclaredColumns(const ReadRequest& request, std::vector<size_t> declared) {
  declared.insert(declared.end(), request.columns.begin(), request.columns.end());
  declared.insert(declared.end(), request.schema->series.begin(), request.schema->series.end());
  if (request.push_down.has_value()) {
    for (const exec::ColumnCondition& condition : request.push_down->conditions) {
      declared.push_back(condition.column);
    }
  }
  std::sort(declared.begin(), declared.end());
  declared.erase(std::unique(declared.begin(), declared.end()), declared.end());
  PX_CHECK(declared.empty() || declared.back() < request.schema->columns.size());
  return declared;
}

bool AsksForNothing(const ReadRequest& request) {
  return request.symbols.empty() || request.from > request.to || request.from > kMaxRowTimestamp ||
         request.to < kMinRowTimestamp;
}

class ClickHouseHistory final : public History, public HistoryMonitor {
 public:
  ClickHouseHistory(std::vector<ClickHouseAddress> addresses, uint32_t part_limit)
      : part_limit_(part_limit), pool_(std::move(addresses)) {}

  Status EnsureTable(const column::TableSchema& schema) override {
    const MutexLock lock(&ensure_mutex_);
    SchemaVersion& newest = newest_[{schema.tenant, schema.name}];
    // Whoever goes by an earlier version must not bring back what a later one dropped.
    if (newest > schema.version) return OkStatus();
    newest = schema.version;
    PX_RETURN_IF_ERROR(
        Execute("CREATE DATABASE IF NOT EXISTS " + QuoteName(schema.tenant)).status());
    PX_ASSIGN_OR_RETURN(const auto known, Rows(KnownMergeSettingsSql()));
    std::vector<MergeSetting> merge_settings = MergeSettings(part_limit_);
    std::erase_if(merge_settings, [&](const MergeSetting& setting) {
      return std::ranges::none_of(known, [&](const auto& row) { return row[0] == setting.name; });
    });
    PX_RETURN_IF_ERROR(Execute(CreateTableSql(schema, merge_settings)).status());
    PX_ASSIGN_OR_RETURN(const TableState state, CheckKeys(schema));
    PX_ASSIGN_OR_RETURN(const auto present, PresentColumns(schema));
    PX_ASSIGN_OR_RETURN(std::vector<std::string> changes,
                        ColumnChanges(schema, present, state.MayBeNarrower(schema)));
    if (const auto change = RetentionChange(schema, state.retention)) changes.push_back(*change);
    // Last: what the table has become.
    if (state.comment_is_ours && state.comment != VersionComment(schema)) {
      changes.push_back("MODIFY COMMENT " + QuoteText(VersionComment(schema)));
    }
    for (const std::string& change : changes) PX_RETURN_IF_ERROR(Alter(schema, change));
    for (const std::string& change : MergeSettingChanges(merge_settings, state.settings)) {
      // Whoever may not change them does without.
      const Status changed = Alter(schema, change);
      if (!changed.ok() && !absl::IsPermissionDenied(changed)) return changed;
    }
    return OkStatus();
  }

  Status EnsureView(const column::TableSchema& schema, const LiveEndpoint& endpoint) override {
    const std::string sql = LiveViewSql(schema, endpoint);
    PX_ASSIGN_OR_RETURN(
        const auto rows,
        Rows(fmt::format("SELECT engine, hex(comment) FROM system.tables WHERE database = {} AND "
                         "name = {} FORMAT TabSeparated",
                         QuoteText(schema.tenant), QuoteText(schema.name))));
    if (!rows.empty()) {
      const std::string comment = rows[0].size() == 2 ? FromHex(rows[0][1]) : "";
      if (rows[0][0] != "View" || !comment.starts_with(kLiveViewComment)) {
        return FailedPrecondition(
            "{}.{} in ClickHouse is a {} that Proxist did not make: rename it, and the live view "
            "takes its place",
            schema.tenant, schema.name, rows[0][0]);
      }
      if (sql.find(QuoteText(comment)) != std::string::npos) return OkStatus();
    }
    return Execute(sql).status();
  }

  Status Insert(const InsertIntent& intent, std::span<const SourceBatch> sources) override {
    std::vector<std::byte> block = EncodeInsertBlock(intent, sources, buffers_.Take());
    if (block.empty()) return OkStatus();
    Status inserted = pool_.Take()->Insert(InsertSql(*intent.schema), block,
                                           InsertSettings(intent.token), kInsertTimeout);
    buffers_.Give(std::move(block));
    return inserted;
  }

  StatusOr<uint64_t> CountVersions(const InsertIntent& intent) override {
    PX_ASSIGN_OR_RETURN(const auto rows, Rows(CountVersionsSql(intent)));
    return rows.empty() ? Internal("ClickHouse counts nothing") : ParseNumber(rows[0][0]);
  }

  StatusOr<Lsn> LastKnown(const column::TableSchema& schema, ShardId shard, Timestamp at,
                          Lsn through, const ReadBounds& bounds) override {
    PX_ASSIGN_OR_RETURN(auto connection, pool_.TakeForRead());
    const StatusOr<std::string> body =
        connection->Query(LastKnownSql(schema, shard, at, through), ReadOnly(), bounds.timeout,
                          kMaxStatementBytes, bounds.cancelled);
    if (absl::IsNotFound(body.status())) return through;  // nothing was ever sent
    PX_RETURN_IF_ERROR(body.status());
    const auto rows = SplitRows(*body);
    if (rows.size() != 1) return Internal("ClickHouse names no version");
    PX_ASSIGN_OR_RETURN(const uint64_t version, ParseNumber(rows[0][0]));
    return Lsn(version);
  }

  StatusOr<ReadResult> Read(const ReadRequest& request) override {
    const std::vector<size_t> declared = DeclaredColumns(request, {});
    const std::vector<HistoryColumn> columns = ReadColumns(*request.schema, declared);
    NativeReader reader(columns);
    if (!AsksForNothing(request)) {
      PX_ASSIGN_OR_RETURN(reader, Fetch(request, ReadSql(request, declared), columns));
    }
    return MakeReadResult(request.schema, declared, std::move(reader));
  }

  StatusOr<TotalsResult> ReadTotals(const TotalsRequest& request) override {
    PX_CHECK(request.rows.push_down.has_value());
    std::vector<size_t> summed = request.columns;
    if (request.weighted.has_value()) {
      summed.insert(summed.end(), {request.weighted->first, request.weighted->second});
    }
    if (request.ends.has_value()) summed.push_back(*request.ends);
    const std::vector<size_t> declared = DeclaredColumns(request.rows, summed);
    std::vector<HistoryColumn> columns = ReadColumns(*request.rows.schema, declared);
    const std::vector<HistoryColumn> totals = TotalsColumns(request);
    columns.insert(columns.end(), totals.begin(), totals.end());
    NativeReader reader(columns);
    if (!AsksForNothing(request.rows)) {
      PX_ASSIGN_OR_RETURN(reader, Fetch(request.rows, TotalsSql(request, declared), columns));
    }
    return MakeTotalsResult(request, declared, std::move(reader));
  }

  StatusOr<std::vector<Day>> Days(const column::TableSchema& schema,
                                  const ReadBounds& bounds) override {
    PX_ASSIGN_OR_RETURN(
        const auto rows,
        Rows(fmt::format("SELECT DISTINCT toUInt16(toDate(partition)) AS day FROM system.parts "
                         "WHERE database = {} AND table = {} AND active AND rows > 0 ORDER BY day "
                         "FORMAT TabSeparated",
                         QuoteText(schema.tenant), QuoteText(schema.name + "_history")),
             bounds));
    std::vector<Day> days;
    for (const auto& row : rows) {
      PX_ASSIGN_OR_RETURN(const uint64_t day, ParseNumber(row[0]));
      days.emplace_back(static_cast<Day::rep>(day));
    }
    return days;
  }

  StatusOr<std::string> Incarnation(std::string_view fresh) override {
    PX_RETURN_IF_ERROR(Execute("CREATE DATABASE IF NOT EXISTS `proxist`").status());
    PX_RETURN_IF_ERROR(
        Execute("CREATE TABLE IF NOT EXISTS `proxist`.`incarnation` (`id` String, `created` "
                "DateTime64(9, 'UTC')) ENGINE = MergeTree ORDER BY (`created`, `id`) "
                "SETTINGS fsync_after_insert = 1, fsync_part_directory = 1")
            .status());
    PX_ASSIGN_OR_RETURN(std::string stored, pool_.Take()->Incarnation(kStatementTimeout));
    if (!stored.empty() || fresh.empty()) return stored;
    const std::string insert =
        fmt::format("INSERT INTO `proxist`.`incarnation` SELECT {}, now64(9)", QuoteText(fresh));
    PX_RETURN_IF_ERROR(
        pool_.Take()->Query(insert, {{"async_insert", "0"}}, kStatementTimeout).status());
    // Of two nodes that store one at the same time, both take the earlier.
    PX_ASSIGN_OR_RETURN(stored, pool_.Take()->Incarnation(kStatementTimeout));
    if (stored.empty()) return Unavailable("the id that history was given is gone again");
    return stored;
  }

  Status Ping() override {
    return pool_.Take()->Query("SELECT 1", ReadOnly(), kPingTimeout).status();
  }

  StatusOr<HistoryLoad> Load() override {
    const size_t server = pool_.current();
    StatusOr<HistoryLoad> load = LoadOf(server);
    if (!load.ok() && IsAway(load.status())) {
      if (const auto other = FindAnother(server); other.has_value()) {
        pool_.Use(*other);
        load = LoadOf(*other);
      }
    }
    pool_.Report(load.status());
    return load;
  }

  void Expect(std::string_view incarnation) override { pool_.Expect(incarnation); }

  StatusOr<std::vector<Lsn>> Versions(const column::TableSchema& schema, ShardId shard,
                                      Day day) override {
    PX_ASSIGN_OR_RETURN(const std::string body,
                        pool_.Take()->Query(VersionsSql(schema, shard, day), ReadOnly(),
                                            kInsertTimeout, kMaxReadBytes));
    std::vector<Lsn> versions;
    std::string_view rest = body;
    while (rest.size() >= sizeof(uint64_t)) {
      versions.emplace_back(LoadAt<uint64_t>(AsBytes(rest).data(), 0));
      rest.remove_prefix(sizeof(uint64_t));
    }
    return versions;
  }

  Status Restore(const VersionedRows& rows, const std::string& token) override {
    const column::TableSchema& schema = *rows.batch.schema;
    const SourceBatch source{rows.shard, rows.batch, Lsn(0), rows.published};
    SelectedRows part{&source, {}, 0, rows.lsns};
    part.rows.resize(rows.batch.rows);
    std::iota(part.rows.begin(), part.rows.end(), 0);
    const std::vector<std::byte> block = EncodeSelectedRows(schema, {&part, 1});
    if (block.empty()) return OkStatus();
    return pool_.Take()->Insert(InsertSql(schema), block, InsertSettings(token), kInsertTimeout);
  }

 private:
  StatusOr<std::string> Execute(const std::string& sql) {
    return pool_.Take()->Query(sql, {}, kStatementTimeout);
  }

  StatusOr<std::vector<std::vector<std::string>>> Rows(const std::string& sql,
                                                       const ReadBounds& bounds = {
                                                           .timeout = kStatementTimeout}) {
    PX_ASSIGN_OR_RETURN(
        const std::string body,
        pool_.Take()->Query(sql, ReadOnly(), bounds.timeout, kMaxStatementBytes, bounds.cancelled));
    return SplitRows(body);
  }

  /// The answer, decoded as it arrives.
  StatusOr<NativeReader> Fetch(const ReadRequest& request, const std::string& sql,
                               const std::vector<HistoryColumn>& columns) {
    const auto fetch = [&]() -> StatusOr<NativeReader> {
      PX_ASSIGN_OR_RETURN(auto connection, pool_.TakeForRead());
      NativeReader reader(columns);
      PX_RETURN_IF_ERROR(connection->Stream(
          sql, ReadOnly(), request.bounds.timeout,
          [&](ByteSpan piece) { return reader.Push(piece, request.max_rows); },
          request.bounds.cancelled));
      PX_RETURN_IF_ERROR(reader.Finish(request.max_rows));
      return reader;
    };
    StatusOr<NativeReader> read = fetch();
    // What was changed while ClickHouse was away has not come to its table yet.
    if (!absl::IsFailedPrecondition(read.status())) return read;
    PX_RETURN_IF_ERROR(EnsureTable(*request.schema));
    return fetch();
  }

  StatusOr<HistoryLoad> LoadOf(size_t server) {
    const MutexLock held(&probe_mutex_);
    if (probe_ == nullptr || probed_ != server) {
      probe_ = std::make_unique<Connection>(pool_.address(server));
      probed_ = server;
    }
    HistoryLoad load;
    load.url = pool_.address(server).url;
    PX_ASSIGN_OR_RETURN(load.incarnation, probe_->Incarnation(kProbeTimeout));
    PX_ASSIGN_OR_RETURN(const std::string body,
                        probe_->Query(LoadSql(), ReadOnly(), kProbeTimeout));
    for (const auto& row : SplitRows(body)) {
      if (row.size() != 4) return Internal("ClickHouse answers {} fields of 4", row.size());
      PX_ASSIGN_OR_RETURN(const uint64_t count, ParseNumber(row[3]));
      if (row[0].empty()) {
        load.delayed_inserts += count;
        continue;
      }
      PX_ASSIGN_OR_RETURN(const uint64_t day, ParseNumber(row[2]));
      load.partitions.push_back(
          {row[0], row[1], Day(static_cast<Day::rep>(day)), static_cast<uint32_t>(count)});
    }
    return load;
  }

  /// A server that answers and holds the expected history.
  [[nodiscard]] std::optional<size_t> FindAnother(size_t than) {
    for (size_t step = 1; step < pool_.size(); ++step) {
      const size_t index = (than + step) % pool_.size();
      Connection connection(pool_.address(index));
      const auto stored = connection.Incarnation(kProbeTimeout);
      if (stored.ok() && (pool_.expected().empty() || *stored == pool_.expected())) return index;
    }
    return std::nullopt;
  }

  Status Alter(const column::TableSchema& schema, const std::string& change) {
    // Values are converted and days deleted in the background.
    return pool_.Take()
        ->Query(AlterTableSql(schema, change), {{"alter_sync", "0"}}, kStatementTimeout)
        .status();
  }

  /// What ClickHouse says of a table beside its columns.
  struct TableState {
    std::string retention;  // when it deletes rows, as it spells it; empty: never
    std::string settings;   // "a = 1, b = 2"
    std::string comment;
    bool comment_is_ours = false;  // it is empty, or names the version that the table was made for
    uint64_t version = 0;          // that one; 0: not known
    /// Columns of an earlier version are widened; narrower ones of this version are drift.
    [[nodiscard]] bool MayBeNarrower(const column::TableSchema& schema) const {
      return schema.version.value() > std::max<uint64_t>(version, 1);
    }
  };

  /// Engine, partitions and order decide what a version replaces: they can't differ.
  StatusOr<TableState> CheckKeys(const column::TableSchema& schema) {
    PX_ASSIGN_OR_RETURN(
        auto rows,
        Rows(fmt::format(
            "SELECT engine, partition_key, sorting_key, extract(engine_full, ' TTL "
            "(.*?)(?: SETTINGS | COMMENT |$)'), hex(comment), extract(engine_full, ' SETTINGS "
            "(.*?)(?: COMMENT |$)') FROM system.tables "
            "WHERE database = {} AND name = {} FORMAT TabSeparated",
            QuoteText(schema.tenant), QuoteText(schema.name + "_history"))));
    if (rows.size() != 1 || rows[0].size() != 6) {
      return NotFound("table {} is not in ClickHouse", TableName(schema));
    }
    for (std::string& field : rows[0]) std::erase(field, '`');
    const auto expect = [&](std::string_view what, const std::string& found,
                            const std::string& expected) {
      return found == expected
                 ? OkStatus()
                 : FailedPrecondition("table {} in ClickHouse has {} {}, expected is {}",
                                      TableName(schema), what, found, expected);
    };
    const std::string engine =
        schema.versions == column::Versions::kAll ? "MergeTree" : "ReplacingMergeTree";
    if (rows[0][0] != "Replicated" + engine && rows[0][0] != "Shared" + engine) {
      PX_RETURN_IF_ERROR(expect("engine", rows[0][0], engine));
    }
    PX_RETURN_IF_ERROR(expect("partition key", rows[0][1], "toDate(ts)"));
    PX_RETURN_IF_ERROR(expect("order", rows[0][2], SortingKey(schema)));
    TableState state;
    state.retention = rows[0][3];
    state.comment = FromHex(rows[0][4]);
    state.settings = rows[0][5];
    state.comment_is_ours = state.comment.empty();
    if (state.comment.starts_with(kVersionComment)) {
      const auto version =
          ParseNumber(std::string_view(state.comment).substr(kVersionComment.size()));
      state.comment_is_ours = version.ok();
      state.version = version.ok() ? *version : 0;
    }
    return state;
  }

  struct Present {
    std::string type;
    bool alias = false;
  };
  using PresentMap = std::map<std::string, Present>;  // by name

  StatusOr<PresentMap> PresentColumns(const column::TableSchema& schema) {
    // TSVRaw leaves the quotes of DateTime64's time zone alone.
    PX_ASSIGN_OR_RETURN(
        const auto rows,
        Rows(fmt::format("SELECT name, type, default_kind FROM system.columns WHERE database = {} "
                         "AND table = {} FORMAT TSVRaw",
                         QuoteText(schema.tenant), QuoteText(schema.name + "_history"))));
    PresentMap out;
    for (const auto& row : rows) {
      if (row.size() == 3) out[row[0]] = {row[1], row[2] == "ALIAS"};
    }
    return out;
  }

  /// True when a column of ClickHouse's type `found` may become `column`.
  static bool MayWiden(const std::string& found, const HistoryColumn& column) {
    for (int kind = 1; kind <= static_cast<int>(column::TypeKind::kSymbol); ++kind) {
      const column::Type type{static_cast<column::TypeKind>(kind), 0};
      if (column::Widens(type, column.type) && TypeName(type, column.nullable) == found) {
        return true;
      }
    }
    return false;
  }

  /// What makes the table's columns those of `schema`; `widens`: narrower ones too.
  static StatusOr<std::vector<std::string>> ColumnChanges(const column::TableSchema& schema,
                                                          const PresentMap& present, bool widens) {
    std::vector<std::string> changes;
    for (const HistoryColumn& column : HistoryColumns(schema)) {
      const std::string declared = QuoteName(column.name) + " " + column.clickhouse_type;
      const auto found = present.find(column.name);
      if (found == present.end()) {
        if (!column.nullable) {
          return FailedPrecondition("table {} in ClickHouse lacks column {} {}", TableName(schema),
                                    column.name, column.clickhouse_type);
        }
        changes.push_back("ADD COLUMN IF NOT EXISTS " + declared);
      } else if (found->second.alias || (found->second.type != column.clickhouse_type &&
                                         !(widens && MayWiden(found->second.type, column)))) {
        return FailedPrecondition("table {} in ClickHouse has column {} as {}{}, expected is {}",
                                  TableName(schema), column.name,
                                  found->second.alias ? "an alias of type " : "",
                                  found->second.type, column.clickhouse_type);
      } else if (found->second.type != column.clickhouse_type) {
        changes.push_back("MODIFY COLUMN " + declared);
      }
    }
    for (const column::ColumnDef& def : schema.columns) {
      PX_RETURN_IF_ERROR(AddNameChanges(schema, def, present, &changes));
    }
    return changes;
  }

  /// Other names of a column are aliases in ClickHouse; a dropped one goes with all its names.
  static Status AddNameChanges(const column::TableSchema& schema, const column::ColumnDef& def,
                               const PresentMap& present, std::vector<std::string>* changes) {
    const std::string& first = column::HistoryNameOf(def);
    std::vector<std::string> names = def.aliases;
    names.push_back(def.name);
    std::erase(names, first);
    const std::string type = TypeName(def.type, def.nullable);
    for (const std::string& name : names) {
      const auto found = present.find(name);
      const bool there = found != present.end();
      if (def.dropped) {
        if (there) changes->push_back("DROP COLUMN IF EXISTS " + QuoteName(name));
        continue;
      }
      if (there && !found->second.alias) {
        return FailedPrecondition("table {} in ClickHouse has a column {}, which is a name of {}",
                                  TableName(schema), name, first);
      }
      if (there && found->second.type == type) continue;
      changes->push_back(fmt::format("{} {} {} ALIAS {}",
                                     there ? "MODIFY COLUMN" : "ADD COLUMN IF NOT EXISTS",
                                     QuoteName(name), type, QuoteName(first)));
    }
    if (def.dropped && present.contains(first)) {
      changes->push_back("DROP COLUMN IF EXISTS " + QuoteName(first));
    }
    return OkStatus();
  }

  /// A retention that Proxist did not set stays, unless the table declares one.
  static std::optional<std::string> RetentionChange(const column::TableSchema& schema,
                                                    const std::string& present) {
    const std::string wanted = RetentionOf(schema);
    if (wanted == present) return std::nullopt;
    if (!wanted.empty()) return "MODIFY TTL " + wanted;
    if (!present.starts_with(kRetentionBegin)) return std::nullopt;
    return "REMOVE TTL";
  }

  const uint32_t part_limit_;
  Mutex ensure_mutex_;
  std::map<std::pair<std::string, std::string>, SchemaVersion> newest_
      PX_GUARDED_BY(ensure_mutex_);  // seen of each table, by tenant and name
  ConnectionPool pool_;
  BlockBuffers buffers_;
  Mutex probe_mutex_;
  std::unique_ptr<Connection> probe_ PX_GUARDED_BY(probe_mutex_);  // to the server `probed_`
  size_t probed_ PX_GUARDED_BY(probe_mutex_) = 0;
};

}  // namespace

Connection::Settings InsertSettings(const std::string& token) {
  return {
      {"async_insert", "0"},
      {"insert_deduplicate", "1"},
      {"insert_deduplication_token", token},
      // A misnamed column is an error, not a column left out.
      {"input_format_skip_unknown_fields", "0"},
      // Every version is written: merges resolve them, inserts do not.
      {"optimize_on_insert", "0"},
      // One block, one part, so the insert is atomic.
      {"max_insert_block_size", "1048449"},
      {"min_insert_block_size_rows", "1048449"},
      {"min_insert_block_size_bytes", "0"},
      {"max_insert_threads", "1"},
  };
}

WatchedHistory OpenClickHouse(std::vector<ClickHouseAddress> addresses, uint32_t part_limit) {
  auto history = std::make_unique<ClickHouseHistory>(std::move(addresses), part_limit);
  HistoryMonitor* monitor = history.get();
  return {std::move(history), monitor};
}

std::unique_ptr<History> MakeClickHouseHistory(ClickHouseAddress address) {
  return OpenClickHouse({std::move(address)}, std::numeric_limits<uint32_t>::max()).history;
}

}  // namespace proxist::history
