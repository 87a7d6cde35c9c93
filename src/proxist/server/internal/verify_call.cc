// Messages to options and a report to messages.
#include "proxist/server/internal/verify_call.h"

#include "proxist/api/query_request.h"
#include "proxist/query/verify.h"
#include "proxist/v1/proxist.pb.h"

namespace proxist::server {
namespace {

constexpr uint64_t kMostRows = 1'000'000'000;
constexpr Duration kLongestCheck = Duration::Hours(1);
constexpr int kMostPlans = 100;

StatusOr<query::VerifyOptions> OptionsOf(const v1::VerifySeamRequest& request) {
  query::VerifyOptions options;
  if (request.max_rows() != 0) options.max_rows = request.max_rows();
  if (request.timeout_ns() != 0) options.deadline = Duration(request.timeout_ns());
  options.seed = request.seed();
  if (options.max_rows > kMostRows) {
    return InvalidArgument("verify-seam: {} rows are above {}", options.max_rows, kMostRows);
  }
  if (options.deadline <= Duration() || options.deadline > kLongestCheck) {
    return InvalidArgument("verify-seam: a timeout of {} ns is not within 0 to {}",
                           options.deadline.ns(), FormatDuration(kLongestCheck));
  }
  if (request.queries_size() > kMostPlans) {
    return InvalidArgument("verify-seam: {} queries are above {}", request.queries_size(),
                           kMostPlans);
  }
  for (const v1::NamedQuery& named : request.queries()) {
    PX_ASSIGN_OR_RETURN(query::Plan plan, api::DecodePlan(named.query()));
    options.plans.push_back({named.text(), std::move(plan)});
  }
  return options;
}

}  // namespace

Status VerifySeam(Node* node, const v1::VerifySeamRequest& request,
                  v1::VerifySeamResponse* response) {
  const std::string_view tenant =
      request.tenant().empty() ? column::kDefaultTenant : std::string_view(request.tenant());
  PX_ASSIGN_OR_RETURN(const column::SchemaPtr table, node->catalog().Find(tenant, request.table()));
  PX_ASSIGN_OR_RETURN(const query::VerifyOptions options, OptionsOf(request));
  PX_ASSIGN_OR_RETURN(const query::VerifyReport report,
                      query::VerifySeam(&node->engine(), table, options));
  response->set_queries(report.queries);
  response->set_evaluations(report.evaluations);
  response->set_rows_read(report.rows_read);
  response->set_complete(report.complete);
  for (const std::string& skipped : report.skipped) response->add_skipped(skipped);
  for (const query::SeamDifference& difference : report.differences) {
    v1::VerifySeamResponse::Difference* out = response->add_differences();
    out->set_query(difference.query);
    out->set_seam(difference.seam.ns());
    out->set_row_at_low(difference.row_at_low);
    out->set_row_at_seam(difference.row_at_seam);
  }
  return OkStatus();
}

}  // namespace proxist::server
