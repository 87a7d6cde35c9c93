#include "proxist/client/history_client.h"

#include <chrono>

#include "proxist/client/internal/channel_handle.h"
#include "proxist/v1/history.grpc.pb.h"

namespace proxist::client {
namespace {

constexpr std::chrono::seconds kTimeout(30);

}  // namespace

struct HistoryClient::State {
  explicit State(const std::string& server)
      : channel(server), stub(v1::History::NewStub(channel.channel)) {}
  const ChannelHandle channel;
  const std::unique_ptr<v1::History::Stub> stub;
};

HistoryClient::HistoryClient(const std::string& server) : state_(std::make_unique<State>(server)) {}
HistoryClient::~HistoryClient() = default;

Status HistoryClient::GetFlush(v1::GetFlushResponse* answer) {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + kTimeout);
  return state_->channel.ToStatus(state_->stub->GetFlush(&context, v1::GetFlushRequest(), answer));
}

Status HistoryClient::Resend(v1::ResendResponse* answer) {
  grpc::ClientContext context;
  return state_->channel.ToStatus(state_->stub->Resend(&context, v1::ResendRequest(), answer));
}

}  // namespace proxist::client
