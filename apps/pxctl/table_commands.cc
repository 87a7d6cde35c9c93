// pxctl apply, tables, flush, evict, history, keys.
#include "commands.h"
#include "proxist/client/history_client.h"
#include "proxist/client/table_file.h"
#include "proxist/v1/history.pb.h"
#include "proxist/v1/proxist.pb.h"

namespace proxist::pxctl {
namespace {

std::string Summary(const column::TableSchema& schema) {
  std::string series = "symbol";
  for (const size_t index : schema.series) series += "," + schema.columns[index].name;
  return fmt::format("{:<24} {:>7} {:>7}  {:<24} {:<9} {:<10} {}\n", schema.name,
                     schema.version.value(), schema.columns.size(), series,
                     schema.seq == column::SeqMode::kProducer ? "producer" : "assigned",
                     column::NameOf(schema.durability), FormatDuration(schema.hot_retain));
}

}  // namespace

Status Run(client::Client& client, const Options& options, const ApplyCommand& command) {
  // All files are read before any table is applied, so that a bad file changes nothing.
  std::vector<column::TableSchema> tables;
  for (const std::string& file : command.files) {
    PX_ASSIGN_OR_RETURN(std::vector<column::TableSchema> read,
                        client::ReadTables(file, options.tenant));
    for (column::TableSchema& table : read) tables.push_back(std::move(table));
  }
  for (const column::TableSchema& table : tables) {
    const StatusOr<client::AppliedTable> applied =
        client.Apply(table, command.author,
                     command.confirm_drop ? column::Drops::kConfirmed : column::Drops::kRefused);
    if (!applied.ok()) return applied.status();
    const uint32_t version = applied->schema.version.value();
    const std::string_view what = !applied->changed ? "unchanged"
                                  : version == 1    ? "created"
                                                    : "changed";
    PX_RETURN_IF_ERROR(
        WriteOut(fmt::format("table {} {}, version {}\n", table.name, what, version)));
  }
  return OkStatus();
}

Status Run(client::Client& client, const Options& options, const TablesCommand& command) {
  if (!command.name.empty()) {
    PX_ASSIGN_OR_RETURN(const column::SchemaPtr schema, client.Table(options.tenant, command.name));
    return WriteOut(client::FormatTable(*schema));
  }
  PX_ASSIGN_OR_RETURN(const std::vector<column::TableSchema> tables, client.Tables(options.tenant));
  std::string text = fmt::format("{:<24} {:>7} {:>7}  {:<24} {:<9} {:<10} {}\n", "table", "version",
                                 "columns", "series", "seq", "durability", "hot");
  for (const column::TableSchema& table : tables) text += Summary(table);
  return WriteOut(text);
}

Status Run(client::Client& client, const Options& /*options*/, const FlushCommand& command) {
  v1::FlushResponse answer;
  PX_RETURN_IF_ERROR(client.Flush(command.wait, command.timeout, &answer));
  std::string text = command.wait ? "everything acked is in history\n" : "flush started\n";
  for (const v1::ShardRange& range : answer.persisted()) {
    text += fmt::format("shard {} persisted through LSN {}\n", range.shard(), range.last_lsn());
  }
  return WriteOut(text);
}

Status Run(client::Client& client, const Options& options, const EvictCommand& command) {
  v1::EvictResponse answer;
  PX_RETURN_IF_ERROR(client.Evict(options.tenant, command.table, command.before, &answer));
  return WriteOut(fmt::format("evicted {} rows, {} bytes, of {} series\n", answer.rows(),
                              answer.bytes(), answer.series()));
}

Status Run(client::Client& /*client*/, const Options& options, const ResendCommand& /*command*/) {
  v1::ResendResponse answer;
  PX_RETURN_IF_ERROR(client::HistoryClient(options.server).Resend(&answer));
  std::string text =
      fmt::format("{} rows sent, {} were there\n", answer.rows_sent(), answer.rows_present());
  for (const auto& missing : answer.missing()) {
    text += fmt::format(
        "table {}.{}, shard {}: {} series had rows in history alone, which can't be sent: at or "
        "before a time of each between {} and {} ({})\n",
        missing.tenant(), missing.table(), missing.shard(), missing.series(),
        FormatIso8601(Timestamp(missing.through_least())),
        FormatIso8601(Timestamp(missing.through_greatest())), fmt::join(missing.examples(), ", "));
  }
  if (answer.missing().empty()) text += "history is whole\n";
  return WriteOut(text);
}

Status Run(client::Client& client, const Options& /*options*/, const KeysCommand& command) {
  if (command.rotate) {
    v1::RotateKeyResponse answer;
    PX_RETURN_IF_ERROR(client.RotateKey(command.author, &answer));
    std::string text =
        fmt::format("key {} is the current one: the next log segments and snapshot files take it\n",
                    answer.id());
    for (const uint32_t retired : answer.retired()) {
      text += fmt::format("key {} is retired: no file was encrypted under it\n", retired);
    }
    return WriteOut(text);
  }
  v1::ListKeysResponse answer;
  PX_RETURN_IF_ERROR(client.ListKeys(&answer));
  if (answer.keys().empty()) return WriteOut("nothing is encrypted\n");
  std::string text = fmt::format("{:>5}  {:<30}\n", "key", "created");
  for (const v1::Key& key : answer.keys()) {
    text += fmt::format("{:>5}  {:<30}{}\n", key.id(), FormatIso8601(Timestamp(key.created_at())),
                        key.current() ? "  current" : "");
  }
  return WriteOut(text);
}

}  // namespace proxist::pxctl
