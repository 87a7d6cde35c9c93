// One SELECT a branch, in the order in which ClickHouse has to come to them. No column's name has
// an upper-case letter, so `Seam` is none.
#include "proxist/history/internal/live_view.h"

#include <vector>

#include "proxist/base/bytes.h"
#include "proxist/history/internal/sql.h"

namespace proxist::history {
namespace {

// symbol, ts and seq, which stand first.
constexpr size_t kKeyColumns = 3;

// Requests are answered at once or not at all; an idle connection may be closed under one.
constexpr std::string_view kSettings =
    " SETTINGS http_max_tries = 3, http_retry_initial_backoff_ms = 10, "
    "http_retry_max_backoff_ms = 50, schema_inference_use_cache_for_url = 0, "
    "use_cache_for_count_from_files = 0";

// The old analyzer comes to the branches in another order.
constexpr std::string_view kNeeded =
    "throwIf(NOT getSetting('enable_analyzer'), 'live views need enable_analyzer = 1') = 0";

std::vector<size_t> Declared(const column::TableSchema& schema) {
  std::vector<size_t> columns;
  for (size_t i = 0; i < schema.columns.size(); ++i) {
    if (!schema.columns[i].dropped) columns.push_back(i);
  }
  return columns;
}

/// symbol, ts, seq and the columns at `declared`, as history names them.
std::vector<HistoryColumn> ColumnsOf(const column::TableSchema& schema,
                                     const std::vector<size_t>& declared) {
  std::vector<HistoryColumn> columns = ReadColumns(schema, declared);
  columns.resize(kKeyColumns + declared.size());
  return columns;
}

/// The same under the names that they have now.
std::vector<HistoryColumn> Renamed(const column::TableSchema& schema) {
  const std::vector<size_t> declared = Declared(schema);
  std::vector<HistoryColumn> columns = ColumnsOf(schema, declared);
  for (size_t i = 0; i < declared.size(); ++i) {
    columns[kKeyColumns + i].name = schema.columns[declared[i]].name;
  }
  return columns;
}

/// "`symbol`, ..., `size` AS `amount`"
std::string SelectList(const column::TableSchema& schema) {
  const std::vector<HistoryColumn> from = ColumnsOf(schema, Declared(schema));
  const std::vector<HistoryColumn> to = Renamed(schema);
  std::string out;
  for (size_t i = 0; i < from.size(); ++i) {
    out += (out.empty() ? "" : ", ") + QuoteName(from[i].name);
    if (from[i].name != to[i].name) out += " AS " + QuoteName(to[i].name);
  }
  return out;
}

std::string Names(const std::vector<HistoryColumn>& columns) {
  std::string out;
  for (const HistoryColumn& c : columns) out += (out.empty() ? "" : ", ") + QuoteName(c.name);
  return out;
}

std::string Structure(const std::vector<HistoryColumn>& columns) {
  std::string out;
  for (const HistoryColumn& c : columns) {
    out += fmt::format("{}{} {}", out.empty() ? "" : ", ", QuoteName(c.name), c.clickhouse_type);
  }
  return out;
}

/// url() of one kind of request, which carries who asks. A query's id may be used again once the
/// query is over, so the second in which it began belongs to its name.
std::string Url(const column::TableSchema& schema, const LiveEndpoint& endpoint,
                std::string_view what, std::string_view format, const std::string& structure) {
  const std::string fixed =
      fmt::format("{}/live/{}?token={}&table={}&schema={}&query=", endpoint.url, what,
                  endpoint.token, schema.id.value(), schema.version.value());
  return fmt::format(
      "url(concat({}, toString(toUnixTimestamp(initialQueryStartTime())), '.', "
      "encodeURLComponent(initialQueryID())), '{}'{})",
      QuoteText(fixed), format, structure.empty() ? "" : ", " + QuoteText(structure));
}

}  // namespace

std::string LiveViewSql(const column::TableSchema& schema, const LiveEndpoint& endpoint) {
  const std::vector<HistoryColumn> columns = ColumnsOf(schema, Declared(schema));
  const std::string names = SelectList(schema);
  const std::string keys = Names(ColumnsOf(schema, schema.series));
  const std::string seam =
      fmt::format("(SELECT (persisted, days, least) FROM {})",
                  Url(schema, endpoint, "seam", "TabSeparated",
                      "persisted Array(UInt64), days Array(Date), least Date"));
  const std::string persisted =
      endpoint.shards == 1 ? "`version` <= Seam.1[1]" : "`version` <= Seam.1[`shard` + 1]";
  std::string nothing;
  for (const HistoryColumn& c : Renamed(schema)) {
    nothing += fmt::format("{}defaultValueOfTypeName({}) AS {}", nothing.empty() ? "" : ", ",
                           QuoteText(c.clickhouse_type), QuoteName(c.name));
  }
  std::string body =
      fmt::format("WITH {} AS Seam SELECT {} FROM {} WHERE notEmpty(Seam.1) AND {}{}", seam, names,
                  Url(schema, endpoint, "rows", "Native", Structure(columns)), kNeeded, kSettings);
  body += fmt::format(
      " UNION ALL WITH {} AS Seam SELECT {} FROM {} WHERE {} AND toDate(`ts`) >= Seam.3 AND "
      "(empty(Seam.2) OR NOT has(Seam.2, toDate(`ts`))){}",
      seam, names, TableName(schema), persisted, kSettings);
  const std::string rewritten =
      "notEmpty(Seam.2) AND has(Seam.2, toDate(`ts`)) AND toDate(`ts`) >= Seam.3 AND " + persisted;
  const std::string newest = fmt::format(
      "`deleted` = 0 AND ({}) NOT IN (SELECT {} FROM {})", keys, keys,
      Url(schema, endpoint, "keys", "Native", Structure(ColumnsOf(schema, schema.series))));
  if (schema.versions == column::Versions::kAll) {
    // A table of all versions has no FINAL.
    body += fmt::format(
        " UNION ALL WITH {0} AS Seam SELECT {1} FROM (SELECT {2}, `deleted` FROM {3} WHERE {4} "
        "ORDER BY {5}, `version` DESC LIMIT 1 BY {5}) WHERE {6}{7}",
        seam, names, Names(columns), TableName(schema), rewritten, OrderBy(schema), newest,
        kSettings);
  } else {
    body += fmt::format(" UNION ALL WITH {} AS Seam SELECT {} FROM {} FINAL WHERE {} AND {}{}",
                        seam, names, TableName(schema), rewritten, newest, kSettings);
  }
  body += fmt::format(" UNION ALL SELECT {} FROM {} WHERE 0{}", nothing,
                      Url(schema, endpoint, "check", "Native", ""), kSettings);
  const std::string head = fmt::format(
      "CREATE OR REPLACE VIEW {}.{} ({}) DEFINER = CURRENT_USER SQL SECURITY DEFINER AS ",
      QuoteName(schema.tenant), QuoteName(schema.name), Structure(Renamed(schema)));
  const std::string statement = head + body;
  return statement + " COMMENT " +
         QuoteText(fmt::format("{}{:016x}", kLiveViewComment, Checksum(AsBytes(statement))));
}

}  // namespace proxist::history
