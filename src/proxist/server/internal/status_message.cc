// A node's state as the message that GetStatus answers.
#include "proxist/api/table_message.h"
#include "proxist/server/internal/status_report.h"
#include "proxist/v1/proxist.pb.h"

namespace proxist::server {

std::string Version() { return PROXIST_VERSION; }

namespace {

void EncodeTableState(const TableState& table, v1::TableStatus* out) {
  out->set_tenant(table.schema->tenant);
  out->set_name(table.schema->name);
  out->set_version(table.schema->version.value());
  out->set_durability(api::EncodeDurability(table.schema->durability));
  out->set_rows_hot(table.stats.rows);
  out->set_bytes_hot(table.stats.bytes);
  out->set_series(table.stats.series);
  out->set_overlay_rows(table.stats.overlay_rows);
  out->set_persisted_through(table.persisted_through.ns());
  out->set_max_ts(table.stats.max_ts.ns());
  out->set_spilled_bytes(table.stats.spilled_bytes);
  out->set_spilled_chunks(table.stats.spilled_chunks);
  out->set_memory_limit_bytes(table.schema->hot_memory_bytes);
  out->set_history_floor(table.history_floor.ns());
}

void EncodeShardStats(ShardId id, const shard::ShardStats& stats, v1::ShardStatus* out) {
  out->set_id(id.value());
  out->set_published_lsn(stats.published.value());
  out->set_durable_lsn(stats.durable.value());
  out->set_persisted_lsn(stats.persisted.value());
  out->set_backlog_rows(stats.backlog_rows);
  out->set_backlog_bytes(stats.backlog_bytes);
  out->set_log_live_bytes(stats.log_live_bytes);
  out->set_direct_io(stats.direct_io);
  out->set_poisoned(stats.poisoned);
}

void EncodeHistory(const HistoryState& history, v1::HistoryStatus* out) {
  out->set_kind(history.kind);
  out->set_url(history.url);
  out->set_reachable(history.reachable);
  out->set_last_error(history.flush.last_error);
  out->set_last_error_at(history.flush.last_error_at.ns());
  out->set_restarts(history.restarts);
  out->set_inserts(history.flush.inserts);
  out->set_rows(history.flush.rows);
  out->set_failures(history.flush.failures);
  out->set_flush_lag_ns(history.flush_lag.ns());
  out->set_cache_hits(history.cache.hits);
  out->set_cache_misses(history.cache.misses);
  out->set_cache_bytes(history.cache.bytes);
}

void EncodeMemory(const MemoryState& memory, v1::MemoryStatus* out) {
  out->set_limit_bytes(memory.limit_bytes);
  out->set_used_bytes(memory.used_bytes);
  out->set_row_bytes(memory.row_bytes);
  out->set_backlog_bytes(memory.backlog_bytes);
  out->set_queued_bytes(memory.queued_bytes);
  out->set_ready_bytes(memory.ready_bytes);
  out->set_spilled_bytes(memory.spilled_bytes);
  out->set_spilled_chunks(memory.spilled_chunks);
  out->set_evicted_rows(memory.pressure.evicted_rows);
  out->set_evicted_bytes(memory.pressure.evicted_bytes);
  out->set_spills_chunks(memory.pressure.spilled_chunks);
  out->set_spills_bytes(memory.pressure.spilled_bytes);
  out->set_refused_writes(memory.refused_writes);
  out->set_last_error(memory.pressure.last_error);
}

}  // namespace

void EncodeStatus(const NodeState& state, v1::StatusResponse* message) {
  message->set_version(Version());
  message->set_incarnation(state.incarnation);
  message->set_key(state.key.value());
  message->set_started_at(state.started_at.ns());
  for (const TableState& table : state.tables) EncodeTableState(table, message->add_tables());
  for (const auto& [id, stats] : state.shards) EncodeShardStats(id, stats, message->add_shards());
  EncodeHistory(state.history, message->mutable_history());
  EncodeMemory(state.memory, message->mutable_memory());
  message->set_memory_bytes(state.resident_bytes);
  message->set_partial_answers(state.partial_answers);
  message->set_healthy(state.problems.empty());
  for (const std::string& problem : state.problems) message->add_problems(problem);
}

}  // namespace proxist::server
