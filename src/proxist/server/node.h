// One running Proxist: shards on their threads, the flush, the query engine, over one data
// directory.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "proxist/base/ids.h"
#include "proxist/base/status.h"
#include "proxist/base/time.h"
#include "proxist/column/batch.h"
#include "proxist/column/schema.h"
#include "proxist/hot/store.h"
#include "proxist/query/engine.h"
#include "proxist/security/data_keys.h"
#include "proxist/server/flush_loop.h"
#include "proxist/server/history_resend.h"
#include "proxist/server/http_server.h"
#include "proxist/server/live_seams.h"
#include "proxist/server/live_views.h"
#include "proxist/server/pressure_loop.h"
#include "proxist/shard/flusher.h"
#include "proxist/shard/ingest_router.h"
#include "proxist/shard/shard.h"

namespace proxist::server {

struct NodeOptions {
  std::string data_directory;
  /// embedded, none, or http://[user[:password]@]host:port, several separated by commas.
  std::string history = "embedded";
  std::string launcher;  // of the embedded ClickHouse; empty: beside this executable
  /// Where the master key comes from (security::LoadMasterKey); empty: nothing is encrypted.
  std::string master_key;
  std::string previous_master_key;  // the one before, to be replaced; empty: there is none
  uint32_t shards = 0;  // 0: one per two cores; fixed when the data directory is created
  uint64_t segment_bytes = 64ull << 20;
  uint64_t snapshot_log_bytes = 256ull << 20;  // per shard: log above the last snapshot, then one
  Duration snapshot_interval = Duration::Seconds(300);
  uint64_t max_backlog_bytes = 4ull << 30;  // of the node, divided among its shards
  uint64_t memory_limit_bytes = 0;          // of rows, backlogs and queues; 0: none
  uint64_t ready_memory_bytes = 0;          // of the node, touched ahead for rows to come
  Duration flush_min_interval = Duration::Millis(5);
  Duration flush_max_interval = Duration::Millis(50);
  Duration flush_stretched_interval = Duration::Seconds(2);  // at most, when ClickHouse is slow
  uint64_t flush_max_rows = 500'000;                         // of one round
  uint32_t flush_max_parts = 150;  // active ones of a partition, beyond which nothing is sent
  Duration history_hang_timeout = Duration::Seconds(30);  // embedded, without an answer: restarted
  size_t max_queued_batches = 1024;         // per shard; beyond it writes are RESOURCE_EXHAUSTED
  uint64_t cold_cache_bytes = 64ull << 20;  // of blocks of history that are kept; 0: none
  size_t threads_per_query = 0;             // over many symbols in memory; 0: one per core
  Duration max_unsynced = Duration::Millis(50);  // time until rows of `process` tables are durable
  bool live_views = true;
  LiveSeams::Bounds live;
  std::string
      sql_user;  // "user[:password]" of ClickHouse that SQL runs under; empty: history's own
};

using shard::WriteCall;
using shard::WriteResult;

struct HeldTable {
  std::string tenant;
  std::string name;
  std::string why;
};
struct HistoryState {
  std::string kind;  // embedded, url, none
  std::string url;   // without password
  bool reachable = false;
  uint64_t restarts = 0;
  shard::FlushStats flush;
  query::ColdCacheStats cache;
  Duration flush_lag;  // age of the oldest unpersisted row since its publication
  FlushPace pace;
  std::string halted;           // why nothing is flushed until an operator acts
  std::vector<HeldTable> held;  // tables that history refuses
};
struct TableState {
  column::SchemaPtr schema;
  hot::TableStats stats;                       // summed over shards
  Timestamp persisted_through;                 // the least of the shards
  Timestamp history_floor = kMinRowTimestamp;  // rows before it do not exist; the least: all do
};
struct MemoryState {
  uint64_t limit_bytes = 0;  // 0: none
  uint64_t used_bytes = 0;   // by the three below
  uint64_t row_bytes = 0;
  uint64_t backlog_bytes = 0;
  uint64_t queued_bytes = 0;
  uint64_t ready_bytes = 0;    // touched ahead for rows to come
  uint64_t spilled_bytes = 0;  // in chunk files, of rows that are read from there
  uint64_t spilled_chunks = 0;
  uint64_t refused_writes = 0;
  uint64_t refused_by_backlog = 0;  // writes
  PressureLoop::Stats pressure;
};
struct LiveState {
  LiveViews::State views;
  LiveSeams::Stats seams;
};
struct NodeState {
  std::string incarnation;
  Timestamp started_at;
  std::vector<TableState> tables;
  std::vector<std::pair<ShardId, shard::ShardStats>> shards;
  HistoryState history;
  MemoryState memory;
  LiveState live;
  HttpStats http;                // filled in by who has the server
  uint64_t partial_answers = 0;  // since the start
  uint64_t resident_bytes = 0;
  KeyId key;  // that new files are encrypted under; 0: they are not encrypted
  /// What an operator should look at, in plain sentences; empty: healthy.
  std::vector<std::string> problems;
};

/// Thread-safe.
class Node {
 public:
  /// Locks the directory, opens metadata, starts history, recovers the shards (all in parallel),
  /// starts the threads. FAILED_PRECONDITION: directory of another layout version, in use, or an
  /// empty directory over a history that belongs to another one.
  static StatusOr<std::unique_ptr<Node>> Open(const NodeOptions& options);
  /// Stops taking writes, drains the queues, stops the threads. What is not flushed stays in the
  /// log.
  ~Node();

  /// Validates, splits by shard and queues. `done` is called once, on a shard's thread or the
  /// caller's: do little in it. A gap in the producer's numbers is FAILED_PRECONDITION and changes
  /// nothing. Writes of one producer are applied in the order of their calls.
  void Write(WriteCall call, std::function<void(WriteResult)> done);

  query::Engine& engine();
  const meta::Catalog& catalog() const;
  StatusOr<column::SchemaPtr> ApplyTable(const column::TableSchema& declared,
                                         const std::string& author,
                                         column::Drops drops = column::Drops::kRefused);
  /// Wakes the flush. With a timeout above zero: returns when everything acked before the call is
  /// in history (DEADLINE_EXCEEDED with what is missing). FAILED_PRECONDITION without history.
  Status Flush(Duration timeout);
  /// Sends to history what it lacks of the persisted rows that are still in memory, and then lets
  /// flushing go on. FAILED_PRECONDITION: there is no history, or it is another directory's.
  StatusOr<ResendReport> ResendHistory();
  /// How long whoever sends batches should pause before the next, because the backlog nears its
  /// bound.
  [[nodiscard]] Duration WritePause() const;
  /// The node is about to go: whoever waits in Flush is answered UNAVAILABLE at once.
  void EndWaits();
  StatusOr<hot::EvictResult> Evict(const column::SchemaPtr& table, Timestamp before);
  /// Waits until each range's rows are visible here; UNAVAILABLE when they are not by `deadline`
  /// from now.
  Status AwaitVisible(const std::vector<history::LsnRange>& ranges, Duration deadline);
  /// An answer was given without history's part, and marked so: the state counts them.
  void NotePartialAnswer();
  NodeState State() const;

  /// What live views ask for; nullptr without history. The node outlives the handler.
  HttpStreamHandler LiveHandler();
  /// Makes and keeps live views in history, which reach this node's HTTP port under `url`; when
  /// that is empty there are none, and the state says `why_none`. Call it once.
  void ServeLiveViews(const std::string& url, const std::string& why_none);
  /// Where SQL goes; see SqlOptions.
  StatusOr<SqlUpstream> SqlTo() const;
  void SqlEnded(std::string_view query_id);

  /// The keys that files are encrypted under; none without a master key.
  std::vector<security::DataKeyInfo> Keys() const;
  /// Makes a new one, for the next segments and files, and removes those that no file needs; these
  /// go to `retired`. FAILED_PRECONDITION without a master key.
  StatusOr<KeyId> RotateKey(std::string_view author, std::set<KeyId>* retired);
  /// What recovery did, per shard.
  const std::vector<shard::RecoveryReport>& recovery() const;

 private:
  struct Impl;
  explicit Node(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace proxist::server
