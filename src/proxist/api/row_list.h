// Rows that come with a query.
#pragma once

#include <memory>

#include <google/protobuf/repeated_field.h>

#include "proxist/base/status.h"
#include "proxist/query/engine.h"

namespace proxist::v1 {
class Column;
}

namespace proxist::api {

/// A copy of the columns, in their order. INVALID_ARGUMENT when one is malformed, or they differ in
/// length. What their names and types must be is the engine's to check.
StatusOr<std::shared_ptr<const query::ResultBatch>> DecodeRows(
    const google::protobuf::RepeatedPtrField<v1::Column>& columns);

/// All rows of `batch`. Symbols get a dictionary of their own.
void EncodeRows(const query::ResultBatch& batch,
                google::protobuf::RepeatedPtrField<v1::Column>* columns);

}  // namespace proxist::api
