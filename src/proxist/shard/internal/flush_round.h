// Rounds of the flush as values: made of backlog rows, written to metadata and read back.
#pragma once

#include <string_view>

#include "proxist/meta/catalog.h"
#include "proxist/shard/flusher.h"
#include "proxist/shard/internal/keys.h"

namespace proxist::shard::internal {

/// Adds an insert for each table and UTC day among `round->sources`, but tables in `round->parked`
/// and the days of `except`. `incarnation` stands in the tokens.
void AddInserts(std::string_view incarnation, const std::set<Day>& except, FlushRound* round);
RoundRecord RecordOf(const FlushRound& round);
/// The round that `record` tells of, without sources. DATA_LOSS or NOT_FOUND: a schema is missing.
StatusOr<std::shared_ptr<FlushRound>> RoundOf(const RoundRecord& record,
                                              const meta::Catalog& catalog);
/// The days of each table whose inserts are done.
std::map<TableId, std::set<Day>> DoneDays(const FlushRound& round);

}  // namespace proxist::shard::internal
