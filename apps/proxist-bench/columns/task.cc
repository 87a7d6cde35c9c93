// Adds up a column of an answer.
#include "apps/proxist-bench/columns/task.h"

namespace proxist::bench {
namespace {

StatusOr<double> Sum(const query::ResultBatch& batch, std::string_view name) {
  for (const exec::NamedColumn& named : batch.columns) {
    if (named.name != name) continue;
    const exec::Column& column = named.column;
    const auto* values = column.data<double>();
    double sum = 0;
    if (!column.has_nulls()) {
      for (size_t row = 0; row < column.rows(); ++row) sum += values[row];
      return sum;
    }
    for (size_t row = 0; row < column.rows(); ++row) {
      if (column.IsValid(row)) sum += values[row];
    }
    return sum;
  }
  return Internal("the answer has no column '{}'", name);
}

}  // namespace

StatusOr<double> Task::SumOf(const query::Plan& plan, std::string_view column) {
  // Batches of this size stay in the cache between the engine and its caller.
  constexpr uint64_t kBatchRows = 8192;
  double total = 0;
  query::QueryOptions options;
  options.batch_rows = kBatchRows;
  options.threads = threads_;
  const auto sink = [&](const query::ResultBatch& batch) -> Status {
    PX_ASSIGN_OR_RETURN(const double sum, Sum(batch, column));
    total += sum;
    return OkStatus();
  };
  PX_RETURN_IF_ERROR(input_.engine->Run(plan, options, sink, nullptr));
  return total;
}

}  // namespace proxist::bench
