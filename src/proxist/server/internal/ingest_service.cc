// Ingest: unary writes, and streams of batches whose acks come back in order.
#include <chrono>
#include <deque>
#include <memory>
#include <optional>
#include <utility>

#include <grpcpp/alarm.h>

#include "proxist/api/rpc_status.h"
#include "proxist/base/mutex.h"
#include "proxist/server/internal/services.h"
#include "proxist/server/internal/write_call.h"
#include "proxist/v1/proxist.grpc.pb.h"

namespace proxist::server {
namespace {

using grpc::ByteBuffer;

/// One stream of batches. gRPC calls the On methods, shards call back with results; both under the
/// mutex. It keeps itself alive until gRPC is done with it, and each batch under way keeps it alive
/// until its result is in.
class WriteStream final : public grpc::ServerBidiReactor<ByteBuffer, ByteBuffer>,
                          public std::enable_shared_from_this<WriteStream> {
 public:
  explicit WriteStream(const ServiceContext& context)
      : node_(context.node),
        metrics_(context.metrics),
        max_batches_(context.options->stream_unacked_batches),
        max_bytes_(context.options->stream_unacked_bytes) {}

  void Start() {
    self_ = shared_from_this();
    const MutexLock lock(&mutex_);
    ReadOn();
  }

  void OnReadDone(bool ok) override {
    if (!ok) {
      const MutexLock lock(&mutex_);
      reading_ = false;
      reads_ended_ = true;
      Advance();
      return;
    }
    auto batch = std::make_shared<Batch>();
    batch->bytes = request_.Length();
    {
      const MutexLock lock(&mutex_);
      unacked_.push_back(batch);
      unacked_bytes_ += batch->bytes;
    }
    SubmitWrite(
        &request_, node_, metrics_,
        [self = shared_from_this(), batch](const AcceptedWrite& write, const WriteResult& result) {
          const MutexLock lock(&self->mutex_);
          batch->write = write;
          batch->result = result;
          if (!result.status.ok()) self->refused_ = true;
          self->Advance();
        });
    const Duration pause = node_->WritePause();
    const MutexLock lock(&mutex_);
    reading_ = false;
    if (pause == Duration() || finished_ || broken_) return ReadOn();
    // The backlog nears its bound: this sender is read more slowly.
    paused_ = true;
    alarm_.Set(std::chrono::system_clock::now() + std::chrono::nanoseconds(pause.ns()),
               [weak = weak_from_this()](bool) {
                 const auto self = weak.lock();
                 if (self == nullptr) return;
                 const MutexLock resumed(&self->mutex_);
                 self->paused_ = false;
                 self->ReadOn();
               });
  }

  void OnWriteDone(bool ok) override {
    const MutexLock lock(&mutex_);
    writing_ = false;
    unacked_bytes_ -= unacked_.front()->bytes;
    unacked_.pop_front();
    if (!ok) broken_ = true;
    Advance();
    ReadOn();
  }

  void OnCancel() override {
    const MutexLock lock(&mutex_);
    broken_ = true;
    Advance();
  }

  void OnDone() override { self_.reset(); }

 private:
  struct Batch {
    uint64_t bytes = 0;
    AcceptedWrite write;
    std::optional<WriteResult> result;
  };

  void ReadOn() PX_REQUIRES(mutex_) {
    if (reading_ || paused_ || reads_ended_ || refused_ || broken_ || finished_) return;
    if (unacked_.size() >= max_batches_ || unacked_bytes_ >= max_bytes_) return;
    reading_ = true;
    request_.Clear();
    StartRead(&request_);
  }

  /// Writes the next ack that is due, or ends the stream when nothing more can come.
  void Advance() PX_REQUIRES(mutex_) {
    if (finished_ || writing_) return;
    if (broken_) return End(Cancelled("the stream was cancelled"));
    if (unacked_.empty()) {
      if (reads_ended_) End(OkStatus());
      return;
    }
    const Batch& first = *unacked_.front();
    if (!first.result) return;
    if (!first.result->status.ok()) return End(first.result->status);
    response_ = EncodeAck(first.write, *first.result);
    writing_ = true;
    // When the next ack is ready too, one system call sends both.
    const bool more =
        unacked_.size() > 1 && unacked_[1]->result && unacked_[1]->result->status.ok();
    grpc::WriteOptions options;
    if (more) options.set_buffer_hint();
    StartWrite(&response_, options);
  }

  void End(const Status& status) PX_REQUIRES(mutex_) {
    finished_ = true;
    Finish(api::ToRpc(status));
  }

  Node* const node_;
  observe::Metrics* const metrics_;
  const size_t max_batches_;
  const uint64_t max_bytes_;
  std::shared_ptr<WriteStream> self_;  // until OnDone
  ByteBuffer request_;                 // of the read in flight, then of OnReadDone
  Mutex mutex_;
  ByteBuffer response_ PX_GUARDED_BY(mutex_);
  std::deque<std::shared_ptr<Batch>> unacked_ PX_GUARDED_BY(mutex_);  // by arrival
  uint64_t unacked_bytes_ PX_GUARDED_BY(mutex_) = 0;
  bool reading_ PX_GUARDED_BY(mutex_) = false;
  grpc::Alarm alarm_;                           // of a pause
  bool paused_ PX_GUARDED_BY(mutex_) = false;   // until the alarm
  bool writing_ PX_GUARDED_BY(mutex_) = false;  // the front's ack
  bool reads_ended_ PX_GUARDED_BY(mutex_) = false;
  bool refused_ PX_GUARDED_BY(mutex_) = false;  // some batch was; no more are read
  bool broken_ PX_GUARDED_BY(mutex_) = false;   // the client is gone
  bool finished_ PX_GUARDED_BY(mutex_) = false;
};

/// Both methods take raw bytes: the message's memory becomes the batch's, and a message that does
/// not parse is refused with a reason instead of looking like the stream's end.
class IngestService final
    : public v1::Ingest::WithRawCallbackMethod_Write<
          v1::Ingest::WithRawCallbackMethod_WriteStream<v1::Ingest::Service>> {
 public:
  explicit IngestService(const ServiceContext& context) : context_(context) {}

  grpc::ServerUnaryReactor* Write(grpc::CallbackServerContext* call, const ByteBuffer* request,
                                  ByteBuffer* response) override {
    grpc::ServerUnaryReactor* reactor = call->DefaultReactor();
    ByteBuffer bytes(*request);
    SubmitWrite(&bytes, context_.node, context_.metrics,
                [reactor, response](const AcceptedWrite& write, const WriteResult& result) {
                  if (result.status.ok()) *response = EncodeAck(write, result);
                  reactor->Finish(api::ToRpc(result.status));
                });
    return reactor;
  }

  grpc::ServerBidiReactor<ByteBuffer, ByteBuffer>* WriteStream(
      grpc::CallbackServerContext* /*call*/) override {
    const auto stream = std::make_shared<server::WriteStream>(context_);
    stream->Start();
    return stream.get();
  }

 private:
  const ServiceContext context_;
};

}  // namespace

std::unique_ptr<grpc::Service> MakeIngestService(const ServiceContext& context) {
  return std::make_unique<IngestService>(context);
}

}  // namespace proxist::server
