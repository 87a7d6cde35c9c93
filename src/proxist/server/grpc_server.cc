// The gRPC interface of a node: Ingest, Query, Admin and History on one port.
#include "proxist/server/grpc_server.h"

#include <algorithm>
#include <chrono>
#include <thread>
#include <utility>

#include <google/protobuf/stubs/logging.h>
#include <grpc/support/log.h>
#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>

#include "proxist/env/thread_share.h"
#include "proxist/env/work_pool.h"
#include "proxist/observe/log.h"
#include "proxist/server/internal/heartbeat.h"
#include "proxist/server/internal/services.h"

namespace proxist::server {
namespace {

constexpr size_t kAdminThreads = 4;
constexpr size_t kMaxWaitingAdminCalls = 64;
constexpr std::chrono::seconds kDrainTime(2);

/// gRPC's own log lines, as ours.
void LogFromGrpc(gpr_log_func_args* args) {
  const auto level = args->severity == GPR_LOG_SEVERITY_ERROR ? observe::LogLevel::kWarning
                                                              : observe::LogLevel::kDebug;
  observe::LogLine(level, fmt::format("gRPC: {}", args->message));
}

/// Protobuf's too: what a client sends must not fill stderr.
void LogFromProtobuf(google::protobuf::LogLevel /*level*/, const char* /*file*/, int /*line*/,
                     const std::string& message) {
  observe::LogDebug("protobuf: {}", message);
}

size_t Cores() { return std::max(1U, std::thread::hardware_concurrency()); }

size_t QueryThreads(size_t asked) { return asked != 0 ? asked : 2 * Cores(); }

}  // namespace

struct GrpcServer::Impl {
  Impl(const GrpcServerOptions& chosen, Node* node, observe::Metrics* metrics)
      : options(chosen),
        queries("queries", QueryThreads(chosen.query_threads), chosen.max_waiting_queries,
                env::kGivesWay),
        short_queries("short queries", ShortQueryThreads(), chosen.max_waiting_queries,
                      env::kShortWork),
        admin("administrative calls", kAdminThreads, kMaxWaitingAdminCalls) {
    const ServiceContext context{&options, node, metrics};
    services.push_back(MakeIngestService(context));
    services.push_back(MakeQueryService(context, {&short_queries, &queries}));
    services.push_back(MakeAdminService(context, &admin));
    services.push_back(MakeHistoryService(context, &admin));
  }

  GrpcServerOptions options;
  std::vector<std::unique_ptr<grpc::Service>> services;
  // The pools stand after the services and before the server: they drain once no call can come,
  // short queries first, which go on as others when they are not short.
  env::WorkPool queries;
  env::WorkPool short_queries;
  env::WorkPool admin;
  std::unique_ptr<grpc::Server> server;
  std::unique_ptr<Heartbeat> heartbeat;
};

size_t ShortQueryThreads() { return Cores() + 1; }

GrpcServer::GrpcServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

StatusOr<std::unique_ptr<GrpcServer>> GrpcServer::Start(const GrpcServerOptions& options,
                                                        Node* node, observe::Metrics* metrics) {
  PX_RETURN_IF_ERROR(CheckFree(options.address, "the gRPC address"));
  gpr_set_log_function(&LogFromGrpc);
  google::protobuf::SetLogHandler(&LogFromProtobuf);
  auto impl = std::make_unique<Impl>(options, node, metrics);
  grpc::ServerBuilder builder;
  // Without this, a second server would quietly share the port.
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  builder.SetMaxReceiveMessageSize(static_cast<int>(
      std::min<uint64_t>(options.max_message_bytes, std::numeric_limits<int>::max())));
  builder.SetMaxSendMessageSize(-1);
  int port = 0;
  builder.AddListeningPort(Format(options.address), grpc::InsecureServerCredentials(), &port);
  for (const std::unique_ptr<grpc::Service>& service : impl->services) {
    builder.RegisterService(service.get());
  }
  impl->server = builder.BuildAndStart();
  if (impl->server == nullptr || port == 0) {
    return FailedPrecondition("the gRPC address: cannot listen on {}", Format(options.address));
  }
  impl->options.address.port = static_cast<uint16_t>(port);
  impl->heartbeat = std::make_unique<Heartbeat>(impl->server.get());
  return std::unique_ptr<GrpcServer>(new GrpcServer(std::move(impl)));
}

GrpcServer::~GrpcServer() {
  impl_->heartbeat.reset();
  impl_->server->Shutdown(std::chrono::system_clock::now() + kDrainTime);
}

const Address& GrpcServer::address() const { return impl_->options.address; }

}  // namespace proxist::server
