#include "proxist/server/live_routes.h"

#include <algorithm>
#include <charconv>
#include <memory>
#include <utility>

#include "proxist/history/live_rows.h"
#include "proxist/server/url_query.h"

namespace proxist::server {
namespace {

constexpr size_t kMaxQueryIdBytes = 1024;
// An empty block of one UInt8 column `ok`: ClickHouse takes a table's structure from it.
constexpr std::string_view kEmptyBlock("\x01\x00\x02ok\x05UInt8", 11);

HttpStream Refuse(const Status& why) {
  return {{.status = absl::IsNotFound(why) ? 404 : 400, .body = std::string(Message(why)) + "\n"},
          nullptr};
}

template <typename Id>
StatusOr<Id> Number(const UrlQuery& query, std::string_view name) {
  const std::string_view text = ValueOf(query, name);
  typename Id::rep value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) {
    return InvalidArgument("{}={} is no number", name, text);
  }
  return Id(value);
}

/// Compares in a time that does not tell where they differ.
bool SameSecret(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  unsigned difference = 0;
  for (size_t i = 0; i < a.size(); ++i) difference |= static_cast<unsigned>(a[i] ^ b[i]);
  return difference == 0;
}

std::vector<Day> RewrittenDays(const LiveSeam& seam, TableId table) {
  std::vector<Day> days;
  for (const shard::LiveCut& cut : seam.cuts) {
    const auto found = cut.rewritten_days.find(table);
    if (found != cut.rewritten_days.end()) {
      days.insert(days.end(), found->second.begin(), found->second.end());
    }
  }
  std::sort(days.begin(), days.end());
  days.erase(std::unique(days.begin(), days.end()), days.end());
  return days;
}

Day LeastDay(const LiveSeam& seam, TableId table) {
  const auto found = seam.least.find(table);
  return found == seam.least.end() ? DayOf(kMinRowTimestamp) : found->second;
}

/// TabSeparated: up to where history has the table's rows of each shard, the days with rewritten
/// keys, the first day whose rows exist.
std::string SeamText(const LiveSeam& seam, TableId table) {
  std::string lsns;
  for (const shard::LiveCut& cut : seam.cuts) {
    lsns += fmt::format("{}{}", lsns.empty() ? "" : ",", cut.PersistedOf(table).value());
  }
  std::string days;
  for (const Day day : RewrittenDays(seam, table)) {
    days += fmt::format("{}'{}'", days.empty() ? "" : ",", FormatDay(day));
  }
  return fmt::format("[{}]\t[{}]\t{}\n", lsns, days, FormatDay(LeastDay(seam, table)));
}

HttpStream Rows(const column::SchemaPtr& schema, std::shared_ptr<const LiveSeam> seam,
                history::LiveRows::What what) {
  std::vector<history::LiveSource> sources;
  for (const shard::LiveCut& cut : seam->cuts) {
    sources.push_back({cut.PersistedOf(schema->id), cut.rows});
  }
  auto rows = std::make_shared<history::LiveRows>(schema, std::move(sources),
                                                  RewrittenDays(*seam, schema->id), what,
                                                  StartOf(LeastDay(*seam, schema->id)));
  return {{.content_type = "application/octet-stream"},
          [rows = std::move(rows)]() -> StatusOr<std::string> { return rows->Next(); }};
}

StatusOr<HttpStream> Answer(std::string_view what, const UrlQuery& query,
                            const meta::Catalog& catalog, LiveSeams* seams) {
  PX_ASSIGN_OR_RETURN(const auto table, Number<TableId>(query, "table"));
  PX_ASSIGN_OR_RETURN(const auto version, Number<SchemaVersion>(query, "schema"));
  PX_ASSIGN_OR_RETURN(const column::SchemaPtr schema, catalog.Find(table, version));
  const std::string_view who = ValueOf(query, "query");
  const size_t dot = who.find('.');
  if (dot == 0 || dot == std::string_view::npos || who.size() > kMaxQueryIdBytes) {
    return InvalidArgument("query={} is not the start and the id of a query of at most {} bytes",
                           who.substr(0, 100), kMaxQueryIdBytes);
  }
  PX_ASSIGN_OR_RETURN(auto seam,
                      seams->Of(who.substr(0, dot), who.substr(dot + 1), what == "seam"));
  // After the cut was taken, which a row of a schema that came in between could be in else.
  const column::SchemaPtr newest = catalog.Find(table);
  if (newest != schema && !newest->SameColumns(*schema)) {
    return Aborted("table {} was changed, and its live view is being made anew: ask again",
                   schema->name);
  }
  if (what == "seam") return HttpStream{{.body = SeamText(*seam, table)}, nullptr};
  if (what == "rows") return Rows(schema, std::move(seam), history::LiveRows::What::kRows);
  if (what == "keys") return Rows(schema, std::move(seam), history::LiveRows::What::kKeys);
  PX_RETURN_IF_ERROR(seams->CheckNotOvertaken(*seam, table));
  return HttpStream{{.content_type = "application/octet-stream", .body = std::string(kEmptyBlock)},
                    nullptr};
}

}  // namespace

HttpStreamHandler MakeLiveHandler(const meta::Catalog* catalog, LiveSeams* seams,
                                  std::string token) {
  return [=, token = std::move(token)](std::string_view target) -> HttpStream {
    constexpr std::string_view kPrefix = "/live/";
    std::string_view what = PathOf(target);
    what.remove_prefix(std::min(kPrefix.size(), what.size()));
    const UrlQuery query = ParseUrlQuery(target);
    if (!SameSecret(ValueOf(query, "token"), token)) {
      return {{.status = 403, .body = "the token is not this server's\n"}, nullptr};
    }
    if (what != "seam" && what != "rows" && what != "keys" && what != "check") {
      return Refuse(NotFound("not here: /live/{}", what));
    }
    StatusOr<HttpStream> answer = Answer(what, query, *catalog, seams);
    return answer.ok() ? std::move(*answer) : Refuse(answer.status());
  };
}

}  // namespace proxist::server
