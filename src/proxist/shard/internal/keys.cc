#include "proxist/shard/internal/keys.h"

#include <charconv>

#include "proxist/base/bytes.h"

namespace proxist::shard::internal {
namespace {

std::string ShardKey(ShardId shard, std::string_view what) {
  return fmt::format("shard/{}/{}", shard.value(), what);
}

void PutRanges(const std::vector<history::LsnRange>& ranges, ByteWriter* out) {
  out->Put(static_cast<uint32_t>(ranges.size()));
  for (const history::LsnRange& range : ranges) {
    out->Put(range.shard.value());
    out->Put(range.first.value());
    out->Put(range.last.value());
  }
}

StatusOr<std::vector<history::LsnRange>> GetRanges(ByteReader* in) {
  PX_ASSIGN_OR_RETURN(const auto count, in->Get<uint32_t>());
  std::vector<history::LsnRange> ranges;
  for (uint32_t i = 0; i < count; ++i) {
    PX_ASSIGN_OR_RETURN(const auto shard, in->Get<uint16_t>());
    PX_ASSIGN_OR_RETURN(const auto first, in->Get<uint64_t>());
    PX_ASSIGN_OR_RETURN(const auto last, in->Get<uint64_t>());
    ranges.push_back({ShardId(shard), Lsn(first), Lsn(last)});
  }
  return ranges;
}

std::string Text(const std::vector<std::byte>& bytes) { return std::string(AsText(bytes)); }

}  // namespace

std::string EpochKey(ShardId shard) { return ShardKey(shard, "epoch"); }
std::string PersistedKey(ShardId shard) { return ShardKey(shard, "persisted"); }
std::string RecycledKey(ShardId shard) { return ShardKey(shard, "recycled"); }
std::string FlushedKey(ShardId shard) { return ShardKey(shard, "flushed"); }
std::string RoundKey(uint64_t number) { return fmt::format("{}/{:010}", kRoundPrefix, number); }
std::string HeldKey(TableId table) { return fmt::format("{}{}", kHeldPrefix, table.value()); }
std::string SeriesPrefix(ShardId shard) { return ShardKey(shard, "series/"); }
std::string SeriesKey(ShardId shard, TableId table, uint64_t part) {
  return fmt::format("{}{}/{:010}", SeriesPrefix(shard), table.value(), part);
}
std::string FloorsPrefix(ShardId shard) { return ShardKey(shard, "floors/"); }
std::string FloorsKey(ShardId shard, TableId table) {
  return fmt::format("{}{}", FloorsPrefix(shard), table.value());
}
std::string DirtyKey(TableId table, Day day) {
  return fmt::format("dirty/{}/{}", table.value(), day.value());
}

StatusOr<std::pair<TableId, Day>> ParseDirtyKey(std::string_view key) {
  PX_ASSIGN_OR_RETURN(const uint64_t table, NumberAfter(key, kDirtyPrefix));
  PX_ASSIGN_OR_RETURN(const uint64_t day,
                      NumberAfter(key, fmt::format("{}{}/", kDirtyPrefix, table)));
  return std::pair(TableId(static_cast<uint32_t>(table)), Day(static_cast<int32_t>(day)));
}

StatusOr<uint64_t> NumberAfter(std::string_view key, std::string_view prefix) {
  uint64_t number = 0;
  if (key.starts_with(prefix)) {
    const char* begin = key.data() + prefix.size();
    const auto [end, error] = std::from_chars(begin, key.data() + key.size(), number);
    if (error == std::errc() && end != begin) return number;
  }
  return DataLoss("metadata key '{}': a number expected after '{}'", key, prefix);
}

std::string EncodeNumber(uint64_t value) { return fmt::format("{}", value); }

StatusOr<uint64_t> DecodeNumber(std::string_view value, std::string_view what) {
  uint64_t number = 0;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), number);
  if (error != std::errc() || end != value.data() + value.size() || value.empty()) {
    return DataLoss("metadata key '{}': a decimal number expected, got {} bytes", what,
                    value.size());
  }
  return number;
}

std::string EncodeSeries(const std::vector<hot::SeriesRecord>& series) {
  std::vector<std::byte> bytes;
  ByteWriter out(&bytes);
  out.Put(static_cast<uint32_t>(series.size()));
  for (const hot::SeriesRecord& one : series) {
    out.PutString(one.symbol);
    out.Put(static_cast<uint8_t>(one.series.size()));
    for (const std::string& value : one.series) out.PutString(value);
    out.Put(one.floor.ns());
  }
  return Text(bytes);
}

StatusOr<std::vector<hot::SeriesRecord>> DecodeSeries(std::string_view value) {
  ByteReader in(AsBytes(value), "series manifest");
  PX_ASSIGN_OR_RETURN(const auto count, in.Get<uint32_t>());
  std::vector<hot::SeriesRecord> series;
  for (uint32_t i = 0; i < count; ++i) {
    hot::SeriesRecord one;
    PX_ASSIGN_OR_RETURN(const auto symbol, in.GetString());
    one.symbol = symbol;
    PX_ASSIGN_OR_RETURN(const auto values, in.Get<uint8_t>());
    for (uint8_t k = 0; k < values; ++k) {
      PX_ASSIGN_OR_RETURN(const auto text, in.GetString());
      one.series.emplace_back(text);
    }
    PX_ASSIGN_OR_RETURN(const auto floor, in.Get<int64_t>());
    one.floor = Timestamp(floor);
    series.push_back(std::move(one));
  }
  return series;
}

std::string EncodeProducers(const Producers& producers) {
  std::vector<std::byte> bytes;
  ByteWriter out(&bytes);
  out.Put(static_cast<uint32_t>(producers.size()));
  for (const auto& [name, state] : producers) {
    out.PutString(name);
    out.Put(state.last.value());
    out.Put(state.first_lsn.value());
    out.Put(state.last_lsn.value());
  }
  return Text(bytes);
}

StatusOr<Producers> DecodeProducers(std::string_view value) {
  ByteReader in(AsBytes(value), "producer table");
  PX_ASSIGN_OR_RETURN(const auto count, in.Get<uint32_t>());
  Producers producers;
  for (uint32_t i = 0; i < count; ++i) {
    PX_ASSIGN_OR_RETURN(const auto name, in.GetString());
    PX_ASSIGN_OR_RETURN(const auto last, in.Get<uint64_t>());
    PX_ASSIGN_OR_RETURN(const auto first_lsn, in.Get<uint64_t>());
    PX_ASSIGN_OR_RETURN(const auto last_lsn, in.Get<uint64_t>());
    producers[std::string(name)] = ProducerState{BatchNumber(last), Lsn(first_lsn), Lsn(last_lsn)};
  }
  return producers;
}

std::string EncodeRound(const RoundRecord& round) {
  std::vector<std::byte> bytes;
  ByteWriter out(&bytes);
  PutRanges(round.ranges, &out);
  out.Put(static_cast<uint32_t>(round.intents.size()));
  for (const RoundRecord::Intent& intent : round.intents) {
    out.PutString(intent.token);
    out.Put(intent.table.value());
    out.Put(intent.schema_version.value());
    out.Put(intent.day.value());
  }
  out.Put(round.catch_up.value());
  out.Put(static_cast<uint32_t>(round.parked.size()));
  for (const TableId table : round.parked) out.Put(table.value());
  return Text(bytes);
}

StatusOr<RoundRecord> DecodeRound(std::string_view value) {
  ByteReader in(AsBytes(value), "flush round");
  RoundRecord round;
  PX_ASSIGN_OR_RETURN(round.ranges, GetRanges(&in));
  PX_ASSIGN_OR_RETURN(const auto intents, in.Get<uint32_t>());
  for (uint32_t i = 0; i < intents; ++i) {
    RoundRecord::Intent intent;
    PX_ASSIGN_OR_RETURN(const auto token, in.GetString());
    intent.token = token;
    PX_ASSIGN_OR_RETURN(const auto table, in.Get<uint32_t>());
    PX_ASSIGN_OR_RETURN(const auto version, in.Get<uint32_t>());
    PX_ASSIGN_OR_RETURN(const auto day, in.Get<int32_t>());
    intent.table = TableId(table);
    intent.schema_version = SchemaVersion(version);
    intent.day = Day(day);
    round.intents.push_back(std::move(intent));
  }
  PX_ASSIGN_OR_RETURN(const auto catch_up, in.Get<uint32_t>());
  round.catch_up = TableId(catch_up);
  PX_ASSIGN_OR_RETURN(const auto parked, in.Get<uint32_t>());
  for (uint32_t i = 0; i < parked; ++i) {
    PX_ASSIGN_OR_RETURN(const auto table, in.Get<uint32_t>());
    round.parked.emplace_back(table);
  }
  return round;
}

std::string EncodeHeld(const std::vector<HeldPiece>& pieces) {
  std::vector<std::byte> bytes;
  ByteWriter out(&bytes);
  out.Put(static_cast<uint32_t>(pieces.size()));
  for (const HeldPiece& piece : pieces) {
    PutRanges(piece.ranges, &out);
    out.Put(static_cast<uint32_t>(piece.except.size()));
    for (const Day day : piece.except) out.Put(day.value());
  }
  return Text(bytes);
}

StatusOr<std::vector<HeldPiece>> DecodeHeld(std::string_view value) {
  ByteReader in(AsBytes(value), "held table");
  PX_ASSIGN_OR_RETURN(const auto count, in.Get<uint32_t>());
  std::vector<HeldPiece> pieces;
  for (uint32_t i = 0; i < count; ++i) {
    HeldPiece piece;
    PX_ASSIGN_OR_RETURN(piece.ranges, GetRanges(&in));
    PX_ASSIGN_OR_RETURN(const auto days, in.Get<uint32_t>());
    for (uint32_t k = 0; k < days; ++k) {
      PX_ASSIGN_OR_RETURN(const auto day, in.Get<int32_t>());
      piece.except.emplace_back(day);
    }
    pieces.push_back(std::move(piece));
  }
  return pieces;
}

}  // namespace proxist::shard::internal
