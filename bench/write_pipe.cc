#include "bench/write_pipe.h"

#include <deque>
#include <thread>
#include <utility>

#include <grpcpp/grpcpp.h>

#include "bench/internal/pipe.h"
#include "proxist/api/rpc_status.h"
#include "proxist/base/mutex.h"
#include "proxist/env/clock.h"

namespace proxist::bench {
namespace {

Duration Now() { return env::SystemClock().Monotonic(); }

// A thread of its own reads the acks, which come in the order of the batches.
class GrpcPipe final : public WritePipe {
 public:
  GrpcPipe(v1::Ingest::Stub* stub, size_t window)
      : window_(window), stream_(stub->WriteStream(&context_)), reader_([this] { ReadAcks(); }) {}

  ~GrpcPipe() override {
    if (reader_.joinable()) {
      context_.TryCancel();
      reader_.join();
    }
  }

  Status Send(const v1::WriteRequest& request) override {
    {
      MutexLock lock(&mutex_);
      while (!closed_ && sent_at_.size() >= window_) changed_.wait(lock);
      if (!closed_) sent_at_.push_back(Now());
    }
    if (stream_->Write(request)) return OkStatus();
    const Status ended = Finish();
    return ended.ok() ? Unavailable("the server closed the write stream") : ended;
  }

  Status Finish() override {
    if (!reader_.joinable()) return ended_;
    stream_->WritesDone();
    reader_.join();
    ended_ = api::FromRpc(stream_->Finish());
    return ended_;
  }

  Acked Take() override {
    MutexLock lock(&mutex_);
    return std::exchange(acked_, Acked());
  }

 private:
  void ReadAcks() {
    v1::WriteResponse response;
    while (stream_->Read(&response)) {
      const Duration now = Now();
      MutexLock lock(&mutex_);
      acked_.latencies.Add(Duration(now.ns() - sent_at_.front().ns()));
      sent_at_.pop_front();
      ++acked_.batches;
      acked_.rows += response.rows();
      changed_.notify_all();
    }
    MutexLock lock(&mutex_);
    closed_ = true;
    changed_.notify_all();
  }

  const size_t window_;
  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientReaderWriter<v1::WriteRequest, v1::WriteResponse>> stream_;
  Mutex mutex_;
  CondVar changed_;
  std::deque<Duration> sent_at_ PX_GUARDED_BY(mutex_);
  Acked acked_ PX_GUARDED_BY(mutex_);
  bool closed_ PX_GUARDED_BY(mutex_) = false;
  Status ended_;
  std::thread reader_;
};

}  // namespace

namespace internal {

std::unique_ptr<WritePipe> MakePipe(v1::Ingest::Stub* stub, size_t window) {
  return std::make_unique<GrpcPipe>(stub, window);
}

}  // namespace internal
}  // namespace proxist::bench
