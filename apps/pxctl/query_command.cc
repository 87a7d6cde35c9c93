// pxctl query.
#include "commands.h"
#include "proxist/client/row_file.h"

namespace proxist::pxctl {
namespace {

std::string FormatFloor(Timestamp floor) {
  return floor == Timestamp::Min() ? "none" : FormatIso8601(floor);
}

std::string FormatExplain(const query::Explain& explain) {
  std::string text;
  for (const query::Explain::Seam& seam : explain.seams) {
    text += fmt::format("shard {} table {}: cut LSN {}, persisted LSN {}, hot floor {}\n",
                        seam.shard.value(), seam.table, seam.cut.value(), seam.persisted.value(),
                        FormatFloor(seam.floor));
  }
  const auto micros = [](Duration d) { return static_cast<double>(d.ns()) / 1000; };
  text += fmt::format(
      "rows read: {} hot, {} cold in {} history reads; {} more in totals; {} attempt{}\n",
      explain.rows_hot, explain.rows_cold, explain.history_reads, explain.rows_in_totals,
      explain.attempts, explain.attempts == 1 ? "" : "s");
  text += fmt::format("time: plan {:.1f} us, hot {:.1f} us, cold {:.1f} us, compute {:.1f} us\n",
                      micros(explain.plan), micros(explain.hot), micros(explain.cold),
                      micros(explain.compute));
  return text;
}

/// One line for each table and shard that the answer was made without the history of.
std::string FormatMissing(const query::Explain& explain) {
  std::string text;
  for (const query::Explain::Missing& missing : explain.missing) {
    const std::string from = missing.from <= kMinRowTimestamp
                                 ? ""
                                 : fmt::format("from {} ", FormatIso8601(missing.from));
    text += fmt::format(
        "partial answer: history is away; rows of {} (shard {}) {}through {} may be missing\n",
        missing.table, missing.shard.value(), from, FormatIso8601(missing.to));
  }
  return text;
}

}  // namespace

Status Run(client::Client& client, const Options& options, const QueryCommand& command) {
  client::QueryFlags flags = command.flags;
  flags.tenant = options.tenant;
  PX_ASSIGN_OR_RETURN(const query::Plan plan, client::BuildPlan(flags, client::ReadRowFile));
  const std::unique_ptr<client::AnswerWriter> writer =
      client::MakeAnswerWriter(command.output, command.time, WriteOut);
  query::Explain explain;
  const client::QueryWishes wishes{command.timeout, command.explain, command.allow_partial};
  PX_RETURN_IF_ERROR(client.Query(
      plan, wishes,
      [&](std::span<const api::NamedView> columns, size_t rows) {
        return writer->Write(columns, rows);
      },
      &explain));
  PX_RETURN_IF_ERROR(writer->Finish());
  fmt::print(stderr, "{}", FormatMissing(explain));
  if (command.explain) fmt::print(stderr, "{}", FormatExplain(explain));
  return OkStatus();
}

}  // namespace proxist::pxctl
