// A pipelined stream of one producer's batches that survives lost connections.
//
// The caller's thread writes and reconnects; one reader thread per connection takes acks. What is
// sent and not acked stays in `unacked`, from whose front the reader drops it.
#include "proxist/client/write_stream.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <deque>
#include <optional>
#include <thread>
#include <utility>

#include "proxist/api/table_message.h"
#include "proxist/api/write_request.h"
#include "proxist/base/check.h"
#include "proxist/base/mutex.h"
#include "proxist/base/retry_after.h"
#include "proxist/client/internal/channel_handle.h"
#include "proxist/client/internal/write_ack.h"
#include "proxist/v1/proxist.grpc.pb.h"

namespace proxist::client {
namespace {

using SteadyTime = std::chrono::steady_clock::time_point;
using Request = std::shared_ptr<const v1::WriteRequest>;

constexpr std::chrono::milliseconds kFirstPause{50};
constexpr std::chrono::milliseconds kMaxPause{2000};
constexpr std::chrono::seconds kMaxAskedPause{30};

bool MayPass(const Status& status) {
  return status.code() == absl::StatusCode::kUnavailable ||
         status.code() == absl::StatusCode::kResourceExhausted;
}

}  // namespace

WriteAck DecodeAck(const v1::WriteResponse& response) {
  WriteAck ack;
  ack.number = BatchNumber(response.batch_number());
  ack.rows = response.rows();
  ack.duplicate = response.duplicate();
  // What is not known may be weaker than anything that is.
  ack.durability =
      api::DecodeDurability(response.durability()).value_or(column::Durability::kProcess);
  ack.token = response.token();
  for (const v1::ShardRange& range : response.ranges()) {
    ack.ranges.push_back({ShardId(static_cast<uint16_t>(range.shard())), Lsn(range.first_lsn()),
                          Lsn(range.last_lsn())});
  }
  return ack;
}

struct WriteStream::State {
  // One connection of the stream.
  struct Connection {
    grpc::ClientContext context;
    std::unique_ptr<grpc::ClientReaderWriter<v1::WriteRequest, v1::WriteResponse>> stream;
    std::thread reader;
  };

  State(std::shared_ptr<const ChannelHandle> handle, WriteStreamOptions opts)
      : channel(std::move(handle)),
        options(std::move(opts)),
        stub(v1::Ingest::NewStub(channel->channel)) {}

  void Connect();
  bool SendUnacked();
  Status Disconnect();
  Status Recover();
  Status Write(const Request& request);
  Status AwaitAtMost(size_t in_flight);
  void ReadAcks(Connection* connection);
  bool TakeAck(const WriteAck& ack);
  bool PauseBeforeRetry(const Status& why);

  std::shared_ptr<const ChannelHandle> channel;
  WriteStreamOptions options;
  std::unique_ptr<v1::Ingest::Stub> stub;
  // The caller's thread only.
  std::unique_ptr<Connection> connection;
  uint64_t last_number = 0;
  Status failed;
  SteadyTime progress_at_pause;
  std::chrono::milliseconds pause = kFirstPause;
  std::atomic<uint64_t> connections{0};

  mutable Mutex mutex;
  CondVar changed;
  std::deque<Request> unacked PX_GUARDED_BY(mutex);
  bool broken PX_GUARDED_BY(mutex) = false;  // the reader has ended
  Status bad_ack PX_GUARDED_BY(mutex);
  uint64_t acked PX_GUARDED_BY(mutex) = 0;
  SteadyTime progress PX_GUARDED_BY(mutex) = std::chrono::steady_clock::now();
};

bool WriteStream::State::TakeAck(const WriteAck& ack) {
  {
    MutexLock lock(&mutex);
    if (unacked.empty() || unacked.front()->batch_number() != ack.number.value()) {
      bad_ack = Internal("server {} acked batch {} where {} was due", channel->server,
                         ack.number.value(), acked + 1);
      return false;
    }
  }
  // Before the batch counts as acked, so that Finish returns after the last call.
  if (options.on_ack) options.on_ack(ack);
  MutexLock lock(&mutex);
  unacked.pop_front();
  acked = ack.number.value();
  progress = std::chrono::steady_clock::now();
  changed.notify_all();
  return true;
}

void WriteStream::State::ReadAcks(Connection* from) {
  v1::WriteResponse response;
  while (from->stream->Read(&response)) {
    if (!TakeAck(DecodeAck(response))) {
      from->context.TryCancel();
      break;
    }
  }
  MutexLock lock(&mutex);
  broken = true;
  changed.notify_all();
}

void WriteStream::State::Connect() {
  {
    MutexLock lock(&mutex);
    broken = false;
  }
  connection = std::make_unique<Connection>();
  connection->stream = stub->WriteStream(&connection->context);
  ++connections;
  connection->reader = std::thread([this, from = connection.get()] { ReadAcks(from); });
}

// Ends the connection and says why it ended; OK when the server closed it without an error.
Status WriteStream::State::Disconnect() {
  if (connection == nullptr) return OkStatus();
  connection->reader.join();
  const grpc::Status status = connection->stream->Finish();
  connection.reset();
  MutexLock lock(&mutex);
  if (!bad_ack.ok()) return bad_ack;
  return channel->ToStatus(status);
}

// False when the time without progress is up. Pauses grow until there is progress.
bool WriteStream::State::PauseBeforeRetry(const Status& why) {
  SteadyTime last;
  {
    MutexLock lock(&mutex);
    last = progress;
  }
  pause = last == progress_at_pause ? std::min(pause * 2, kMaxPause) : kFirstPause;
  // A server that knows better says so.
  std::chrono::nanoseconds rest = pause;
  if (const auto asked = RetryAfter(why); asked.has_value()) {
    rest =
        std::min<std::chrono::nanoseconds>(std::chrono::nanoseconds(asked->ns()), kMaxAskedPause);
  }
  progress_at_pause = last;
  const auto now = std::chrono::steady_clock::now();
  const auto end = last + std::chrono::nanoseconds(options.retry_for.ns());
  if (now >= end) return false;
  std::this_thread::sleep_until(std::min<SteadyTime>(now + rest, end));
  return true;
}

bool WriteStream::State::SendUnacked() {
  std::vector<Request> resend;
  {
    MutexLock lock(&mutex);
    resend.assign(unacked.begin(), unacked.end());
  }
  return std::all_of(resend.begin(), resend.end(),
                     [&](const Request& request) { return connection->stream->Write(*request); });
}

// The connection is broken: opens new ones until one takes everything that is not acked.
Status WriteStream::State::Recover() {
  while (true) {
    Status why = Disconnect();
    if (why.ok()) why = Unavailable("server {} closed the stream", channel->server);
    if (!MayPass(why)) return why;
    if (!PauseBeforeRetry(why)) return why;
    Connect();
    if (SendUnacked()) return OkStatus();
  }
}

Status WriteStream::State::AwaitAtMost(size_t in_flight) {
  while (true) {
    {
      MutexLock lock(&mutex);
      while (unacked.size() > in_flight && !broken) changed.wait(lock);
      if (unacked.size() <= in_flight && !broken) return OkStatus();
    }
    PX_RETURN_IF_ERROR(Recover());
  }
}

Status WriteStream::State::Write(const Request& request) {
  if (connection == nullptr) Connect();
  {
    MutexLock lock(&mutex);
    if (unacked.empty()) progress = std::chrono::steady_clock::now();
  }
  PX_RETURN_IF_ERROR(AwaitAtMost(options.max_in_flight - 1));
  {
    MutexLock lock(&mutex);
    unacked.push_back(request);
  }
  if (connection->stream->Write(*request)) return OkStatus();
  return Recover();
}

WriteStream::WriteStream(std::shared_ptr<const ChannelHandle> channel, WriteStreamOptions options)
    : state_(std::make_unique<State>(std::move(channel), std::move(options))) {
  PX_CHECK(!state_->options.producer.empty());
  PX_CHECK(state_->options.max_in_flight > 0);
}

WriteStream::~WriteStream() {
  if (state_->connection == nullptr) return;
  state_->connection->context.TryCancel();
  (void)state_->Disconnect();
}

Status WriteStream::Send(const column::Batch& batch) {
  if (!state_->failed.ok()) return state_->failed;
  const std::shared_ptr<v1::WriteRequest> request = api::NewWriteRequest();
  api::EncodeWriteRequest(batch, request.get());
  request->set_producer(state_->options.producer);
  request->set_batch_number(state_->last_number + 1);
  const size_t bytes = request->ByteSizeLong();
  if (bytes > kMaxMessageBytes) {
    return InvalidArgument("batch {} of {} rows has {} bytes, a message at most {}",
                           state_->last_number + 1, batch.rows, bytes, kMaxMessageBytes);
  }
  ++state_->last_number;
  state_->failed = state_->Write(request);
  return state_->failed;
}

Status WriteStream::AwaitAcks() {
  if (!state_->failed.ok()) return state_->failed;
  {
    // A connection that is lost while everything is acked is Send's to open again.
    MutexLock lock(&state_->mutex);
    if (state_->unacked.empty()) return OkStatus();
  }
  state_->failed = state_->AwaitAtMost(0);
  return state_->failed;
}

Status WriteStream::Finish() {
  if (state_->connection == nullptr) return state_->failed;
  PX_RETURN_IF_ERROR(AwaitAcks());
  state_->connection->stream->WritesDone();
  const Status closed = state_->Disconnect();
  // Everything is acked: a connection lost now loses nothing.
  if (!closed.ok() && !MayPass(closed)) state_->failed = closed;
  return state_->failed;
}

BatchNumber WriteStream::acked() const {
  MutexLock lock(&state_->mutex);
  return BatchNumber(state_->acked);
}

uint64_t WriteStream::reconnects() const {
  const uint64_t connections = state_->connections.load();
  return connections > 0 ? connections - 1 : 0;
}

}  // namespace proxist::client
