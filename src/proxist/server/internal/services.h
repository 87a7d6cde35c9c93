// The gRPC services, as grpc_server composes them.
#pragma once

#include <memory>

#include <grpcpp/impl/service_type.h>

#include "proxist/server/grpc_server.h"

namespace proxist::env {
class WorkPool;
}

namespace proxist::server {

/// What every service works with; all outlive it.
struct ServiceContext {
  const GrpcServerOptions* options;
  Node* node;
  observe::Metrics* metrics;
};

std::unique_ptr<grpc::Service> MakeIngestService(const ServiceContext& context);
/// Queries run on `pool`.
std::unique_ptr<grpc::Service> MakeQueryService(const ServiceContext& context, env::WorkPool* pool);
/// Calls that may block run on `pool`.
std::unique_ptr<grpc::Service> MakeAdminService(const ServiceContext& context, env::WorkPool* pool);
/// The same for the repair of history.
std::unique_ptr<grpc::Service> MakeHistoryService(const ServiceContext& context,
                                                  env::WorkPool* pool);

}  // namespace proxist::server
