// A connection to a Proxist server.
#include "proxist/client/client.h"

#include <chrono>
#include <utility>

#include <google/protobuf/arena.h>
#include <grpcpp/create_channel.h>

#include "proxist/api/answer.h"
#include "proxist/api/query_request.h"
#include "proxist/api/rpc_status.h"
#include "proxist/api/table_message.h"
#include "proxist/api/write_request.h"
#include "proxist/client/internal/channel_handle.h"
#include "proxist/client/internal/write_ack.h"
#include "proxist/client/query_stream.h"
#include "proxist/v1/proxist.grpc.pb.h"

namespace proxist::client {
namespace {

constexpr Duration kAdminTimeout = Duration::Seconds(30);
// Beyond the timeout that the server keeps itself, so that its own, clearer error arrives.
constexpr Duration kTimeoutGrace = Duration::Seconds(5);
constexpr int kMaxReconnectPauseMs = 2000;
constexpr int kFirstReconnectPauseMs = 50;
constexpr int kConnectTimeoutMs = 10'000;

void SetTimeout(Duration timeout, grpc::ClientContext* context) {
  context->set_deadline(std::chrono::system_clock::now() + std::chrono::nanoseconds(timeout.ns()));
}

StatusOr<column::TableSchema> DecodeVersioned(const v1::Table& message) {
  PX_ASSIGN_OR_RETURN(column::TableSchema schema, api::DecodeTable(message));
  schema.version = SchemaVersion(message.version());
  return schema;
}

// Decodes what has arrived on `reader` into `sink` until the stream ends or the sink refuses.
Status ReadAnswer(grpc::ClientReader<v1::QueryResponse>* reader, const AnswerSink& sink,
                  query::Explain* told) {
  google::protobuf::Arena arena;
  auto& response = *google::protobuf::Arena::CreateMessage<v1::QueryResponse>(&arena);
  while (reader->Read(&response)) {
    if (told != nullptr) {
      if (response.has_explain()) *told = api::DecodeExplain(response.explain());
      told->missing = api::DecodeMissing(response);
    }
    if (response.columns().empty()) continue;
    PX_ASSIGN_OR_RETURN(const std::vector<api::NamedView> columns, api::DecodeAnswer(response));
    PX_RETURN_IF_ERROR(sink(columns, response.rows()));
  }
  return OkStatus();
}

}  // namespace

ChannelHandle::ChannelHandle(std::string address) : server(std::move(address)) {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(kMaxMessageBytes);
  arguments.SetMaxSendMessageSize(kMaxMessageBytes);
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, kFirstReconnectPauseMs);
  // gRPC gives an attempt to connect this long.
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, kConnectTimeoutMs);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, kMaxReconnectPauseMs);
  // Clients of one process share no connection, so that one cannot wait in another's backoff.
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  channel = grpc::CreateCustomChannel(server, grpc::InsecureChannelCredentials(), arguments);
}

Status ChannelHandle::ToStatus(const grpc::Status& status) const {
  Status converted = api::FromRpc(status);
  if (converted.code() != absl::StatusCode::kUnavailable) return converted;
  return Annotate(converted, fmt::format("server {}", server));
}

struct Client::State {
  std::shared_ptr<const ChannelHandle> channel;
  std::unique_ptr<v1::Ingest::Stub> ingest;
  std::unique_ptr<v1::Query::Stub> query;
  std::unique_ptr<v1::Admin::Stub> admin;
};

Client::Client(const std::string& server) : state_(std::make_unique<State>()) {
  auto channel = std::make_shared<const ChannelHandle>(server);
  state_->ingest = v1::Ingest::NewStub(channel->channel);
  state_->query = v1::Query::NewStub(channel->channel);
  state_->admin = v1::Admin::NewStub(channel->channel);
  state_->channel = std::move(channel);
}

Client::~Client() = default;

StatusOr<AppliedTable> Client::Apply(const column::TableSchema& declared, const std::string& author,
                                     column::Drops drops) {
  grpc::ClientContext context;
  SetTimeout(kAdminTimeout, &context);
  v1::ApplyTableRequest request;
  request.set_confirm_drop(drops == column::Drops::kConfirmed);
  api::EncodeTable(declared, request.mutable_table());
  request.set_author(author);
  v1::ApplyTableResponse response;
  PX_RETURN_IF_ERROR(
      state_->channel->ToStatus(state_->admin->ApplyTable(&context, request, &response)));
  AppliedTable applied;
  PX_ASSIGN_OR_RETURN(applied.schema, DecodeVersioned(response.table()));
  applied.changed = response.changed();
  return applied;
}

StatusOr<std::vector<column::TableSchema>> Client::Tables(const std::string& tenant) {
  grpc::ClientContext context;
  SetTimeout(kAdminTimeout, &context);
  v1::ListTablesRequest request;
  request.set_tenant(tenant);
  v1::ListTablesResponse response;
  PX_RETURN_IF_ERROR(
      state_->channel->ToStatus(state_->admin->ListTables(&context, request, &response)));
  std::vector<column::TableSchema> tables;
  for (const v1::Table& message : response.tables()) {
    PX_ASSIGN_OR_RETURN(column::TableSchema schema, DecodeVersioned(message));
    tables.push_back(std::move(schema));
  }
  return tables;
}

StatusOr<column::SchemaPtr> Client::Table(const std::string& tenant, const std::string& name) {
  PX_ASSIGN_OR_RETURN(std::vector<column::TableSchema> tables, Tables(tenant));
  std::vector<std::string_view> known;
  for (column::TableSchema& schema : tables) {
    if (schema.name == name) {
      return std::make_shared<const column::TableSchema>(std::move(schema));
    }
    known.push_back(schema.name);
  }
  return NotFound("table {} does not exist; tenant {} has: {}", name, tenant,
                  known.empty() ? "no table" : fmt::format("{}", fmt::join(known, ", ")));
}

Status Client::Query(const query::Plan& plan, const QueryWishes& wishes, const AnswerSink& sink,
                     query::Explain* told) {
  grpc::ClientContext context;
  if (wishes.timeout > Duration()) SetTimeout(wishes.timeout, &context);
  v1::QueryRequest request;
  api::EncodePlan(plan, &request);
  request.set_explain(wishes.explain);
  request.set_allow_partial(wishes.allow_partial);
  const auto reader = state_->query->Run(&context, request);
  const Status read = ReadAnswer(reader.get(), sink, told);
  if (!read.ok()) context.TryCancel();
  const grpc::Status finished = reader->Finish();
  return read.ok() ? state_->channel->ToStatus(finished) : read;
}

Status Client::GetStatus(v1::StatusResponse* answer) {
  grpc::ClientContext context;
  SetTimeout(kAdminTimeout, &context);
  return state_->channel->ToStatus(state_->admin->GetStatus(&context, v1::StatusRequest(), answer));
}

Status Client::Flush(bool wait, Duration timeout, v1::FlushResponse* answer) {
  grpc::ClientContext context;
  SetTimeout(Duration(std::max(timeout, kAdminTimeout).ns() + kTimeoutGrace.ns()), &context);
  v1::FlushRequest request;
  request.set_wait(wait);
  request.set_timeout_ns(timeout.ns());
  return state_->channel->ToStatus(state_->admin->Flush(&context, request, answer));
}

Status Client::Evict(const std::string& tenant, const std::string& table, Timestamp before,
                     v1::EvictResponse* answer) {
  grpc::ClientContext context;
  v1::EvictRequest request;
  request.set_tenant(tenant);
  request.set_table(table);
  request.set_before(before.ns());
  return state_->channel->ToStatus(state_->admin->Evict(&context, request, answer));
}

Status Client::VerifySeam(const v1::VerifySeamRequest& request, v1::VerifySeamResponse* answer) {
  grpc::ClientContext context;
  return state_->channel->ToStatus(state_->admin->VerifySeam(&context, request, answer));
}

Status Client::ListKeys(v1::ListKeysResponse* answer) {
  grpc::ClientContext context;
  SetTimeout(kAdminTimeout, &context);
  return state_->channel->ToStatus(
      state_->admin->ListKeys(&context, v1::ListKeysRequest(), answer));
}

Status Client::RotateKey(const std::string& author, v1::RotateKeyResponse* answer) {
  grpc::ClientContext context;
  SetTimeout(kAdminTimeout, &context);
  v1::RotateKeyRequest request;
  request.set_author(author);
  return state_->channel->ToStatus(state_->admin->RotateKey(&context, request, answer));
}

StatusOr<WriteAck> Client::Write(const std::string& producer, BatchNumber number,
                                 const column::Batch& batch) {
  grpc::ClientContext context;
  v1::WriteRequest request;
  api::EncodeWriteRequest(batch, &request);
  request.set_producer(producer);
  request.set_batch_number(number.value());
  v1::WriteResponse response;
  PX_RETURN_IF_ERROR(
      state_->channel->ToStatus(state_->ingest->Write(&context, request, &response)));
  return DecodeAck(response);
}

std::unique_ptr<WriteStream> Client::OpenWriteStream(WriteStreamOptions options) {
  return std::make_unique<WriteStream>(state_->channel, std::move(options));
}

std::unique_ptr<QueryStream> Client::OpenQueryStream() {
  return std::make_unique<QueryStream>(state_->channel);
}

}  // namespace proxist::client
