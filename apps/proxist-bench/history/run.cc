#include "apps/proxist-bench/history/run.h"

#include "apps/proxist-bench/history/parts.h"

namespace proxist::bench {

StatusOr<bool> RunHistoryBench(const HistoryBenchOptions& options,
                               const std::function<void(const Result&)>& show) {
  bool agreed = true;
  if (options.steady_seconds > 0) {
    PX_ASSIGN_OR_RETURN(const Result result, MeasureSteady(options, &agreed));
    show(result);
  }
  if (options.flat_rows > 0) {
    PX_ASSIGN_OR_RETURN(const std::vector<Result> results, MeasureFlatOut(options, &agreed));
    for (const Result& result : results) show(result);
  }
  if (options.read_rows > 0) {
    PX_ASSIGN_OR_RETURN(const std::vector<Result> results, MeasureReads(options));
    for (const Result& result : results) show(result);
  }
  if (options.outage_seconds > 0) {
    PX_ASSIGN_OR_RETURN(const Result result, MeasureOutage(options, &agreed));
    show(result);
  }
  return agreed;
}

}  // namespace proxist::bench
