// Batches between the wire and the domain.
#pragma once

#include <memory>
#include <string_view>

#include "proxist/base/status.h"
#include "proxist/column/batch.h"

namespace proxist::v1 {
class WriteRequest;
}

namespace proxist::api {

/// The wire's names of the columns that every table has.
inline constexpr std::string_view kSymbolColumn = "symbol";
inline constexpr std::string_view kTsColumn = "ts";
inline constexpr std::string_view kSeqColumn = "seq";
inline constexpr std::string_view kOpColumn = "_op";

/// An empty request in an arena that it keeps alive: a batch may have thousands of short strings,
/// and they then take no allocation each.
std::shared_ptr<v1::WriteRequest> NewWriteRequest();

/// Views into `request`, which the batch keeps alive; nothing is copied. Columns may come in any
/// order; a nullable column left out is all null. INVALID_ARGUMENT names the table, the column and
/// the numbers: unknown or duplicate column, wrong type, ragged lengths, a missing column, seq
/// where the table assigns it, no rows. Values are left to column::ValidateBatch.
StatusOr<column::Batch> DecodeWriteRequest(std::shared_ptr<const v1::WriteRequest> request,
                                           const column::SchemaPtr& schema);

/// Sets the tenant, table and columns of `request` from `batch`, copying its bytes.
void EncodeWriteRequest(const column::Batch& batch, v1::WriteRequest* request);

}  // namespace proxist::api
