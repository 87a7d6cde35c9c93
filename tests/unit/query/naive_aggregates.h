// Aggregates of a list of rows, by plain loops.
#pragma once

#include <string>
#include <vector>

#include "proxist/base/time.h"
#include "tests/unit/query/model_rows.h"

namespace proxist::query {

bool IsNull(const Cell& cell);
size_t IndexOf(const column::TableSchema& schema, const std::string& name);

/// What aggregates of a query are of beside their rows.
struct NaiveScope {
  std::string price;
  std::string size;
  Timestamp begin;                   // of the query: where moving averages are seeded
  int64_t end = 0;                   // when the last value stops to hold
  std::vector<const ModelRow*> all;  // what moving averages run over
};

/// The aggregate that `text` names ("vwap", "quantile(bid,0.25)", "max(bid)-min(bid)"), of `rows`
/// in their order.
Cell NaiveAggregate(const std::string& text, const column::TableSchema& schema,
                    const std::vector<const ModelRow*>& rows, const NaiveScope& scope);

/// The type that it has.
column::Type NaiveType(const std::string& text, const column::TableSchema& schema,
                       const NaiveScope& scope);

}  // namespace proxist::query
