// The rows of the option table.
#include "proxist/server/internal/option_table.h"

#include <algorithm>
#include <charconv>
#include <type_traits>

#include "proxist/base/check.h"

namespace proxist::server {
namespace {

constexpr uint64_t kMiB = 1ull << 20;

StatusOr<uint64_t> ParseCount(std::string_view text, uint64_t least, uint64_t most) {
  uint64_t value = 0;
  const char* end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc() || rest != end || value < least || value > most) {
    return InvalidArgument("\"{}\" is not a number from {} to {}", text, least, most);
  }
  return value;
}

/// A setter for a whole number within bounds, times a unit.
template <auto kMember, uint64_t kLeast, uint64_t kMost, uint64_t kUnit = 1>
Status SetCount(std::string_view text, DaemonOptions* options) {
  PX_ASSIGN_OR_RETURN(const uint64_t value, ParseCount(text, kLeast, kMost));
  auto& field = kMember(options);
  field = static_cast<std::remove_reference_t<decltype(field)>>(value * kUnit);
  return OkStatus();
}

/// A setter for a span given in milliseconds.
template <auto kMember, uint64_t kLeast, uint64_t kMost>
Status SetMillis(std::string_view text, DaemonOptions* options) {
  PX_ASSIGN_OR_RETURN(const uint64_t value, ParseCount(text, kLeast, kMost));
  kMember(options) = Duration::Millis(static_cast<int64_t>(value));
  return OkStatus();
}

/// A setter for a span given in seconds.
template <auto kMember, uint64_t kLeast, uint64_t kMost>
Status SetSeconds(std::string_view text, DaemonOptions* options) {
  PX_ASSIGN_OR_RETURN(const uint64_t value, ParseCount(text, kLeast, kMost));
  kMember(options) = Duration::Seconds(static_cast<int64_t>(value));
  return OkStatus();
}

template <auto kMember>
Status SetText(std::string_view text, DaemonOptions* options) {
  kMember(options) = text;
  return OkStatus();
}

template <auto kMember>
Status SetFlag(std::string_view text, DaemonOptions* options) {
  if (text != "true" && text != "false") {
    return InvalidArgument("\"{}\" is neither true nor false", text);
  }
  kMember(options) = text == "true";
  return OkStatus();
}

template <auto kMember>
Status SetAddress(std::string_view text, DaemonOptions* options) {
  PX_ASSIGN_OR_RETURN(kMember(options), ParseListenAddress(text));
  return OkStatus();
}

Status SetMemoryLimit(std::string_view text, DaemonOptions* options) {
  constexpr uint64_t kLeastMiB = 64;
  if (text == "auto") {
    options->node.memory_limit_bytes = std::max(StandardMemoryLimit(), kLeastMiB * kMiB);
    return OkStatus();
  }
  PX_ASSIGN_OR_RETURN(const uint64_t mib, ParseCount(text, 0, 1u << 24));
  if (mib > 0 && mib < kLeastMiB) {
    return InvalidArgument("\"{}\" is neither auto, 0, nor at least {}", text, kLeastMiB);
  }
  options->node.memory_limit_bytes = mib * kMiB;
  return OkStatus();
}

#define PX_FIELD(path) [](DaemonOptions* o) -> auto& { return o->path; }

constexpr OptionRow kOptions[] = {
    {"data", "DIR", "", "The data directory; created when missing. Required.",
     [](std::string_view text, DaemonOptions* options) {
       options->node.data_directory = text;
       return text.empty() ? InvalidArgument("the path is empty") : OkStatus();
     }},
    {"grpc", "HOST:PORT", "127.0.0.1:7401", "Where gRPC listens. Port 0 picks a free one.",
     &SetAddress<PX_FIELD(grpc.address)>},
    {"http", "HOST:PORT", "127.0.0.1:7402",
     "Where /status, /health, /metrics and SQL are answered. Port 0 picks a free one.",
     &SetAddress<PX_FIELD(http.address)>},
    {"insecure", "", "false",
     "Allow addresses that are not loopback, although nobody is asked who they are.",
     &SetFlag<PX_FIELD(insecure)>},
    {"history", "WHERE", "embedded",
     "`embedded` runs ClickHouse as a child, `none` keeps everything in memory and log, "
     "`http://[user[:password]@]host[:port]` is a ClickHouse server. Several URLs, separated by "
     "commas, are ways to the same data: the first that answers is used until it fails.",
     &SetText<PX_FIELD(node.history)>},
    {"master-key", "SOURCE", "",
     "Encrypts log and snapshots (AES-256-GCM) under data keys that this key wraps: `file:PATH`, "
     "`env:NAME` or `command:LINE`, which gives 64 hexadecimal digits or the base64 of 32 bytes.",
     &SetText<PX_FIELD(node.master_key)>},
    {"previous-master-key", "SOURCE", "",
     "The master key before, in the same forms: data keys that it wraps are wrapped by the new one "
     "from this start on.",
     &SetText<PX_FIELD(node.previous_master_key)>},
    {"launcher", "PATH", "",
     "The embedded ClickHouse's executable. Without it: proxist-clickhouse beside proxistd.",
     &SetText<PX_FIELD(node.launcher)>},
    {"shards", "N", "0",
     "Shards; 0 is one per two cores. Fixed when the data directory is created.",
     &SetCount<PX_FIELD(node.shards), 0, 1024>},
    {"segment-mb", "MIB", "64", "Size of a log segment.",
     &SetCount<PX_FIELD(node.segment_bytes), 50, 4096, kMiB>},
    {"snapshot-log-mb", "MIB", "256",
     "A shard's next snapshot starts when so much log lies above the last one; with the interval, "
     "bounds what a restart replays.",
     &SetCount<PX_FIELD(node.snapshot_log_bytes), 1, 1u << 20, kMiB>},
    {"snapshot-interval-s", "S", "300",
     "A shard's next snapshot also starts when the last one is so old and there are newer rows.",
     &SetSeconds<PX_FIELD(node.snapshot_interval), 1, 1u << 20>},
    {"max-backlog-mb", "MIB", "4096",
     "Memory of rows that are published and not yet persisted; from three quarters of it on "
     "senders "
     "are slowed down, beyond it writes are refused (RESOURCE_EXHAUSTED).",
     &SetCount<PX_FIELD(node.max_backlog_bytes), 1, 1u << 20, kMiB>},
    {"memory-limit-mb", "MIB", "auto",
     "Memory of rows, backlogs and queues. From 80 % on rows that history has leave memory, then "
     "others are read from snapshots' files; at the limit writes are refused "
     "(RESOURCE_EXHAUSTED). `auto` is 60 % of the machine's memory or of its control group's, 0 is "
     "no limit.",
     &SetMemoryLimit},
    {"ready-memory-mb", "MIB", "256",
     "Memory that is kept touched for rows to come, beyond what rows use: at most a quarter of "
     "memory-limit-mb, or what rows leave of it if that is more. The first touch of a page takes "
     "longer than filling it. 0 keeps none; as much as memory-limit-mb touches all of it at the "
     "start.",
     &SetCount<PX_FIELD(node.ready_memory_bytes), 0, 1u << 20, kMiB>},
    {"max-queued-batches", "N", "1024",
     "Batches that wait for a shard; beyond it writes are refused (RESOURCE_EXHAUSTED).",
     &SetCount<PX_FIELD(node.max_queued_batches), 1, 1u << 20>},
    {"max-unsynced-ms", "MS", "50",
     "Time after which rows of tables with `durability: process` are synced to disk at the latest; "
     "only synced rows are flushed to history.",
     &SetMillis<PX_FIELD(node.max_unsynced), 1, 60'000>},
    {"flush-min-ms", "MS", "5", "Shortest pause between two flushes to history.",
     &SetMillis<PX_FIELD(node.flush_min_interval), 1, 60'000>},
    {"flush-max-ms", "MS", "50",
     "Longest pause between two flushes while there are rows and ClickHouse keeps up.",
     &SetMillis<PX_FIELD(node.flush_max_interval), 1, 3'600'000>},
    {"flush-stretched-ms", "MS", "2000",
     "Longest pause between two flushes while ClickHouse is slow or its parts pile up.",
     &SetMillis<PX_FIELD(node.flush_stretched_interval), 1, 3'600'000>},
    {"flush-max-parts", "N", "150",
     "Active parts of a partition: at this many nothing is flushed until ClickHouse has merged "
     "some.",
     &SetCount<PX_FIELD(node.flush_max_parts), 8, 100'000>},
    {"history-hang-s", "S", "30",
     "An embedded ClickHouse that has answered nothing for so long is killed and restarted.",
     [](std::string_view text, DaemonOptions* options) {
       PX_ASSIGN_OR_RETURN(const uint64_t seconds, ParseCount(text, 1, 86'400));
       options->node.history_hang_timeout = Duration::Seconds(static_cast<int64_t>(seconds));
       return OkStatus();
     }},
    {"flush-max-rows", "N", "500000", "Rows that one flush takes at most.",
     &SetCount<PX_FIELD(node.flush_max_rows), 1, 1'000'000>},
    {"max-message-mb", "MIB", "64",
     "Largest message that gRPC takes; a larger one is RESOURCE_EXHAUSTED.",
     &SetCount<PX_FIELD(grpc.max_message_bytes), 1, 2047, kMiB>},
    {"stream-unacked-batches", "N", "64",
     "Batches of one stream that are under way; the server reads no more until acks are out.",
     &SetCount<PX_FIELD(grpc.stream_unacked_batches), 1, 1u << 16>},
    {"stream-unacked-mb", "MIB", "64", "The same in bytes.",
     &SetCount<PX_FIELD(grpc.stream_unacked_bytes), 1, 1u << 14, kMiB>},
    {"query-threads", "N", "0", "Queries that run at once beside short ones; 0 is two per core.",
     &SetCount<PX_FIELD(grpc.query_threads), 0, 1024>},
    {"max-waiting-queries", "N", "256",
     "Queries that wait for a thread; beyond it they are refused (RESOURCE_EXHAUSTED).",
     &SetCount<PX_FIELD(grpc.max_waiting_queries), 1, 1u << 16>},
    {"threads-per-query", "N", "0",
     "Threads that work on one query over many symbols that memory answers; 0 is one per core.",
     &SetCount<PX_FIELD(node.threads_per_query), 0, 1024>},
    {"query-timeout-ms", "MS", "60000", "Time of a query whose client sets no deadline.",
     &SetMillis<PX_FIELD(grpc.query_deadline), 1, 86'400'000>},
    {"query-memory-mb", "MIB", "2048", "Memory of the rows that one query holds.",
     &SetCount<PX_FIELD(grpc.query_memory_bytes), 1, 1u << 20, kMiB>},
    {"cold-cache-mb", "MIB", "64",
     "Memory of rows read from ClickHouse that are kept for queries that need them again; 0 keeps "
     "none.",
     &SetCount<PX_FIELD(node.cold_cache_bytes), 0, 1u << 20, kMiB>},
    {"slow-query-ms", "MS", "1000", "Queries at least this long are logged; 0 logs none.",
     &SetMillis<PX_FIELD(grpc.slow_query), 0, 86'400'000>},
    {"http-max-connections", "N", "512",
     "Open HTTP connections; a further one takes the place of one that waits for a request, or is "
     "closed at once.",
     &SetCount<PX_FIELD(http.max_connections), 1, 65536>},
    {"public-http", "URL", "",
     "Where ClickHouse reaches this server's `http` address for live views: `http://host:port`. "
     "Without it: the address itself, if ClickHouse runs on this machine or the address is no "
     "loopback one.",
     &SetText<PX_FIELD(public_http)>},
    {"live-views", "BOOL", "true",
     "Keep a view of each table in ClickHouse that has the rows of this moment.",
     &SetFlag<PX_FIELD(node.live_views)>},
    {"live-max-queries", "N", "4096",
     "SQL queries over live views whose rows are pinned; the oldest at rest gives way to a further "
     "one, else that is refused.",
     &SetCount<PX_FIELD(node.live.max_queries), 1, 1u << 20>},
    {"live-pinned-mb", "MIB", "1024",
     "Memory of the rows that they pin; beyond it as for `live-max-queries`.",
     &SetCount<PX_FIELD(node.live.max_bytes), 1, 1u << 20, kMiB>},
    {"live-pin-s", "S", "60",
     "Time since a query's last request for rows, after which they are let go.",
     &SetSeconds<PX_FIELD(node.live.keep), 1, 86'400>},
    {"sql-user", "USER[:PASSWORD]", "",
     "ClickHouse's user that SQL runs under, where `history` is a URL. Without it: the URL's own. "
     "It should be able to read, and nothing else.",
     &SetText<PX_FIELD(node.sql_user)>},
    {"sql-max-queries", "N", "32", "SQL queries that run at once; a further one is refused (503).",
     &SetCount<PX_FIELD(sql.max_queries), 1, 65535>},
    {"sql-timeout-s", "S", "300", "Time of a SQL query; a client may ask for less.",
     &SetSeconds<PX_FIELD(sql.timeout), 1, 86'400>},
    {"sql-max-body-mb", "MIB", "64", "Body of a SQL request.",
     &SetCount<PX_FIELD(sql.max_body_bytes), 1, 1u << 14, kMiB>},
    {"log-level", "LEVEL", "info", "debug, info, warning or error; the log goes to stderr.",
     [](std::string_view text, DaemonOptions* options) {
       PX_ASSIGN_OR_RETURN(options->log_level, observe::ParseLogLevel(text));
       return OkStatus();
     }},
};

#undef PX_FIELD

}  // namespace

std::span<const OptionRow> OptionTable() { return kOptions; }

DaemonOptions StandardOptions() {
  DaemonOptions options;
  for (const OptionRow& row : kOptions) {
    if (!row.standard.empty()) PX_CHECK_OK(row.set(row.standard, &options));
  }
  return options;
}

}  // namespace proxist::server
