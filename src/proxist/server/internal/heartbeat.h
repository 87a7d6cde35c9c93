// Keeps gRPC's threads from sleeping while nobody calls.
#pragma once

#include <memory>
#include <thread>

#include <grpcpp/server.h>

#include "proxist/base/mutex.h"

namespace proxist::server {

/// A thread that calls the server from within, a few times a second. gRPC's threads, each once it
/// has had nothing to do for a second, sleep for a tenth of one and look at nothing; a call that
/// comes while all of them do, as after a pause of just over a second, waits for their end.
class Heartbeat {
 public:
  /// Begins at once. `server` serves Admin, and outlives this.
  explicit Heartbeat(grpc::Server* server);
  /// Ends it.
  ~Heartbeat();
  Heartbeat(const Heartbeat&) = delete;
  Heartbeat& operator=(const Heartbeat&) = delete;

 private:
  void Beat(const std::shared_ptr<grpc::Channel>& channel);

  Mutex mutex_;
  CondVar wake_;
  bool stopping_ PX_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace proxist::server
