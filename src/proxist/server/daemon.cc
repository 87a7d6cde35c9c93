// A node with its ports: what proxistd runs.
#include "proxist/server/daemon.h"

#include <algorithm>
#include <atomic>
#include <utility>

#include "proxist/history/clickhouse.h"
#include "proxist/history/monitor.h"
#include "proxist/observe/log.h"
#include "proxist/observe/metrics.h"
#include "proxist/server/http_routes.h"

namespace proxist::server {
namespace {

Status CheckReach(const Address& address, std::string_view option, bool insecure) {
  StatusOr<bool> loopback = IsLoopback(address);
  if (!loopback.ok()) return Annotate(loopback.status(), option);
  if (*loopback) return OkStatus();
  if (!insecure) {
    return InvalidArgument(
        "{} {} is not a loopback address: whoever reaches it could read and write everything; "
        "--insecure allows it",
        option, Format(address));
  }
  observe::LogWarning(
      "insecure: {} {} is not a loopback address; whoever reaches it can read and write everything",
      option, Format(address));
  return OkStatus();
}

/// Refuses what can be refused before the node opens, so that nothing was changed by then.
Status CheckBeforeOpening(const DaemonOptions& options) {
  const std::string& reached = options.public_http;
  if (!reached.empty() && (!reached.starts_with("http://") || reached.ends_with('/'))) {
    return InvalidArgument("--public-http: expected http://host:port, got \"{}\"", reached);
  }
  const std::string& history = options.node.history;
  if (history != "embedded" && history != "none") {
    const Status url = history::ParseAddresses(history).status();
    if (!url.ok())
      return InvalidArgument("--history: expected embedded, none or a URL: {}", Message(url));
  }
  PX_RETURN_IF_ERROR(CheckReach(options.grpc.address, "--grpc", options.insecure));
  PX_RETURN_IF_ERROR(CheckReach(options.http.address, "--http", options.insecure));
  PX_RETURN_IF_ERROR(CheckFree(options.grpc.address, "--grpc"));
  return CheckFree(options.http.address, "--http");
}

/// The URL that live views are given; empty with the reason in `why_none`.
std::string ReachedUnder(const DaemonOptions& options, const Address& http, std::string* why_none) {
  if (!options.node.live_views) {
    *why_none = "--live-views is false";
    return "";
  }
  if (!options.public_http.empty()) return options.public_http;
  const std::string local = fmt::format(
      "http://{}", Format({http.host == "0.0.0.0" ? "127.0.0.1" : http.host, http.port}));
  if (options.node.history == "embedded" || options.node.history == "none") return local;
  const auto listens = IsLoopback(http);
  if (listens.ok() && !*listens && http.host != "0.0.0.0" && http.host != "::") return local;
  const auto history = history::ParseAddresses(options.node.history);
  const auto beside = [](const history::ClickHouseAddress& address) {
    std::string host = address.url.substr(address.url.find("://") + 3);
    host.resize(host.rfind(':'));
    std::erase_if(host, [](char c) { return c == '[' || c == ']'; });
    const auto loopback = IsLoopback({host, 0});
    return loopback.ok() && *loopback;
  };
  if (history.ok() && std::all_of(history->begin(), history->end(), beside)) return local;
  *why_none = fmt::format(
      "ClickHouse does not run on this machine, so it cannot reach {}: say with --public-http "
      "where it can",
      Format(http));
  return "";
}

}  // namespace

struct Daemon::Impl {
  NodeState State() const {
    NodeState state = node->State();
    if (const HttpServer* server = serving; server != nullptr) state.http = server->stats();
    return state;
  }

  observe::Metrics metrics;
  std::unique_ptr<Node> node;
  std::atomic<HttpServer*> serving = nullptr;  // `http`, once it is there
  std::unique_ptr<HttpServer> http;
  std::unique_ptr<GrpcServer> grpc;
};

Daemon::Daemon(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

StatusOr<std::unique_ptr<Daemon>> Daemon::Start(const DaemonOptions& options) {
  PX_RETURN_IF_ERROR(CheckBeforeOpening(options));
  auto impl = std::make_unique<Impl>();
  PX_ASSIGN_OR_RETURN(impl->node, Node::Open(options.node));
  Node* node = impl->node.get();
  HttpHandlers handlers;
  handlers.pages =
      MakeHttpHandler([running = impl.get()] { return running->State(); }, &impl->metrics);
  handlers.live = node->LiveHandler();
  handlers.sql = options.sql;
  handlers.sql.upstream = [node] { return node->SqlTo(); };
  handlers.sql.ended = [node](std::string_view query_id) { node->SqlEnded(query_id); };
  PX_ASSIGN_OR_RETURN(impl->http, HttpServer::Start(options.http, std::move(handlers)));
  impl->serving = impl->http.get();
  std::string why_no_views;
  const std::string reached = ReachedUnder(options, impl->http->address(), &why_no_views);
  node->ServeLiveViews(reached, why_no_views);
  GrpcServerOptions grpc = options.grpc;
  grpc.http_address = Format(impl->http->address());
  PX_ASSIGN_OR_RETURN(impl->grpc, GrpcServer::Start(grpc, impl->node.get(), &impl->metrics));
  std::unique_ptr<Daemon> daemon(new Daemon(std::move(impl)));
  observe::LogInfo("serving: {} data={} history={}", daemon->ReadyLine(),
                   options.node.data_directory, daemon->impl_->node->State().history.kind);
  return daemon;
}

Daemon::~Daemon() {
  if (impl_->node != nullptr) impl_->node->EndWaits();
  impl_->grpc.reset();
  impl_->http.reset();
  impl_->node.reset();
}

std::string Daemon::ReadyLine() const {
  return fmt::format("ready grpc={} http={}", Format(impl_->grpc->address()),
                     Format(impl_->http->address()));
}

}  // namespace proxist::server
