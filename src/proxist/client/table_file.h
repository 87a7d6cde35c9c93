// Table declarations in YAML.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "proxist/base/status.h"
#include "proxist/column/schema.h"

namespace proxist::client {

/// The tables that `yaml` declares: documents with `kind: Table`; documents with a `map` key (an
/// import map may share the file) are passed over. A table that names no tenant gets `tenant`.
/// Every schema satisfies column::Validate; ids are not set. INVALID_ARGUMENT names `file`, the
/// line and what is expected; also for a file without any table and a table declared twice.
StatusOr<std::vector<column::TableSchema>> ParseTables(std::string_view yaml,
                                                       const std::string& file,
                                                       std::string_view tenant);
/// ParseTables of the file at `path`; its errors, and NOT_FOUND, PERMISSION_DENIED.
StatusOr<std::vector<column::TableSchema>> ReadTables(const std::string& path,
                                                      std::string_view tenant);

/// The declaration of `schema`, such that ParseTables reads the same schema back.
std::string FormatTable(const column::TableSchema& schema);

}  // namespace proxist::client
