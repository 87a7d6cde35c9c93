// Every reason for which a batch is refused, and that it names row and column.
#include <deque>
#include <map>
#include <random>
#include <tuple>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "proxist/base/time.h"
#include "proxist/column/batch.h"
#include "tests/unit/column/random_batch.h"

namespace proxist::column {
namespace {

SchemaPtr Trades(SeqMode seq = SeqMode::kProducer) {
  TableSchema schema;
  schema.name = "trades";
  schema.seq = seq;
  schema.columns = {{ColumnId(1), "venue", {TypeKind::kSymbol}},
                    {ColumnId(2), "price", {TypeKind::kDecimal, 4}, true},
                    {ColumnId(3), "odd", {TypeKind::kBool}},
                    {ColumnId(4), "note", {TypeKind::kString}}};
  schema.series = {0};
  return std::make_shared<const TableSchema>(schema);
}

// Nine rows, so that validity takes two bytes, the last with seven bits that mean nothing.
Batch NineTrades(SeqMode seq = SeqMode::kProducer) {
  BatchBuilder builder(Trades(seq));
  for (uint64_t i = 0; i < 9; ++i) {
    builder.AddRow(i % 2 == 0 ? "AIG" : "IBM", Timestamp(static_cast<int64_t>(100 - i)), i,
                   seq == SeqMode::kProducer && i == 3 ? Op::kCancel : Op::kPut);
    builder.SetText(0, i % 3 == 0 ? "P" : "Q");
    if (i != 4) builder.SetInt(1, 475000);
    builder.SetInt(2, static_cast<int64_t>(i % 2));
    builder.SetText(3, "note");
  }
  return builder.Build();
}

// Copies of buffers that a test changes; the batch's views point into them.
class Edited {
 public:
  explicit Edited(Batch of = NineTrades()) : batch(std::move(of)) {}

  template <typename T>
  void Store(ByteSpan* span, size_t index, T value) {
    std::vector<std::byte>& copy = buffers_.emplace_back(span->begin(), span->end());
    std::memcpy(copy.data() + index * sizeof(T), &value, sizeof value);
    *span = copy;
  }
  void Fill(ByteSpan* span, size_t bytes, uint8_t value) {
    *span = buffers_.emplace_back(bytes, std::byte{value});
  }
  void ExpectRefused(const std::string& message) const {
    const Status status = ValidateBatch(batch);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_EQ(Message(status), message);
  }

  Batch batch;

 private:
  std::deque<std::vector<std::byte>> buffers_;
};

TEST(ValidateBatch, AcceptsWhatIsRight) {
  EXPECT_EQ(ValidateBatch(NineTrades()), OkStatus());
  EXPECT_EQ(ValidateBatch(NineTrades(SeqMode::kAssigned)), OkStatus());
}

TEST(ValidateBatch, Rows) {
  Edited edit(BatchBuilder(Trades()).Build());
  edit.ExpectRefused("the batch has no rows");
  edit.batch = NineTrades();
  edit.batch.rows = size_t{1} << 32;
  edit.ExpectRefused("4294967296 rows, at most 4294967294 are allowed");
}

TEST(ValidateBatch, Lengths) {
  const auto shorter = [](ByteSpan span) { return span.first(span.size() - 1); };
  Edited symbol;
  symbol.batch.symbol.values = shorter(symbol.batch.symbol.values);
  symbol.ExpectRefused("column 'symbol': 35 bytes of values, 9 rows of symbol take 36");
  Edited ts;
  ts.batch.ts.values = {};
  ts.ExpectRefused("column 'ts': 0 bytes of values, 9 rows of timestamp_ns take 72");
  Edited seq;
  seq.batch.seq.values = {};
  seq.ExpectRefused("column 'seq': 0 bytes of values, 9 rows of uint64 take 72");
  Edited op;
  op.batch.op.values = shorter(op.batch.op.values);
  op.ExpectRefused("column 'op': 8 bytes of values, 9 rows of uint8 take 9");
  Edited price;
  price.batch.columns[1].values = shorter(price.batch.columns[1].values);
  price.ExpectRefused("column 'price': 71 bytes of values, 9 rows of decimal(4) take 72");
  Edited validity;
  validity.Fill(&validity.batch.columns[1].validity, 3, 0xff);
  validity.ExpectRefused("column 'price': 3 bytes of validity, 9 rows take 2");
  Edited note;
  note.batch.columns[3].values = note.batch.columns[3].values.first(36);
  note.ExpectRefused("column 'note': 36 bytes of values, 9 rows of string take 40");
  Edited columns;
  columns.batch.columns.pop_back();
  columns.ExpectRefused("3 columns, table 'trades' has 4");
}

TEST(ValidateBatch, Types) {
  Edited price;
  price.batch.columns[1].type.scale = 5;
  price.ExpectRefused("column 'price': its type is decimal(5), expected decimal(4)");
  Edited ts;
  ts.batch.ts.type = {TypeKind::kInt64};
  ts.ExpectRefused("column 'ts': its type is int64, expected timestamp_ns");
}

TEST(ValidateBatch, SymbolsAndTexts) {
  Edited code;
  code.Store<uint32_t>(&code.batch.symbol.values, 5, 2);
  code.ExpectRefused("row 5, column 'symbol': code 2, but the dictionary has 2 entries");
  Edited venue;
  venue.Store<uint32_t>(&venue.batch.columns[0].values, 8, 0xffffffff);
  venue.ExpectRefused("row 8, column 'venue': code 4294967295, but the dictionary has 2 entries");
  Edited empty;
  empty.batch.symbol.dictionary[1] = "";
  empty.ExpectRefused("row 1, column 'symbol': it is empty");
  Edited unused;  // an entry that no row uses may be empty
  unused.batch.symbol.dictionary.emplace_back("");
  EXPECT_EQ(ValidateBatch(unused.batch), OkStatus());
  Edited first;
  first.Store<uint32_t>(&first.batch.columns[3].values, 0, 1);
  first.ExpectRefused("column 'note': the first text offset is 1, expected 0");
  Edited descending;
  descending.Store<uint32_t>(&descending.batch.columns[3].values, 3, 1);
  descending.ExpectRefused("row 2, column 'note': text offset 1 is below the one before, 8");
  Edited beyond;
  beyond.Store<uint32_t>(&beyond.batch.columns[3].values, 9, 37);
  beyond.ExpectRefused("column 'note': the last text offset is 37, the text has 36 bytes");
}

TEST(ValidateBatch, Values) {
  Edited before;
  before.Store<int64_t>(&before.batch.ts.values, 2, -1);
  before.ExpectRefused("row 2, column 'ts': -1 ns is outside 1970-01-01..2148-12-31 UTC");
  Edited after;
  after.Store<int64_t>(&after.batch.ts.values, 2, kMaxRowTimestamp.ns());
  EXPECT_EQ(ValidateBatch(after.batch), OkStatus());
  after.Store<int64_t>(&after.batch.ts.values, 2, kMaxRowTimestamp.ns() + 1);
  after.ExpectRefused(
      "row 2, column 'ts': 5648745600000000000 ns is outside 1970-01-01..2148-12-31 UTC");
  Edited flag;
  flag.Store<uint8_t>(&flag.batch.columns[2].values, 7, 2);
  flag.ExpectRefused("row 7, column 'odd': a bool is 0 or 1, not 2");
  for (const int64_t value : {kDecimalLimit, -kDecimalLimit, std::numeric_limits<int64_t>::min()}) {
    Edited price;
    price.Store<int64_t>(&price.batch.columns[1].values, 6, value);
    price.ExpectRefused(fmt::format(
        "row 6, column 'price': the decimal's size is 10^18 units or more ({})", value));
  }
  Edited null;  // row 4 has no price, so what stands there means nothing
  null.Store<int64_t>(&null.batch.columns[1].values, 4, std::numeric_limits<int64_t>::min());
  EXPECT_EQ(ValidateBatch(null.batch), OkStatus());
  Edited op;
  op.Store<uint8_t>(&op.batch.op.values, 0, 2);
  op.ExpectRefused("row 0, column 'op': 2 is neither 0 (put) nor 1 (cancel)");
}

TEST(ValidateBatch, Nulls) {
  Edited venue;
  venue.Fill(&venue.batch.columns[0].validity, 2, 0xff);
  venue.Store<uint8_t>(&venue.batch.columns[0].validity, 1, 0x01);  // bits past row 8 are padding
  EXPECT_EQ(ValidateBatch(venue.batch), OkStatus());
  venue.Store<uint8_t>(&venue.batch.columns[0].validity, 1, 0xfe);
  venue.ExpectRefused("row 8, column 'venue': null, but the column is not nullable");
  Edited symbol;
  symbol.Fill(&symbol.batch.symbol.validity, 2, 0);
  symbol.ExpectRefused("row 0, column 'symbol': null, but the column is not nullable");
  BatchBuilder builder(Trades());
  builder.AddRow("AIG", Timestamp(1), 1);
  builder.SetText(0, "P");
  builder.SetInt(2, 1);
  Edited never(builder.Build());
  never.ExpectRefused("row 0, column 'note': null, but the column is not nullable");
}

TEST(ValidateBatch, AssignedSeq) {
  Edited seq(NineTrades(SeqMode::kAssigned));
  seq.batch.seq = NineTrades().seq;
  seq.ExpectRefused("column 'seq': table 'trades' assigns it, the batch must not carry it");
  Edited op(NineTrades(SeqMode::kAssigned));
  op.Fill(&op.batch.op.values, 9, 0);
  EXPECT_EQ(ValidateBatch(op.batch), OkStatus());
  op.Store<uint8_t>(&op.batch.op.values, 5, 1);
  op.ExpectRefused(
      "row 5, column 'op': table 'trades' assigns seq, so no row can be named for a cancel");
}

TEST(ValidateBatch, NamesTheRowThatRepeatsAKey) {
  BatchBuilder builder(EveryType());
  std::mt19937_64 random(1);
  std::vector<Row> rows = RandomRows(*EveryType(), 3, &random);
  rows[2] = rows[0];
  rows[0].seq = 9;
  rows[2].seq = 9;
  rows[2].op = rows[0].op == Op::kPut ? Op::kCancel : Op::kPut;  // the op is no part of the key
  const Status status = ValidateBatch(BatchOf(EveryType(), rows));
  EXPECT_THAT(std::string(Message(status)),
              ::testing::StartsWith("row 2, column 'seq': its key ("));
  EXPECT_THAT(std::string(Message(status)), ::testing::EndsWith("seq 9) is that of row 0"));
}

// A dictionary off the wire may hold one string under two codes.
TEST(ValidateBatch, KeysAreComparedAsText) {
  Edited edit;
  edit.batch.symbol.dictionary = {"AIG", "IBM", "AIG"};
  edit.Store<uint32_t>(&edit.batch.symbol.values, 6, 2);
  EXPECT_EQ(ValidateBatch(edit.batch), OkStatus());
  edit.Store<int64_t>(&edit.batch.ts.values, 6, 100);
  edit.Store<uint64_t>(&edit.batch.seq.values, 6, 0);
  edit.ExpectRefused("row 6, column 'seq': its key (AIG, P; ts 100, seq 0) is that of row 0");
}

TEST(ValidateBatch, DuplicatesAgainstANaiveModel) {
  std::mt19937_64 random(9);
  const SchemaPtr schema = Trades();
  int refused = 0;
  for (int round = 0; round < 600; ++round) {
    BatchBuilder builder(schema);
    std::map<std::tuple<std::string, std::string, int64_t, uint64_t>, size_t> seen;
    std::string expected;
    const bool many = round % 10 == 0;  // more series than are tracked one by one
    const size_t count = many ? 300 : 1 + random() % 12;
    const unsigned spread = 1 + random() % 12;
    int64_t ts = 0;
    for (size_t i = 0; i < count; ++i) {
      const std::string symbol = fmt::format("S{}", random() % (many ? 290 : 2));
      const std::string venue = fmt::format("V{}", random() % (many ? 290 : 2));
      ts = round % 2 == 0 ? ts + static_cast<int64_t>(random() % 2)
                          : static_cast<int64_t>(random() % spread);
      const uint64_t seq = round % 3 == 0 ? i : random() % spread;
      builder.AddRow(symbol, Timestamp(ts), seq);
      builder.SetText(0, venue);
      builder.SetInt(2, 0);
      builder.SetText(3, "");
      const auto [it, fresh] = seen.emplace(std::tuple(symbol, venue, ts, seq), i);
      if (!fresh && expected.empty()) {
        expected =
            fmt::format("row {}, column 'seq': its key ({}, {}; ts {}, seq {}) is that of row {}",
                        i, symbol, venue, ts, seq, it->second);
      }
    }
    const Status status = ValidateBatch(builder.Build());
    ASSERT_EQ(Message(status), expected) << "round " << round;
    refused += status.ok() ? 0 : 1;
  }
  EXPECT_GT(refused, 60);
  EXPECT_LT(refused, 540);
}

}  // namespace
}  // namespace proxist::column
