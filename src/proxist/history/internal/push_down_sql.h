// Statements that resolve versions, leave rows out and add up where the rows lie.
#pragma once

#include <string>
#include <vector>

#include "proxist/history/internal/sql.h"

namespace proxist::history {

/// A SELECT of ReadColumns(schema, declared) of resolved rows that fulfil the request's conditions,
/// in no order. `declared` holds the conditions' columns. The request has a push_down.
std::string ResolvedSql(const ReadRequest& request, const std::vector<size_t>& declared);

/// What stands after ReadColumns in the answer to TotalsSql: END (1: the last row of its group,
/// which follows the first), ROWS of the group, then the totals.
std::vector<HistoryColumn> TotalsColumns(const TotalsRequest& request);

/// The first and last rows of each series and interval, each beside the totals of all rows there,
/// in the order (symbol, series columns, ts, seq).
/// `declared` are the columns of the rows, those of the totals among them.
std::string TotalsSql(const TotalsRequest& request, const std::vector<size_t>& declared);

/// Floats are added up as integers: the part above 2^-kHighBits as a multiple of it, the rest as a
/// multiple of 2^-kLowBits.
inline constexpr int kHighBits = 20;
inline constexpr int kLowBits = 72;
/// Values beyond these are left to the reader of rows: a finite value v is added up when
/// |v| < 2^kMostBits and it is a multiple of 2^-kLowBits.
inline constexpr int kMostBits = 32;
/// Rows of one group at most, so that no sum leaves its type.
inline constexpr uint64_t kMostRowsOfSum = uint64_t{1} << 30;

}  // namespace proxist::history
