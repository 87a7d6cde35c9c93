// A query written out in one line, as it stands inside another one.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "proxist/base/status.h"
#include "proxist/client/query_flags.h"

namespace proxist::client {

/// "range trades --where \"price > 0\" --limit 5": what follows `pxctl query`. Words stand apart by
/// blanks; inside double quotes (where \" and \\ stand for these characters) and inside
/// parentheses blanks belong to the word. INVALID_ARGUMENT names a flag that the operator does not
/// take or that lacks its value.
StatusOr<QueryFlags> ParseQueryWords(std::string_view text);

/// A right side of an as-of join: a source, then clauses in any order, each at most once:
///   quotes by venue columns bid, ask where bid > 0 direction forward tolerance 5s strict prefix q_
/// A column named as a clause stands in double quotes.
struct JoinClauses {
  std::string source, by, columns, where, direction, tolerance, prefix;
  bool strict = false;
};
/// INVALID_ARGUMENT names what is not understood.
StatusOr<JoinClauses> ParseJoin(std::string_view text);

}  // namespace proxist::client
