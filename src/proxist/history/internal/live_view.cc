// One SELECT a branch, in the order in which ClickHouse has to come to them. No column's name has
// an upper-case letter, so `Seam` is none.
#include "proxist/history/internal/live_view.h"

#include <vector>

#include "proxist/base/bytes.h"
#include "proxist/history/internal/sql.h"

namespace proxist::history {
namespace {

// version, shard and deleted, which stand last.
constexpr size_t kSystemColumns = 3;

// Requests are answered at once or not at all; an idle connection may be closed under one.
constexpr std::string_view kSettings =
    " SETTINGS http_max_tries = 3, http_retry_initial_backoff_ms = 10, "
    "http_retry_max_backoff_ms = 50, schema_inference_use_cache_for_url = 0, "
    "use_cache_for_count_from_files = 0";

// The old analyzer comes to the branches in another order.
constexpr std::string_view kNeeded =
    "throwIf(NOT getSetting('enable_analyzer'), 'live views need enable_analyzer = 1') = 0";

std::vector<HistoryColumn> DeclaredColumns(const column::TableSchema& schema) {
  std::vector<HistoryColumn> columns = HistoryColumns(schema);
  columns.resize(columns.size() - kSystemColumns);
  return columns;
}

std::vector<HistoryColumn> Keys(const column::TableSchema& schema) {
  const std::vector<HistoryColumn> columns = DeclaredColumns(schema);
  std::vector<HistoryColumn> keys(columns.begin(), columns.begin() + 3);
  for (const size_t index : schema.series) keys.push_back(columns[3 + index]);
  return keys;
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
  const std::vector<HistoryColumn> columns = DeclaredColumns(schema);
  const std::string names = Names(columns);
  const std::string keys = Names(Keys(schema));
  const std::string seam = fmt::format(
      "(SELECT (persisted, days) FROM {})",
      Url(schema, endpoint, "seam", "TabSeparated", "persisted Array(UInt64), days Array(Date)"));
  const std::string persisted =
      endpoint.shards == 1 ? "`version` <= Seam.1[1]" : "`version` <= Seam.1[`shard` + 1]";
  std::string nothing;
  for (const HistoryColumn& c : columns) {
    nothing += fmt::format("{}defaultValueOfTypeName({}) AS {}", nothing.empty() ? "" : ", ",
                           QuoteText(c.clickhouse_type), QuoteName(c.name));
  }
  std::string body =
      fmt::format("WITH {} AS Seam SELECT {} FROM {} WHERE notEmpty(Seam.1) AND {}{}", seam, names,
                  Url(schema, endpoint, "rows", "Native", Structure(columns)), kNeeded, kSettings);
  body += fmt::format(
      " UNION ALL WITH {} AS Seam SELECT {} FROM {} WHERE {} AND (empty(Seam.2) OR NOT "
      "has(Seam.2, toDate(`ts`))){}",
      seam, names, TableName(schema), persisted, kSettings);
  body += fmt::format(
      " UNION ALL WITH {} AS Seam SELECT {} FROM {} FINAL WHERE notEmpty(Seam.2) AND has(Seam.2, "
      "toDate(`ts`)) AND {} AND `deleted` = 0 AND ({}) NOT IN (SELECT {} FROM {}){}",
      seam, names, TableName(schema), persisted, keys, keys,
      Url(schema, endpoint, "keys", "Native", Structure(Keys(schema))), kSettings);
  body += fmt::format(" UNION ALL SELECT {} FROM {} WHERE 0{}", nothing,
                      Url(schema, endpoint, "check", "Native", ""), kSettings);
  const std::string head = fmt::format(
      "CREATE OR REPLACE VIEW {}.{} ({}) DEFINER = CURRENT_USER SQL SECURITY DEFINER AS ",
      QuoteName(schema.tenant), QuoteName(schema.name), Structure(columns));
  const std::string statement = head + body;
  return statement + " COMMENT " +
         QuoteText(fmt::format("{}{:016x}", kLiveViewComment, Checksum(AsBytes(statement))));
}

}  // namespace proxist::history
