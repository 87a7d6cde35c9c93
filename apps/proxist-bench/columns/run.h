// `query --columns`: loads a directory of columns and asks every task, beside its plain loop.
#pragma once

#include <cstdint>
#include <string>

#include "proxist/base/status.h"

namespace proxist::bench {

struct ColumnQueryOptions {
  std::string columns;    // the directory of the data
  std::string directory;  // for what the store keeps in files
  uint32_t passes = 15;   // over each task's questions
  std::string only;       // tasks whose name contains it; empty: all
};

/// Prints a line a task: name, threads, questions, p50 ns, p99 ns, check sum, with tabs between.
/// False when the engine and a loop do not agree; standard error says where.
StatusOr<bool> RunColumnQueries(const ColumnQueryOptions& options);

}  // namespace proxist::bench
