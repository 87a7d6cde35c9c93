// A question of `query --columns`: asked of the engine, and answered by a plain loop beside it.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "apps/proxist-bench/columns/data.h"
#include "apps/proxist-bench/columns/symbol_arrays.h"
#include "proxist/base/status.h"
#include "proxist/query/engine.h"

namespace proxist::bench {

/// What tasks work on; outlives them.
struct TaskInput {
  const ColumnData* data;
  const SymbolArrays* arrays;
  query::Engine* engine;

  /// The name of key `i`'s symbol, and its moment.
  [[nodiscard]] const std::string& KeySymbol(size_t i) const {
    return data->names()[static_cast<size_t>(data->keys().symbol[i])];
  }
  [[nodiscard]] Timestamp KeyTime(size_t i) const { return Timestamp(data->keys().ts[i]); }
};

/// One thread.
class Task {
 public:
  explicit Task(TaskInput input) : input_(input) {}
  virtual ~Task() = default;
  Task(const Task&) = delete;
  Task& operator=(const Task&) = delete;

  [[nodiscard]] virtual std::string name() const = 0;
  /// How many questions a pass asks; 0: the data has nothing to ask about.
  [[nodiscard]] virtual size_t questions() const { return 1; }
  /// True when one question takes less than a look at the clock: a pass is then timed whole.
  [[nodiscard]] virtual bool timed_whole() const { return false; }
  /// True when a question is over all symbols, so that several threads may answer it.
  [[nodiscard]] virtual bool shared() const { return false; }
  /// From now on at most so many threads answer a question; 0: all.
  void UseThreads(size_t threads) { threads_ = threads; }
  /// Asks the engine; what the answer adds to the check sum.
  virtual StatusOr<double> Ask(size_t question) = 0;
  /// The same by a loop over the symbol's arrays.
  virtual double Loop(size_t question) = 0;

 protected:
  /// Runs the plan and adds up `column` of the answer, nulls left out.
  StatusOr<double> SumOf(const query::Plan& plan, std::string_view column);

  const TaskInput input_;

 private:
  size_t threads_ = 1;
};

using Tasks = std::vector<std::unique_ptr<Task>>;
/// asof_join and point_asof.
void AddAsofTasks(const TaskInput& input, Tasks* out);
/// snapshot and last_one.
void AddLastTasks(const TaskInput& input, Tasks* out);
/// vwap_bars_1m and long_vwap of several lengths.
void AddBarTasks(const TaskInput& input, Tasks* out);
/// rolling_vwap_5m, rolling_mean_5m and ema_0.1.
void AddRollingTasks(const TaskInput& input, Tasks* out);
/// range_1m.
void AddRangeTasks(const TaskInput& input, Tasks* out);

}  // namespace proxist::bench
