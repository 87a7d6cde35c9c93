// What schemas are valid, how they may change, and their encoding.
#include "proxist/column/schema.h"

#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "proxist/base/bytes.h"
#include "proxist/column/internal/format.h"

namespace proxist::column {
namespace {

using ::testing::HasSubstr;

constexpr Type kSymbolType{TypeKind::kSymbol};
constexpr Type kInt{TypeKind::kInt64};
constexpr Type kPrice{TypeKind::kDecimal, 4};

TableSchema Quotes() {
  TableSchema schema;
  schema.name = "quotes";
  schema.columns = {{ColumnId(), "venue", kSymbolType},
                    {ColumnId(), "bid", kPrice},
                    {ColumnId(), "bid_size", kInt, true}};
  schema.series = {0};
  return schema;
}

void ExpectInvalid(const TableSchema& schema, std::string_view reason) {
  const Status status = Validate(schema);
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
  EXPECT_THAT(std::string(Message(status)), HasSubstr(std::string(reason)));
}

TEST(ValidateSchema, Accepts) {
  EXPECT_EQ(Validate(Quotes()), OkStatus());
  TableSchema bare;
  bare.name = "t";
  EXPECT_EQ(Validate(bare), OkStatus());
}

TEST(ValidateSchema, Names) {
  for (const char* name : {"", "1a", "Bid", "b-d", "b d", "bid\n", "b\xc3\xa9", "_bid"}) {
    TableSchema schema = Quotes();
    schema.columns[1].name = name;
    ExpectInvalid(schema, "table 'quotes': column");
    schema = Quotes();
    schema.name = name;
    ExpectInvalid(schema, "table");
    schema = Quotes();
    schema.tenant = name;
    ExpectInvalid(schema, "tenant");
  }
  for (const char* name : {"symbol", "ts", "seq", "version", "shard", "deleted", "op"}) {
    TableSchema schema = Quotes();
    schema.columns[1].name = name;
    ExpectInvalid(schema, fmt::format("column '{}': the name is reserved", name));
  }
  TableSchema schema = Quotes();
  schema.columns[1].name = std::string(kMaxNameBytes, 'a');
  EXPECT_EQ(Validate(schema), OkStatus());
  schema.columns[1].name += 'a';
  ExpectInvalid(schema, "129 bytes");
  schema = Quotes();
  schema.name = "quotes_history";
  ExpectInvalid(schema, "reserved");
  schema = Quotes();
  schema.tenant = "system";
  ExpectInvalid(schema, "tenant 'system'");
}

TEST(ValidateSchema, ColumnsAndSeries) {
  TableSchema schema = Quotes();
  schema.columns[2].name = "bid";
  ExpectInvalid(schema, "column 'bid' is declared twice");
  schema = Quotes();
  schema.columns[1].type.scale = 19;
  ExpectInvalid(schema, "scale 19");
  schema = Quotes();
  schema.columns[2].type.scale = 1;
  ExpectInvalid(schema, "scale 1 is above 0");
  schema = Quotes();
  schema.columns[2].type.kind = static_cast<TypeKind>(16);
  ExpectInvalid(schema, "unknown type 16");
  schema.columns[2].type.kind = static_cast<TypeKind>(0);
  ExpectInvalid(schema, "unknown type 0");
  schema = Quotes();
  schema.series = {1};
  ExpectInvalid(schema, "series column 'bid': its type is decimal(4)");
  schema.series = {3};
  ExpectInvalid(schema, "no column number 3");
  schema.series = {0, 0};
  ExpectInvalid(schema, "named twice");
  schema.series = {0, 0, 0, 0};
  ExpectInvalid(schema, "at most 3");
  schema = Quotes();
  schema.columns[0].nullable = true;
  ExpectInvalid(schema, "must not be nullable");
  schema = Quotes();
  schema.hot_retain = Duration(-1);
  ExpectInvalid(schema, "negative");
  schema = Quotes();
  schema.hot_memory_bytes = 1000;
  ExpectInvalid(schema, "least");
  schema = Quotes();
  schema.seq = static_cast<SeqMode>(3);
  ExpectInvalid(schema, "seq");
  schema = Quotes();
  schema.durability = static_cast<Durability>(3);
  ExpectInvalid(schema, "durability");
  schema = Quotes();
  for (int i = 0; i < 253; ++i) schema.columns.push_back({ColumnId(), fmt::format("c{}", i), kInt});
  EXPECT_EQ(Validate(schema), OkStatus());
  schema.columns.push_back({ColumnId(), "last", kInt});
  ExpectInvalid(schema, "257 columns");
}

TEST(Evolve, CreatesWithIdsInOrder) {
  const auto created = Evolve(nullptr, Quotes(), TableId(7));
  ASSERT_TRUE(created.ok()) << created.status();
  EXPECT_EQ((*created)->id, TableId(7));
  EXPECT_EQ((*created)->version, SchemaVersion(1));
  for (uint32_t i = 0; i < 3; ++i) EXPECT_EQ((*created)->columns[i].id, ColumnId(i + 1));
}

TEST(Evolve, SameContentIsTheSamePointer) {
  const SchemaPtr current = Evolve(nullptr, Quotes(), TableId(7)).value();
  EXPECT_EQ(Evolve(current, Quotes(), TableId(9)).value(), current);
  EXPECT_EQ(Evolve(current, *current, TableId(9)).value(), current);
}

TEST(Evolve, AddsNullableColumnsAtTheEndAndChangesRetention) {
  const SchemaPtr current = Evolve(nullptr, Quotes(), TableId(7)).value();
  TableSchema declared = Quotes();
  declared.columns.push_back({ColumnId(), "condition", kSymbolType, true});
  const SchemaPtr second = Evolve(current, declared, TableId(9)).value();
  EXPECT_EQ(second->id, TableId(7));
  EXPECT_EQ(second->version, SchemaVersion(2));
  EXPECT_EQ(second->columns[3].id, ColumnId(4));
  EXPECT_EQ(second->columns[0].id, ColumnId(1));
  declared.hot_retain = Duration::Hours(1);
  const SchemaPtr third = Evolve(second, declared, TableId(9)).value();
  EXPECT_EQ(third->version, SchemaVersion(3));
  EXPECT_EQ(third->hot_retain, Duration::Hours(1));
  declared.hot_memory_bytes = 64u << 20;
  const SchemaPtr fourth = Evolve(third, declared, TableId(9)).value();
  EXPECT_EQ(fourth->version, SchemaVersion(4));
  EXPECT_EQ(fourth->hot_memory_bytes, 64u << 20);
}

TEST(Evolve, ChangesDurabilityBothWays) {
  SchemaPtr current = Evolve(nullptr, Quotes(), TableId(7)).value();
  EXPECT_EQ(current->durability, Durability::kSync);
  for (const Durability durability : {Durability::kProcess, Durability::kSync}) {
    TableSchema declared = Quotes();
    declared.durability = durability;
    const SchemaPtr next = Evolve(current, declared, TableId(9)).value();
    EXPECT_EQ(next->durability, durability);
    EXPECT_EQ(next->version, current->version.Next());
    EXPECT_EQ(DecodeSchema(EncodeSchema(*next)).value(), *next);
    current = next;
  }
}

TEST(Evolve, WidensTypes) {
  TableSchema declared = Quotes();
  declared.columns[2].type = {TypeKind::kInt16};
  const SchemaPtr current = Evolve(nullptr, declared, TableId(7)).value();
  declared.columns[2].type = {TypeKind::kInt32};
  const SchemaPtr wider = Evolve(current, declared, TableId(9)).value();
  EXPECT_EQ(wider->columns[2].type.kind, TypeKind::kInt32);
  EXPECT_EQ(wider->columns[2].id, current->columns[2].id);
  EXPECT_EQ(wider->version, SchemaVersion(2));
  EXPECT_FALSE(wider->SameColumns(*current));
  declared.columns[2].type = {TypeKind::kInt16};
  const auto narrower = Evolve(wider, declared, TableId(9));
  EXPECT_THAT(
      std::string(Message(narrower.status())),
      HasSubstr("column 'bid_size' is int32 and can't become int16: stored values may not"));
}

TEST(Evolve, RenamesByAlias) {
  const SchemaPtr first = Evolve(nullptr, Quotes(), TableId(7)).value();
  TableSchema declared = Quotes();
  declared.columns[2].name = "amount";
  EXPECT_FALSE(Evolve(first, declared, TableId(9)).ok());  // a drop and a new column
  declared.columns[2].aliases = {"bid_size"};
  const SchemaPtr second = Evolve(first, declared, TableId(9)).value();
  EXPECT_EQ(second->Find("amount"), 2U);
  EXPECT_EQ(second->Find("bid_size"), 2U);
  EXPECT_EQ(HistoryNameOf(second->columns[2]), "bid_size");
  EXPECT_EQ(DecodeSchema(EncodeSchema(*second)).value(), *second);
  // Aliases stay, and a declaration by an earlier name is that column.
  declared.columns[2].aliases = {};
  EXPECT_EQ(Evolve(second, declared, TableId(9)).value(), second);
  const SchemaPtr back = Evolve(second, Quotes(), TableId(9)).value();
  EXPECT_EQ(back->columns[2].name, "bid_size");
  EXPECT_EQ(back->Find("amount"), 2U);
  EXPECT_EQ(HistoryNameOf(back->columns[2]), "bid_size");
  declared.columns[2].name = "third";
  declared.columns[2].aliases = {"amount"};
  const SchemaPtr third = Evolve(back, declared, TableId(9)).value();
  EXPECT_EQ(HistoryNameOf(third->columns[2]), "bid_size");
  EXPECT_EQ(third->Find("bid_size"), 2U);
  // A name is of one column alone.
  declared.columns.push_back({ColumnId(), "amount", kInt, true});
  EXPECT_FALSE(Evolve(third, declared, TableId(9)).ok());
}

TEST(Evolve, DropsWhatIsConfirmed) {
  const SchemaPtr first = Evolve(nullptr, Quotes(), TableId(7)).value();
  TableSchema declared = Quotes();
  declared.columns.erase(declared.columns.begin() + 1);
  EXPECT_EQ(Evolve(first, declared, TableId(9)).status().code(),
            absl::StatusCode::kFailedPrecondition);
  const SchemaPtr second = Evolve(first, declared, TableId(9), Drops::kConfirmed).value();
  ASSERT_EQ(second->columns.size(), 3U);
  EXPECT_TRUE(second->columns[1].dropped);
  EXPECT_TRUE(second->columns[1].nullable);
  EXPECT_EQ(second->Find("bid"), std::nullopt);
  EXPECT_EQ(second->Find("bid_size"), 2U);
  EXPECT_EQ(second->series, first->series);
  EXPECT_EQ(DecodeSchema(EncodeSchema(*second)).value(), *second);
  EXPECT_EQ(Evolve(second, declared, TableId(9)).value(), second);
  EXPECT_EQ(Evolve(second, *second, TableId(9)).value(), second);
  const auto again = Evolve(second, Quotes(), TableId(9));
  EXPECT_FALSE(again.ok());
  declared.columns.push_back({ColumnId(), "bid", kPrice, true});
  EXPECT_THAT(std::string(Message(Evolve(second, declared, TableId(9)).status())),
              HasSubstr("column 'bid': a column of this name was dropped"));
  declared.columns.back().name = "offer";
  const SchemaPtr third = Evolve(second, declared, TableId(9)).value();
  EXPECT_EQ(third->Find("offer"), 3U);
  EXPECT_EQ(third->columns[3].id, ColumnId(4));
  declared = Quotes();
  declared.columns.erase(declared.columns.begin());
  declared.series = {};
  EXPECT_THAT(std::string(Message(Evolve(first, declared, TableId(9), Drops::kConfirmed).status())),
              HasSubstr("column 'venue' is missing: series columns can't be dropped"));
}

TEST(Evolve, ChangesTheRetentionAndKeepsVersions) {
  TableSchema declared = Quotes();
  declared.versions = Versions::kAll;
  const SchemaPtr first = Evolve(nullptr, declared, TableId(7)).value();
  declared.history_retain = Duration::Days(90);
  const SchemaPtr second = Evolve(first, declared, TableId(9)).value();
  EXPECT_EQ(second->history_retain, Duration::Days(90));
  EXPECT_EQ(DecodeSchema(EncodeSchema(*second)).value(), *second);
  declared.versions = Versions::kLatest;
  EXPECT_THAT(std::string(Message(Evolve(second, declared, TableId(9)).status())),
              HasSubstr("versions is 'all' and can't become 'latest'"));
  for (const Duration wrong : {Duration::Hours(36), Duration(-1), Duration::Days(40'000)}) {
    TableSchema schema = Quotes();
    schema.history_retain = wrong;
    ExpectInvalid(schema, "no whole number of days");
  }
}

TEST(Evolve, RefusesEverythingElse) {
  const SchemaPtr current = Evolve(nullptr, Quotes(), TableId(7)).value();
  const auto expect = [&](const TableSchema& declared, std::string_view reason) {
    const auto result = Evolve(current, declared, TableId(9));
    ASSERT_FALSE(result.ok());
    EXPECT_EQ(result.status().code(), absl::StatusCode::kFailedPrecondition) << result.status();
    EXPECT_THAT(std::string(Message(result.status())), HasSubstr(std::string(reason)));
  };
  TableSchema declared = Quotes();
  declared.columns.pop_back();
  expect(declared, "column 'bid_size' is missing");
  declared = Quotes();
  std::swap(declared.columns[1], declared.columns[2]);
  expect(declared, "column 'bid' moved from place 2 to 3");
  declared = Quotes();
  declared.columns.insert(declared.columns.begin() + 1, {ColumnId(), "x", kInt, true});
  expect(declared, "column 'bid' moved");
  declared = Quotes();
  declared.columns[1].type.scale = 5;
  expect(declared, "column 'bid' is decimal(4) and can't become decimal(5)");
  declared = Quotes();
  declared.columns[2].nullable = false;
  expect(declared, "column 'bid_size' is nullable and can't become not nullable");
  declared = Quotes();
  declared.columns[1].nullable = true;
  expect(declared, "column 'bid' is not nullable");
  declared = Quotes();
  declared.columns.push_back({ColumnId(), "x", kInt, false});
  expect(declared, "new column 'x' must be nullable");
  declared = Quotes();
  declared.series = {};
  expect(declared, "series is [venue] and can't become []");
  declared = Quotes();
  declared.seq = SeqMode::kAssigned;
  expect(declared, "seq is 'producer'");
  declared = Quotes();
  declared.name = "other";
  expect(declared, "default.other");
  declared.name = "Other";
  EXPECT_EQ(Evolve(current, declared, TableId(9)).status().code(),
            absl::StatusCode::kInvalidArgument);
}

TEST(SchemaCodec, ReadsBack) {
  TableSchema schema = *Evolve(nullptr, Quotes(), TableId(4'000'000'000)).value();
  schema.version = SchemaVersion(77);
  schema.tenant = "desk";
  schema.seq = SeqMode::kAssigned;
  schema.hot_retain = Duration(std::numeric_limits<int64_t>::max());
  EXPECT_EQ(DecodeSchema(EncodeSchema(schema)).value(), schema);
}

TEST(SchemaCodec, EveryTruncationAndFlipIsDataLoss) {
  const std::vector<std::byte> bytes = EncodeSchema(*Evolve(nullptr, Quotes(), TableId(1)).value());
  for (size_t size = 0; size < bytes.size(); ++size) {
    const std::vector<std::byte> cut(bytes.begin(), bytes.begin() + static_cast<long>(size));
    EXPECT_EQ(DecodeSchema(cut).status().code(), absl::StatusCode::kDataLoss) << size;
  }
  for (size_t bit = 0; bit < bytes.size() * 8; ++bit) {
    std::vector<std::byte> flipped = bytes;
    flipped[bit / 8] ^= std::byte{1} << (bit % 8);
    EXPECT_EQ(DecodeSchema(flipped).status().code(), absl::StatusCode::kDataLoss) << bit;
  }
}

// Wrong content under a right checksum: what a faulty writer would leave.
TEST(SchemaCodec, BelievesNothing) {
  TableSchema schema = *Evolve(nullptr, Quotes(), TableId(1)).value();
  schema.series = {9};
  EXPECT_EQ(DecodeSchema(EncodeSchema(schema)).status().code(), absl::StatusCode::kDataLoss);
  schema = *Evolve(nullptr, Quotes(), TableId(1)).value();
  schema.columns[0].id = ColumnId(0);
  EXPECT_EQ(DecodeSchema(EncodeSchema(schema)).status().code(), absl::StatusCode::kDataLoss);

  std::vector<std::byte> bytes = EncodeSchema(*Evolve(nullptr, Quotes(), TableId(1)).value());
  bytes[sizeof kSchemaMagic] = std::byte{kSchemaFormat + 1};
  bytes.resize(bytes.size() - 8);
  ByteWriter(&bytes).Put(Checksum(bytes));
  EXPECT_EQ(DecodeSchema(bytes).status().code(), absl::StatusCode::kFailedPrecondition);
}

TEST(SlotOf, NeverChanges) {
  EXPECT_EQ(SlotOf("default", "AIG"),
            SlotId(static_cast<uint16_t>(Checksum(AsBytes(std::string_view("default\0AIG", 11))) %
                                         kSlotCount)));
  EXPECT_NE(SlotOf("ab", "c"), SlotOf("a", "bc"));
  std::set<SlotId> slots;
  for (int i = 0; i < 4096; ++i) slots.insert(SlotOf("default", fmt::format("S{}", i)));
  EXPECT_GT(slots.size(), 2400u);  // 4096 * (1 - 1/e) are expected
}

}  // namespace
}  // namespace proxist::column
