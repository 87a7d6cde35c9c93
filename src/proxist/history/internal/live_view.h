// The view that lays a table's rows in Proxist over those in ClickHouse.
#pragma once

#include <string>
#include <string_view>

#include "proxist/column/schema.h"
#include "proxist/history/history.h"

namespace proxist::history {

/// What the comment of every live view begins with; a checksum of its statement follows.
inline constexpr std::string_view kLiveViewComment = "Proxist live view ";

/// CREATE OR REPLACE VIEW for `schema`; FORMAT.md says what its branches do.
std::string LiveViewSql(const column::TableSchema& schema, const LiveEndpoint& endpoint);

}  // namespace proxist::history
