// pxctl status.
#include <limits>

#include <nlohmann/json.hpp>

#include "commands.h"
#include "proxist/client/history_client.h"
#include "proxist/v1/history.pb.h"
#include "proxist/v1/proxist.pb.h"

namespace proxist::pxctl {
namespace {

using Json = nlohmann::ordered_json;

// Times that mean "nothing yet" are the extreme integers on the wire.
std::string FormatTime(int64_t ns) {
  const Timestamp time(ns);
  if (time == Timestamp::Min()) return "none";
  if (time == Timestamp::Max()) return "everything";
  return FormatIso8601(time);
}

std::string_view DurabilityName(const v1::TableStatus& table) {
  return table.durability() == v1::DURABILITY_PROCESS ? "process" : "sync";
}

std::string FormatBytes(uint64_t bytes) {
  constexpr double kMebibyte = 1024.0 * 1024.0;
  return fmt::format("{:.1f} MiB", static_cast<double>(bytes) / kMebibyte);
}

/// To tenths of a millisecond.
Duration Rounded(int64_t ns) { return Duration(ns / 100'000 * 100'000); }

Json HistoryJson(const v1::HistoryStatus& history, const v1::GetFlushResponse& flush) {
  Json held = Json::array();
  for (const v1::HeldTable& table : flush.held()) {
    held.push_back({{"tenant", table.tenant()}, {"name", table.name()}, {"why", table.why()}});
  }
  return {{"kind", history.kind()},
          {"url", history.url()},
          {"reachable", history.reachable()},
          {"last_error", history.last_error()},
          {"last_error_at", history.last_error_at()},
          {"restarts", history.restarts()},
          {"inserts", history.inserts()},
          {"rows", history.rows()},
          {"failures", history.failures()},
          {"flush_lag_ns", history.flush_lag_ns()},
          {"flush_state", flush.state()},
          {"flush_pause_ns", flush.pause_ns()},
          {"insert_latency_ns", flush.insert_latency_ns()},
          {"active_parts", flush.active_parts()},
          {"part_limit", flush.part_limit()},
          {"rounds_in_flight", flush.rounds_in_flight()},
          {"delayed_inserts", flush.delayed_inserts()},
          {"halted", flush.halted()},
          {"held_tables", std::move(held)}};
}

std::string HistoryText(const v1::HistoryStatus& history, const v1::GetFlushResponse& flush) {
  std::string text = fmt::format("history {}", history.kind());
  if (history.kind() == "none") return text + "\n";
  text += fmt::format(" {} {}\n", history.url(), history.reachable() ? "reachable" : "UNREACHABLE");
  text += fmt::format("  {} rows in {} inserts, {} failures, {} restarts, flush lag {}\n",
                      history.rows(), history.inserts(), history.failures(), history.restarts(),
                      FormatDuration(Duration(history.flush_lag_ns())));
  text += fmt::format(
      "  flush {}: pause {}, inserts take {}, {} in flight, {} of {} parts, {} inserts delayed by "
      "ClickHouse\n",
      flush.state(), FormatDuration(Rounded(flush.pause_ns())),
      FormatDuration(Rounded(flush.insert_latency_ns())), flush.rounds_in_flight(),
      flush.active_parts(), flush.part_limit(), flush.delayed_inserts());
  for (const v1::HeldTable& held : flush.held()) {
    text += fmt::format("  table {}.{} HELD: {}\n", held.tenant(), held.name(), held.why());
  }
  if (!flush.halted().empty()) text += fmt::format("  HALTED: {}\n", flush.halted());
  if (!history.last_error().empty()) {
    text += fmt::format("  last error {}: {}\n", FormatTime(history.last_error_at()),
                        history.last_error());
  }
  return text;
}

std::string MemoryText(const v1::MemoryStatus& memory) {
  const std::string limit =
      memory.limit_bytes() == 0 ? "no limit" : "limit " + FormatBytes(memory.limit_bytes());
  std::string text = fmt::format(
      "memory {} of {}: rows {}, backlog {}, queues {}; {} ready for more\n"
      "  spilled {} in {} chunks; by pressure: {} rows evicted, {} chunks spilled; {} writes "
      "refused\n",
      FormatBytes(memory.used_bytes()), limit, FormatBytes(memory.row_bytes()),
      FormatBytes(memory.backlog_bytes()), FormatBytes(memory.queued_bytes()),
      FormatBytes(memory.ready_bytes()), FormatBytes(memory.spilled_bytes()),
      memory.spilled_chunks(), memory.evicted_rows(), memory.spills_chunks(),
      memory.refused_writes());
  if (!memory.last_error().empty()) text += fmt::format("  last error: {}\n", memory.last_error());
  return text;
}

std::string FloorText(const v1::TableStatus& table) {
  if (table.history_floor() == 0) return "all";
  return FormatIso8601(Timestamp(table.history_floor()))
      .substr(0, std::string_view("0000-00-00").size());
}

std::string TablesText(const v1::StatusResponse& status) {
  std::string text =
      fmt::format("{:<20} {:>7} {:<10} {:>12} {:>12} {:>12} {:>8} {:>10}  {:<10}  {:<30} {}\n",
                  "table", "version", "durability", "rows hot", "memory", "spilled", "series",
                  "overlay", "kept from", "persisted through", "latest ts");
  for (const v1::TableStatus& table : status.tables()) {
    const std::string name = table.tenant().empty() || table.tenant() == "default"
                                 ? table.name()
                                 : table.tenant() + "." + table.name();
    text += fmt::format(
        "{:<20} {:>7} {:<10} {:>12} {:>12} {:>12} {:>8} {:>10}  {:<10}  {:<30} {}\n", name,
        table.version(), DurabilityName(table), table.rows_hot(), FormatBytes(table.bytes_hot()),
        FormatBytes(table.spilled_bytes()), table.series(), table.overlay_rows(), FloorText(table),
        FormatTime(table.persisted_through()), FormatTime(table.max_ts()));
  }
  return text;
}

std::string ShardsText(const v1::StatusResponse& status) {
  std::string text =
      fmt::format("{:<6} {:>14} {:>14} {:>14} {:>12} {:>12} {:>12}  {}\n", "shard", "published",
                  "durable", "persisted", "backlog", "backlog", "log", "direct I/O");
  for (const v1::ShardStatus& shard : status.shards()) {
    text += fmt::format("{:<6} {:>14} {:>14} {:>14} {:>12} {:>12} {:>12}  {}\n", shard.id(),
                        shard.published_lsn(), shard.durable_lsn(), shard.persisted_lsn(),
                        shard.backlog_rows(), FormatBytes(shard.backlog_bytes()),
                        FormatBytes(shard.log_live_bytes()), shard.direct_io() ? "yes" : "no");
    if (!shard.poisoned().empty()) {
      text += fmt::format("       refuses writes: {}\n", shard.poisoned());
    }
  }
  return text;
}

std::string StatusText(const v1::StatusResponse& status, const v1::GetFlushResponse& flush) {
  std::string text =
      fmt::format("proxist {} {}, up since {}, memory {}, http {}\n", status.version(),
                  status.healthy() ? "healthy" : "NOT HEALTHY", FormatTime(status.started_at()),
                  FormatBytes(status.memory_bytes()), status.http_address());
  for (const std::string& problem : status.problems()) text += fmt::format("  {}\n", problem);
  text += fmt::format("partial answers: {} since the start\n", status.partial_answers());
  text += MemoryText(status.memory());
  return text + HistoryText(status.history(), flush) + "\n" + TablesText(status) + "\n" +
         ShardsText(status);
}

Json TablesJson(const v1::StatusResponse& status) {
  Json tables = Json::array();
  for (const v1::TableStatus& table : status.tables()) {
    tables.push_back({{"tenant", table.tenant()},
                      {"name", table.name()},
                      {"version", table.version()},
                      {"durability", DurabilityName(table)},
                      {"rows_hot", table.rows_hot()},
                      {"bytes_hot", table.bytes_hot()},
                      {"memory_limit_bytes", table.memory_limit_bytes()},
                      {"spilled_bytes", table.spilled_bytes()},
                      {"spilled_chunks", table.spilled_chunks()},
                      {"series", table.series()},
                      {"overlay_rows", table.overlay_rows()},
                      {"persisted_through", table.persisted_through()},
                      {"history_floor", table.history_floor()},
                      {"max_ts", table.max_ts()}});
  }
  return tables;
}

Json ShardsJson(const v1::StatusResponse& status) {
  Json shards = Json::array();
  for (const v1::ShardStatus& shard : status.shards()) {
    shards.push_back({{"id", shard.id()},
                      {"published_lsn", shard.published_lsn()},
                      {"durable_lsn", shard.durable_lsn()},
                      {"persisted_lsn", shard.persisted_lsn()},
                      {"backlog_rows", shard.backlog_rows()},
                      {"backlog_bytes", shard.backlog_bytes()},
                      {"log_live_bytes", shard.log_live_bytes()},
                      {"direct_io", shard.direct_io()},
                      {"poisoned", shard.poisoned()}});
  }
  return shards;
}

Json MemoryJson(const v1::MemoryStatus& memory) {
  return {{"limit_bytes", memory.limit_bytes()},       {"used_bytes", memory.used_bytes()},
          {"row_bytes", memory.row_bytes()},           {"backlog_bytes", memory.backlog_bytes()},
          {"queued_bytes", memory.queued_bytes()},     {"ready_bytes", memory.ready_bytes()},
          {"spilled_bytes", memory.spilled_bytes()},   {"spilled_chunks", memory.spilled_chunks()},
          {"evicted_rows", memory.evicted_rows()},     {"evicted_bytes", memory.evicted_bytes()},
          {"spills_chunks", memory.spills_chunks()},   {"spills_bytes", memory.spills_bytes()},
          {"refused_writes", memory.refused_writes()}, {"last_error", memory.last_error()}};
}

std::string StatusJson(const v1::StatusResponse& status, const v1::GetFlushResponse& flush) {
  Json json{
      {"version", status.version()},           {"incarnation", status.incarnation()},
      {"healthy", status.healthy()},           {"problems", status.problems()},
      {"started_at", status.started_at()},     {"memory_bytes", status.memory_bytes()},
      {"http_address", status.http_address()}, {"history", HistoryJson(status.history(), flush)}};
  json["partial_answers"] = status.partial_answers();
  json["memory"] = MemoryJson(status.memory());
  json["tables"] = TablesJson(status);
  json["shards"] = ShardsJson(status);
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace

Status Run(client::Client& client, const Options& options, const StatusCommand& command) {
  v1::StatusResponse status;
  PX_RETURN_IF_ERROR(client.GetStatus(&status));
  v1::GetFlushResponse flush;
  PX_RETURN_IF_ERROR(client::HistoryClient(options.server).GetFlush(&flush));
  return WriteOut(command.json ? StatusJson(status, flush) : StatusText(status, flush));
}

}  // namespace proxist::pxctl
