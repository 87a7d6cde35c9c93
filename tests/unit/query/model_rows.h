// Rows, versions and answers as plain values, shared by the naive model and the worlds it checks.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "proxist/column/batch.h"
#include "proxist/column/schema.h"

namespace proxist::query {

/// Null, integers (also decimals as scaled, times, bools), floats, text.
using Cell = std::variant<std::monostate, int64_t, double, std::string>;

/// One version of a row.
struct ModelRow {
  std::string symbol;
  int64_t ts = 0;
  uint64_t seq = 0;
  column::Op op = column::Op::kPut;
  uint64_t lsn = 0;
  std::vector<Cell> cells;  // by column of the schema
};

/// An answer as text: floats as their bits, so that equal means identical.
struct Answer {
  std::vector<std::string> names;
  std::vector<std::vector<std::string>> rows;
  bool operator==(const Answer&) const = default;
};

std::string FormatCell(const Cell& cell);
std::string FormatAnswer(const Answer& answer);

}  // namespace proxist::query
