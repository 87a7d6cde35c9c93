// Table declarations between the wire and the domain.
#pragma once

#include "proxist/base/status.h"
#include "proxist/column/schema.h"

namespace proxist::v1 {
class Table;
enum Durability : int;
}  // namespace proxist::v1

namespace proxist::api {

/// The declared schema, without ids and version; column::Validate checks the rest.
/// INVALID_ARGUMENT: a type, seq mode or durability that is not known, a series column that is not
/// declared.
StatusOr<column::TableSchema> DecodeTable(const v1::Table& message);
void EncodeTable(const column::TableSchema& schema, v1::Table* message);

/// Unspecified is sync. INVALID_ARGUMENT for a value that is not known.
StatusOr<column::Durability> DecodeDurability(v1::Durability message);
v1::Durability EncodeDurability(column::Durability durability);

}  // namespace proxist::api
