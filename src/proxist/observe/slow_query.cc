// The slow-query log.
#include "proxist/observe/slow_query.h"

#include "proxist/observe/log.h"
#include "proxist/observe/metrics.h"

namespace proxist::observe {
namespace {

double Millis(Duration d) { return static_cast<double>(d.ns()) * 1e-6; }

}  // namespace

std::string DescribeQuery(const FinishedQuery& query, const query::Explain& explain) {
  return fmt::format(
      "operator={} tables={} status={} elapsed_ms={:.3f} rows_out={} rows_hot={} rows_cold={} "
      "rows_in_totals={} history_reads={} attempts={} plan_ms={:.3f} hot_ms={:.3f} cold_ms={:.3f} "
      "compute_ms={:.3f}",
      query.operation, query.tables, CodeName(query.status), Millis(query.elapsed), query.rows_out,
      explain.rows_hot, explain.rows_cold, explain.rows_in_totals, explain.history_reads,
      explain.attempts, Millis(explain.plan), Millis(explain.hot), Millis(explain.cold),
      Millis(explain.compute));
}

void LogIfSlow(const FinishedQuery& query, const query::Explain& explain, Duration threshold) {
  if (threshold <= Duration() || query.elapsed < threshold) return;
  LogWarning("slow query {}", DescribeQuery(query, explain));
}

}  // namespace proxist::observe
