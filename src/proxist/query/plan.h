// What can be asked: one struct per operator. Definitions: docs/queries.md.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "proxist/base/ids.h"
#include "proxist/base/time.h"

namespace proxist::query {

struct Plan;
struct ResultBatch;

/// What an operator works on: rows of a table, rows that come with the plan, or the answer of
/// another plan; one of the three. Columns may be named or computed: `bid`, `(bid + ask) / 2 as
/// mid`.
struct Selection {
  std::string tenant = "default";
  std::string table;
  std::vector<std::string> symbols;         // empty: all
  std::string where;                        // a predicate; empty: every row
  std::shared_ptr<const ResultBatch> rows;  // symbol, ts, perhaps seq (else 1, 2, 3...), and more
  std::shared_ptr<const Plan> query;
};

struct LastBy {  // and first-by
  Selection from;
  bool first = false;
  Timestamp at = Timestamp::Max();   // last: ts <= at; first: ts >= at
  std::vector<std::string> by;       // beyond symbol
  std::vector<std::string> columns;  // empty: all
  uint64_t count = 1;                // rows of each group
};

struct Range {
  Selection from;
  Timestamp begin = Timestamp::Min();  // included
  Timestamp end = Timestamp::Max();    // excluded; Max: no bound
  std::vector<std::string> columns;
  bool distinct = false;  // of each symbol, what the columns say is shown once; ts and seq if named
};

/// A right side of an as-of join.
struct AsofRight {
  Selection from;                    // its symbols are the left's
  std::vector<std::string> columns;  // empty: all but `by`
  std::vector<std::string> by;       // beyond symbol; columns of both sides
  std::string prefix;                // of its columns' names; empty: only where a name is taken
  bool forward = false;
  bool nearest = false;               // of the backward and the forward match the nearer one
  bool strict = false;                // an equal ts does not match
  std::optional<Duration> tolerance;  // greatest distance in time, included
};

/// Which times an as-of answer shows.
enum class AsofTimes : uint8_t {
  kBoth,   // ts is the left row's; the time of each match follows its columns
  kLeft,   // ts is the left row's, and no other
  kRight,  // ts is that of the first right side's match, and no other
};

struct Asof {
  Selection left;
  Timestamp begin = Timestamp::Min();  // of the left rows
  Timestamp end = Timestamp::Max();
  std::vector<std::string> columns;
  std::vector<AsofRight> rights;  // at least one
  AsofTimes times = AsofTimes::kBoth;
};

/// For each left row at t, aggregates of the right rows of its group in [t - before, t + after].
struct WindowJoin {
  Selection left;
  Timestamp begin = Timestamp::Min();  // of the left rows
  Timestamp end = Timestamp::Max();
  std::vector<std::string> columns;
  Selection right;  // its symbols are the left's
  std::vector<std::string> by;
  Duration before;  // may be negative; the window may not end before it begins
  Duration after;
  bool prevailing = false;  // the window begins with the last row at or before its begin
  std::vector<std::string> aggregates;
  std::string price = "price";
  std::string size = "size";
};

/// What stands in bars without rows between a group's first and last bar.
enum class Fill : uint8_t { kNone, kNull, kZero, kPrevious, kLinear };

struct Bars {
  Selection from;
  Timestamp begin = Timestamp::Min();
  Timestamp end = Timestamp::Max();
  std::optional<Duration> interval;     // none: one bar of the whole span, without a time
  std::optional<Timestamp> origin;      // a bar begins here; the epoch
  std::string zone;                     // whose clocks days follow; empty: days do not matter
  std::vector<std::string> aggregates;  // empty: open high low close volume count vwap
  std::vector<std::string> by;
  std::string price = "price";
  std::string size = "size";
  Fill fill = Fill::kNone;
};

/// The order book of each symbol: what the last row of each price level, or order, says.
struct Book {
  Selection from;
  Timestamp since = Timestamp::Min();  // rows before it do not count
  Timestamp at = Timestamp::Max();     // included
  std::vector<std::string> key;        // of an order; empty: rows tell of price levels
  std::string side = "side";
  std::string bid = "B";  // what `side` says of bids, and of asks; other rows are no part of a book
  std::string ask = "A";
  std::string price = "price";
  std::string size = "size";
  std::string remove;  // a predicate: the row takes its order or level away, as a size of 0 does
  std::string clear;   // a predicate: rows before it do not count
  uint64_t depth = 10;
};

struct Rolling {
  Selection from;
  Timestamp begin = Timestamp::Min();
  Timestamp end = Timestamp::Max();
  std::optional<Duration> window;       // by time, both ends included, or
  std::optional<uint64_t> window_rows;  // by rows, this one included
  bool centred = false;                 // half of the window before the row, half after it
  std::vector<std::string> aggregates;
  std::vector<std::string> columns;
  std::vector<std::string> by;
  std::string price = "price";
  std::string size = "size";
};

/// A column of the answer to sort by. Ascending: null first, then values, NaN last.
struct OrderKey {
  std::string column;
  bool descending = false;
};

/// A moment of the log: what was published by then, and in which version. Tables have to keep all
/// versions.
struct AsOfLog {
  std::vector<std::pair<ShardId, Lsn>> lsns;  // of every shard that the query reads, or
  std::optional<Timestamp> time;              // of the batches' publication
};

struct Plan {
  std::variant<LastBy, Range, Asof, Bars, Rolling, WindowJoin, Book> op;
  std::optional<uint64_t> limit;     // of the whole answer, once it is in order
  std::vector<OrderKey> order = {};  // rows that agree keep the operator's order; empty: it is kept
  /// Of the whole query, so of no inner one.
  std::optional<AsOfLog> as_of_log = std::nullopt;
};

}  // namespace proxist::query
