// A connection to a Proxist server.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "proxist/api/column_message.h"
#include "proxist/base/status.h"
#include "proxist/base/time.h"
#include "proxist/client/write_stream.h"
#include "proxist/column/batch.h"
#include "proxist/column/schema.h"
#include "proxist/query/engine.h"
#include "proxist/query/plan.h"

namespace proxist::v1 {
class EvictResponse;
class ListKeysResponse;
class RotateKeyResponse;
class FlushResponse;
class StatusResponse;
class VerifySeamRequest;
class VerifySeamResponse;
}  // namespace proxist::v1

namespace proxist::client {

class QueryStream;

struct AppliedTable {
  column::TableSchema schema;  // as the server holds it now, with its version
  bool changed = false;
};

/// Part of an answer: columns of equal length, valid during the call. An error stops the query and
/// becomes its result.
using AnswerSink = std::function<Status(std::span<const api::NamedView> columns, size_t rows)>;

/// How a plan is to be answered.
struct QueryWishes {
  Duration timeout;  // zero: the server's own bound
  bool explain = false;
  bool allow_partial = false;  // query::QueryOptions
};

/// Connects when first used and again whenever the connection is lost. Errors are the server's, and
/// UNAVAILABLE with the server's address when it cannot be reached. Thread-safe.
class Client {
 public:
  /// `server` is "host:port".
  explicit Client(const std::string& server);
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  StatusOr<AppliedTable> Apply(const column::TableSchema& declared, const std::string& author,
                               column::Drops drops = column::Drops::kRefused);
  /// All tables of `tenant`, with their versions.
  StatusOr<std::vector<column::TableSchema>> Tables(const std::string& tenant);
  /// NOT_FOUND when the server has no such table.
  StatusOr<column::SchemaPtr> Table(const std::string& tenant, const std::string& name);

  /// Calls `sink` with the answer in order, on this thread, as it arrives. Fills `told` unless it
  /// is null: what a partial answer lacks, and the explanation if one is wanted.
  Status Query(const query::Plan& plan, const QueryWishes& wishes, const AnswerSink& sink,
               query::Explain* told);

  Status GetStatus(v1::StatusResponse* answer);
  /// With `wait`: returns when everything acked before the call is in history, or
  /// DEADLINE_EXCEEDED after `timeout`.
  Status Flush(bool wait, Duration timeout, v1::FlushResponse* answer);
  Status Evict(const std::string& tenant, const std::string& table, Timestamp before,
               v1::EvictResponse* answer);
  Status VerifySeam(const v1::VerifySeamRequest& request, v1::VerifySeamResponse* answer);
  Status ListKeys(v1::ListKeysResponse* answer);
  Status RotateKey(const std::string& author, v1::RotateKeyResponse* answer);

  /// Writes one batch and waits for its ack. With an empty `producer` a retry may count twice.
  StatusOr<WriteAck> Write(const std::string& producer, BatchNumber number,
                           const column::Batch& batch);
  /// Opens a stream of batches of one producer; it must end before the client.
  std::unique_ptr<WriteStream> OpenWriteStream(WriteStreamOptions options);
  /// Opens a stream of queries; it must end before the client.
  std::unique_ptr<QueryStream> OpenQueryStream();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace proxist::client
