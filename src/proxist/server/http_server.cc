// A small HTTP/1.1 server for status pages: bounded in everything, one thread.
#include "proxist/server/http_server.h"

#include <array>
#include <chrono>
#include <exception>
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
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>

#include "proxist/observe/log.h"

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

/// Counts a connection for as long as its session lives.
class Counted {
 public:
  explicit Counted(size_t* count) : count_(count) { ++*count_; }
  ~Counted() { --*count_; }
  Counted(const Counted&) = delete;
  Counted& operator=(const Counted&) = delete;

 private:
  size_t* count_;
};

std::string_view PathOf(boost::beast::string_view target) {
  const std::string_view text(target.data(), target.size());
  return text.substr(0, text.find('?'));
}

}  // namespace

struct HttpServer::Impl {
  Impl(HttpServerOptions chosen, HttpHandler handle)
      : options(std::move(chosen)), handler(std::move(handle)) {}

  HttpServerOptions options;
  HttpHandler handler;
  size_t connections = 0;  // the server's thread only; outlives the sessions in `context`
  asio::io_context context{1};
  tcp::acceptor acceptor{context};
  std::thread thread;

  Status Listen();
  asio::awaitable<void> Accept();
  asio::awaitable<void> Serve(beast::tcp_stream stream);
  asio::awaitable<bool> ServeOne(beast::tcp_stream* stream, beast::flat_buffer* buffer);
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
  return handler(PathOf(target));
}

/// Reads and answers one request; false: the connection ends.
asio::awaitable<bool> HttpServer::Impl::ServeOne(beast::tcp_stream* stream,
                                                 beast::flat_buffer* buffer) {
  http::request_parser<http::string_body> parser;
  parser.header_limit(options.max_header_bytes);
  parser.body_limit(options.max_body_bytes);
  ErrorCode error;
  Arm(stream);
  co_await http::async_read(*stream, *buffer, parser,
                            asio::redirect_error(asio::use_awaitable, error));
  bool keep_alive = false;
  Response response;
  if (error) {
    const int status = StatusOfReadError(error);
    if (status == 0) co_return false;
    response = MakeResponse({.status = status, .body = error.message() + "\n"}, false, false);
  } else {
    const auto& request = parser.get();
    keep_alive = request.keep_alive();
    response = MakeResponse(Answer(request.method(), request.target()), keep_alive,
                            request.method() == http::verb::head);
  }
  Arm(stream);
  http::response_serializer<http::string_body> serializer(response);
  serializer.split(false);
  co_await http::async_write(*stream, serializer, asio::redirect_error(asio::use_awaitable, error));
  co_return !error && keep_alive;
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
    if (connections >= options.max_connections) continue;
    asio::co_spawn(context, Serve(beast::tcp_stream(std::move(socket))), asio::detached);
  }
}

HttpServer::HttpServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

StatusOr<std::unique_ptr<HttpServer>> HttpServer::Start(const HttpServerOptions& options,
                                                        HttpHandler handler) {
  auto impl = std::make_unique<Impl>(options, std::move(handler));
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
}

const Address& HttpServer::address() const { return impl_->options.address; }

}  // namespace proxist::server
