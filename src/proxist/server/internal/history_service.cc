// History: how the flush stands, and the repair of an emptied ClickHouse.
#include <utility>

#include "proxist/api/rpc_status.h"
#include "proxist/env/work_pool.h"
#include "proxist/server/internal/services.h"
#include "proxist/v1/history.grpc.pb.h"

namespace proxist::server {
namespace {

void EncodeFlush(const HistoryState& history, v1::GetFlushResponse* out) {
  out->set_state(std::string(shard::NameOf(history.pace.state)));
  out->set_pause_ns(history.pace.pause.ns());
  out->set_insert_latency_ns(history.pace.latency.ns());
  out->set_active_parts(history.pace.parts);
  out->set_part_limit(history.pace.part_limit);
  out->set_rounds_in_flight(static_cast<uint32_t>(history.pace.in_flight));
  out->set_delayed_inserts(history.pace.delayed_inserts);
  out->set_halted(history.halted);
  for (const HeldTable& held : history.held) {
    v1::HeldTable* table = out->add_held();
    table->set_tenant(held.tenant);
    table->set_name(held.name);
    table->set_why(held.why);
  }
}

Status Resend(Node* node, v1::ResendResponse* response) {
  PX_ASSIGN_OR_RETURN(const ResendReport report, node->ResendHistory());
  response->set_rows_sent(report.rows_sent);
  response->set_rows_present(report.rows_present);
  for (const ResendReport::Missing& missing : report.missing) {
    v1::ResendResponse::Missing* out = response->add_missing();
    out->set_tenant(missing.table->tenant);
    out->set_table(missing.table->name);
    out->set_shard(missing.shard.value());
    out->set_series(missing.series);
    out->set_through_least(missing.through_least.ns());
    out->set_through_greatest(missing.through_greatest.ns());
    for (const std::string& example : missing.examples) out->add_examples(example);
  }
  return OkStatus();
}

class HistoryService final : public v1::History::CallbackService {
 public:
  HistoryService(const ServiceContext& context, env::WorkPool* pool)
      : context_(context), pool_(pool) {}

  grpc::ServerUnaryReactor* GetFlush(grpc::CallbackServerContext* call,
                                     const v1::GetFlushRequest* /*request*/,
                                     v1::GetFlushResponse* response) override {
    EncodeFlush(context_.node->State().history, response);
    grpc::ServerUnaryReactor* reactor = call->DefaultReactor();
    reactor->Finish(grpc::Status::OK);
    return reactor;
  }

  grpc::ServerUnaryReactor* Resend(grpc::CallbackServerContext* call,
                                   const v1::ResendRequest* /*request*/,
                                   v1::ResendResponse* response) override {
    grpc::ServerUnaryReactor* reactor = call->DefaultReactor();
    const Status queued = pool_->Submit([this, reactor, response] {
      reactor->Finish(api::ToRpc(server::Resend(context_.node, response)));
    });
    if (!queued.ok()) reactor->Finish(api::ToRpc(queued));
    return reactor;
  }

 private:
  const ServiceContext context_;
  env::WorkPool* const pool_;
};

}  // namespace

std::unique_ptr<grpc::Service> MakeHistoryService(const ServiceContext& context,
                                                  env::WorkPool* pool) {
  return std::make_unique<HistoryService>(context, pool);
}

}  // namespace proxist::server
