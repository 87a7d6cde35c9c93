// A query from its arrival to its end, whichever call brought it.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "proxist/base/status.h"
#include "proxist/base/time.h"
#include "proxist/query/engine.h"
#include "proxist/query/plan.h"
#include "proxist/server/internal/services.h"

namespace proxist::v1 {
class QueryRequest;
}

namespace proxist::server {

/// Of an answer's message, about: well below the 4 MiB that gRPC clients accept by default.
inline constexpr size_t kAnswerMessageBytes = 1u << 20;

/// The right to run queries on one of gRPC's threads: one has it at a time, so that of these
/// threads, of which there are two at least, another always serves the writes. Thread-safe.
class GrpcThread {
 public:
  class Hold {
   public:
    explicit Hold(GrpcThread* thread) : thread_(thread), held_(!thread->taken_.exchange(true)) {}
    ~Hold() {
      if (held_) thread_->taken_ = false;
    }
    Hold(const Hold&) = delete;
    Hold& operator=(const Hold&) = delete;
    [[nodiscard]] bool held() const { return held_; }

   private:
    GrpcThread* thread_;
    const bool held_;
  };

 private:
  std::atomic<bool> taken_{false};
};

/// One thread runs it; Cancel may come from any.
class QueryRun {
 public:
  using Time = std::chrono::system_clock::time_point;
  using Sink = std::function<Status(const query::ResultBatch&)>;

  /// It ends at `deadline`, or after the server's own bound when that is Time::max().
  QueryRun(const ServiceContext& context, query::Plan plan, const v1::QueryRequest& request,
           Time deadline);

  /// True for the look-ups that most often take less time than waking a thread of the pool.
  [[nodiscard]] bool short_one() const { return short_; }
  /// Runs a short one on a thread that others wait for: within small bounds of rows and memory, and
  /// without history. Nothing when it takes more: then Run it elsewhere, and forget what `sink`
  /// got. `sink` may say so by ABORTED.
  std::optional<Status> TryHere(const Sink& sink);
  /// Gives the answer to `sink`, on a thread that may wait.
  Status Run(const Sink& sink);
  /// The query then ends with CANCELLED.
  void Cancel() { cancelled_ = true; }

  [[nodiscard]] Time deadline() const { return deadline_; }
  [[nodiscard]] const query::Explain& explain() const { return explain_; }
  /// Its answer has left or is about to.
  void End(const Status& status, uint64_t rows_out);
  /// Counts it in the metrics and in the log of slow queries; after End.
  void Record() const;

 private:
  Status Execute(query::QueryOptions options, const Sink& sink);
  Status AwaitTokens() const;
  [[nodiscard]] Duration Remaining() const;

  const ServiceContext context_;
  query::Plan plan_;
  const std::vector<std::string> tokens_;
  const bool allow_partial_;
  const bool short_;
  const Duration arrived_;
  const Time deadline_;
  std::atomic<bool> cancelled_{false};
  query::Explain explain_;
  Status status_;
  uint64_t rows_out_ = 0;
  Duration elapsed_;
};

}  // namespace proxist::server
