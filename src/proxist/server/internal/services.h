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
/// Where queries run that do not run where they arrive.
struct QueryPools {
  env::WorkPool* short_ones;  // which read little, and of memory alone: QueryRun::TryHere
  env::WorkPool* others;
};
std::unique_ptr<grpc::Service> MakeQueryService(const ServiceContext& context,
                                                const QueryPools& pools);
/// Calls that may block run on `pool`.
std::unique_ptr<grpc::Service> MakeAdminService(const ServiceContext& context, env::WorkPool* pool);
/// The same for the repair of history.
std::unique_ptr<grpc::Service> MakeHistoryService(const ServiceContext& context,
                                                  env::WorkPool* pool);

}  // namespace proxist::server
