// Times engine and loop in turns and compares what they found.
#include "apps/proxist-bench/columns/run.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <vector>

#include "apps/proxist-bench/columns/data.h"
#include "apps/proxist-bench/columns/ingest_loop.h"
#include "apps/proxist-bench/columns/loaded_store.h"
#include "apps/proxist-bench/columns/symbol_arrays.h"
#include "apps/proxist-bench/columns/task.h"
#include "bench/latencies.h"
#include "proxist/env/clock.h"

namespace proxist::bench {
namespace {

constexpr double kTolerance = 1e-9;
// The first load of a process also pays for memory that the machine has never given out.
constexpr int kLoads = 3;

void Print(const std::string& name, size_t threads, size_t n, const Latencies& latencies,
           double check) {
  std::printf("%s\t%zu\t%zu\t%lld\t%lld\t%.17g\n", name.c_str(), threads, n,
              static_cast<long long>(latencies.Percentile(50).ns()),
              static_cast<long long>(latencies.Percentile(99).ns()), check);
}

bool Agree(double a, double b) {
  return std::abs(a - b) <= kTolerance * std::max({1.0, std::abs(a), std::abs(b)});
}

/// One pass over a task's questions.
template <typename Answer>
Status Pass(const Task& task, const Answer& answer, Latencies* latencies, double* check) {
  const env::Clock& clock = env::SystemClock();
  *check = 0;
  const size_t questions = task.questions();
  const Duration first = clock.Monotonic();
  for (size_t i = 0; i < questions; ++i) {
    if (task.timed_whole()) {
      PX_RETURN_IF_ERROR(answer(i, check));
      continue;
    }
    const Duration began = clock.Monotonic();
    PX_RETURN_IF_ERROR(answer(i, check));
    latencies->Add(Duration(clock.Monotonic().ns() - began.ns()));
  }
  if (task.timed_whole()) {
    const int64_t each = (clock.Monotonic().ns() - first.ns()) / static_cast<int64_t>(questions);
    latencies->Add(Duration(each));
  }
  return OkStatus();
}

/// False when engine and loop do not agree. `threads`: of the engine, when it may use them.
StatusOr<bool> Measure(Task* task, size_t threads, uint32_t passes) {
  if (task->questions() == 0) return true;
  const bool shared = task->shared() && threads > 1;
  const auto ask = [task](size_t i, double* check) -> Status {
    PX_ASSIGN_OR_RETURN(const double found, task->Ask(i));
    *check += found;
    return OkStatus();
  };
  const auto loop = [task](size_t i, double* check) -> Status {
    *check += task->Loop(i);
    return OkStatus();
  };
  Latencies asked;
  Latencies together;  // asked of all threads
  Latencies looped;
  double found = 0;
  double found_together = 0;
  double expected = 0;
  for (uint32_t pass = 0; pass <= passes; ++pass) {
    task->UseThreads(1);
    PX_RETURN_IF_ERROR(Pass(*task, ask, &asked, &found));
    if (shared) {
      task->UseThreads(threads);
      PX_RETURN_IF_ERROR(Pass(*task, ask, &together, &found_together));
    }
    PX_RETURN_IF_ERROR(Pass(*task, loop, &looped, &expected));
    // The first pass warms up.
    if (pass > 0) continue;
    asked.Clear();
    together.Clear();
    looped.Clear();
  }
  Print(task->name(), 1, task->questions(), asked, found);
  if (shared) Print(task->name(), threads, task->questions(), together, found_together);
  Print(task->name() + ".loop", 1, task->questions(), looped, expected);
  if (Agree(found, expected) && (!shared || Agree(found_together, expected))) return true;
  std::fprintf(stderr,
               "%s: the engine's check sum is %.17g, of %zu threads %.17g, the loop's %.17g\n",
               task->name().c_str(), found, threads, found_together, expected);
  return false;
}

/// Lines whose figures are not times stand in the same columns: p50 and p99 hold the figure.
void PrintFigure(const std::string& name, size_t n, double figure, double check) {
  std::printf("%s\t1\t%zu\t%.1f\t%.1f\t%.17g\n", name.c_str(), n, figure, figure, check);
}

void PrintIngest(const std::string& name, const IngestCost& cost) {
  const auto rows = static_cast<double>(cost.rows);
  Print(name, 1, cost.batches.count(), cost.batches, rows);
  const double seconds = static_cast<double>(std::max<int64_t>(cost.total.ns(), 1)) * 1e-9;
  PrintFigure(name + "_rows_per_s", cost.rows, rows / seconds, rows);
}

}  // namespace

StatusOr<bool> RunColumnQueries(const ColumnQueryOptions& options) {
  PX_ASSIGN_OR_RETURN(const ColumnData data, ColumnData::Open(options.columns));
  const SymbolArrays arrays(data);
  std::unique_ptr<LoadedStore> store;
  IngestCost quotes;
  IngestCost appended;
  for (int load = 0; load < kLoads; ++load) {
    store.reset();
    appended = AppendToArrays(data);
    PX_ASSIGN_OR_RETURN(store, LoadedStore::Open(options.directory));
    PX_ASSIGN_OR_RETURN(quotes, store->LoadQuotes(data));
  }
  PX_RETURN_IF_ERROR(store->LoadTrades(data).status());
  const TaskInput input{&data, &arrays, &store->engine()};
  Tasks tasks;
  AddAsofTasks(input, &tasks);
  AddLastTasks(input, &tasks);
  AddBarTasks(input, &tasks);
  AddRollingTasks(input, &tasks);
  AddRangeTasks(input, &tasks);
  bool agreed = true;
  for (const std::unique_ptr<Task>& task : tasks) {
    if (task->name().find(options.only) == std::string::npos) continue;
    PX_ASSIGN_OR_RETURN(const bool agrees, Measure(task.get(), store->threads(), options.passes));
    agreed = agreed && agrees;
    std::fflush(stdout);
  }
  if (data.quotes().ts.empty()) return agreed;
  PrintIngest("ingest", quotes);
  PrintIngest("ingest.loop", appended);
  PrintFigure("quote_row_bytes", quotes.rows, store->QuoteRowBytes(),
              static_cast<double>(quotes.rows));
  return agreed;
}

}  // namespace proxist::bench
