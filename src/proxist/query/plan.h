// What can be asked: one struct per operator. Definitions: docs/queries.md.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "proxist/base/time.h"

namespace proxist::query {

/// Rows of one table: which symbols, which columns, which rows count.
struct Selection {
  std::string tenant = "default";
  std::string table;
  std::vector<std::string> symbols;  // empty: all
  std::string where;                 // a predicate; empty: every row
};

struct LastBy {  // and first-by
  Selection from;
  bool first = false;
  Timestamp at = Timestamp::Max();   // last: ts <= at; first: ts >= at
  std::vector<std::string> by;       // beyond symbol
  std::vector<std::string> columns;  // empty: all
};

struct Range {
  Selection from;
  Timestamp begin = Timestamp::Min();  // included
  Timestamp end = Timestamp::Max();    // excluded; Max: no bound
  std::vector<std::string> columns;
};

struct Asof {
  Selection left;
  Timestamp begin = Timestamp::Min();  // of the left rows
  Timestamp end = Timestamp::Max();
  std::vector<std::string> columns;
  Selection right;  // its symbols are the left's
  std::vector<std::string> right_columns;
  std::vector<std::string> by;  // beyond symbol; columns of both tables
  bool forward = false;
  bool strict = false;                // an equal ts does not match
  std::optional<Duration> tolerance;  // greatest distance in time, included
};

struct Bars {
  Selection from;
  Timestamp begin = Timestamp::Min();
  Timestamp end = Timestamp::Max();
  Duration interval;
  std::vector<std::string> aggregates;  // open high low close volume count vwap
  std::vector<std::string> by;
  std::string price = "price";
  std::string size = "size";
  bool fill_previous = false;
};

struct Rolling {
  Selection from;
  Timestamp begin = Timestamp::Min();
  Timestamp end = Timestamp::Max();
  std::optional<Duration> window;       // by time, both ends included, or
  std::optional<uint64_t> window_rows;  // by rows, this one included
  std::vector<std::string>
      aggregates;  // vwap, ema(ALPHA), count, sum|mean|min|max of price or of (COLUMN)
  std::vector<std::string> columns;
  std::vector<std::string> by;
  std::string price = "price";
  std::string size = "size";
};

struct Plan {
  std::variant<LastBy, Range, Asof, Bars, Rolling> op;
  std::optional<uint64_t> limit;  // of the whole answer
};

}  // namespace proxist::query
