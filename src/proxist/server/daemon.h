// A node with its ports: what proxistd runs.
#pragma once

#include <memory>
#include <string>

#include "proxist/base/status.h"
#include "proxist/server/daemon_options.h"

namespace proxist::server {

class Daemon {
 public:
  /// Opens the node and serves. INVALID_ARGUMENT: an address that is not loopback without
  /// `insecure`, a history that is no URL. FAILED_PRECONDITION: a port in use. Else as Node::Open.
  static StatusOr<std::unique_ptr<Daemon>> Start(const DaemonOptions& options);
  /// Stops serving, then the node.
  ~Daemon();

  /// "ready grpc=HOST:PORT http=HOST:PORT".
  [[nodiscard]] std::string ReadyLine() const;

 private:
  struct Impl;
  explicit Daemon(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace proxist::server
