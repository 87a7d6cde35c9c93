// Admin: tables, status, flush, eviction, and the echo that latencies are compared with.
#include <functional>
#include <memory>
#include <string_view>
#include <utility>

#include "proxist/api/rpc_status.h"
#include "proxist/api/table_message.h"
#include "proxist/env/work_pool.h"
#include "proxist/server/internal/services.h"
#include "proxist/server/internal/status_report.h"
#include "proxist/server/internal/verify_call.h"
#include "proxist/v1/proxist.grpc.pb.h"

namespace proxist::server {
namespace {

constexpr Duration kDefaultFlushTimeout = Duration::Seconds(60);
constexpr Duration kMaxFlushTimeout = Duration::Hours(1);
constexpr uint32_t kMaxEchoBytes = 1u << 24;

std::string_view TenantOf(const std::string& tenant) {
  return tenant.empty() ? column::kDefaultTenant : std::string_view(tenant);
}

Status ApplyTable(Node* node, const v1::ApplyTableRequest& request,
                  v1::ApplyTableResponse* response) {
  PX_ASSIGN_OR_RETURN(const column::TableSchema declared, api::DecodeTable(request.table()));
  const StatusOr<column::SchemaPtr> before = node->catalog().Find(declared.tenant, declared.name);
  const auto drops = request.confirm_drop() ? column::Drops::kConfirmed : column::Drops::kRefused;
  PX_ASSIGN_OR_RETURN(const column::SchemaPtr after,
                      node->ApplyTable(declared, request.author(), drops));
  api::EncodeTable(*after, response->mutable_table());
  response->set_changed(!before.ok() || **before != *after);
  return OkStatus();
}

Status ListTables(Node* node, const v1::ListTablesRequest& request,
                  v1::ListTablesResponse* response) {
  for (const column::SchemaPtr& schema : node->catalog().Tables()) {
    if (!request.tenant().empty() && schema->tenant != request.tenant()) continue;
    api::EncodeTable(*schema, response->add_tables());
  }
  return OkStatus();
}

Status Flush(Node* node, const v1::FlushRequest& request, v1::FlushResponse* response) {
  const Duration asked(request.timeout_ns());
  if (asked < Duration() || asked > kMaxFlushTimeout) {
    return InvalidArgument("flush: a timeout of {} ns is not within 0 to {}", asked.ns(),
                           FormatDuration(kMaxFlushTimeout));
  }
  const Duration timeout = asked == Duration() ? kDefaultFlushTimeout : asked;
  PX_RETURN_IF_ERROR(node->Flush(request.wait() ? timeout : Duration()));
  for (const auto& [id, stats] : node->State().shards) {
    v1::ShardRange* range = response->add_persisted();
    range->set_shard(id.value());
    range->set_last_lsn(stats.persisted.value());
  }
  return OkStatus();
}

Status Evict(Node* node, const v1::EvictRequest& request, v1::EvictResponse* response) {
  PX_ASSIGN_OR_RETURN(const column::SchemaPtr schema,
                      node->catalog().Find(TenantOf(request.tenant()), request.table()));
  PX_ASSIGN_OR_RETURN(const hot::EvictResult evicted,
                      node->Evict(schema, Timestamp(request.before())));
  response->set_rows(evicted.rows);
  response->set_bytes(evicted.bytes);
  response->set_series(evicted.series);
  return OkStatus();
}

Status ListKeys(Node* node, v1::ListKeysResponse* response) {
  for (const security::DataKeyInfo& key : node->Keys()) {
    v1::Key* out = response->add_keys();
    out->set_id(key.id.value());
    out->set_created_at(key.created.ns());
    out->set_current(key.current);
  }
  return OkStatus();
}

Status RotateKey(Node* node, const v1::RotateKeyRequest& request, v1::RotateKeyResponse* response) {
  std::set<KeyId> retired;
  PX_ASSIGN_OR_RETURN(const KeyId id, node->RotateKey(request.author(), &retired));
  response->set_id(id.value());
  for (const KeyId one : retired) response->add_retired(one.value());
  return OkStatus();
}

Status Echo(const v1::EchoRequest& request, v1::EchoResponse* response) {
  if (request.response_bytes() > kMaxEchoBytes) {
    return InvalidArgument("echo: {} response bytes are above {}", request.response_bytes(),
                           kMaxEchoBytes);
  }
  response->set_payload(request.payload());
  if (request.response_bytes() != 0) response->mutable_payload()->resize(request.response_bytes());
  return OkStatus();
}

/// One message, then the end.
class EchoCall final : public grpc::ServerWriteReactor<v1::EchoResponse> {
 public:
  explicit EchoCall(const v1::EchoRequest& request) {
    const Status status = Echo(request, &response_);
    if (status.ok()) {
      StartWriteAndFinish(&response_, grpc::WriteOptions(), grpc::Status::OK);
    } else {
      Finish(api::ToRpc(status));
    }
  }
  void OnDone() override { delete this; }

 private:
  v1::EchoResponse response_;
};

class AdminService final : public v1::Admin::CallbackService {
 public:
  AdminService(const ServiceContext& context, env::WorkPool* pool)
      : context_(context), pool_(pool) {}

  using Call = grpc::CallbackServerContext;

  grpc::ServerUnaryReactor* ApplyTable(Call* call, const v1::ApplyTableRequest* request,
                                       v1::ApplyTableResponse* response) override {
    return OnPool(call,
                  [=, this] { return server::ApplyTable(context_.node, *request, response); });
  }
  grpc::ServerUnaryReactor* Flush(Call* call, const v1::FlushRequest* request,
                                  v1::FlushResponse* response) override {
    return OnPool(call, [=, this] { return server::Flush(context_.node, *request, response); });
  }
  grpc::ServerUnaryReactor* Evict(Call* call, const v1::EvictRequest* request,
                                  v1::EvictResponse* response) override {
    return OnPool(call, [=, this] { return server::Evict(context_.node, *request, response); });
  }
  grpc::ServerUnaryReactor* VerifySeam(Call* call, const v1::VerifySeamRequest* request,
                                       v1::VerifySeamResponse* response) override {
    return OnPool(call,
                  [=, this] { return server::VerifySeam(context_.node, *request, response); });
  }
  grpc::ServerUnaryReactor* ListKeys(Call* call, const v1::ListKeysRequest* /*request*/,
                                     v1::ListKeysResponse* response) override {
    return Here(call, server::ListKeys(context_.node, response));
  }
  grpc::ServerUnaryReactor* RotateKey(Call* call, const v1::RotateKeyRequest* request,
                                      v1::RotateKeyResponse* response) override {
    return OnPool(call, [=, this] { return server::RotateKey(context_.node, *request, response); });
  }
  grpc::ServerUnaryReactor* ListTables(Call* call, const v1::ListTablesRequest* request,
                                       v1::ListTablesResponse* response) override {
    return Here(call, server::ListTables(context_.node, *request, response));
  }
  grpc::ServerUnaryReactor* GetStatus(Call* call, const v1::StatusRequest* /*request*/,
                                      v1::StatusResponse* response) override {
    EncodeStatus(context_.node->State(), response);
    response->set_http_address(context_.options->http_address);
    return Here(call, OkStatus());
  }
  grpc::ServerUnaryReactor* Echo(Call* call, const v1::EchoRequest* request,
                                 v1::EchoResponse* response) override {
    return Here(call, server::Echo(*request, response));
  }
  grpc::ServerWriteReactor<v1::EchoResponse>* EchoStream(Call* /*call*/,
                                                         const v1::EchoRequest* request) override {
    return new EchoCall(*request);
  }

 private:
  static grpc::ServerUnaryReactor* Here(Call* call, const Status& status) {
    grpc::ServerUnaryReactor* reactor = call->DefaultReactor();
    reactor->Finish(api::ToRpc(status));
    return reactor;
  }
  grpc::ServerUnaryReactor* OnPool(Call* call, std::function<Status()> work) {
    grpc::ServerUnaryReactor* reactor = call->DefaultReactor();
    const Status queued =
        pool_->Submit([reactor, work = std::move(work)] { reactor->Finish(api::ToRpc(work())); });
    if (!queued.ok()) reactor->Finish(api::ToRpc(queued));
    return reactor;
  }

  const ServiceContext context_;
  env::WorkPool* const pool_;
};

}  // namespace

std::unique_ptr<grpc::Service> MakeAdminService(const ServiceContext& context,
                                                env::WorkPool* pool) {
  return std::make_unique<AdminService>(context, pool);
}

}  // namespace proxist::server
