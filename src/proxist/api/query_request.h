// Query plans between the wire and the domain.
#pragma once

#include "proxist/base/status.h"
#include "proxist/query/plan.h"

namespace proxist::v1 {
class QueryRequest;
}

namespace proxist::api {

/// INVALID_ARGUMENT when no operator is set, a table (rows, a query) is not named, or both kinds of
/// window are given. What needs the schema is the engine's to check.
StatusOr<query::Plan> DecodePlan(const v1::QueryRequest& request);

/// Sets the operator, order and limit of `request`.
void EncodePlan(const query::Plan& plan, v1::QueryRequest* request);

/// "last-by", "first-by", "range", "asof", "bars", "rolling", "window-join", "book".
std::string_view OperatorName(const query::Plan& plan);
/// The tables that the plan reads, for logs: "trades", "rows,quotes" or "(trades),quotes".
std::string TablesOf(const query::Plan& plan);

}  // namespace proxist::api
