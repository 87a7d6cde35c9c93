// The token of an ack: what a reader shows to see at least the rows that were acked.
#include "proxist/api/ack_token.h"

#include "proxist/base/bytes.h"

namespace proxist::api {
namespace {

constexpr std::string_view kMagic = "PXT";
constexpr uint8_t kVersion = 1;
constexpr size_t kHeadBytes = 8;
constexpr size_t kRangeBytes = 18;
constexpr size_t kChecksumBytes = 8;

}  // namespace

std::string EncodeToken(std::span<const history::LsnRange> ranges) {
  std::vector<std::byte> bytes;
  bytes.reserve(kHeadBytes + ranges.size() * kRangeBytes + kChecksumBytes);
  ByteWriter out(&bytes);
  out.PutBytes(AsBytes(kMagic));
  out.Put(kVersion);
  out.Put(static_cast<uint32_t>(ranges.size()));
  for (const history::LsnRange& range : ranges) {
    out.Put(range.shard.value());
    out.Put(range.first.value());
    out.Put(range.last.value());
  }
  out.Put(Checksum(bytes));
  return std::string(AsText(bytes));
}

StatusOr<std::vector<history::LsnRange>> DecodeToken(std::string_view token) {
  const ByteSpan bytes = AsBytes(token);
  if (token.size() < kHeadBytes + kChecksumBytes || token.substr(0, kMagic.size()) != kMagic) {
    return InvalidArgument("read_at_least: {} bytes that are no token of an ack", token.size());
  }
  const auto version = LoadAt<uint8_t>(bytes.data() + kMagic.size(), 0);
  if (version != kVersion) {
    return InvalidArgument("read_at_least: a token of version {}; this server reads version {}",
                           version, kVersion);
  }
  const auto count = LoadAt<uint32_t>(bytes.data() + kMagic.size() + 1, 0);
  if (token.size() != kHeadBytes + size_t{count} * kRangeBytes + kChecksumBytes) {
    return InvalidArgument("read_at_least: a token for {} shards in {} bytes", count, token.size());
  }
  const size_t body = token.size() - kChecksumBytes;
  if (Checksum(bytes.first(body)) != LoadAt<uint64_t>(bytes.data() + body, 0)) {
    return InvalidArgument("read_at_least: the token's checksum does not fit its bytes");
  }
  ByteReader reader(bytes.subspan(kHeadBytes, body - kHeadBytes), "token");
  std::vector<history::LsnRange> ranges(count);
  for (history::LsnRange& range : ranges) {
    PX_ASSIGN_OR_RETURN(uint16_t shard, reader.Get<uint16_t>());
    PX_ASSIGN_OR_RETURN(uint64_t first, reader.Get<uint64_t>());
    PX_ASSIGN_OR_RETURN(uint64_t last, reader.Get<uint64_t>());
    range = {ShardId(shard), Lsn(first), Lsn(last)};
  }
  return ranges;
}

}  // namespace proxist::api
