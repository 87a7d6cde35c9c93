// Many queries on one call.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "proxist/base/status.h"
#include "proxist/base/time.h"
#include "proxist/client/client.h"
#include "proxist/query/plan.h"

namespace proxist::client {

struct ChannelHandle;

struct StreamedQuery {
  uint64_t id = 0;  // the caller's; its answer carries it
  query::Plan plan;
  Duration
      timeout;  // from its arrival at the server, waiting included; zero: the server's own bound
  bool allow_partial = false;  // query::QueryOptions
};

/// How a query of the stream ended.
struct EndedQuery {
  uint64_t id = 0;
  Status status;
  std::vector<query::Explain::Missing> missing;  // not empty: the answer is partial
};

/// Queries run in the order in which they are sent, and are answered in it. The server takes 256
/// without an answer; whoever sends more reads beside it. Send, Cancel and Close are for one
/// thread, Next for one that may be another.
class QueryStream {
 public:
  explicit QueryStream(std::shared_ptr<const ChannelHandle> channel);
  /// Cancels what is not answered.
  ~QueryStream();
  QueryStream(const QueryStream&) = delete;
  QueryStream& operator=(const QueryStream&) = delete;

  /// Sends queries in one message, at most 256. UNAVAILABLE when the stream has ended: Next then
  /// says why.
  Status Send(std::span<const StreamedQuery> queries);
  /// These end with CANCELLED, unless they have ended.
  Status Cancel(std::span<const uint64_t> ids);
  /// No query follows.
  Status Close();

  /// Gives the next query's answer to `sink`, as it arrives, up to its end; nothing when the stream
  /// ended after Close. An error from `sink` cancels the stream and is returned; others are the
  /// stream's.
  StatusOr<std::optional<EndedQuery>> Next(const AnswerSink& sink);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace proxist::client
