// The HTTP server over a real loopback socket: good requests, bad ones, slow ones, too many.
#include "proxist/server/http_server.h"

#include <cstdlib>

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

namespace proxist::server {
namespace {

using testing::EndsWith;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

/// A client's connection, closed at the end.
class Connection {
 public:
  explicit Connection(uint16_t port) : fd_(socket(AF_INET, SOCK_STREAM, 0)) {
    const timeval patience{.tv_sec = 20, .tv_usec = 0};
    setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  }
  ~Connection() { close(fd_); }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  void Send(std::string_view bytes) const {
    while (!bytes.empty()) {
      const ssize_t sent = send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent <= 0) return;
      bytes.remove_prefix(static_cast<size_t>(sent));
    }
  }
  void EndOfInput() const { shutdown(fd_, SHUT_WR); }
  /// Everything until the server closes.
  [[nodiscard]] std::string ReadAll() const {
    std::string all;
    char chunk[4096];
    ssize_t got = 0;
    while ((got = recv(fd_, chunk, sizeof chunk, 0)) > 0)
      all.append(chunk, static_cast<size_t>(got));
    return all;
  }
  /// Until `end` has arrived.
  [[nodiscard]] std::string ReadTo(std::string_view end) const {
    std::string all;
    char c = 0;
    while (all.find(end) == std::string::npos && recv(fd_, &c, 1, 0) == 1) all += c;
    return all;
  }

 private:
  int fd_;
};

class HttpServerTest : public testing::Test {
 protected:
  void Start(HttpServerOptions options = {}) {
    options.address = {"127.0.0.1", 0};
    HttpHandlers handlers;
    handlers.pages = [](std::string_view path) {
      return HttpReply{.status = path == "/here" ? 200 : 404, .body = "path " + std::string(path)};
    };
    handlers.live = [](std::string_view target) { return LiveAnswer(std::string(target)); };
    auto server = HttpServer::Start(options, std::move(handlers));
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = std::move(*server);
  }
  /// "/live/N": N pieces; "/live/broken": one and then an error; else the target at once.
  static HttpStream LiveAnswer(const std::string& target) {
    if (target == "/live/broken") {
      return {{.body = "begun"}, [] { return StatusOr<std::string>(Aborted("no more")); }};
    }
    const int pieces = std::atoi(target.c_str() + kLivePath.size());
    if (pieces == 0) return {{.status = 403, .body = target}, nullptr};
    return {{}, [pieces, at = 0]() mutable -> StatusOr<std::string> {
              return at++ < pieces ? fmt::format("piece {};", at) : "";
            }};
  }
  [[nodiscard]] std::string Ask(std::string_view request) const {
    const Connection connection(server_->address().port);
    connection.Send(request);
    connection.EndOfInput();
    return connection.ReadAll();
  }
  std::unique_ptr<HttpServer> server_;
};

TEST_F(HttpServerTest, AnswersGetAndHead) {
  Start();
  EXPECT_NE(server_->address().port, 0);
  const std::string answer = Ask("GET /here?x=1 HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_THAT(answer, HasSubstr("Content-Length: 10\r\n"));
  EXPECT_THAT(answer, EndsWith("\r\n\r\npath /here"));
  const std::string head = Ask("HEAD /here HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_THAT(head, HasSubstr("Content-Length: 10\r\n"));
  EXPECT_THAT(head, EndsWith("\r\n\r\n"));
  EXPECT_THAT(Ask("GET /there HTTP/1.0\r\n\r\n"), HasSubstr(" 404 Not Found\r\n"));
}

TEST_F(HttpServerTest, KeepsAConnectionForFurtherRequests) {
  Start();
  const Connection connection(server_->address().port);
  for (int i = 0; i < 3; ++i) {
    connection.Send("GET /here HTTP/1.1\r\nHost: a\r\n\r\n");
    EXPECT_THAT(connection.ReadTo("path /here"), StartsWith("HTTP/1.1 200 OK\r\n")) << i;
  }
  connection.Send("GET /here HTTP/1.1\r\nConnection: close\r\n\r\n");
  EXPECT_THAT(connection.ReadAll(), EndsWith("path /here"));
}

TEST_F(HttpServerTest, RefusesOtherMethodsAndGoesOn) {
  Start();
  const std::string answer =
      Ask("POST /here HTTP/1.1\r\nContent-Length: 3\r\n\r\nabcGET /here HTTP/1.1\r\nConnection: "
          "close\r\n\r\n");
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 405 Method Not Allowed\r\n"));
  EXPECT_THAT(answer, HasSubstr("Allow: GET, HEAD\r\n"));
  EXPECT_THAT(answer, EndsWith("path /here"));
  EXPECT_THAT(Ask("BREW / HTTP/1.1\r\n\r\n"), HasSubstr(" 405 "));
}

TEST_F(HttpServerTest, RefusesWhatIsNoHttp) {
  Start();
  for (const std::string_view request :
       {std::string_view("hello\r\n\r\n"), std::string_view("\0\xff\0\xff\r\n\r\n", 8),
        std::string_view("GET /here HTTP/9.9\r\n\r\n"),
        std::string_view("GET /here HTTP/1.1\r\nContent-Length: -1\r\n\r\n"),
        std::string_view("GET /here HTTP/1.1\r\nno colon\r\n\r\n")}) {
    EXPECT_THAT(Ask(request), StartsWith("HTTP/1.1 400 Bad Request\r\n")) << request;
  }
  EXPECT_EQ(Ask(""), "");
  EXPECT_EQ(Ask("GET /he"), "");
  EXPECT_THAT(Ask("GET /here HTTP/1.1\r\n\r\n"), EndsWith("path /here"));
}

TEST_F(HttpServerTest, BoundsWhatItReads) {
  Start({.max_header_bytes = 8192});
  EXPECT_THAT(Ask("GET /here HTTP/1.1\r\nX: " + std::string(10'000, 'a') + "\r\n\r\n"),
              HasSubstr(" 431 "));
  EXPECT_THAT(Ask("GET /" + std::string(100'000, 'a')), HasSubstr(" 431 "));
  EXPECT_THAT(Ask("POST /here HTTP/1.1\r\nContent-Length: 1000000000\r\n\r\nabc"),
              HasSubstr(" 413 "));
  EXPECT_THAT(Ask("POST /here HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nffffff\r\n" +
                  std::string(200'000, 'a')),
              HasSubstr(" 413 "));
}

TEST_F(HttpServerTest, ClosesSlowClients) {
  Start({.timeout = Duration::Millis(50)});
  const Connection connection(server_->address().port);
  connection.Send("GET /here HTT");
  EXPECT_EQ(connection.ReadAll(), "") << "closed although the client still waits";
}

TEST_F(HttpServerTest, StreamsPieceByPiece) {
  Start();
  const Connection connection(server_->address().port);
  for (int i = 0; i < 2; ++i) {
    connection.Send("GET /live/3?x HTTP/1.1\r\nHost: a\r\n\r\n");
    const std::string answer = connection.ReadTo("\r\n0\r\n\r\n");
    EXPECT_THAT(answer, HasSubstr("Transfer-Encoding: chunked\r\n"));
    EXPECT_THAT(answer, EndsWith("\r\n\r\n8\r\npiece 1;\r\n8\r\npiece 2;\r\n8\r\npiece "
                                 "3;\r\n0\r\n\r\n"));
  }
  connection.Send("HEAD /live/3 HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_THAT(connection.ReadTo("\r\n\r\n"), HasSubstr(" 200 OK"));
  EXPECT_THAT(Ask("GET /live/?a=b HTTP/1.1\r\n\r\n"), EndsWith("\r\n\r\n/live/?a=b"));
  EXPECT_THAT(Ask("GET /live/ HTTP/1.1\r\n\r\n"), HasSubstr(" 403 "));
  EXPECT_THAT(Ask("POST /live/3 HTTP/1.1\r\nContent-Length: 0\r\n\r\n"), HasSubstr(" 405 "));
}

TEST_F(HttpServerTest, AnErrorBreaksAStreamOff) {
  Start();
  const std::string answer = Ask("GET /live/broken HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_THAT(answer, HasSubstr("5\r\nbegun\r\n"));
  EXPECT_THAT(answer, Not(HasSubstr("\r\n0\r\n")));
}

TEST_F(HttpServerTest, WhoWaitsLongestGivesWayBeyondTheBound) {
  Start({.max_connections = 2});
  const Connection first(server_->address().port);
  const Connection second(server_->address().port);
  for (const Connection* connection : {&first, &second}) {
    connection->Send("GET /here HTTP/1.1\r\n\r\n");
    EXPECT_THAT(connection->ReadTo("path /here"), HasSubstr("200 OK"));
  }
  const Connection third(server_->address().port);
  third.Send("GET /here HTTP/1.1\r\n\r\n");
  EXPECT_THAT(third.ReadTo("path /here"), HasSubstr("200 OK"));
  EXPECT_EQ(first.ReadAll(), "");
  second.Send("GET /here HTTP/1.1\r\n\r\n");
  EXPECT_THAT(second.ReadTo("path /here"), HasSubstr("200 OK"));
}

TEST_F(HttpServerTest, StopsWithConnectionsOpen) {
  Start();
  const Connection idle(server_->address().port);
  const Connection half(server_->address().port);
  half.Send("GET /");
  server_.reset();
  EXPECT_EQ(idle.ReadAll(), "");
}

TEST_F(HttpServerTest, APortInUseIsAnError) {
  Start();
  HttpServerOptions options;
  options.address = server_->address();
  const Status status =
      HttpServer::Start(options, {.pages = [](std::string_view) { return HttpReply(); }}).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(Message(status)),
              HasSubstr(Format(options.address) + " is in use by another process"));
}

}  // namespace
}  // namespace proxist::server
