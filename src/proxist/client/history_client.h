// Looking after a server's history.
#pragma once

#include <memory>
#include <string>

#include "proxist/base/status.h"

namespace proxist::v1 {
class GetFlushResponse;
class ResendResponse;
}  // namespace proxist::v1

namespace proxist::client {

/// As Client: connects when first used. Thread-safe.
class HistoryClient {
 public:
  /// `server` is "host:port".
  explicit HistoryClient(const std::string& server);
  ~HistoryClient();
  HistoryClient(const HistoryClient&) = delete;
  HistoryClient& operator=(const HistoryClient&) = delete;

  Status GetFlush(v1::GetFlushResponse* answer);
  /// Takes as long as it takes to send what memory holds.
  Status Resend(v1::ResendResponse* answer);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace proxist::client
