// Batches through the builder, the encoding and Gather; damaged encodings.
#include <algorithm>
#include <numeric>
#include <random>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "proxist/column/batch.h"
#include "proxist/column/batch_encoding.h"
#include "proxist/column/internal/format.h"
#include "tests/unit/column/random_batch.h"

namespace proxist::column {
namespace {

using ::testing::HasSubstr;

TEST(BatchCodec, RandomBatchesReadBack) {
  std::mt19937_64 random(1);
  for (const SeqMode seq : {SeqMode::kProducer, SeqMode::kAssigned}) {
    const SchemaPtr schema = EveryType(seq);
    for (const size_t count : {0, 1, 7, 8, 9, 64, 300}) {
      const std::vector<Row> rows = RandomRows(*schema, count, &random);
      const Batch batch = BatchOf(schema, rows);
      EXPECT_EQ(RowsOf(batch), rows);
      const auto decoded = Decoded(Encoded(batch), schema);
      ASSERT_TRUE(decoded.ok()) << decoded.status();
      EXPECT_EQ(decoded->rows, count);
      EXPECT_EQ(RowsOf(*decoded), rows);
      EXPECT_EQ(ValidateBatch(*decoded).ok(), count > 0) << ValidateBatch(*decoded);
      EXPECT_EQ(Encoded(*decoded), Encoded(batch));
    }
  }
}

TEST(BatchCodec, AppendsToWhatTheWriterHolds) {
  std::mt19937_64 random(2);
  const SchemaPtr schema = EveryType();
  const std::vector<Row> rows = RandomRows(*schema, 20, &random);
  std::vector<std::byte> bytes(13);  // an odd start
  ByteWriter out(&bytes);
  const Batch batch = BatchOf(schema, rows);
  EncodeBatch(batch, &out);
  EXPECT_EQ(out.size() - 13, EncodedBytes(batch));
  const auto decoded = Decoded(std::vector<std::byte>(bytes.begin() + 13, bytes.end()), schema);
  ASSERT_TRUE(decoded.ok()) << decoded.status();
  EXPECT_EQ(RowsOf(*decoded), rows);
}

TEST(BatchCodec, EveryTruncationIsDataLoss) {
  std::mt19937_64 random(3);
  const SchemaPtr schema = EveryType();
  std::vector<std::byte> bytes = Encoded(BatchOf(schema, RandomRows(*schema, 5, &random)));
  for (size_t size = 0; size < bytes.size(); ++size) {
    const auto decoded = Decoded({bytes.begin(), bytes.begin() + static_cast<long>(size)}, schema);
    ASSERT_EQ(decoded.status().code(), absl::StatusCode::kDataLoss) << size;
  }
  bytes.push_back(std::byte{0});
  EXPECT_THAT(std::string(Message(Decoded(bytes, schema).status())), HasSubstr("1 bytes follow"));
}

TEST(BatchCodec, FlippedBitsNeverReadOutOfBounds) {
  std::mt19937_64 random(4);
  const SchemaPtr schema = EveryType();
  const std::vector<std::byte> bytes = Encoded(BatchOf(schema, RandomRows(*schema, 3, &random)));
  const auto check = [&](const std::vector<std::byte>& damaged) {
    const auto decoded = Decoded(damaged, schema);
    if (!decoded.ok()) {
      EXPECT_EQ(decoded.status().code(), absl::StatusCode::kDataLoss);
      return;
    }
    TouchAll(*decoded);
    ValidateBatch(*decoded).IgnoreError();
    EXPECT_EQ(Encoded(*decoded), damaged);
  };
  for (size_t bit = 0; bit < bytes.size() * 8; ++bit) {
    std::vector<std::byte> damaged = bytes;
    damaged[bit / 8] ^= std::byte{1} << (bit % 8);
    check(damaged);
  }
  for (int round = 0; round < 1000; ++round) {
    std::vector<std::byte> damaged = bytes;
    for (size_t i = 0; i < 1 + random() % 20; ++i) {
      damaged[random() % damaged.size()] = static_cast<std::byte>(random());
    }
    check(damaged);
  }
}

TEST(BatchCodec, OtherSchemaIsDataLoss) {
  std::mt19937_64 random(5);
  const SchemaPtr schema = EveryType();
  const std::vector<std::byte> bytes = Encoded(BatchOf(schema, RandomRows(*schema, 3, &random)));
  TableSchema other = *schema;
  other.columns.pop_back();
  auto decoded = Decoded(bytes, std::make_shared<const TableSchema>(other));
  EXPECT_THAT(std::string(Message(decoded.status())), HasSubstr("32 columns"));
  other = *schema;
  std::swap(other.columns[4], other.columns[8]);
  decoded = Decoded(bytes, std::make_shared<const TableSchema>(other));
  EXPECT_THAT(std::string(Message(decoded.status())), HasSubstr("the schema says"));
  std::vector<std::byte> newer = bytes;
  newer[0] = std::byte{kBatchFormat + 1};
  EXPECT_THAT(std::string(Message(Decoded(newer, schema).status())), HasSubstr("format 2"));
}

TEST(BatchCodec, ProducerSeqMustBeThere) {
  const SchemaPtr assigned = EveryType(SeqMode::kAssigned);
  std::mt19937_64 random(6);
  const auto bytes = Encoded(BatchOf(assigned, RandomRows(*assigned, 3, &random)));
  EXPECT_THAT(std::string(Message(Decoded(bytes, EveryType()).status())), HasSubstr("no seq"));
}

// What only the decoder's caller could get wrong: garbage under null rows is never looked up.
TEST(BatchCodec, NullRowsMayHoldGarbage) {
  TableSchema schema;
  schema.name = "t";
  schema.columns = {{ColumnId(1), "tag", {TypeKind::kSymbol}, true}};
  const auto shared = std::make_shared<const TableSchema>(schema);
  BatchBuilder builder(shared);
  for (uint64_t i = 0; i < 3; ++i) builder.AddRow("A", Timestamp(1), i);
  builder.SetText(0, "last");
  Batch batch = builder.Build();
  std::vector<uint32_t> codes{0xffffffff, 77, 0};
  batch.columns[0].values = std::as_bytes(std::span(codes));
  const auto decoded = Decoded(Encoded(batch), shared);
  ASSERT_TRUE(decoded.ok()) << decoded.status();
  EXPECT_TRUE(ValidateBatch(*decoded).ok());
  EXPECT_EQ(RowsOf(*decoded)[0].cells[0], Cell());
  EXPECT_EQ(RowsOf(*decoded)[2].cells[0], Cell("last"));
  const std::vector<uint32_t> all{0, 1, 2};
  EXPECT_EQ(RowsOf(Gather(*decoded, all)), RowsOf(*decoded));
}

TEST(Gather, TakesTheRowsAndLeavesUnusedEntries) {
  std::mt19937_64 random(8);
  const SchemaPtr schema = EveryType();
  const std::vector<Row> rows = RandomRows(*schema, 200, &random);
  for (const unsigned every : {1u, 2u, 7u, 1000u}) {
    std::vector<uint32_t> wanted;
    std::vector<Row> expected;
    for (uint32_t i = 0; i < rows.size(); ++i) {
      if (random() % every != 0) continue;
      wanted.push_back(i);
      expected.push_back(rows[i]);
    }
    Batch batch = BatchOf(schema, rows);
    const Batch gathered = Gather(batch, wanted);
    batch = Batch();  // the result owns its memory
    EXPECT_EQ(RowsOf(gathered), expected);
    EXPECT_LE(gathered.symbol.dictionary.size(), std::min<size_t>(5, wanted.size()));
    EXPECT_EQ(ValidateBatch(gathered).ok(), !wanted.empty()) << ValidateBatch(gathered);
  }
}

TEST(BatchBuilder, LastSetWinsAndBuildEmpties) {
  const SchemaPtr schema = EveryType();
  const size_t text = *schema->Find("c14_n");
  const size_t symbol = *schema->Find("c15_n");
  const size_t number = *schema->Find("c3");
  BatchBuilder builder(schema);
  builder.AddRow("A", Timestamp(1), 1);
  builder.SetText(text, "a longer text");
  builder.SetText(text, "short");
  builder.SetText(symbol, "x");
  builder.SetText(symbol, "");
  builder.SetInt(number, -5);
  builder.SetInt(number, 6);
  builder.AddRow("A", Timestamp(1), 2);
  EXPECT_EQ(builder.rows(), 2u);
  const Batch batch = builder.Build();
  const std::vector<Row> rows = RowsOf(batch);
  EXPECT_EQ(rows[0].cells[text], Cell("short"));
  EXPECT_EQ(rows[0].cells[symbol], Cell(""));
  EXPECT_EQ(rows[0].cells[number], Cell(uint64_t{6}));
  EXPECT_EQ(rows[1].cells[text], Cell());
  EXPECT_EQ(rows[1].cells[number], Cell());
  EXPECT_TRUE(batch.op.values.empty());
  EXPECT_EQ(builder.rows(), 0u);
  EXPECT_EQ(builder.Build().rows, 0u);
  EXPECT_EQ(RowsOf(batch), rows);
}

TEST(BatchSize, CountsWhatTheViewsCover) {
  TableSchema schema;
  schema.name = "t";
  schema.columns = {{ColumnId(1), "text", {TypeKind::kString}, true}};
  BatchBuilder builder(std::make_shared<const TableSchema>(schema));
  builder.AddRow("AIG", Timestamp(1), 1);
  builder.SetText(0, "four");
  builder.AddRow("AIG", Timestamp(1), 2);
  // Codes, ts, seq; offsets, validity and text; the one dictionary entry and its view.
  EXPECT_EQ(SizeBytes(builder.Build()), 2 * (4 + 8 + 8) + 3 * 4 + 1 + 4 + 3 + 16u);
}

}  // namespace
}  // namespace proxist::column
