// pxctl verify-seam.
#include "commands.h"
#include "proxist/api/query_request.h"
#include "proxist/v1/proxist.pb.h"

namespace proxist::pxctl {

Status Run(client::Client& client, const Options& options, const VerifySeamCommand& command) {
  v1::VerifySeamRequest request;
  request.set_tenant(options.tenant);
  request.set_table(command.table);
  request.set_max_rows(command.max_rows);
  request.set_timeout_ns(command.timeout.ns());
  request.set_seed(command.seed);
  for (const auto& [text, written] : command.queries) {
    client::QueryFlags flags = written;
    flags.tenant = options.tenant;
    PX_ASSIGN_OR_RETURN(const query::Plan plan, client::BuildPlan(flags));
    v1::NamedQuery* named = request.add_queries();
    named->set_text(text);
    api::EncodePlan(plan, named->mutable_query());
  }
  v1::VerifySeamResponse answer;
  PX_RETURN_IF_ERROR(client.VerifySeam(request, &answer));
  std::string text;
  for (const v1::VerifySeamResponse::Difference& one : answer.differences()) {
    const auto row = [](const std::string& said) { return said.empty() ? "no row" : said; };
    text += fmt::format("differs: {}\n  history up to {}: {}\n  memory: {}\n", one.query(),
                        FormatIso8601(Timestamp(one.seam())), row(one.row_at_seam()),
                        row(one.row_at_low()));
  }
  for (const std::string& skipped : answer.skipped()) {
    text += fmt::format("not compared: {}\n", skipped);
  }
  text += fmt::format("{} queries, {} evaluations, {} rows read: {}{}\n", answer.queries(),
                      answer.evaluations(), answer.rows_read(),
                      answer.differences().empty()
                          ? "no difference"
                          : fmt::format("{} differences", answer.differences_size()),
                      answer.complete() ? "" : " (the bound on rows or time came first)");
  PX_RETURN_IF_ERROR(WriteOut(text));
  if (answer.differences().empty()) return OkStatus();
  return DataLoss("memory and history disagree about table {}", command.table);
}

}  // namespace proxist::pxctl
