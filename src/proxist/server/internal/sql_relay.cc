#include "proxist/server/internal/sql_relay.h"

#include <array>
#include <chrono>
#include <memory>
#include <utility>
#include <vector>

#include <boost/asio/buffer.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/http/buffer_body.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>

#include "proxist/server/internal/counted.h"

namespace proxist::server {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using asio::ip::tcp;
using ErrorCode = boost::system::error_code;
using Clock = std::chrono::steady_clock;
using RequestParser = http::request_parser<http::buffer_body>;
using ResponseParser = http::response_parser<http::buffer_body>;

constexpr size_t kPieceBytes = 64 << 10;
/// Progress may be told of in headers, many times.
constexpr uint32_t kMaxAnswerHeaderBytes = 4u << 20;
constexpr std::chrono::seconds kConnectTime(5);
constexpr std::chrono::seconds kStallTime(60);  // of a client that sends or reads nothing
/// What a query may take beyond its timeout, which ClickHouse watches itself.
constexpr std::chrono::seconds kGrace(10);

std::string_view View(beast::string_view text) { return {text.data(), text.size()}; }

/// Closes the way to ClickHouse when the client goes away. Outlives the exchange by the time that a
/// handler of it is still queued.
struct Watch {
  beast::tcp_stream* upstream = nullptr;  // nullptr: the exchange is over
  bool client_gone = false;
};

void WatchClient(beast::tcp_stream* client, const std::shared_ptr<Watch>& watch) {
  client->socket().async_wait(tcp::socket::wait_read, [client, watch](const ErrorCode& error) {
    if (error || watch->upstream == nullptr) return;
    ErrorCode failed;
    char byte = 0;
    const size_t got =
        client->socket().receive(asio::buffer(&byte, 1), tcp::socket::message_peek, failed);
    if (!failed && got > 0) return;  // the next request; it waits
    if (failed == asio::error::would_block || failed == asio::error::try_again) return;
    watch->client_gone = true;
    watch->upstream->close();
  });
}

}  // namespace

/// One request and its answer. Every step is false when the exchange is over, with what to tell the
/// client in `error_`, if it can still be told.
class SqlExchange {
 public:
  SqlExchange(SqlRelay* relay, beast::tcp_stream* client, beast::flat_buffer* buffer,
              http::request_parser<http::empty_body>* header)
      : relay_(*relay),
        client_(client),
        buffer_(buffer),
        request_(std::move(*header)),
        upstream_(client->get_executor()),
        piece_(kPieceBytes) {
    request_.body_limit(relay_.options_.max_body_bytes);
  }
  ~SqlExchange() {
    watch_->upstream = nullptr;
    if (watch_->client_gone) ++relay_.cancelled_;
    if (forwarded_ && relay_.options_.ended) relay_.options_.ended(target_.query_id);
  }
  SqlExchange(const SqlExchange&) = delete;
  SqlExchange& operator=(const SqlExchange&) = delete;

  asio::awaitable<bool> Run() {
    bool forwarded = Prepare();
    if (forwarded) forwarded = co_await ReadFirstPiece();
    if (forwarded) forwarded = co_await Connect();
    if (forwarded) forwarded = co_await SendRequest();
    if (forwarded) forwarded = co_await SendAnswer();
    watch_->upstream = nullptr;
    ErrorCode ignored;
    client_->socket().cancel(ignored);
    if (forwarded) co_return request_.get().keep_alive() && request_.is_done();
    if (answering_ || watch_->client_gone || error_.body.empty()) co_return false;
    const bool goes_on = co_await SendError();
    co_return goes_on;
  }

 private:
  bool Refuse(int status, int code, std::string_view name, std::string_view message) {
    error_ = MakeSqlError(status, code, name, message);
    return false;
  }

  bool Prepare() {
    const auto method = request_.get().method();
    if (method != http::verb::get && method != http::verb::post && method != http::verb::head &&
        method != http::verb::options) {
      return Refuse(405, 501, "CANNOT_PARSE_QUERY", "SQL is asked with GET or POST");
    }
    if (relay_.running_ > relay_.options_.max_queries) {
      ++relay_.refused_;
      return Refuse(503, 202, "TOO_MANY_SIMULTANEOUS_QUERIES",
                    fmt::format("{} SQL queries run already (--sql-max-queries): ask again in a "
                                "moment",
                                relay_.options_.max_queries));
    }
    const auto length = request_.content_length();
    if (length && *length > relay_.options_.max_body_bytes) {
      return Refuse(413, 307, "TOO_MANY_BYTES",
                    fmt::format("the request's body has {} bytes, the bound is {} "
                                "(--sql-max-body-mb)",
                                *length, relay_.options_.max_body_bytes));
    }
    auto target = RewriteSqlTarget(View(request_.get().target()), relay_.options_);
    if (!target.ok()) return Refuse(400, 36, "BAD_ARGUMENTS", Message(target.status()));
    target_ = std::move(*target);
    // ClickHouse says "Ok." to a request without any question.
    if (method != http::verb::post && request_.get().target() == "/") target_.target = "/";
    auto to = relay_.options_.upstream();
    if (!to.ok()) return Refuse(503, 210, "NETWORK_ERROR", Message(to.status()));
    to_ = std::move(*to);
    return true;
  }

  /// A piece of the request's body into `piece_`; `got_` is its size.
  asio::awaitable<bool> ReadPiece() {
    auto& body = request_.get().body();
    body.data = piece_.data();
    body.size = piece_.size();
    ErrorCode error;
    client_->expires_after(kStallTime);
    co_await http::async_read(*client_, *buffer_, request_,
                              asio::redirect_error(asio::use_awaitable, error));
    got_ = piece_.size() - body.size;
    if (error == http::error::body_limit) {
      co_return Refuse(413, 307, "TOO_MANY_BYTES",
                       "the request's body is above its bound (--sql-max-body-mb)");
    }
    co_return !error || error == http::error::need_buffer;
  }

  asio::awaitable<bool> ReadFirstPiece() {
    if (View(request_.get()[http::field::expect]) == "100-continue") {
      constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
      const auto bytes = asio::buffer(kContinue.data(), kContinue.size());
      ErrorCode error;
      client_->expires_after(kStallTime);
      co_await asio::async_write(*client_, bytes, asio::redirect_error(asio::use_awaitable, error));
      if (error) co_return false;
    }
    if (!request_.is_done()) {
      const bool read = co_await ReadPiece();
      if (!read) co_return false;
    }
    std::string statement = target_.statement;
    // ClickHouse puts the body behind the text of the target.
    if (statement.empty()) statement.assign(piece_.data(), std::min<size_t>(got_, 4096));
    if (const Status reads = CheckReads(statement); !reads.ok()) {
      co_return Refuse(403, 164, "READONLY", Message(reads));
    }
    co_return true;
  }

  asio::awaitable<bool> Connect() {
    ErrorCode error;
    tcp::resolver resolver(client_->get_executor());
    const std::string port = std::to_string(to_.port);
    const auto found = co_await resolver.async_resolve(
        to_.host, port, asio::redirect_error(asio::use_awaitable, error));
    if (!error) {
      upstream_.expires_after(kConnectTime);
      co_await upstream_.async_connect(found, asio::redirect_error(asio::use_awaitable, error));
    }
    if (error) {
      co_return Refuse(503, 210, "NETWORK_ERROR",
                       fmt::format("ClickHouse at {}:{} does not answer: {}", to_.host, to_.port,
                                   error.message()));
    }
    upstream_.socket().set_option(tcp::no_delay(true), error);
    deadline_ = Clock::now() + std::chrono::nanoseconds(relay_.options_.timeout.ns()) + kGrace;
    watch_->upstream = &upstream_;
    forwarded_ = true;
    ++relay_.queries_;
    co_return true;
  }

  [[nodiscard]] bool Lost(const ErrorCode& error) {
    if (error == beast::error::timeout) {
      return Refuse(504, 159, "TIMEOUT_EXCEEDED",
                    fmt::format("the query ran longer than {} (--sql-timeout-s)",
                                FormatDuration(relay_.options_.timeout)));
    }
    return Refuse(
        503, 210, "NETWORK_ERROR",
        fmt::format("ClickHouse at {}:{} broke off: {}", to_.host, to_.port, error.message()));
  }

  asio::awaitable<bool> SendRequest() {
    http::request<http::buffer_body> out;
    out.method(request_.get().method());
    out.target(target_.target);
    out.version(11);
    for (const auto& field : request_.get()) {
      if (IsPassedOn(View(field.name_string()))) out.insert(field.name_string(), field.value());
    }
    out.set(http::field::host, to_.host);
    out.set(http::field::connection, "close");
    out.set("X-ClickHouse-User", to_.user);
    out.set("X-ClickHouse-Key", to_.password);
    const bool body = got_ > 0 || !request_.is_done();
    if (request_.content_length()) {
      out.content_length(*request_.content_length());
    } else if (body) {
      out.chunked(true);
    } else if (request_.get().method() == http::verb::post) {
      out.content_length(0);
    }
    http::request_serializer<http::buffer_body> serializer(out);
    while (true) {
      out.body().data = got_ > 0 ? piece_.data() : nullptr;
      out.body().size = got_;
      out.body().more = !request_.is_done();
      ErrorCode error;
      upstream_.expires_at(deadline_);
      co_await http::async_write(upstream_, serializer,
                                 asio::redirect_error(asio::use_awaitable, error));
      // ClickHouse may answer, with an error, before it has read all.
      if (error && error != http::error::need_buffer) break;
      if (request_.is_done()) break;
      const bool read = co_await ReadPiece();
      if (!read) co_return false;
    }
    co_return true;
  }

  void StartAnswer(http::response<http::buffer_body>* out, bool* close) {
    const auto& in = answer_.get();
    const bool head = request_.get().method() == http::verb::head;
    out->result(in.result_int());
    out->version(request_.get().version());
    for (const auto& field : in) {
      if (IsPassedOn(View(field.name_string()))) out->insert(field.name_string(), field.value());
    }
    out->keep_alive(request_.get().keep_alive() && request_.is_done());
    if (answer_.content_length()) {
      out->content_length(*answer_.content_length());
    } else if (head) {
      // Neither of both is known, and no body comes.
    } else if (request_.get().version() >= 11) {
      out->chunked(true);
    } else {
      out->keep_alive(false);
      *close = true;
    }
  }

  asio::awaitable<bool> SendAnswer() {
    WatchClient(client_, watch_);
    answer_.header_limit(kMaxAnswerHeaderBytes);
    answer_.body_limit(boost::none);
    if (request_.get().method() == http::verb::head) answer_.skip(true);
    beast::flat_buffer buffer(kMaxAnswerHeaderBytes + kPieceBytes);
    ErrorCode error;
    upstream_.expires_at(deadline_);
    co_await http::async_read_header(upstream_, buffer, answer_,
                                     asio::redirect_error(asio::use_awaitable, error));
    if (error) co_return Lost(error);
    answering_ = true;
    http::response<http::buffer_body> out;
    bool close = false;
    StartAnswer(&out, &close);
    http::response_serializer<http::buffer_body> serializer(out);
    if (answer_.is_done()) {
      out.body().data = nullptr;
      out.body().more = false;
    }
    client_->expires_after(kStallTime);
    co_await http::async_write_header(*client_, serializer,
                                      asio::redirect_error(asio::use_awaitable, error));
    while (!error && !answer_.is_done()) {
      auto& body = answer_.get().body();
      body.data = piece_.data();
      body.size = piece_.size();
      upstream_.expires_at(deadline_);
      co_await http::async_read_some(upstream_, buffer, answer_,
                                     asio::redirect_error(asio::use_awaitable, error));
      if (error && error != http::error::need_buffer) co_return false;
      error = {};
      out.body().size = piece_.size() - body.size;
      if (out.body().size == 0 && !answer_.is_done()) continue;
      out.body().data = out.body().size > 0 ? piece_.data() : nullptr;
      out.body().more = !answer_.is_done();
      client_->expires_after(kStallTime);
      co_await http::async_write(*client_, serializer,
                                 asio::redirect_error(asio::use_awaitable, error));
      if (error == http::error::need_buffer) error = {};
    }
    co_return !error && !close;
  }

  asio::awaitable<bool> SendError() {
    http::response<http::string_body> out;
    out.result(static_cast<unsigned>(error_.status));
    out.version(request_.get().version());
    out.set(http::field::content_type, "text/plain; charset=UTF-8");
    out.set("X-ClickHouse-Exception-Code", std::to_string(error_.code));
    if (error_.status == 503) out.set(http::field::retry_after, "1");
    if (error_.status == 405) out.set(http::field::allow, "GET, HEAD, OPTIONS, POST");
    out.keep_alive(request_.get().keep_alive() && request_.is_done());
    const bool head = request_.get().method() == http::verb::head;
    out.content_length(error_.body.size());
    if (!head) out.body() = error_.body;
    ErrorCode error;
    client_->expires_after(kStallTime);
    http::response_serializer<http::string_body> serializer(out);
    co_await http::async_write(*client_, serializer,
                               asio::redirect_error(asio::use_awaitable, error));
    co_return !error && out.keep_alive();
  }

  SqlRelay& relay_;
  beast::tcp_stream* const client_;
  beast::flat_buffer* const buffer_;
  RequestParser request_;
  beast::tcp_stream upstream_;
  ResponseParser answer_;
  std::vector<char> piece_;
  size_t got_ = 0;  // of the request's body in piece_
  SqlTarget target_;
  SqlUpstream to_;
  SqlError error_;
  Clock::time_point deadline_;
  bool forwarded_ = false;  // ClickHouse has the query, or part of it
  bool answering_ = false;  // the client has a part of an answer
  const std::shared_ptr<Watch> watch_ = std::make_shared<Watch>();
};

asio::awaitable<bool> SqlRelay::Serve(beast::tcp_stream* client, beast::flat_buffer* buffer,
                                      http::request_parser<http::empty_body>* parser) {
  const Counted counted(&running_);
  SqlExchange exchange(this, client, buffer, parser);
  const bool goes_on = co_await exchange.Run();
  co_return goes_on;
}

void SqlRelay::AddTo(HttpStats* stats) const {
  stats->sql_running = running_;
  stats->sql_queries = queries_;
  stats->sql_refused = refused_;
  stats->sql_cancelled = cancelled_;
}

}  // namespace proxist::server
