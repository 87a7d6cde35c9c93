// A node with its ports: what proxistd runs.
#include "proxist/server/daemon.h"

#include <utility>

#include "proxist/history/clickhouse.h"
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

}  // namespace

struct Daemon::Impl {
  observe::Metrics metrics;
  std::unique_ptr<Node> node;
  std::unique_ptr<HttpServer> http;
  std::unique_ptr<GrpcServer> grpc;
};

Daemon::Daemon(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

StatusOr<std::unique_ptr<Daemon>> Daemon::Start(const DaemonOptions& options) {
  PX_RETURN_IF_ERROR(CheckBeforeOpening(options));
  auto impl = std::make_unique<Impl>();
  PX_ASSIGN_OR_RETURN(impl->node, Node::Open(options.node));
  PX_ASSIGN_OR_RETURN(
      impl->http,
      HttpServer::Start(
          options.http,
          MakeHttpHandler([node = impl->node.get()] { return node->State(); }, &impl->metrics)));
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
