// One thread serves all connections; what live views ask for is made on a few others.
#include "proxist/server/http_server.h"

#include <array>
#include <atomic>
#include <chrono>
#include <exception>
#include <list>
#include <thread>
#include <utility>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http/buffer_body.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>

#include "proxist/observe/log.h"
#include "proxist/server/internal/counted.h"
#include "proxist/server/internal/sql_relay.h"
#include "proxist/server/url_query.h"

namespace proxist::server {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using asio::ip::tcp;
using ErrorCode = boost::system::error_code;
using Response = http::response<http::string_body>;

constexpr std::chrono::milliseconds kDrainTime(500);
constexpr size_t kMaxDrainBytes = 1u << 20;
// A query may read from a live view as slowly as it goes on.
constexpr std::chrono::seconds kStallTime(300);

Response MakeResponse(HttpReply reply, bool keep_alive, bool head) {
  Response response;
  response.result(static_cast<unsigned>(reply.status));
  response.set(http::field::server, "proxist");
  response.set(http::field::content_type, reply.content_type);
  response.set(http::field::cache_control, "no-store");
  if (reply.status == 405) response.set(http::field::allow, "GET, HEAD");
  response.keep_alive(keep_alive);
  const size_t size = reply.body.size();
  if (!head) response.body() = std::move(reply.body);
  response.content_length(size);
  return response;
}

/// What to answer to a request that could not be read; nothing when the peer just went away.
int StatusOfReadError(const ErrorCode& error) {
  if (error == http::error::header_limit || error == http::error::buffer_overflow) return 431;
  if (error == http::error::body_limit) return 413;
  if (error == http::error::end_of_stream || error == http::error::partial_message) return 0;
  if (error.category() == http::make_error_code(http::error::end_of_stream).category()) return 400;
  return 0;
}

/// Keeps a connection in the list of those that wait for a request.
class Waiting {
 public:
  using List = std::list<beast::tcp_stream*>;
  Waiting(List* list, beast::tcp_stream* stream)
      : list_(list), at_(list->insert(list->end(), stream)) {}
  ~Waiting() { list_->erase(at_); }
  Waiting(const Waiting&) = delete;
  Waiting& operator=(const Waiting&) = delete;

 private:
  List* list_;
  List::iterator at_;
};

std::string_view View(beast::string_view text) { return {text.data(), text.size()}; }

/// Runs `work` on the pool; the caller, who keeps it, goes on where it was.
template <typename T>
asio::awaitable<T> On(asio::thread_pool* pool, const std::function<T()>& work) {
  return asio::co_spawn(
      *pool, [run = &work]() -> asio::awaitable<T> { co_return (*run)(); }, asio::use_awaitable);
}

}  // namespace

struct HttpServer::Impl {
  Impl(HttpServerOptions chosen, HttpHandlers handle)
      : options(std::move(chosen)),
        handlers(std::move(handle)),
        sql(handlers.sql),
        pool(options.live_threads) {}

  HttpServerOptions options;
  const HttpHandlers handlers;
  SqlRelay sql;
  asio::thread_pool pool;
  // These outlive the sessions in `context`; the server's thread alone writes.
  std::atomic<uint64_t> connections = 0;
  Waiting::List waiting;  // longest first
  asio::io_context context{1};
  tcp::acceptor acceptor{context};
  std::thread thread;

  Status Listen();
  asio::awaitable<void> Accept();
  asio::awaitable<void> Serve(beast::tcp_stream stream);
  asio::awaitable<bool> ServeOne(beast::tcp_stream* stream, beast::flat_buffer* buffer);
  asio::awaitable<bool> ServePage(beast::tcp_stream* stream, beast::flat_buffer* buffer,
                                  http::request_parser<http::empty_body>* header);
  asio::awaitable<bool> ServeLive(beast::tcp_stream* stream, const std::string* target, bool head,
                                  bool keep_alive);
  asio::awaitable<bool> Write(beast::tcp_stream* stream, Response* response) const;
  asio::awaitable<bool> WriteReadError(beast::tcp_stream* stream, const ErrorCode& error) const;
  asio::awaitable<void> Drain(beast::tcp_stream* stream) const;
  HttpReply Answer(http::verb method, beast::string_view target) const;
  void Arm(beast::tcp_stream* stream) const {
    stream->expires_after(std::chrono::nanoseconds(options.timeout.ns()));
  }
};

Status HttpServer::Impl::Listen() {
  PX_RETURN_IF_ERROR(CheckFree(options.address, "the HTTP address"));
  ErrorCode error;
  tcp::resolver resolver(context);
  const auto found =
      resolver.resolve(options.address.host, std::to_string(options.address.port),
                       tcp::resolver::passive | tcp::resolver::numeric_service, error);
  if (error || found.empty()) {
    return InvalidArgument("the HTTP address: host {} does not resolve: {}", options.address.host,
                           error.message());
  }
  const tcp::endpoint endpoint = found.begin()->endpoint();
  acceptor.open(endpoint.protocol(), error);
  if (!error) acceptor.set_option(tcp::acceptor::reuse_address(true), error);
  if (!error) acceptor.bind(endpoint, error);
  if (!error) acceptor.listen(asio::socket_base::max_listen_connections, error);
  if (error) {
    return FailedPrecondition("the HTTP address: {}: {}", Format(options.address), error.message());
  }
  options.address.port = acceptor.local_endpoint().port();
  return OkStatus();
}

HttpReply HttpServer::Impl::Answer(http::verb method, beast::string_view target) const {
  if (method != http::verb::get && method != http::verb::head) {
    return {.status = 405, .body = "only GET and HEAD are answered here\n"};
  }
  return handlers.pages(PathOf(View(target)));
}

// Arguments of what is awaited are named variables: g++ 12 destroys temporaries of such an
// expression twice.
asio::awaitable<bool> HttpServer::Impl::Write(beast::tcp_stream* stream, Response* response) const {
  ErrorCode error;
  Arm(stream);
  http::response_serializer<http::string_body> serializer(*response);
  serializer.split(false);
  co_await http::async_write(*stream, serializer, asio::redirect_error(asio::use_awaitable, error));
  co_return !error && response->keep_alive();
}

asio::awaitable<bool> HttpServer::Impl::WriteReadError(beast::tcp_stream* stream,
                                                       const ErrorCode& error) const {
  const int status = StatusOfReadError(error);
  if (status == 0) co_return false;
  Response response =
      MakeResponse({.status = status, .body = error.message() + "\n"}, false, false);
  const bool goes_on = co_await Write(stream, &response);
  co_return goes_on;
}

asio::awaitable<bool> HttpServer::Impl::ServePage(beast::tcp_stream* stream,
                                                  beast::flat_buffer* buffer,
                                                  http::request_parser<http::empty_body>* header) {
  http::request_parser<http::string_body> parser(std::move(*header));
  const auto length = parser.content_length();
  ErrorCode error;
  if (length && *length > options.max_body_bytes) {
    error = http::error::body_limit;
  } else {
    parser.body_limit(options.max_body_bytes);
    Arm(stream);
    co_await http::async_read(*stream, *buffer, parser,
                              asio::redirect_error(asio::use_awaitable, error));
  }
  if (error) {
    const bool goes_on = co_await WriteReadError(stream, error);
    co_return goes_on;
  }
  const auto& request = parser.get();
  const bool head = request.method() == http::verb::head;
  const bool keep_alive = request.keep_alive();
  const std::string target(View(request.target()));
  if (handlers.live && target.starts_with(kLivePath) &&
      (head || request.method() == http::verb::get)) {
    const bool goes_on = co_await ServeLive(stream, &target, head, keep_alive);
    co_return goes_on;
  }
  Response response = MakeResponse(Answer(request.method(), request.target()), keep_alive, head);
  const bool goes_on = co_await Write(stream, &response);
  co_return goes_on;
}

asio::awaitable<bool> HttpServer::Impl::ServeLive(beast::tcp_stream* stream,
                                                  const std::string* target, bool head,
                                                  bool keep_alive) {
  HttpStream answer;
  if (!head) {
    const std::function<HttpStream()> ask = [this, target] { return handlers.live(*target); };
    answer = co_await On<HttpStream>(&pool, ask);
  }
  // A HEAD is not worth an answer being made: its GET follows.
  if (answer.next == nullptr) {
    Response response = MakeResponse(std::move(answer.head), keep_alive, head);
    const bool goes_on = co_await Write(stream, &response);
    co_return goes_on;
  }
  http::response<http::buffer_body> response;
  response.result(static_cast<unsigned>(answer.head.status));
  response.set(http::field::content_type, answer.head.content_type);
  response.keep_alive(keep_alive);
  response.chunked(true);
  http::response_serializer<http::buffer_body> serializer(response);
  ErrorCode error;
  Arm(stream);
  co_await http::async_write_header(*stream, serializer,
                                    asio::redirect_error(asio::use_awaitable, error));
  std::string piece = std::move(answer.head.body);
  bool more = true;
  while (!error) {
    response.body().data = piece.empty() ? nullptr : piece.data();
    response.body().size = piece.size();
    response.body().more = more;
    if (!piece.empty() || !more) {
      stream->expires_after(kStallTime);
      co_await http::async_write(*stream, serializer,
                                 asio::redirect_error(asio::use_awaitable, error));
      if (error == http::error::need_buffer) error = {};
    }
    if (error || !more) break;
    StatusOr<std::string> made = co_await On<StatusOr<std::string>>(&pool, answer.next);
    if (!made.ok()) co_return false;
    piece = std::move(*made);
    more = !piece.empty();
  }
  co_return !error && keep_alive;
}

/// Reads and answers one request; false: the connection ends.
asio::awaitable<bool> HttpServer::Impl::ServeOne(beast::tcp_stream* stream,
                                                 beast::flat_buffer* buffer) {
  http::request_parser<http::empty_body> header;
  header.header_limit(options.max_header_bytes);
  header.body_limit(boost::none);  // known when the path is
  ErrorCode error;
  {
    const Waiting in_list(&waiting, stream);
    Arm(stream);
    co_await http::async_read_header(*stream, *buffer, header,
                                     asio::redirect_error(asio::use_awaitable, error));
  }
  bool goes_on = false;
  if (error) {
    goes_on = co_await WriteReadError(stream, error);
  } else if (sql.on() && IsSqlPath(View(header.get().target()))) {
    goes_on = co_await sql.Serve(stream, buffer, &header);
  } else {
    goes_on = co_await ServePage(stream, buffer, &header);
  }
  co_return goes_on;
}

/// Reads on for a moment before the connection closes: unread bytes would make the kernel reset it,
/// and the peer might then lose the answer.
asio::awaitable<void> HttpServer::Impl::Drain(beast::tcp_stream* stream) const {
  ErrorCode error;
  stream->socket().shutdown(tcp::socket::shutdown_send, error);
  stream->expires_after(kDrainTime);
  std::array<char, 4096> chunk;
  size_t drained = 0;
  while (!error && drained < kMaxDrainBytes) {
    const size_t got = co_await stream->async_read_some(
        asio::buffer(chunk), asio::redirect_error(asio::use_awaitable, error));
    drained += got;
  }
}

asio::awaitable<void> HttpServer::Impl::Serve(beast::tcp_stream stream) {
  const Counted counted(&connections);
  beast::flat_buffer buffer(size_t{options.max_header_bytes} + options.max_body_bytes);
  while (co_await ServeOne(&stream, &buffer)) {
  }
  co_await Drain(&stream);
}

asio::awaitable<void> HttpServer::Impl::Accept() {
  asio::steady_timer pause(context);
  while (acceptor.is_open()) {
    ErrorCode error;
    tcp::socket socket =
        co_await acceptor.async_accept(asio::redirect_error(asio::use_awaitable, error));
    if (error == asio::error::operation_aborted) co_return;
    if (error) {
      // Out of file descriptors, most likely: a connection has to end first.
      pause.expires_after(std::chrono::milliseconds(50));
      co_await pause.async_wait(asio::redirect_error(asio::use_awaitable, error));
      continue;
    }
    // An answer in pieces would wait 40 ms for the peer's delayed ack else.
    socket.set_option(tcp::no_delay(true), error);
    if (connections >= options.max_connections) {
      if (waiting.empty()) continue;
      waiting.front()->socket().close(error);
    }
    asio::co_spawn(context, Serve(beast::tcp_stream(std::move(socket))), asio::detached);
  }
}

HttpServer::HttpServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

StatusOr<std::unique_ptr<HttpServer>> HttpServer::Start(const HttpServerOptions& options,
                                                        HttpHandlers handlers) {
  auto impl = std::make_unique<Impl>(options, std::move(handlers));
  PX_RETURN_IF_ERROR(impl->Listen());
  asio::co_spawn(impl->context, impl->Accept(), asio::detached);
  impl->thread = std::thread([running = impl.get()] {
    while (!running->context.stopped()) {
      try {
        running->context.run();
      } catch (const std::exception& error) {
        observe::LogError("HTTP server: {}", error.what());
      }
    }
  });
  return std::unique_ptr<HttpServer>(new HttpServer(std::move(impl)));
}

HttpServer::~HttpServer() {
  impl_->context.stop();
  impl_->thread.join();
  impl_->pool.join();
}

HttpStats HttpServer::stats() const {
  HttpStats stats;
  stats.connections = impl_->connections;
  impl_->sql.AddTo(&stats);
  return stats;
}

const Address& HttpServer::address() const { return impl_->options.address; }

}  // namespace proxist::server
