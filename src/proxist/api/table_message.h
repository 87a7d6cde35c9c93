// Table declarations between the wire and the domain.
#pragma once

#include "proxist/base/status.h"
#include "proxist/column/schema.h"

namespace proxist::v1 {
class Table;
}

namespace proxist::api {

/// The declared schema, without ids and version; column::Validate checks the rest.
/// INVALID_ARGUMENT: a type or seq mode that is not known, a series column that is not declared.
StatusOr<column::TableSchema> DecodeTable(const v1::Table& message);
void EncodeTable(const column::TableSchema& schema, v1::Table* message);

}  // namespace proxist::api
