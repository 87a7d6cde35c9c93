// Bounds of a query, and what is told of it when it has ended.
#include "proxist/server/internal/query_run.h"

#include <algorithm>
#include <utility>

#include "proxist/api/ack_token.h"
#include "proxist/api/query_request.h"
#include "proxist/env/clock.h"
#include "proxist/observe/slow_query.h"
#include "proxist/v1/proxist.pb.h"

namespace proxist::server {
namespace {

constexpr std::chrono::hours kLongestDeadline(24 * 30);
constexpr Duration kTokenWait = Duration::Millis(100);  // until the next look for a cancel
// What a thread that others wait for does in well under a millisecond.
constexpr size_t kMaxShortSymbols = 16;
constexpr uint64_t kShortRows = 1024;
constexpr uint64_t kShortMemoryBytes = 256 << 10;
constexpr uint64_t kShortPredicateRows = 16 << 10;

bool IsShort(const query::Selection& selection) {
  // What an inner query takes is not known.
  return selection.query == nullptr && !selection.symbols.empty() &&
         selection.symbols.size() <= kMaxShortSymbols;
}

bool IsShort(const query::Plan& plan) {
  if (const auto* op = std::get_if<query::LastBy>(&plan.op)) return IsShort(op->from);
  if (const auto* op = std::get_if<query::Range>(&plan.op)) return IsShort(op->from);
  const auto* op = std::get_if<query::Asof>(&plan.op);
  return op != nullptr && IsShort(op->left);
}

QueryRun::Time DeadlineOf(QueryRun::Time asked, Duration bound) {
  const QueryRun::Time now = std::chrono::system_clock::now();
  if (asked == QueryRun::Time::max()) return now + std::chrono::nanoseconds(bound.ns());
  return std::min<QueryRun::Time>(asked, now + kLongestDeadline);
}

}  // namespace

QueryRun::QueryRun(const ServiceContext& context, query::Plan plan, const v1::QueryRequest& request,
                   Time deadline)
    : context_(context),
      plan_(std::move(plan)),
      tokens_(request.read_at_least().begin(), request.read_at_least().end()),
      allow_partial_(request.allow_partial()),
      short_(tokens_.empty() && IsShort(plan_)),
      arrived_(env::SystemClock().Monotonic()),
      deadline_(DeadlineOf(deadline, context.options->query_deadline)) {}

std::optional<Status> QueryRun::TryHere(const Sink& sink) {
  const std::optional<uint64_t> limit = plan_.limit;
  // A last-by is short without a limit, which would only keep it off its shortest way.
  if (!std::holds_alternative<query::LastBy>(plan_.op)) {
    plan_.limit = std::min(limit.value_or(UINT64_MAX), kShortRows + 1);
  }
  uint64_t rows = 0;
  query::QueryOptions options;
  options.memory_bytes = std::min(kShortMemoryBytes, context_.options->query_memory_bytes);
  options.memory_only = true;
  options.predicate_rows = kShortPredicateRows;
  const Status status = Execute(options, [&](const query::ResultBatch& batch) -> Status {
    rows += batch.rows();
    if (rows > kShortRows) return Aborted("the answer is long");
    return sink(batch);
  });
  plan_.limit = limit;
  const bool more = absl::IsAborted(status) || absl::IsResourceExhausted(status);
  return more ? std::nullopt : std::optional(status);
}

Status QueryRun::Run(const Sink& sink) {
  if (cancelled_) return Cancelled("the client gave up before the query ran");
  PX_RETURN_IF_ERROR(AwaitTokens());
  query::QueryOptions options;
  options.memory_bytes = context_.options->query_memory_bytes;
  return Execute(options, sink);
}

Status QueryRun::Execute(query::QueryOptions options, const Sink& sink) {
  options.deadline = Remaining();
  options.cancelled = &cancelled_;
  options.allow_partial = allow_partial_;
  if (options.deadline <= Duration()) return DeadlineExceeded("the query waited too long to run");
  return context_.node->engine().Run(plan_, options, sink, &explain_);
}

Status QueryRun::AwaitTokens() const {
  for (const std::string& token : tokens_) {
    PX_ASSIGN_OR_RETURN(const std::vector<history::LsnRange> ranges, api::DecodeToken(token));
    Status visible;
    do {
      if (cancelled_) return Cancelled("the client gave up before the query ran");
      visible = context_.node->AwaitVisible(ranges, std::min(Remaining(), kTokenWait));
    } while (absl::IsUnavailable(visible) && Remaining() > Duration());
    PX_RETURN_IF_ERROR(visible);
  }
  return OkStatus();
}

Duration QueryRun::Remaining() const {
  const auto left = deadline_ - std::chrono::system_clock::now();
  return Duration(std::chrono::duration_cast<std::chrono::nanoseconds>(left).count());
}

void QueryRun::End(const Status& status, uint64_t rows_out) {
  status_ = status;
  rows_out_ = rows_out;
  elapsed_ = Duration(env::SystemClock().Monotonic().ns() - arrived_.ns());
}

void QueryRun::Record() const {
  const observe::FinishedQuery finished{.operation = api::OperatorName(plan_),
                                        .tables = api::TablesOf(plan_),
                                        .rows_out = rows_out_,
                                        .elapsed = elapsed_,
                                        .status = status_};
  context_.metrics->RecordQuery(finished.operation, status_, explain_.rows_hot, explain_.rows_cold,
                                elapsed_);
  if (status_.ok() && !explain_.missing.empty()) context_.node->NotePartialAnswer();
  observe::LogIfSlow(finished, explain_, context_.options->slow_query);
}

}  // namespace proxist::server
