#include "proxist/server/internal/heartbeat.h"

#include <chrono>

#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>

#include "proxist/v1/proxist.grpc.pb.h"

namespace proxist::server {
namespace {

// Well below the second after which a thread sleeps: whichever took the last call is awake until
// another has taken the next.
constexpr std::chrono::milliseconds kEvery(300);
// A server that is that busy needs no waking.
constexpr std::chrono::milliseconds kTimeout(300);

}  // namespace

Heartbeat::Heartbeat(grpc::Server* server)
    : thread_([this, channel = server->InProcessChannel({})] { Beat(channel); }) {}

Heartbeat::~Heartbeat() {
  {
    const MutexLock lock(&mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  thread_.join();
}

void Heartbeat::Beat(const std::shared_ptr<grpc::Channel>& channel) {
  const std::unique_ptr<v1::Admin::Stub> stub = v1::Admin::NewStub(channel);
  const v1::EchoRequest request;
  v1::EchoResponse response;
  MutexLock lock(&mutex_);
  while (!stopping_) {
    lock.unlock();
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + kTimeout);
    stub->Echo(&context, request, &response);
    lock.lock();
    if (!stopping_) wake_.wait_for(lock, kEvery);
  }
}

}  // namespace proxist::server
