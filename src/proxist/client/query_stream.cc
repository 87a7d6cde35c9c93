// Takes the parts of answers apart, message by message.
#include "proxist/client/query_stream.h"

#include <utility>

#include "proxist/api/answer.h"
#include "proxist/api/query_request.h"
#include "proxist/api/rpc_status.h"
#include "proxist/client/internal/channel_handle.h"
#include "proxist/v1/proxist.grpc.pb.h"

namespace proxist::client {

struct QueryStream::State {
  std::shared_ptr<const ChannelHandle> channel;
  std::unique_ptr<v1::Query::Stub> stub;
  grpc::ClientContext context;
  std::unique_ptr<grpc::ClientReaderWriter<v1::QueryStreamRequest, v1::QueryStreamResponse>> stream;

  // Of Next.
  v1::QueryStreamResponse response;
  int next = 0;  // of its answers
  std::optional<Status> ended;

  /// The next part of an answer; null when there is none, and `ended` is set.
  const v1::StreamedAnswer* Part() {
    while (next == response.answers_size() && !ended.has_value()) {
      next = 0;
      if (!stream->Read(&response)) {
        response.Clear();
        ended = channel->ToStatus(stream->Finish());
      }
    }
    return next < response.answers_size() ? &response.answers(next++) : nullptr;
  }

  Status Write(const v1::QueryStreamRequest& request) {
    if (stream->Write(request)) return OkStatus();
    return Unavailable("server {}: the stream of queries has ended", channel->server);
  }
};

QueryStream::QueryStream(std::shared_ptr<const ChannelHandle> channel)
    : state_(std::make_unique<State>()) {
  state_->stub = v1::Query::NewStub(channel->channel);
  state_->channel = std::move(channel);
  state_->stream = state_->stub->RunStream(&state_->context);
}

QueryStream::~QueryStream() {
  if (state_->ended.has_value()) return;
  state_->context.TryCancel();
  while (state_->stream->Read(&state_->response)) {
  }
  (void)state_->stream->Finish();
}

Status QueryStream::Send(std::span<const StreamedQuery> queries) {
  v1::QueryStreamRequest request;
  for (const StreamedQuery& query : queries) {
    v1::StreamedQuery* message = request.add_queries();
    message->set_id(query.id);
    message->set_timeout_ns(query.timeout.ns());
    api::EncodePlan(query.plan, message->mutable_query());
    message->mutable_query()->set_allow_partial(query.allow_partial);
  }
  return state_->Write(request);
}

Status QueryStream::Cancel(std::span<const uint64_t> ids) {
  v1::QueryStreamRequest request;
  request.mutable_cancel()->Add(ids.begin(), ids.end());
  return state_->Write(request);
}

Status QueryStream::Close() {
  if (state_->stream->WritesDone()) return OkStatus();
  return Unavailable("server {}: the stream of queries has ended", state_->channel->server);
}

StatusOr<std::optional<EndedQuery>> QueryStream::Next(const AnswerSink& sink) {
  while (const v1::StreamedAnswer* part = state_->Part()) {
    if (!part->answer().columns().empty()) {
      StatusOr<std::vector<api::NamedView>> columns = api::DecodeAnswer(part->answer());
      Status taken = columns.status();
      if (taken.ok()) taken = sink(*columns, part->answer().rows());
      if (!taken.ok()) {
        state_->context.TryCancel();
        return taken;
      }
    }
    if (!part->last()) continue;
    return EndedQuery{
        part->id(),
        api::FromRpc(grpc::Status(static_cast<grpc::StatusCode>(part->code()), part->message())),
        api::DecodeMissing(part->answer())};
  }
  if (!state_->ended->ok()) return *state_->ended;
  return std::optional<EndedQuery>();
}

}  // namespace proxist::client
