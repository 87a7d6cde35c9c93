// The flags of `pxctl query` as a plan.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "proxist/base/status.h"
#include "proxist/query/engine.h"
#include "proxist/query/plan.h"

namespace proxist::client {

/// Every flag as it was written; empty when it was not given. An operator looks only at its own.
struct QueryFlags {
  /// last-by, first-by, snapshot, range, asof, window-join, bars, aggregate, rolling, book
  std::string op;
  std::string tenant{"default"};
  /// Of joins the left one. A table, an inner query as (range trades --limit 5), or rows of a CSV
  /// file as @orders.csv; so is `right`.
  std::string table;
  std::string symbols;
  std::string where;
  std::string columns;
  bool distinct = false;
  std::string by;
  std::string at;
  std::optional<uint64_t> count;
  std::string from;
  std::string to;
  std::string right;
  std::string right_columns;
  std::string right_where;
  std::string direction;
  bool strict = false;
  std::string tolerance;
  std::string prefix;
  std::vector<std::string> joins;  // more right sides of an as-of join, one text each
  std::string show_time;
  std::string interval;
  std::string aggregates;
  std::string fill;
  std::string origin;
  std::string zone;
  std::string window;
  bool centred = false;
  std::string before;
  std::string after;
  bool prevailing = false;
  std::string price;
  std::string size;
  std::string since;
  std::string key;
  std::string side;
  std::string bid;
  std::string ask;
  std::string remove;
  std::string clear;
  std::optional<uint64_t> depth;
  std::string order;
  std::optional<uint64_t> limit;
  /// A time, "now", an LSN of shard 0, or one of each shard as "0:17,1:9".
  std::string as_of_log;
};

/// Reads the rows of a file that a query names.
using RowReader =
    std::function<StatusOr<std::shared_ptr<const query::ResultBatch>>(const std::string& path)>;

/// INVALID_ARGUMENT names the flag and what is expected. Names of tables and columns are the
/// server's to check.
StatusOr<query::Plan> BuildPlan(const QueryFlags& flags, const RowReader& read_rows = nullptr);

/// The elements of a comma-separated list, without spaces around them; commas inside parentheses
/// and quotes belong to the element. An empty text has no elements. INVALID_ARGUMENT for an empty
/// element and for parentheses that don't match.
StatusOr<std::vector<std::string>> SplitList(std::string_view text);

}  // namespace proxist::client
