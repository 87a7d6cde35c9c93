// Queries in, answers out in the same order. One thread at a time works on the queries: as long as
// they are short the gRPC thread that brought them, or one of the pool for such when another stream
// or call has gRPC's; then one of the other pool. Answers collect in one
// message while the one before is on its way.
#include "proxist/server/internal/query_stream.h"

#include <algorithm>
#include <deque>
#include <memory>
#include <utility>

#include "proxist/api/answer.h"
#include "proxist/api/query_request.h"
#include "proxist/api/rpc_status.h"
#include "proxist/base/mutex.h"
#include "proxist/v1/proxist.grpc.pb.h"

namespace proxist::server {
namespace {

using Reactor = grpc::ServerBidiReactor<v1::QueryStreamRequest, v1::QueryStreamResponse>;

// Short queries of one stream in a row, while others may wait for the thread.
constexpr size_t kTurn = 64;

/// A query of the stream; without a run it was refused as it came.
struct Asked {
  uint64_t id = 0;
  Status refused;
  std::unique_ptr<QueryRun> run;
  bool explain = false;
};

/// It keeps itself alive until gRPC is done with it, and so does the pool's thread that works.
class QueryStream final : public Reactor, public std::enable_shared_from_this<QueryStream> {
 public:
  QueryStream(const ServiceContext& context, QueryRun::Time deadline, const QueryPools& pools,
              GrpcThread* grpc_thread)
      : context_(context), deadline_(deadline), pools_(pools), grpc_thread_(grpc_thread) {}

  void Start() {
    self_ = shared_from_this();
    const MutexLock lock(&mutex_);
    ReadOn();
  }

  void OnReadDone(bool ok) override {
    {
      const MutexLock lock(&mutex_);
      reading_ = false;
      reads_ended_ = reads_ended_ || !ok;
      if (ok) Accept();
      if (working_ || asked_.empty()) {
        Advance();
        return;
      }
      working_ = true;
    }
    WorkHere();
  }

  void OnWriteDone(bool ok) override {
    const MutexLock lock(&mutex_);
    writing_ = false;
    sent_.Clear();
    if (!ok) Break();
    Advance();
    wake_.notify_all();
  }

  void OnCancel() override {
    const MutexLock lock(&mutex_);
    Break();
    Advance();
    wake_.notify_all();
  }

  void OnDone() override { self_.reset(); }

 private:
  // --- What comes in.

  void ReadOn() PX_REQUIRES(mutex_) {
    if (reading_ || reads_ended_ || broken_ || finished_) return;
    if (asked_.size() >= kMaxStreamQueries) return;
    reading_ = true;
    StartRead(&request_);
  }

  void Accept() PX_REQUIRES(mutex_) {
    if (request_.queries_size() > static_cast<int>(kMaxStreamQueries)) {
      refusal_ = InvalidArgument("{} queries in one message, at most {} are taken",
                                 request_.queries_size(), kMaxStreamQueries);
      reads_ended_ = true;
      return;
    }
    for (const v1::StreamedQuery& message : request_.queries()) {
      auto asked = std::make_shared<Asked>();
      asked->id = message.id();
      asked->explain = message.query().explain();
      StatusOr<query::Plan> plan = api::DecodePlan(message.query());
      if (plan.ok()) {
        asked->run = std::make_unique<QueryRun>(context_, std::move(*plan), message.query(),
                                                DeadlineOf(message));
      } else {
        asked->refused = plan.status();
      }
      asked_.push_back(std::move(asked));
    }
    for (const uint64_t id : request_.cancel()) {
      for (const auto& asked : asked_) {
        if (asked->id == id && asked->run != nullptr) asked->run->Cancel();
      }
    }
  }

  QueryRun::Time DeadlineOf(const v1::StreamedQuery& message) const {
    if (message.timeout_ns() <= 0) return deadline_;
    const auto now = std::chrono::system_clock::now();
    if (message.timeout_ns() > Duration::Hours(24 * 365).ns()) return deadline_;
    return std::min<QueryRun::Time>(deadline_,
                                    now + std::chrono::nanoseconds(message.timeout_ns()));
  }

  // --- The work: by whoever set working_.

  /// The query whose turn it is; null once there is none, and then whoever asked has ceased to
  /// work.
  std::shared_ptr<Asked> Next() {
    while (const auto asked = Front()) {
      if (asked->run != nullptr) return asked;
      End(*asked, asked->refused);
    }
    return nullptr;
  }

  std::shared_ptr<Asked> Front() {
    const MutexLock lock(&mutex_);
    if (!asked_.empty() && !broken_) return asked_.front();
    if (broken_) asked_.clear();
    working_ = false;
    Advance();
    return nullptr;
  }

  void WorkHere() {
    const GrpcThread::Hold here(grpc_thread_);
    if (here.held()) return WorkWhileShort();
    while (const auto asked = Next()) {
      const Status queued = asked->run->short_one() ? SubmitShort() : Submit();
      if (queued.ok()) return;
      End(*asked, queued);
    }
  }

  Status SubmitShort() {
    return pools_.short_ones->Submit([self = shared_from_this()] { self->WorkWhileShort(); });
  }
  Status Submit() {
    return pools_.others->Submit([self = shared_from_this()] { self->Work(); });
  }

  void WorkWhileShort() {
    for (size_t done = 0; const auto asked = Next(); ++done) {
      if (done >= kTurn && SubmitShort().ok()) return;
      std::optional<Status> status;
      if (asked->run->short_one()) status = TryHere(asked.get());
      if (status.has_value()) {
        End(*asked, *status);
        continue;
      }
      const Status queued = Submit();
      if (queued.ok()) return;
      End(*asked, queued);
    }
  }

  void Work() {
    // The first one runs here, short or not: it may have been tried where short ones run.
    for (bool first = true; const auto asked = Next(); first = false) {
      if (!first && asked->run->short_one() && SubmitShort().ok()) return;
      End(*asked, asked->run->Run([&](const query::ResultBatch& batch) -> Status {
        return Take(asked.get(), batch);
      }));
    }
  }

  std::optional<Status> TryHere(Asked* asked) {
    v1::StreamedAnswer answer;
    std::optional<Status> status = asked->run->TryHere([&](const query::ResultBatch& batch) {
      const size_t end = api::RowsThatFit(batch, 0, kAnswerMessageBytes);
      if (answer.has_answer() || end < batch.rows()) return Aborted("the answer is long");
      api::EncodeRows(batch, 0, end, answer.mutable_answer());
      return OkStatus();
    });
    if (!status.has_value()) return status;
    if (status->ok()) {
      answer.set_id(asked->id);
      rows_out_ = answer.answer().rows();
      const MutexLock lock(&mutex_);
      Add(std::move(answer));
    }
    return status;
  }

  Status Take(Asked* asked, const query::ResultBatch& batch) {
    size_t begin = 0;
    do {
      const size_t end = begin + api::RowsThatFit(batch, begin, kAnswerMessageBytes);
      v1::StreamedAnswer answer;
      answer.set_id(asked->id);
      api::EncodeRows(batch, begin, end, answer.mutable_answer());
      rows_out_ += end - begin;
      PX_RETURN_IF_ERROR(AwaitRoom(*asked->run));
      const MutexLock lock(&mutex_);
      Add(std::move(answer));
      Advance();
      begin = end;
    } while (begin < batch.rows());
    return OkStatus();
  }

  Status AwaitRoom(const QueryRun& run) {
    MutexLock lock(&mutex_);
    bool waits = true;
    while (filling_bytes_ >= kAnswerMessageBytes && !broken_ && waits) {
      waits = wake_.wait_until(lock, run.deadline()) == std::cv_status::no_timeout;
    }
    if (broken_) return proxist::Cancelled("the client gave up after {} rows", rows_out_);
    if (filling_bytes_ >= kAnswerMessageBytes)
      return DeadlineExceeded("the client did not read the answer in time");
    return OkStatus();
  }

  void End(const Asked& asked, const Status& status) {
    if (asked.run != nullptr) {
      asked.run->End(status, rows_out_);
      asked.run->Record();
    }
    const MutexLock lock(&mutex_);
    // Its last rows end the query, if they have not left yet.
    const int parts = filling_.answers_size();
    v1::StreamedAnswer* last = parts > 0 ? filling_.mutable_answers(parts - 1) : nullptr;
    if (last == nullptr || last->last()) {
      last = filling_.add_answers();
      last->set_id(asked.id);
    }
    last->set_last(true);
    if (status.ok() && asked.run != nullptr && !asked.run->explain().missing.empty()) {
      api::EncodeMissing(asked.run->explain(), last->mutable_answer());
    }
    if (status.ok() && asked.explain && asked.run != nullptr) {
      api::EncodeExplain(asked.run->explain(), last->mutable_answer()->mutable_explain());
    }
    if (!status.ok()) {
      last->set_code(static_cast<uint32_t>(status.code()));
      last->set_message(std::string(Message(status)));
    }
    rows_out_ = 0;
    asked_.pop_front();
    Advance();
  }

  // --- What goes out.

  void Add(v1::StreamedAnswer answer) PX_REQUIRES(mutex_) {
    filling_bytes_ += answer.ByteSizeLong();
    *filling_.add_answers() = std::move(answer);
  }

  void Break() PX_REQUIRES(mutex_) {
    broken_ = true;
    for (const auto& asked : asked_) {
      if (asked->run != nullptr) asked->run->Cancel();
    }
  }

  /// Sends what has collected, reads on, or ends the stream when nothing more can come.
  void Advance() PX_REQUIRES(mutex_) {
    if (finished_) return;
    if (broken_) {
      if (working_ || writing_) return;
      finished_ = true;
      Finish(api::ToRpc(proxist::Cancelled("the stream was cancelled")));
      return;
    }
    if (!writing_ && filling_.answers_size() > 0) {
      std::swap(filling_, sent_);
      filling_bytes_ = 0;
      writing_ = true;
      StartWrite(&sent_);
    }
    if (reads_ended_ && !writing_ && !working_ && asked_.empty()) {
      finished_ = true;
      Finish(api::ToRpc(refusal_));
      return;
    }
    ReadOn();
  }

  const ServiceContext context_;
  const QueryRun::Time deadline_;
  const QueryPools pools_;
  GrpcThread* const grpc_thread_;
  std::shared_ptr<QueryStream> self_;  // until OnDone
  v1::QueryStreamRequest request_;     // of the read in flight, then of OnReadDone
  uint64_t rows_out_ = 0;              // of the query at work; whoever works

  Mutex mutex_;
  CondVar wake_;
  std::deque<std::shared_ptr<Asked>> asked_ PX_GUARDED_BY(mutex_);  // by arrival
  v1::QueryStreamResponse filling_ PX_GUARDED_BY(mutex_);
  size_t filling_bytes_ PX_GUARDED_BY(mutex_) = 0;
  v1::QueryStreamResponse sent_;  // gRPC's while writing_
  Status refusal_ PX_GUARDED_BY(mutex_);
  bool working_ PX_GUARDED_BY(mutex_) = false;  // a thread works on asked_.front()
  bool reading_ PX_GUARDED_BY(mutex_) = false;
  bool writing_ PX_GUARDED_BY(mutex_) = false;
  bool reads_ended_ PX_GUARDED_BY(mutex_) = false;
  bool broken_ PX_GUARDED_BY(mutex_) = false;  // the client is gone
  bool finished_ PX_GUARDED_BY(mutex_) = false;
};

}  // namespace

Reactor* OpenQueryStream(const ServiceContext& context, QueryRun::Time deadline,
                         const QueryPools& pools, GrpcThread* grpc_thread) {
  const auto stream = std::make_shared<QueryStream>(context, deadline, pools, grpc_thread);
  stream->Start();
  return stream.get();
}

}  // namespace proxist::server
