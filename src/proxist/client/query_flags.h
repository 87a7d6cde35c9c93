// The flags of `pxctl query` as a plan.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "proxist/base/status.h"
#include "proxist/query/plan.h"

namespace proxist::client {

/// Every flag as it was written; empty when it was not given. An operator looks only at its own.
struct QueryFlags {
  std::string op;  // last-by, first-by, asof, bars, rolling, range
  std::string tenant{"default"};
  std::string table;  // asof: left
  std::string symbols;
  std::string where;
  std::string columns;
  std::string by;
  std::string at;
  std::string from;
  std::string to;
  std::string right;
  std::string right_columns;
  std::string right_where;
  std::string direction;
  bool strict = false;
  std::string tolerance;
  std::string interval;
  std::string aggregates;
  std::string fill;
  std::string window;
  std::string price;
  std::string size;
  std::optional<uint64_t> limit;
};

/// INVALID_ARGUMENT names the flag and what is expected. Names of tables and columns are the
/// server's to check.
StatusOr<query::Plan> BuildPlan(const QueryFlags& flags);

/// The elements of a comma-separated list, without spaces around them; commas inside parentheses
/// belong to the element. An empty text has no elements. INVALID_ARGUMENT for an empty element and
/// for parentheses that don't match.
StatusOr<std::vector<std::string>> SplitList(std::string_view text);

}  // namespace proxist::client
