// The one Native block of an insert, and how it is sent.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "proxist/history/clickhouse.h"
#include "proxist/history/history.h"

namespace proxist::history {

/// Up to 1,048,449 rows of one partition become one part; the flush stays below this.
inline constexpr size_t kMaxInsertRows = 1'000'000;

/// The rows of `sources` that `intent` describes, sorted by the table's ORDER BY, then version, as
/// the body of InsertSql(). Empty: there are none. At most kMaxInsertRows, and no batch may follow
/// a newer schema than the intent: both are bugs of the caller. The memory of `reused` is taken
/// where it suffices.
std::vector<std::byte> EncodeInsertBlock(const InsertIntent& intent,
                                         std::span<const SourceBatch> sources,
                                         std::vector<std::byte> reused = {});
std::string InsertSql(const column::TableSchema& schema);
/// Of an insert of one block: one part, and deduplicated by `token`.
Connection::Settings InsertSettings(const std::string& token);

}  // namespace proxist::history
