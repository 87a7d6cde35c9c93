// A node's state as JSON.
#include <nlohmann/json.hpp>

#include "proxist/server/internal/status_report.h"

namespace proxist::server {
namespace {

using Json = nlohmann::ordered_json;

Json TimeJson(Timestamp ts) {
  if (ts == Timestamp::Min()) return nullptr;
  return FormatIso8601(ts);
}
Json TimeNs(Timestamp ts) {
  if (ts == Timestamp::Min()) return nullptr;
  return ts.ns();
}

/// Null when the table's rows are kept for good.
Timestamp FloorOf(const TableState& table) {
  return table.history_floor > kMinRowTimestamp ? table.history_floor : Timestamp::Min();
}

Json TableJson(const TableState& table) {
  return {{"tenant", table.schema->tenant},
          {"name", table.schema->name},
          {"version", table.schema->version.value()},
          {"durability", column::NameOf(table.schema->durability)},
          {"rows_hot", table.stats.rows},
          {"bytes_hot", table.stats.bytes},
          {"memory_limit_bytes", table.schema->hot_memory_bytes},
          {"spilled_bytes", table.stats.spilled_bytes},
          {"spilled_chunks", table.stats.spilled_chunks},
          {"series", table.stats.series},
          {"overlay_rows", table.stats.overlay_rows},
          {"max_ts", TimeJson(table.stats.max_ts)},
          {"max_ts_ns", TimeNs(table.stats.max_ts)},
          {"persisted_through", TimeJson(table.persisted_through)},
          {"persisted_through_ns", TimeNs(table.persisted_through)},
          {"history_floor", TimeJson(FloorOf(table))},
          {"history_floor_ns", TimeNs(FloorOf(table))}};
}

Json ShardJson(ShardId id, const shard::ShardStats& stats) {
  return {{"id", id.value()},
          {"published_lsn", stats.published.value()},
          {"durable_lsn", stats.durable.value()},
          {"persisted_lsn", stats.persisted.value()},
          {"backlog_rows", stats.backlog_rows},
          {"backlog_bytes", stats.backlog_bytes},
          {"log_live_bytes", stats.log_live_bytes},
          {"snapshot_lsn", stats.snapshot.value()},
          {"snapshot_at", TimeJson(stats.snapshot_at)},
          {"snapshot_bytes", stats.snapshot_bytes},
          {"snapshot_written_bytes", stats.snapshot_written_bytes},
          {"snapshot_elapsed_ns", stats.snapshot_elapsed.ns()},
          {"log_bytes_after_snapshot", stats.log_bytes_after_snapshot},
          {"batches", stats.batches},
          {"rows", stats.rows},
          {"duplicates", stats.duplicates},
          {"log_syncs", stats.log_syncs},
          {"direct_io", stats.direct_io},
          {"poisoned", stats.poisoned}};
}

Json HistoryJson(const HistoryState& history) {
  Json held = Json::array();
  for (const HeldTable& table : history.held) {
    held.push_back({{"tenant", table.tenant}, {"name", table.name}, {"why", table.why}});
  }
  Json last_error_at = nullptr;
  if (history.flush.last_error_at > Timestamp()) {
    last_error_at = TimeJson(history.flush.last_error_at);
  }
  return {{"kind", history.kind},
          {"url", history.url},
          {"reachable", history.reachable},
          {"restarts", history.restarts},
          {"flush_rounds", history.flush.rounds},
          {"inserts", history.flush.inserts},
          {"rows", history.flush.rows},
          {"failures", history.flush.failures},
          {"last_insert_ns", history.flush.last_insert.ns()},
          {"flush_lag_ns", history.flush_lag.ns()},
          {"flush_state", shard::NameOf(history.pace.state)},
          {"flush_pause_ns", history.pace.pause.ns()},
          {"insert_latency_ns", history.pace.latency.ns()},
          {"active_parts", history.pace.parts},
          {"part_limit", history.pace.part_limit},
          {"rounds_in_flight", history.pace.in_flight},
          {"delayed_inserts", history.pace.delayed_inserts},
          {"halted", history.halted},
          {"held_tables", std::move(held)},
          {"cache",
           {{"hits", history.cache.hits},
            {"misses", history.cache.misses},
            {"dropped", history.cache.dropped},
            {"blocks", history.cache.blocks},
            {"bytes", history.cache.bytes},
            {"max_bytes", history.cache.max_bytes}}},
          {"last_error", history.flush.last_error},
          {"last_error_at", last_error_at}};
}

Json MemoryJson(const MemoryState& memory) {
  return {{"limit_bytes", memory.limit_bytes},
          {"used_bytes", memory.used_bytes},
          {"row_bytes", memory.row_bytes},
          {"backlog_bytes", memory.backlog_bytes},
          {"queued_bytes", memory.queued_bytes},
          {"ready_bytes", memory.ready_bytes},
          {"spilled_bytes", memory.spilled_bytes},
          {"spilled_chunks", memory.spilled_chunks},
          {"evicted_rows", memory.pressure.evicted_rows},
          {"evicted_bytes", memory.pressure.evicted_bytes},
          {"spills_chunks", memory.pressure.spilled_chunks},
          {"spills_bytes", memory.pressure.spilled_bytes},
          {"refused_writes", memory.refused_writes},
          {"refused_by_backlog", memory.refused_by_backlog},
          {"last_error", memory.pressure.last_error}};
}

Json LiveJson(const NodeState& state) {
  return {{"views", state.live.views.views},
          {"endpoint", state.live.views.endpoint},
          {"why_none", state.live.views.why_none},
          {"last_error", state.live.views.last_error},
          {"queries_pinned", state.live.seams.queries},
          {"bytes_pinned", state.live.seams.bytes},
          {"seams", state.live.seams.fixed},
          {"refused", state.live.seams.refused},
          {"overtaken", state.live.seams.overtaken}};
}

Json HttpJson(const HttpStats& http) {
  return {{"connections", http.connections},
          {"sql_running", http.sql_running},
          {"sql_queries", http.sql_queries},
          {"sql_refused", http.sql_refused},
          {"sql_cancelled", http.sql_cancelled}};
}

/// Error texts may quote bytes that are no UTF-8; those become U+FFFD.
std::string Dump(const Json& json) {
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace

std::string StatusJson(const NodeState& state) {
  Json tables = Json::array();
  for (const TableState& table : state.tables) tables.push_back(TableJson(table));
  Json shards = Json::array();
  for (const auto& [id, stats] : state.shards) shards.push_back(ShardJson(id, stats));
  return Dump({{"version", Version()},
               {"incarnation", state.incarnation},
               {"key", state.key.value()},
               {"started_at", TimeJson(state.started_at)},
               {"healthy", state.problems.empty()},
               {"problems", state.problems},
               {"partial_answers", state.partial_answers},
               {"memory_bytes", state.resident_bytes},
               {"memory", MemoryJson(state.memory)},
               {"tables", std::move(tables)},
               {"shards", std::move(shards)},
               {"history", HistoryJson(state.history)},
               {"live_views", LiveJson(state)},
               {"http", HttpJson(state.http)}});
}

std::string HealthJson(const NodeState& state) {
  return Dump(
      {{"status", state.problems.empty() ? "ok" : "degraded"}, {"problems", state.problems}});
}

}  // namespace proxist::server
