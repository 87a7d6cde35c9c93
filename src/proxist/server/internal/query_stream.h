// Many queries on one call.
#pragma once

#include <grpcpp/support/server_callback.h>

#include "proxist/env/work_pool.h"
#include "proxist/server/internal/query_run.h"
#include "proxist/server/internal/services.h"

namespace proxist::v1 {
class QueryStreamRequest;
class QueryStreamResponse;
}  // namespace proxist::v1

namespace proxist::server {

/// Queries that are read and not answered yet, at most; beyond it the stream is not read on.
inline constexpr size_t kMaxStreamQueries = 256;

/// Runs the stream's queries in their order, short ones where they arrive and others on `pools`; no
/// query outlives `deadline`. gRPC owns it; the arguments, and the pools, outlive it.
grpc::ServerBidiReactor<v1::QueryStreamRequest, v1::QueryStreamResponse>* OpenQueryStream(
    const ServiceContext& context, QueryRun::Time deadline, const QueryPools& pools,
    GrpcThread* grpc_thread);

}  // namespace proxist::server
