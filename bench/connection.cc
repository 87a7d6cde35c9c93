#include "bench/connection.h"

#include <chrono>
#include <utility>

#include <google/protobuf/arena.h>
#include <grpcpp/grpcpp.h>

#include "bench/internal/pipe.h"
#include "proxist/api/query_request.h"
#include "proxist/api/rpc_status.h"
#include "proxist/v1/proxist.grpc.pb.h"

namespace proxist::bench {

struct Connection::Impl {
  std::shared_ptr<grpc::Channel> channel;
  std::unique_ptr<v1::Ingest::Stub> ingest;
  std::unique_ptr<v1::Query::Stub> query;
  std::unique_ptr<v1::Admin::Stub> admin;
};

StatusOr<std::unique_ptr<Connection>> Connection::Open(const std::string& address,
                                                       Duration timeout) {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(-1);
  arguments.SetMaxSendMessageSize(-1);
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);  // channels share a connection else
  auto impl = std::make_unique<Impl>();
  impl->channel = grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), arguments);
  if (!impl->channel->WaitForConnected(std::chrono::system_clock::now() +
                                       std::chrono::nanoseconds(timeout.ns()))) {
    return Unavailable("no server answers at {}", address);
  }
  impl->ingest = v1::Ingest::NewStub(impl->channel);
  impl->query = v1::Query::NewStub(impl->channel);
  impl->admin = v1::Admin::NewStub(impl->channel);
  return std::unique_ptr<Connection>(new Connection(std::move(impl)));
}

Connection::Connection(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Connection::~Connection() = default;

StatusOr<Exchange> Connection::Run(const query::Plan& plan) {
  grpc::ClientContext context;
  v1::QueryRequest request;
  api::EncodePlan(plan, &request);
  Exchange exchange{.request_bytes = request.ByteSizeLong(), .response_bytes = 0, .rows = 0};
  const auto reader = impl_->query->Run(&context, request);
  google::protobuf::Arena arena;
  auto& response = *google::protobuf::Arena::CreateMessage<v1::QueryResponse>(&arena);
  while (reader->Read(&response)) {
    exchange.response_bytes += response.ByteSizeLong();
    exchange.rows += response.rows();
  }
  PX_RETURN_IF_ERROR(api::FromRpc(reader->Finish()));
  return exchange;
}

namespace {

v1::EchoRequest MakeEcho(size_t request_bytes, size_t response_bytes) {
  v1::EchoRequest request;
  request.mutable_payload()->assign(request_bytes, 'x');
  request.set_response_bytes(static_cast<uint32_t>(response_bytes));
  return request;
}

}  // namespace

Status Connection::Echo(size_t request_bytes, size_t response_bytes) {
  grpc::ClientContext context;
  v1::EchoResponse response;
  return api::FromRpc(
      impl_->admin->Echo(&context, MakeEcho(request_bytes, response_bytes), &response));
}

Status Connection::EchoStream(size_t request_bytes, size_t response_bytes) {
  grpc::ClientContext context;
  const auto reader = impl_->admin->EchoStream(&context, MakeEcho(request_bytes, response_bytes));
  v1::EchoResponse response;
  while (reader->Read(&response)) {
  }
  return api::FromRpc(reader->Finish());
}

std::unique_ptr<WritePipe> Connection::OpenPipe(size_t window) {
  return internal::MakePipe(impl_->ingest.get(), window);
}

}  // namespace proxist::bench
