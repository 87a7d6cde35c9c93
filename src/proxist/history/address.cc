// ClickHouse addresses as users write them.
#include <curl/curl.h>

#include "proxist/history/clickhouse.h"
#include "proxist/history/monitor.h"

namespace proxist::history {
namespace {

/// One part of a parsed URL; empty when it has none.
std::string Part(CURLU* url, CURLUPart part, unsigned flags = 0) {
  char* text = nullptr;
  std::string out;
  if (curl_url_get(url, part, &text, flags) == CURLUE_OK) out = text;
  curl_free(text);
  return out;
}

}  // namespace

StatusOr<ClickHouseAddress> ParseAddress(std::string_view url) {
  const auto refuse = [](std::string_view why) {
    // The text may hold a password, so it is not repeated.
    return InvalidArgument("ClickHouse address: {}; expected http://[user[:password]@]host[:port]",
                           why);
  };
  if (url.find("://") == std::string_view::npos) return refuse("no scheme");
  const std::unique_ptr<CURLU, decltype(&curl_url_cleanup)> parsed(curl_url(), curl_url_cleanup);
  const CURLUcode code = curl_url_set(parsed.get(), CURLUPART_URL, std::string(url).c_str(), 0);
  if (code != CURLUE_OK) return refuse(curl_url_strerror(code));
  const std::string scheme = Part(parsed.get(), CURLUPART_SCHEME);
  if (scheme != "http" && scheme != "https") return refuse("the scheme is '" + scheme + "'");
  const std::string path = Part(parsed.get(), CURLUPART_PATH);
  if (path != "/" && !path.empty()) return refuse("it has a path");
  if (!Part(parsed.get(), CURLUPART_QUERY).empty()) return refuse("it has a query");
  if (!Part(parsed.get(), CURLUPART_FRAGMENT).empty()) return refuse("it has a fragment");
  std::string port = Part(parsed.get(), CURLUPART_PORT);
  if (port.empty()) port = scheme == "http" ? "8123" : "8443";
  ClickHouseAddress out;
  out.url = scheme + "://" + Part(parsed.get(), CURLUPART_HOST) + ":" + port;
  // A part that is there but holds control characters has no decoded form.
  for (const CURLUPart part : {CURLUPART_USER, CURLUPART_PASSWORD}) {
    if (!Part(parsed.get(), part).empty() && Part(parsed.get(), part, CURLU_URLDECODE).empty()) {
      return refuse("the user or password holds control characters");
    }
  }
  const std::string user = Part(parsed.get(), CURLUPART_USER, CURLU_URLDECODE);
  if (!user.empty()) out.user = user;
  out.password = Part(parsed.get(), CURLUPART_PASSWORD, CURLU_URLDECODE);
  return out;
}

StatusOr<std::vector<ClickHouseAddress>> ParseAddresses(std::string_view urls) {
  std::vector<ClickHouseAddress> out;
  while (true) {
    const size_t comma = urls.find(',');
    PX_ASSIGN_OR_RETURN(auto address, ParseAddress(urls.substr(0, comma)));
    out.push_back(std::move(address));
    if (comma == std::string_view::npos) return out;
    urls.remove_prefix(comma + 1);
  }
}

}  // namespace proxist::history
