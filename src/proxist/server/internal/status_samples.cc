// A node's state as metric samples.
#include <utility>

#include "proxist/server/internal/status_report.h"

namespace proxist::server {
namespace {

using observe::Sample;
using Kind = Sample::Kind;
using Labels = std::vector<std::pair<std::string, std::string>>;

/// Gathers samples; those of one name must be added one after the other.
class Samples {
 public:
  void Add(const char* name, const char* help, Kind kind, Labels labels, double value) {
    samples_.push_back({name, help, kind, std::move(labels), value});
  }
  std::vector<Sample> Take() { return std::move(samples_); }

 private:
  std::vector<Sample> samples_;
};

struct ShardMetric {
  const char* name;
  const char* help;
  Kind kind;
  double (*read)(const shard::ShardStats&);
};
constexpr ShardMetric kShardMetrics[] = {
    {"proxist_shard_published_lsn", "Greatest LSN that readers see.", Kind::kGauge,
     [](const shard::ShardStats& s) { return static_cast<double>(s.published.value()); }},
    {"proxist_shard_durable_lsn", "Greatest LSN that survives power loss.", Kind::kGauge,
     [](const shard::ShardStats& s) { return static_cast<double>(s.durable.value()); }},
    {"proxist_shard_persisted_lsn", "Greatest LSN below which all is in history.", Kind::kGauge,
     [](const shard::ShardStats& s) { return static_cast<double>(s.persisted.value()); }},
    {"proxist_shard_backlog_rows", "Published rows that are not persisted yet.", Kind::kGauge,
     [](const shard::ShardStats& s) { return static_cast<double>(s.backlog_rows); }},
    {"proxist_shard_backlog_bytes", "Memory of the backlog.", Kind::kGauge,
     [](const shard::ShardStats& s) { return static_cast<double>(s.backlog_bytes); }},
    {"proxist_shard_log_live_bytes", "Log bytes that recovery would read.", Kind::kGauge,
     [](const shard::ShardStats& s) { return static_cast<double>(s.log_live_bytes); }},
    {"proxist_shard_log_bytes_after_snapshot",
     "Bytes of closed log segments above the last snapshot.", Kind::kGauge,
     [](const shard::ShardStats& s) { return static_cast<double>(s.log_bytes_after_snapshot); }},
    {"proxist_shard_snapshot_lsn", "Greatest LSN that the last snapshot holds; 0: none.",
     Kind::kGauge,
     [](const shard::ShardStats& s) { return static_cast<double>(s.snapshot.value()); }},
    {"proxist_shard_snapshot_timestamp_seconds", "When the last snapshot was taken; 0: never.",
     Kind::kGauge,
     [](const shard::ShardStats& s) {
       const bool taken = s.snapshot_at != Timestamp::Min();
       return taken ? static_cast<double>(s.snapshot_at.ns()) * 1e-9 : 0.0;
     }},
    {"proxist_shard_snapshot_bytes", "Bytes of the last snapshot, chunk files included.",
     Kind::kGauge,
     [](const shard::ShardStats& s) { return static_cast<double>(s.snapshot_bytes); }},
    {"proxist_shard_snapshot_written_bytes", "Bytes that taking the last snapshot wrote.",
     Kind::kGauge,
     [](const shard::ShardStats& s) { return static_cast<double>(s.snapshot_written_bytes); }},
    {"proxist_shard_snapshot_elapsed_seconds", "Time that taking the last snapshot took.",
     Kind::kGauge,
     [](const shard::ShardStats& s) {
       return static_cast<double>(s.snapshot_elapsed.ns()) * 1e-9;
     }},
    {"proxist_shard_poisoned", "1 when the shard refuses writes after a failed durable write.",
     Kind::kGauge, [](const shard::ShardStats& s) { return s.poisoned.empty() ? 0.0 : 1.0; }},
    {"proxist_shard_commits_total", "Group commits: writes of the log.", Kind::kCounter,
     [](const shard::ShardStats& s) { return static_cast<double>(s.groups); }},
    {"proxist_shard_log_syncs_total", "Syncs of commits that went to the page cache alone.",
     Kind::kCounter, [](const shard::ShardStats& s) { return static_cast<double>(s.log_syncs); }},
    {"proxist_shard_batches_total", "Batches logged and published.", Kind::kCounter,
     [](const shard::ShardStats& s) { return static_cast<double>(s.batches); }},
    {"proxist_shard_rows_total", "Rows logged and published.", Kind::kCounter,
     [](const shard::ShardStats& s) { return static_cast<double>(s.rows); }},
};

struct TableMetric {
  const char* name;
  const char* help;
  double (*read)(const TableState&);
};
constexpr TableMetric kTableMetrics[] = {
    {"proxist_table_rows_hot", "Rows in memory, superseded versions included.",
     [](const TableState& t) { return static_cast<double>(t.stats.rows); }},
    {"proxist_table_bytes_hot", "Memory of chunks and overlays.",
     [](const TableState& t) { return static_cast<double>(t.stats.bytes); }},
    {"proxist_table_memory_limit_bytes", "The table's own limit of bytes_hot; 0: none.",
     [](const TableState& t) { return static_cast<double>(t.schema->hot_memory_bytes); }},
    {"proxist_table_spilled_bytes", "Bytes in chunk files of rows that are read from there.",
     [](const TableState& t) { return static_cast<double>(t.stats.spilled_bytes); }},
    {"proxist_table_series", "Series in memory.",
     [](const TableState& t) { return static_cast<double>(t.stats.series); }},
    {"proxist_table_overlay_rows", "Rows in overlays: out of order, corrected or cancelled.",
     [](const TableState& t) { return static_cast<double>(t.stats.overlay_rows); }},
};

struct MemoryMetric {
  const char* name;
  const char* help;
  Kind kind;
  uint64_t (*read)(const MemoryState&);
};
constexpr MemoryMetric kMemoryMetrics[] = {
    {"proxist_memory_limit_bytes", "Limit of rows, backlogs and queues; 0: none.", Kind::kGauge,
     [](const MemoryState& m) { return m.limit_bytes; }},
    {"proxist_memory_used_bytes", "Memory of rows, backlogs and queues.", Kind::kGauge,
     [](const MemoryState& m) { return m.used_bytes; }},
    {"proxist_memory_row_bytes", "Memory of rows.", Kind::kGauge,
     [](const MemoryState& m) { return m.row_bytes; }},
    {"proxist_memory_queued_bytes", "Memory of batches that wait for a shard.", Kind::kGauge,
     [](const MemoryState& m) { return m.queued_bytes; }},
    {"proxist_memory_ready_bytes", "Memory touched ahead for rows to come; not in used_bytes.",
     Kind::kGauge, [](const MemoryState& m) { return m.ready_bytes; }},
    {"proxist_spilled_bytes", "Bytes in chunk files of rows that are read from there.",
     Kind::kGauge, [](const MemoryState& m) { return m.spilled_bytes; }},
    {"proxist_spilled_chunks", "Chunks that are read from chunk files.", Kind::kGauge,
     [](const MemoryState& m) { return m.spilled_chunks; }},
    {"proxist_memory_evicted_rows_total", "Rows evicted by memory pressure.", Kind::kCounter,
     [](const MemoryState& m) { return m.pressure.evicted_rows; }},
    {"proxist_memory_evicted_bytes_total", "Memory that this freed.", Kind::kCounter,
     [](const MemoryState& m) { return m.pressure.evicted_bytes; }},
    {"proxist_memory_spills_chunks_total", "Chunks spilled by memory pressure.", Kind::kCounter,
     [](const MemoryState& m) { return m.pressure.spilled_chunks; }},
    {"proxist_memory_spills_bytes_total", "Memory that this freed.", Kind::kCounter,
     [](const MemoryState& m) { return m.pressure.spilled_bytes; }},
    {"proxist_backlog_refused_writes_total", "Writes refused at the backlog's bound.",
     Kind::kCounter, [](const MemoryState& m) { return m.refused_by_backlog; }},
    {"proxist_memory_refused_writes_total", "Writes refused at the memory limit.", Kind::kCounter,
     [](const MemoryState& m) { return m.refused_writes; }},
};

void AddHistory(const HistoryState& history, Samples* out) {
  const auto counter = [&](const char* name, const char* help, uint64_t value) {
    out->Add(name, help, Kind::kCounter, {}, static_cast<double>(value));
  };
  out->Add("proxist_history_reachable", "1 when history answered last.", Kind::kGauge, {},
           history.reachable ? 1 : 0);
  out->Add("proxist_history_flush_lag_seconds",
           "Age of the oldest unpersisted row since its publication.", Kind::kGauge, {},
           static_cast<double>(history.flush_lag.ns()) * 1e-9);
  const auto gauge = [&](const char* name, const char* help, double value) {
    out->Add(name, help, Kind::kGauge, {}, value);
  };
  gauge(
      "proxist_history_flush_state",
      "Of the control loop: 0 idle, 1 steady, 2 stretched, 3 catching up, 4 held back by parts, 5 "
      "away.",
      static_cast<double>(history.pace.state));
  gauge("proxist_history_flush_pause_seconds", "Between rounds of the flush.",
        static_cast<double>(history.pace.pause.ns()) * 1e-9);
  gauge("proxist_history_insert_latency_seconds", "Of inserts, smoothed.",
        static_cast<double>(history.pace.latency.ns()) * 1e-9);
  gauge("proxist_history_active_parts",
        "Active parts of the fullest partition that rows went to lately, estimated.",
        history.pace.parts);
  gauge("proxist_history_part_limit", "Active parts at which nothing is sent.",
        history.pace.part_limit);
  gauge("proxist_history_rounds_in_flight", "Rounds that are being sent.", history.pace.in_flight);
  gauge("proxist_history_held_tables", "Tables whose rows history refuses.",
        static_cast<double>(history.held.size()));
  gauge("proxist_history_halted", "1 when nothing is flushed until an operator acts.",
        history.halted.empty() ? 0 : 1);
  counter("proxist_history_delayed_inserts_total",
          "Inserts that ClickHouse delayed or refused since its start.",
          history.pace.delayed_inserts);
  counter("proxist_history_flush_rounds_total", "Rounds of the flush.", history.flush.rounds);
  counter("proxist_history_inserts_total", "Blocks persisted.", history.flush.inserts);
  counter("proxist_history_rows_total", "Rows persisted.", history.flush.rows);
  counter("proxist_history_failures_total", "Inserts that failed and were tried again.",
          history.flush.failures);
  counter("proxist_history_restarts_total", "Restarts of the embedded ClickHouse.",
          history.restarts);
  counter("proxist_history_cache_hits_total", "Reads of history that a kept block answered.",
          history.cache.hits);
  counter("proxist_history_cache_misses_total", "Reads of history that no kept block answered.",
          history.cache.misses);
  out->Add("proxist_history_cache_bytes", "Rows of history that are kept.", Kind::kGauge, {},
           static_cast<double>(history.cache.bytes));
}

void AddSql(const LiveState& live, const HttpStats& http, Samples* out) {
  const auto gauge = [&](const char* name, const char* help, double value) {
    out->Add(name, help, Kind::kGauge, {}, value);
  };
  const auto counter = [&](const char* name, const char* help, uint64_t value) {
    out->Add(name, help, Kind::kCounter, {}, static_cast<double>(value));
  };
  gauge("proxist_live_views", "Live views in ClickHouse that are as they should be.",
        static_cast<double>(live.views.views));
  gauge("proxist_live_queries_pinned", "SQL queries whose rows above the seam are kept.",
        static_cast<double>(live.seams.queries));
  gauge("proxist_live_pinned_bytes", "Memory of these rows.",
        static_cast<double>(live.seams.bytes));
  counter("proxist_live_seams_total", "Seams fixed for SQL queries.", live.seams.fixed);
  counter("proxist_live_refused_total", "SQL queries refused at a bound of pins.",
          live.seams.refused);
  counter("proxist_live_overtaken_total", "SQL queries that a correction overtook.",
          live.seams.overtaken);
  gauge("proxist_http_connections", "Open HTTP connections.",
        static_cast<double>(http.connections));
  gauge("proxist_sql_running", "SQL queries under way.", static_cast<double>(http.sql_running));
  counter("proxist_sql_queries_total", "SQL queries forwarded.", http.sql_queries);
  counter("proxist_sql_refused_total", "SQL queries refused at --sql-max-queries.",
          http.sql_refused);
  counter("proxist_sql_cancelled_total", "SQL queries whose client went away.", http.sql_cancelled);
}

}  // namespace

std::vector<Sample> StatusSamples(const NodeState& state) {
  Samples out;
  out.Add("proxist_info", "1; the labels say which version runs.", Kind::kGauge,
          {{"version", Version()}, {"incarnation", state.incarnation}}, 1);
  out.Add("proxist_healthy", "1 when /health is ok.", Kind::kGauge, {},
          state.problems.empty() ? 1 : 0);
  out.Add("proxist_resident_memory_bytes", "Resident set of the server.", Kind::kGauge, {},
          static_cast<double>(state.resident_bytes));
  out.Add("proxist_queries_partial_total", "Answers given without history's part, marked so.",
          Kind::kCounter, {}, static_cast<double>(state.partial_answers));
  for (const MemoryMetric& metric : kMemoryMetrics) {
    out.Add(metric.name, metric.help, metric.kind, {},
            static_cast<double>(metric.read(state.memory)));
  }
  for (const ShardMetric& metric : kShardMetrics) {
    for (const auto& [id, stats] : state.shards) {
      out.Add(metric.name, metric.help, metric.kind, {{"shard", std::to_string(id.value())}},
              metric.read(stats));
    }
  }
  const auto labels = [](const TableState& table) {
    return Labels{{"tenant", table.schema->tenant}, {"table", table.schema->name}};
  };
  for (const TableMetric& metric : kTableMetrics) {
    for (const TableState& table : state.tables) {
      out.Add(metric.name, metric.help, Kind::kGauge, labels(table), metric.read(table));
    }
  }
  for (const TableState& table : state.tables) {
    if (table.persisted_through == Timestamp::Min()) continue;
    out.Add("proxist_table_persisted_through_seconds",
            "T_persisted: every row at or before this time is in history.", Kind::kGauge,
            labels(table), static_cast<double>(table.persisted_through.ns()) * 1e-9);
  }
  for (const TableState& table : state.tables) {
    if (table.history_floor == kMinRowTimestamp) continue;
    out.Add("proxist_table_history_floor_seconds",
            "Rows before this time are beyond the table's retention: no answer has them.",
            Kind::kGauge, labels(table), static_cast<double>(table.history_floor.ns()) * 1e-9);
  }
  AddHistory(state.history, &out);
  AddSql(state.live, state.http, &out);
  return out.Take();
}

}  // namespace proxist::server
