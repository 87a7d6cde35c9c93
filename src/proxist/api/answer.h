// Query answers onto the wire.
#pragma once

#include <cstddef>
#include <vector>

#include "proxist/query/engine.h"

namespace proxist::v1 {
class QueryResponse;
class Explain;
}  // namespace proxist::v1

namespace proxist::api {

/// How many rows of `batch` from `begin` on fit a message of about `max_bytes`; at least one when
/// there is one.
size_t RowsThatFit(const query::ResultBatch& batch, size_t begin, size_t max_bytes);

/// Rows [begin, end) of `batch` as the columns of `response`. Symbols get a dictionary of the codes
/// that these rows use. Null rows hold zeros.
void EncodeRows(const query::ResultBatch& batch, size_t begin, size_t end,
                v1::QueryResponse* response);

void EncodeExplain(const query::Explain& explain, v1::Explain* message);
query::Explain DecodeExplain(const v1::Explain& message);
/// Explain::missing, which is told whether an explanation was asked for or not.
void EncodeMissing(const query::Explain& explain, v1::QueryResponse* response);
std::vector<query::Explain::Missing> DecodeMissing(const v1::QueryResponse& response);

}  // namespace proxist::api
