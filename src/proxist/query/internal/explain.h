// What explanations of parts of a query come to.
#pragma once

#include <string>

#include "proxist/base/ids.h"
#include "proxist/base/time.h"
#include "proxist/query/engine.h"

namespace proxist::query::internal {

/// Of a table and shard there is one seam, with the greatest that its series have.
void AddSeam(Explain* explain, ShardId shard, const std::string& table, Lsn cut, Lsn persisted,
             Timestamp floor);
/// Adds what another thread of the query counted.
void AddTo(Explain* explain, const Explain& more);

}  // namespace proxist::query::internal
