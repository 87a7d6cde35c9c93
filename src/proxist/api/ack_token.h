// The token of an ack: what a reader shows to see at least the rows that were acked.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "proxist/base/status.h"
#include "proxist/history/history.h"

namespace proxist::api {

/// Bytes, little-endian: 'P' 'X' 'T', version 1, uint32 count, then for each range uint16 shard,
/// uint64 first LSN, uint64 last LSN, then XXH3-64 of all before it. Opaque to clients.
std::string EncodeToken(std::span<const history::LsnRange> ranges);
/// INVALID_ARGUMENT says why the bytes are no token that this version reads.
StatusOr<std::vector<history::LsnRange>> DecodeToken(std::string_view token);

}  // namespace proxist::api
