#include "proxist/server/sql_request.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <random>

#include "proxist/server/url_query.h"

namespace proxist::server {
namespace {

bool SameText(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](unsigned char x, unsigned char y) {
    return std::tolower(x) == std::tolower(y);
  });
}

template <size_t kSize>
bool IsOneOf(std::string_view text, const std::array<std::string_view, kSize>& names) {
  return std::any_of(names.begin(), names.end(),
                     [&](std::string_view name) { return SameText(text, name); });
}

std::string FreshId() {
  std::random_device device;
  const auto part = [&] { return (uint64_t{device()} << 32) | device(); };
  return fmt::format("proxist-{:016x}{:016x}", part(), part());
}

/// Behind spaces, brackets and comments.
std::string_view SkipToWord(std::string_view text) {
  while (!text.empty()) {
    if (text.starts_with("--") || text.starts_with("#")) {
      text.remove_prefix(std::min(text.find('\n'), text.size()));
    } else if (text.starts_with("/*")) {
      const size_t end = text.find("*/", 2);
      text.remove_prefix(end == std::string_view::npos ? text.size() : end + 2);
    } else if (std::isspace(static_cast<unsigned char>(text[0])) != 0 || text[0] == '(' ||
               text[0] == ';') {
      text.remove_prefix(1);
    } else {
      break;
    }
  }
  return text;
}

}  // namespace

SqlError MakeSqlError(int status, int code, std::string_view name, std::string_view message) {
  return {status, code, fmt::format("Code: {}. DB::Exception: {}. ({})\n", code, message, name)};
}

bool IsSqlPath(std::string_view target) {
  const std::string_view path = PathOf(target);
  return path == "/" || path == "/ping";
}

StatusOr<SqlTarget> RewriteSqlTarget(std::string_view target, const SqlOptions& options) {
  SqlTarget out;
  if (PathOf(target) != "/") {
    out.target = std::string(PathOf(target));
    return out;
  }
  const auto bound = static_cast<uint64_t>(options.timeout.ns() / 1'000'000'000);
  std::string seconds = fmt::format("{}", bound);
  UrlQuery passed;
  for (auto& [name, value] : ParseUrlQuery(target)) {
    if (name == "session_id" || name == "session_timeout" || name == "session_check") {
      return InvalidArgument("sessions are not kept here: leave {} out", name);
    }
    if (name == "user" || name == "password" || name == "quota_key" || name == "readonly" ||
        name == "cancel_http_readonly_queries_on_client_close") {
      continue;
    }
    if (name == "max_execution_time") {
      double asked = 0;
      const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), asked);
      if (error == std::errc() && asked > 0 && asked < static_cast<double>(bound)) seconds = value;
      continue;
    }
    if (name == "query_id") {
      out.query_id = value;
      continue;
    }
    if (name == "query") out.statement += value;
    passed.emplace_back(std::move(name), std::move(value));
  }
  if (out.query_id.empty()) out.query_id = FreshId();
  passed.emplace_back("query_id", out.query_id);
  passed.emplace_back("max_execution_time", seconds);
  passed.emplace_back("cancel_http_readonly_queries_on_client_close", "1");
  // Settings may be changed, data not.
  passed.emplace_back("readonly", "2");
  out.target = "/?" + FormatUrlQuery(passed);
  return out;
}

Status CheckReads(std::string_view statement) {
  static constexpr std::array<std::string_view, 19> kChanges = {
      "create", "alter",  "drop",    "rename", "exchange", "truncate", "optimize",
      "attach", "detach", "undrop",  "delete", "update",   "replace",  "grant",
      "revoke", "backup", "restore", "kill",   "system"};
  statement = SkipToWord(statement);
  const auto* end = std::find_if(statement.begin(), statement.end(),
                                 [](unsigned char c) { return std::isalpha(c) == 0; });
  const std::string_view word(statement.data(), static_cast<size_t>(end - statement.begin()));
  if (SameText(word, "insert")) {
    return InvalidArgument(
        "SQL reads here and does not write: send rows with `pxctl import`, or over gRPC "
        "(proxist.v1.Ingest)");
  }
  if (IsOneOf(word, kChanges)) {
    return InvalidArgument(
        "SQL reads here and changes nothing: declare tables with `pxctl apply -f FILE`, or over "
        "gRPC (proxist.v1.Admin)");
  }
  return OkStatus();
}

bool IsPassedOn(std::string_view header) {
  static constexpr std::array<std::string_view, 15> kKept = {"connection",
                                                             "keep-alive",
                                                             "proxy-connection",
                                                             "te",
                                                             "trailer",
                                                             "transfer-encoding",
                                                             "upgrade",
                                                             "host",
                                                             "expect",
                                                             "content-length",
                                                             "authorization",
                                                             "proxy-authorization",
                                                             "x-clickhouse-user",
                                                             "x-clickhouse-key",
                                                             "cookie"};
  return !IsOneOf(header, kKept);
}

}  // namespace proxist::server
