// Metadata keys of shards and the flush, and the encodings of their values (FORMAT.md).
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "proxist/base/ids.h"
#include "proxist/base/status.h"
#include "proxist/history/history.h"
#include "proxist/hot/store.h"

namespace proxist::shard::internal {

std::string EpochKey(ShardId shard);
std::string PersistedKey(ShardId shard);
/// The highest LSN whose log segments were recycled because a snapshot holds what they told.
std::string RecycledKey(ShardId shard);
/// One part of a table's series names; parts are only added.
std::string SeriesKey(ShardId shard, TableId table, uint64_t part);
std::string SeriesPrefix(ShardId shard);
std::string FloorsKey(ShardId shard, TableId table);
std::string FloorsPrefix(ShardId shard);
std::string DirtyKey(TableId table, Day day);
/// The highest LSN that settled rounds cover while a table is held; absent: the persisted LSN.
std::string FlushedKey(ShardId shard);
/// Rounds that are open, one entry each, in their order.
inline constexpr std::string_view kRoundPrefix = "flush/round";
std::string RoundKey(uint64_t number);
/// What a held table still has to send.
inline constexpr std::string_view kHeldPrefix = "flush/held/";
std::string HeldKey(TableId table);
inline constexpr std::string_view kDirtyPrefix = "dirty/";
StatusOr<std::pair<TableId, Day>> ParseDirtyKey(std::string_view key);

/// The number at the end of "prefix/<number>/..." after `prefix`, or DATA_LOSS.
StatusOr<uint64_t> NumberAfter(std::string_view key, std::string_view prefix);

std::string EncodeNumber(uint64_t value);
StatusOr<uint64_t> DecodeNumber(std::string_view value, std::string_view what);

std::string EncodeSeries(const std::vector<hot::SeriesRecord>& series);
StatusOr<std::vector<hot::SeriesRecord>> DecodeSeries(std::string_view value);

/// Last batch of a producer in one shard.
struct ProducerState {
  BatchNumber last;
  Lsn first_lsn;
  Lsn last_lsn;
};
using Producers = std::map<std::string, ProducerState, std::less<>>;
std::string EncodeProducers(const Producers& producers);
StatusOr<Producers> DecodeProducers(std::string_view value);

/// A flush round as metadata holds it while its inserts are under way.
struct RoundRecord {
  struct Intent {
    std::string token;
    TableId table;
    SchemaVersion schema_version;
    Day day;
    bool operator==(const Intent&) const = default;
  };
  std::vector<history::LsnRange>
      ranges;  // of every intent: all rows of the shards in them are covered
  std::vector<Intent> intents;
  /// Not 0: the round sends what this held table has left over, and nothing of others.
  TableId catch_up;
  std::vector<TableId> parked;  // tables that were held when it was opened: their rows stay behind
};
std::string EncodeRound(const RoundRecord& round);
StatusOr<RoundRecord> DecodeRound(std::string_view value);

/// Rows of a held table that no insert took: those in `ranges` but on the days of `except`.
struct HeldPiece {
  std::vector<history::LsnRange> ranges;  // one for each shard at most
  std::vector<Day> except;
  bool operator==(const HeldPiece&) const = default;
};
std::string EncodeHeld(const std::vector<HeldPiece>& pieces);
StatusOr<std::vector<HeldPiece>> DecodeHeld(std::string_view value);

}  // namespace proxist::shard::internal
