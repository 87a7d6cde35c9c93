// The gRPC channel behind a client. Included by the files that speak gRPC only.
#pragma once

#include <memory>
#include <string>

#include <grpcpp/channel.h>
#include <grpcpp/support/status.h>

#include "proxist/base/status.h"

namespace proxist::client {

/// The largest message in either direction; the server's bound is the same.
inline constexpr int kMaxMessageBytes = 64 << 20;

struct ChannelHandle {
  std::string server;
  std::shared_ptr<grpc::Channel> channel;

  explicit ChannelHandle(std::string address);
  /// The status of a call; one that never reached the server says which server.
  [[nodiscard]] Status ToStatus(const grpc::Status& status) const;
};

}  // namespace proxist::client
