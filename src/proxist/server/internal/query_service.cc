// Query: plans run on a pool of threads (point lookups at once, where they arrive), answers stream
// out in messages of bounded size.
#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <memory>
#include <optional>
#include <utility>

#include "proxist/api/ack_token.h"
#include "proxist/api/answer.h"
#include "proxist/api/query_request.h"
#include "proxist/api/rpc_status.h"
#include "proxist/base/mutex.h"
#include "proxist/env/clock.h"
#include "proxist/observe/slow_query.h"
#include "proxist/server/internal/services.h"
#include "proxist/server/work_pool.h"
#include "proxist/v1/proxist.grpc.pb.h"

namespace proxist::server {
namespace {

// Well below the 4 MiB that gRPC clients accept by default.
constexpr size_t kMessageBytes = 1u << 20;
constexpr size_t kMaxShortSymbols = 16;
constexpr std::chrono::hours kLongestDeadline(24 * 30);

/// One query. Created on a gRPC thread, run there or on the pool, deleted by OnDone; after Finish
/// the pool's thread does not touch it.
class QueryCall final : public grpc::ServerWriteReactor<v1::QueryResponse> {
 public:
  QueryCall(const ServiceContext& context, grpc::CallbackServerContext* call, query::Plan plan,
            const v1::QueryRequest& request)
      : context_(context),
        call_(call),
        plan_(std::move(plan)),
        tokens_(request.read_at_least().begin(), request.read_at_least().end()),
        explain_wanted_(request.explain()),
        arrived_(env::SystemClock().Monotonic()) {}

  /// On the gRPC thread that brought the call, before the call is bound. Nothing can leave before
  /// this returns, so only an answer of one message fits: false when it is longer, and then Run
  /// must follow on the pool.
  bool RunHere() {
    here_ = true;
    Run();
    here_ = false;
    return !std::exchange(outgrown_, false);
  }

  /// On the pool's thread, once.
  void Run() {
    observe::FinishedQuery finished{.operation = api::OperatorName(plan_),
                                    .tables = api::TablesOf(plan_)};
    query::Explain explain;
    finished.status = RunPlan(&explain);
    if (outgrown_) {
      holds_ = false;
      rows_out_ = 0;
      return;
    }
    finished.rows_out = rows_out_;
    const ServiceContext context = context_;
    const Duration arrived = arrived_;
    End(finished.status, explain);
    finished.elapsed = Duration(env::SystemClock().Monotonic().ns() - arrived.ns());
    context.metrics->RecordQuery(finished.operation, finished.status, explain.rows_hot,
                                 explain.rows_cold, finished.elapsed);
    observe::LogIfSlow(finished, explain, context.options->slow_query);
  }

  void OnWriteDone(bool ok) override {
    {
      const MutexLock lock(&mutex_);
      writing_ = false;
      if (!ok) cancelled_ = true;
    }
    wake_.notify_all();
  }
  void OnCancel() override {
    {
      const MutexLock lock(&mutex_);
      cancelled_ = true;
    }
    wake_.notify_all();
  }
  void OnDone() override { delete this; }

 private:
  Status RunPlan(query::Explain* explain) {
    const auto now = std::chrono::system_clock::now();
    deadline_ = now + std::chrono::nanoseconds(context_.options->query_deadline.ns());
    // A client without a deadline shows as the end of time.
    if (call_->deadline() != std::chrono::system_clock::time_point::max()) {
      deadline_ = std::min(call_->deadline(), now + kLongestDeadline);
    }
    if (Cancelled()) return proxist::Cancelled("the client gave up before the query ran");
    PX_RETURN_IF_ERROR(AwaitTokens());
    query::QueryOptions options;
    options.deadline = Remaining();
    options.memory_bytes = context_.options->query_memory_bytes;
    if (options.deadline <= Duration()) return DeadlineExceeded("the query waited too long to run");
    return context_.node->engine().Run(
        plan_, options, [this](query::ResultBatch batch) { return Take(batch); }, explain);
  }

  Status AwaitTokens() {
    for (const std::string& token : tokens_) {
      PX_ASSIGN_OR_RETURN(const std::vector<history::LsnRange> ranges, api::DecodeToken(token));
      PX_RETURN_IF_ERROR(context_.node->AwaitVisible(ranges, Remaining()));
    }
    return OkStatus();
  }

  Duration Remaining() const {
    const auto left = deadline_ - std::chrono::system_clock::now();
    return Duration(std::chrono::duration_cast<std::chrono::nanoseconds>(left).count());
  }

  bool Cancelled() {
    const MutexLock lock(&mutex_);
    return cancelled_;
  }

  /// Encodes `batch` into messages. The last one is held back, since the answer's end goes out
  /// together with it.
  Status Take(const query::ResultBatch& batch) {
    size_t begin = 0;
    do {
      const size_t end = begin + api::RowsThatFit(batch, begin, kMessageBytes);
      v1::QueryResponse& message = messages_[(held_ + 1) % messages_.size()];
      message.Clear();
      api::EncodeRows(batch, begin, end, &message);
      if (holds_ && here_) {
        outgrown_ = true;
        return Aborted("the answer takes more than one message");
      }
      if (holds_) PX_RETURN_IF_ERROR(Send(&messages_[held_]));
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
      left = wake_.wait_until(lock, deadline_) == std::cv_status::no_timeout;
    }
    if (cancelled_) return proxist::Cancelled("the client gave up after {} rows", rows_out_);
    if (writing_) return DeadlineExceeded("the client did not read the answer in time");
    return OkStatus();
  }

  void End(Status status, const query::Explain& explain) {
    if (status.ok()) status = AwaitWrite();
    if (!status.ok()) return Finish(api::ToRpc(status));
    v1::QueryResponse* last = &messages_[held_];
    if (explain_wanted_) api::EncodeExplain(explain, last->mutable_explain());
    StartWriteAndFinish(last, grpc::WriteOptions(), grpc::Status::OK);
  }

  const ServiceContext context_;
  grpc::CallbackServerContext* const call_;
  const query::Plan plan_;
  const std::vector<std::string> tokens_;
  const bool explain_wanted_;
  const Duration arrived_;

  // The thread that runs it.
  bool here_ = false;      // RunHere runs
  bool outgrown_ = false;  // and its answer is too long
  std::chrono::system_clock::time_point deadline_;
  std::array<v1::QueryResponse, 3> messages_;
  size_t held_ = 0;
  bool holds_ = false;
  uint64_t rows_out_ = 0;

  Mutex mutex_;
  CondVar wake_;
  bool writing_ PX_GUARDED_BY(mutex_) = false;
  bool cancelled_ PX_GUARDED_BY(mutex_) = false;
};

/// True for the point lookups whose answer takes less time than waking a thread of the pool.
bool IsShort(const query::Plan& plan) {
  const auto* last_by = std::get_if<query::LastBy>(&plan.op);
  return last_by != nullptr && !last_by->from.symbols.empty() &&
         last_by->from.symbols.size() <= kMaxShortSymbols;
}

/// A call that is refused before it runs.
class RefusedCall final : public grpc::ServerWriteReactor<v1::QueryResponse> {
 public:
  explicit RefusedCall(const Status& status) { Finish(api::ToRpc(status)); }
  void OnDone() override { delete this; }
};

class QueryService final : public v1::Query::CallbackService {
 public:
  QueryService(const ServiceContext& context, WorkPool* pool) : context_(context), pool_(pool) {}

  grpc::ServerWriteReactor<v1::QueryResponse>* Run(grpc::CallbackServerContext* call,
                                                   const v1::QueryRequest* request) override {
    StatusOr<query::Plan> plan = api::DecodePlan(*request);
    if (!plan.ok()) return new RefusedCall(plan.status());
    const std::string_view operation = api::OperatorName(*plan);
    const bool short_one = IsShort(*plan) && request->read_at_least().empty();
    auto query = std::make_unique<QueryCall>(context_, call, std::move(*plan), *request);
    if (short_one && !running_here_.exchange(true)) {
      const bool done = query->RunHere();
      running_here_ = false;
      if (done) return query.release();
    }
    const Status queued = pool_->Submit([running = query.get()] { running->Run(); });
    if (!queued.ok()) {
      call->AddTrailingMetadata("retry-after-ms", "100");
      context_.metrics->RecordQuery(operation, queued, 0, 0, Duration());
      return new RefusedCall(queued);
    }
    return query.release();
  }

 private:
  const ServiceContext context_;
  WorkPool* const pool_;
  /// At most one query runs on gRPC's threads, of which there are two at least: another always
  /// serves the writes, should this one wait for history.
  std::atomic<bool> running_here_{false};
};

}  // namespace

std::unique_ptr<grpc::Service> MakeQueryService(const ServiceContext& context, WorkPool* pool) {
  return std::make_unique<QueryService>(context, pool);
}

}  // namespace proxist::server
