// Query: plans run on pools of threads (short look-ups at once, where they arrive, if nobody does
// so already), answers stream out in messages of bounded size.
#include <array>
#include <memory>
#include <utility>

#include <google/protobuf/arena.h>

#include "proxist/api/answer.h"
#include "proxist/api/query_request.h"
#include "proxist/api/rpc_status.h"
#include "proxist/base/mutex.h"
#include "proxist/env/work_pool.h"
#include "proxist/server/internal/query_run.h"
#include "proxist/server/internal/query_stream.h"
#include "proxist/server/internal/services.h"
#include "proxist/v1/proxist.grpc.pb.h"

namespace proxist::server {
namespace {

// Beside a refusal for want of threads, as its message says.
constexpr const char* kRetryAfterKey = "retry-after-ms";
constexpr const char* kRetryAfterMs = "100";

/// One query. Created on a gRPC thread, run there or on a pool, deleted by OnDone; after Finish the
/// pool's thread does not touch it.
class QueryCall final : public grpc::ServerWriteReactor<v1::QueryResponse> {
 public:
  QueryCall(const ServiceContext& context, grpc::CallbackServerContext* call, query::Plan plan,
            const v1::QueryRequest& request)
      : run_(context, std::move(plan), request, call->deadline()),
        call_(call),
        explain_wanted_(request.explain()) {
    for (v1::QueryResponse*& message : messages_) {
      message = google::protobuf::Arena::CreateMessage<v1::QueryResponse>(&arena_);
    }
  }

  [[nodiscard]] bool short_one() const { return run_.short_one(); }

  /// Of a short one. On the gRPC thread that brought the call, before the call is bound, nothing
  /// can leave before this returns, so only an answer of one message fits: false when it takes
  /// more, and then Run must follow on the pool of others.
  bool RunShort() {
    here_ = true;
    const auto status =
        run_.TryHere([this](const query::ResultBatch& batch) { return Take(batch); });
    here_ = false;
    if (status.has_value()) {
      End(*status);
    } else {
      holds_ = false;
      rows_out_ = 0;
    }
    return status.has_value();
  }

  /// On the pool of short queries, once.
  void RunShortOr(env::WorkPool* others) {
    if (RunShort()) return;
    const Status queued = others->Submit([this] { Run(); });
    if (queued.ok()) return;
    call_->AddTrailingMetadata(kRetryAfterKey, kRetryAfterMs);
    End(queued);
  }

  /// On the pool of others, once.
  void Run() {
    End(run_.Run([this](const query::ResultBatch& batch) { return Take(batch); }));
  }

  void OnWriteDone(bool ok) override {
    {
      const MutexLock lock(&mutex_);
      writing_ = false;
    }
    if (!ok) OnCancel();
    wake_.notify_all();
  }
  void OnCancel() override {
    run_.Cancel();
    {
      const MutexLock lock(&mutex_);
      cancelled_ = true;
    }
    wake_.notify_all();
  }
  void OnDone() override {
    run_.Record();
    delete this;
  }

 private:
  /// Encodes `batch` into messages. The last one is held back, since the answer's end goes out
  /// together with it.
  Status Take(const query::ResultBatch& batch) {
    size_t begin = 0;
    do {
      const size_t end = begin + api::RowsThatFit(batch, begin, kAnswerMessageBytes);
      if (holds_ && here_) return Aborted("the answer takes more than one message");
      v1::QueryResponse* message = messages_[(held_ + 1) % messages_.size()];
      message->Clear();
      api::EncodeRows(batch, begin, end, message);
      if (holds_) PX_RETURN_IF_ERROR(Send(messages_[held_]));
      held_ = (held_ + 1) % messages_.size();
      holds_ = true;
      rows_out_ += end - begin;
      begin = end;
    } while (begin < batch.rows());
    return OkStatus();
  }

  /// Waits until the message before has left, then starts to write this one. Three messages are
  /// enough: one on its way, one held back, one being filled.
  Status Send(v1::QueryResponse* message) {
    PX_RETURN_IF_ERROR(AwaitWrite());
    const MutexLock lock(&mutex_);
    writing_ = true;
    StartWrite(message);
    return OkStatus();
  }

  Status AwaitWrite() {
    MutexLock lock(&mutex_);
    bool left = true;
    while (writing_ && !cancelled_ && left) {
      left = wake_.wait_until(lock, run_.deadline()) == std::cv_status::no_timeout;
    }
    if (cancelled_) return proxist::Cancelled("the client gave up after {} rows", rows_out_);
    if (writing_) return DeadlineExceeded("the client did not read the answer in time");
    return OkStatus();
  }

  void End(Status status) {
    if (status.ok()) status = AwaitWrite();
    run_.End(status, rows_out_);
    if (!status.ok()) return Finish(api::ToRpc(status));
    v1::QueryResponse* last = messages_[held_];
    api::EncodeMissing(run_.explain(), last);
    if (explain_wanted_) api::EncodeExplain(run_.explain(), last->mutable_explain());
    StartWriteAndFinish(last, grpc::WriteOptions(), grpc::Status::OK);
  }

  QueryRun run_;
  grpc::CallbackServerContext* const call_;
  const bool explain_wanted_;

  // The thread that runs it.
  bool here_ = false;  // RunShort runs
  // A column takes five small parts of a message: of a short answer all of them fit here.
  alignas(8) std::array<char, 4096> room_;
  google::protobuf::Arena arena_{room_.data(), room_.size()};
  std::array<v1::QueryResponse*, 3> messages_;
  size_t held_ = 0;
  bool holds_ = false;
  uint64_t rows_out_ = 0;

  Mutex mutex_;
  CondVar wake_;
  bool writing_ PX_GUARDED_BY(mutex_) = false;
  bool cancelled_ PX_GUARDED_BY(mutex_) = false;
};

/// A call that is refused before it runs.
class RefusedCall final : public grpc::ServerWriteReactor<v1::QueryResponse> {
 public:
  explicit RefusedCall(const Status& status) { Finish(api::ToRpc(status)); }
  void OnDone() override { delete this; }
};

class QueryService final : public v1::Query::CallbackService {
 public:
  QueryService(const ServiceContext& context, const QueryPools& pools)
      : context_(context), pools_(pools) {}

  grpc::ServerWriteReactor<v1::QueryResponse>* Run(grpc::CallbackServerContext* call,
                                                   const v1::QueryRequest* request) override {
    StatusOr<query::Plan> plan = api::DecodePlan(*request);
    if (!plan.ok()) return new RefusedCall(plan.status());
    const std::string_view operation = api::OperatorName(*plan);
    auto query = std::make_unique<QueryCall>(context_, call, std::move(*plan), *request);
    bool untried = query->short_one();
    if (untried) {
      const GrpcThread::Hold here(&grpc_thread_);
      if (here.held() && query->RunShort()) return query.release();
      untried = !here.held();
    }
    const Status queued = Submit(query.get(), untried);
    if (!queued.ok()) {
      call->AddTrailingMetadata(kRetryAfterKey, kRetryAfterMs);
      context_.metrics->RecordQuery(operation, queued, 0, 0, Duration());
      return new RefusedCall(queued);
    }
    return query.release();
  }

  grpc::ServerBidiReactor<v1::QueryStreamRequest, v1::QueryStreamResponse>* RunStream(
      grpc::CallbackServerContext* call) override {
    return OpenQueryStream(context_, call->deadline(), pools_, &grpc_thread_);
  }

 private:
  Status Submit(QueryCall* query, bool as_short_one) {
    if (!as_short_one) return pools_.others->Submit([query] { query->Run(); });
    return pools_.short_ones->Submit(
        [query, others = pools_.others] { query->RunShortOr(others); });
  }

  const ServiceContext context_;
  const QueryPools pools_;
  GrpcThread grpc_thread_;
};

}  // namespace

std::unique_ptr<grpc::Service> MakeQueryService(const ServiceContext& context,
                                                const QueryPools& pools) {
  return std::make_unique<QueryService>(context, pools);
}

}  // namespace proxist::server
