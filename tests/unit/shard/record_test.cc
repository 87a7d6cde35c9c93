// The log record of a shard and the metadata values: round trips and damage.
#include "proxist/shard/record.h"

#include "proxist/shard/internal/keys.h"
#include "tests/unit/shard/shard_fixture.h"

namespace proxist::shard {
namespace {

class RecordTest : public ShardFixture {};

TEST_F(RecordTest, ComesBackAsItWas) {
  RecordHeader header;
  header.table = TableId(3);
  header.schema_version = SchemaVersion(2);
  header.number = BatchNumber(77);
  header.server_time = Timestamp(-5);
  header.tenant = "default";
  header.producer = "feed-1";
  std::vector<std::byte> bytes;
  ByteWriter out(&bytes);
  EncodeRecord(header, Rows(3, kStartNs, 1), &out);
  const auto decoded = DecodeRecord(bytes);
  ASSERT_TRUE(decoded.ok()) << decoded.status();
  EXPECT_EQ(decoded->header.table, TableId(3));
  EXPECT_EQ(decoded->header.schema_version, SchemaVersion(2));
  EXPECT_EQ(decoded->header.number, BatchNumber(77));
  EXPECT_EQ(decoded->header.server_time, Timestamp(-5));
  EXPECT_EQ(decoded->header.producer, "feed-1");
  const auto batch = column::DecodeBatch(decoded->batch, schema_, nullptr);
  ASSERT_TRUE(batch.ok()) << batch.status();
  EXPECT_EQ(batch->rows, 3u);
  for (size_t size = 0; size < 40; ++size) {
    EXPECT_FALSE(DecodeRecord(ByteSpan(bytes).first(size)).ok()) << size;
  }
}

TEST(MetadataValues, RoundTripAndRefuseTruncation) {
  internal::RoundRecord round;
  round.ranges = {{ShardId(0), Lsn(1), Lsn(9)}, {ShardId(1), Lsn(4), Lsn(4)}};
  round.intents = {{"token", TableId(1), SchemaVersion(2), Day(15987)}};
  round.parked = {TableId(9)};
  const std::string bytes = internal::EncodeRound(round);
  const auto decoded = internal::DecodeRound(bytes);
  ASSERT_TRUE(decoded.ok());
  EXPECT_EQ(decoded->ranges, round.ranges);
  EXPECT_EQ(decoded->intents, round.intents);
  EXPECT_EQ(decoded->parked, round.parked);
  EXPECT_EQ(decoded->catch_up, TableId(0));
  const std::vector<internal::HeldPiece> pieces = {{round.ranges, {Day(3), Day(4)}},
                                                   {{{ShardId(7), Lsn(2), Lsn(8)}}, {}}};
  const std::string held = internal::EncodeHeld(pieces);
  EXPECT_EQ(*internal::DecodeHeld(held), pieces);
  for (size_t size = 0; size < held.size(); ++size) {
    EXPECT_FALSE(internal::DecodeHeld(std::string_view(held).substr(0, size)).ok());
  }
  const std::vector<hot::SeriesRecord> series = {{"AIG", {"P", ""}, Timestamp(5)},
                                                 {"\xff\t", {}, Timestamp::Min()}};
  const std::string list = internal::EncodeSeries(series);
  const auto names = internal::DecodeSeries(list);
  ASSERT_TRUE(names.ok());
  ASSERT_EQ(names->size(), 2u);
  EXPECT_EQ((*names)[0].series, series[0].series);
  EXPECT_EQ((*names)[1].symbol, series[1].symbol);
  EXPECT_EQ((*names)[1].floor, Timestamp::Min());
  for (size_t size = 0; size < list.size(); ++size) {
    EXPECT_FALSE(internal::DecodeSeries(std::string_view(list).substr(0, size)).ok());
  }
  for (size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_FALSE(internal::DecodeRound(std::string_view(bytes).substr(0, size)).ok());
  }
  EXPECT_FALSE(internal::DecodeNumber("12x", "k").ok());
  EXPECT_FALSE(internal::DecodeNumber("", "k").ok());
}

}  // namespace
}  // namespace proxist::shard
