// HTTP requests to ClickHouse over one reused libcurl handle.
#include "proxist/history/clickhouse.h"

#include <algorithm>
#include <charconv>
#include <optional>

#include <curl/curl.h>

#include "proxist/base/check.h"
#include "proxist/history/internal/clickhouse_errors.h"
#include "proxist/history/internal/request_guard.h"
#include "proxist/history/internal/sql.h"

namespace proxist::history {
namespace {

constexpr Duration kConnectTimeout = Duration::Seconds(5);
constexpr Duration kCheckTimeout = Duration::Seconds(5);
constexpr size_t kMaxErrorBytes = 64 << 10;

struct CurlLibrary {
  CurlLibrary() { curl_global_init(CURL_GLOBAL_DEFAULT); }
};

/// What a response brings, filled by curl's callbacks.
struct Response {
  std::string body;  // of errors alone, when there is a sink
  size_t max_bytes = 0;
  bool too_large = false;
  std::optional<int> exception_code;
  const Connection::Sink* sink = nullptr;
  Status sunk;       // the sink's first error
  std::string tail;  // the last bytes that came for it
};

/// To the sink. What cannot be decoded may be the text of an error, of which the rest is awaited.
size_t GiveToSink(Response* response, std::string_view piece) {
  response->tail.append(piece.substr(piece.size() - std::min(piece.size(), kMaxErrorBytes)));
  if (response->tail.size() > kMaxErrorBytes) {
    if (!response->sunk.ok()) return 0;
    response->tail.erase(0, response->tail.size() - kMaxErrorBytes / 2);
  }
  if (!response->sunk.ok()) return piece.size();
  response->sunk = (*response->sink)(AsBytes(piece));
  return absl::IsResourceExhausted(response->sunk) ? 0 : piece.size();
}

/// The error that ClickHouse wrote behind a part of an answer, which began with HTTP 200: "Code:
/// 241. DB::Exception: ...".
std::optional<Status> LateError(std::string_view tail) {
  constexpr std::string_view kCode = "Code: ";
  constexpr std::string_view kWhat = ". DB::Exception: ";
  const size_t what = tail.rfind(kWhat);
  if (what == std::string_view::npos) return std::nullopt;
  const size_t at = tail.rfind(kCode, what);
  int code = 0;
  if (at == std::string_view::npos) return std::nullopt;
  const char* digits = tail.data() + at + kCode.size();
  const auto [end, error] = std::from_chars(digits, tail.data() + what, code);
  if (error != std::errc() || end != tail.data() + what) return std::nullopt;
  const std::string_view text = tail.substr(at);
  return ClickHouseError(code, text.substr(0, text.find("\r\n")));
}

size_t OnBody(char* data, size_t size, size_t count, void* user) {
  auto* response = static_cast<Response*>(user);
  const size_t bytes = size * count;
  if (response->sink != nullptr && !response->exception_code) {
    return GiveToSink(response, {data, bytes});
  }
  const size_t bound = response->exception_code ? kMaxErrorBytes : response->max_bytes;
  if (bytes > bound - std::min(bound, response->body.size())) {
    if (response->exception_code) return bytes;  // the start of an error says enough
    response->too_large = true;
    return 0;
  }
  response->body.append(data, bytes);
  return bytes;
}

size_t OnHeader(char* data, size_t size, size_t count, void* user) {
  constexpr std::string_view kName = "x-clickhouse-exception-code:";
  auto* response = static_cast<Response*>(user);
  const std::string_view line(data, size * count);
  if (line.size() > kName.size() && curl_strnequal(line.data(), kName.data(), kName.size()) != 0) {
    size_t at = kName.size();
    while (at < line.size() && line[at] == ' ') ++at;
    int code = 0;
    std::from_chars(line.data() + at, line.data() + line.size(), code);
    response->exception_code = code;
  }
  return line.size();
}

/// What ends a request before its answer is there.
struct EarlyEnd {
  const std::atomic<bool>* cancelled = nullptr;
  const RequestRules* rules = nullptr;
};

/// curl asks while it waits, and ends the request when the answer is not 0.
int OnProgress(void* user, curl_off_t /*total*/, curl_off_t /*now*/, curl_off_t /*to_send*/,
               curl_off_t /*sent*/) {
  const auto* end = static_cast<const EarlyEnd*>(user);
  if (end->cancelled != nullptr && *end->cancelled) return 1;
  return end->rules != nullptr && end->rules->give_up && end->rules->give_up() ? 1 : 0;
}

std::string Escaped(CURL* handle, std::string_view text) {
  char* escaped = curl_easy_escape(handle, text.data(), static_cast<int>(text.size()));
  std::string out = escaped == nullptr ? "" : escaped;
  curl_free(escaped);
  return out;
}

}  // namespace

struct Connection::Impl {
  explicit Impl(ClickHouseAddress a) : address(std::move(a)) {
    static const CurlLibrary library;
    handle = curl_easy_init();
    PX_CHECK(handle != nullptr);
    for (const std::string& line :
         {"X-ClickHouse-User: " + address.user, "X-ClickHouse-Key: " + address.password,
          std::string("Content-Type: application/octet-stream"),
          // Without this curl waits for "100 Continue" before it sends a large body.
          std::string("Expect:")}) {
      headers = curl_slist_append(headers, line.c_str());
    }
    curl_easy_setopt(handle, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(handle, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(handle, CURLOPT_NOPROXY, "*");
    curl_easy_setopt(handle, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(handle, CURLOPT_TCP_KEEPALIVE, 1L);
    curl_easy_setopt(handle, CURLOPT_UPLOAD_BUFFERSIZE, 1L << 20);
    curl_easy_setopt(handle, CURLOPT_BUFFERSIZE, 512L << 10);
    curl_easy_setopt(handle, CURLOPT_WRITEFUNCTION, OnBody);
    curl_easy_setopt(handle, CURLOPT_HEADERFUNCTION, OnHeader);
    curl_easy_setopt(handle, CURLOPT_XFERINFOFUNCTION, OnProgress);
    curl_easy_setopt(handle, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(handle, CURLOPT_ERRORBUFFER, error);
  }
  ~Impl() {
    curl_easy_cleanup(handle);
    curl_slist_free_all(headers);
  }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  /// `whole`: ClickHouse holds the answer until it is, so that an error comes instead of it.
  [[nodiscard]] std::string Target(std::string_view sql, const Settings& settings, Duration timeout,
                                   bool whole = true) const {
    // The server gives up when the client does; whole seconds, rounded up.
    const int64_t seconds = std::max<int64_t>(1, (timeout.ns() + 999'999'999) / 1'000'000'000);
    std::string out = fmt::format("{}/?wait_end_of_query={}&max_execution_time={}", address.url,
                                  whole ? 1 : 0, seconds);
    for (const auto& [name, value] : settings) {
      out += fmt::format("&{}={}", name, Escaped(handle, value));
    }
    if (!sql.empty()) out += "&query=" + Escaped(handle, sql);
    return out;
  }

  StatusOr<std::string> Post(const std::string& target, std::string_view body, Duration timeout,
                             size_t max_bytes, const std::atomic<bool>* cancelled,
                             const Sink* sink = nullptr) {
    Response response;
    response.max_bytes = max_bytes;
    response.sink = sink;
    const long timeout_ms = std::max<long>(1, static_cast<long>(timeout.ns() / 1'000'000));
    curl_easy_setopt(handle, CURLOPT_URL, target.c_str());
    curl_easy_setopt(handle, CURLOPT_POST, 1L);
    curl_easy_setopt(handle, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(body.size()));
    curl_easy_setopt(handle, CURLOPT_POSTFIELDS, body.data());
    curl_easy_setopt(handle, CURLOPT_TIMEOUT_MS, timeout_ms);
    curl_easy_setopt(handle, CURLOPT_CONNECTTIMEOUT_MS,
                     std::min<long>(timeout_ms, kConnectTimeout.ns() / 1'000'000));
    curl_easy_setopt(handle, CURLOPT_WRITEDATA, &response);
    curl_easy_setopt(handle, CURLOPT_HEADERDATA, &response);
    EarlyEnd end{cancelled, RequestGuard::current()};
    curl_easy_setopt(handle, CURLOPT_XFERINFODATA, &end);
    error[0] = '\0';
    const CURLcode code = curl_easy_perform(handle);
    curl_easy_setopt(handle, CURLOPT_POSTFIELDS, nullptr);
    if (code == CURLE_ABORTED_BY_CALLBACK && cancelled != nullptr && *cancelled) {
      return Cancelled("the query of history was cancelled");
    }
    const bool broken = code != CURLE_OK || response.tail.ends_with("__exception__\r\n");
    if (!response.sunk.ok() || (broken && !response.tail.empty())) {
      if (const auto late = LateError(response.tail)) return *late;
    }
    PX_RETURN_IF_ERROR(response.sunk);
    if (code != CURLE_OK) return TransportError(code, response);
    long http = 0;
    curl_easy_getinfo(handle, CURLINFO_RESPONSE_CODE, &http);
    if (response.exception_code) return ClickHouseError(*response.exception_code, response.body);
    if (http != 200) {
      return Internal("{} answered HTTP {}, which is no ClickHouse: {}", address.url, http,
                      response.body.substr(0, 200));
    }
    return std::move(response.body);
  }

  /// As Post; the answer of a server that was connected to anew counts once it is known to be ours.
  StatusOr<std::string> PostChecked(const std::string& target, std::string_view body,
                                    Duration timeout, size_t max_bytes,
                                    const std::atomic<bool>* cancelled,
                                    const Sink* sink = nullptr) {
    StatusOr<std::string> answer = Post(target, body, timeout, max_bytes, cancelled, sink);
    long connects = 0;
    curl_easy_getinfo(handle, CURLINFO_NUM_CONNECTS, &connects);
    const RequestRules* rules = RequestGuard::current();
    if (connects == 0 || rules == nullptr || rules->incarnation.empty() || !answer.ok()) {
      return answer;
    }
    PX_ASSIGN_OR_RETURN(const std::string stored, Incarnation(kCheckTimeout));
    if (stored == rules->incarnation) return answer;
    return DataLoss(
        "{} {}, expected is that of data directory {}: it was emptied or replaced", address.url,
        stored.empty() ? "holds no history" : "holds the history of " + stored, rules->incarnation);
  }

  StatusOr<std::string> Incarnation(Duration timeout) {
    constexpr size_t kMaxIdBytes = 1 << 16;
    const StatusOr<std::string> hex = Post(Target({}, {{"readonly", "2"}}, timeout),
                                           kIncarnationSql, timeout, kMaxIdBytes, nullptr);
    if (absl::IsNotFound(hex.status())) return std::string();
    PX_RETURN_IF_ERROR(hex.status());
    return FromHex(*hex);
  }

  [[nodiscard]] Status TransportError(CURLcode code, const Response& response) const {
    const std::string why = error[0] != '\0' ? error : curl_easy_strerror(code);
    if (response.too_large) {
      return ResourceExhausted("the answer of {} exceeds {} bytes", address.url,
                               response.max_bytes);
    }
    if (code == CURLE_OPERATION_TIMEDOUT) {
      curl_off_t connected = 0;
      curl_easy_getinfo(handle, CURLINFO_PRETRANSFER_TIME_T, &connected);
      if (connected > 0) return DeadlineExceeded("{}: {}", address.url, why);
    }
    if (code == CURLE_URL_MALFORMAT || code == CURLE_UNSUPPORTED_PROTOCOL) {
      return InvalidArgument("{}: {}", address.url, why);
    }
    if (code == CURLE_ABORTED_BY_CALLBACK) {
      return Unavailable("{}: given up, history does not answer", address.url);
    }
    if (code == CURLE_OUT_OF_MEMORY) return ResourceExhausted("{}: {}", address.url, why);
    return Unavailable("{}: {}", address.url, why);
  }

  ClickHouseAddress address;
  CURL* handle = nullptr;
  curl_slist* headers = nullptr;
  char error[CURL_ERROR_SIZE] = {};
};

Connection::Connection(ClickHouseAddress address)
    : impl_(std::make_unique<Impl>(std::move(address))) {}
Connection::~Connection() = default;
Connection::Connection(Connection&&) noexcept = default;

StatusOr<std::string> Connection::Query(std::string_view sql, const Settings& settings,
                                        Duration timeout, size_t max_bytes,
                                        const std::atomic<bool>* cancelled) {
  return impl_->PostChecked(impl_->Target({}, settings, timeout), sql, timeout, max_bytes,
                            cancelled);
}

Status Connection::Stream(std::string_view sql, const Settings& settings, Duration timeout,
                          const Sink& sink, const std::atomic<bool>* cancelled) {
  return impl_
      ->PostChecked(impl_->Target({}, settings, timeout, /*whole=*/false), sql, timeout,
                    kMaxErrorBytes, cancelled, &sink)
      .status();
}

Status Connection::Insert(std::string_view sql, ByteSpan body, const Settings& settings,
                          Duration timeout) {
  constexpr size_t kMaxAnswerBytes = 1 << 20;
  return impl_
      ->PostChecked(impl_->Target(sql, settings, timeout), AsText(body), timeout, kMaxAnswerBytes,
                    nullptr)
      .status();
}

StatusOr<std::string> Connection::Incarnation(Duration timeout) {
  return impl_->Incarnation(timeout);
}

}  // namespace proxist::history
