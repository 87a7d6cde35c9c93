// The encodings stay what they were: golden bytes, and a FORMAT.md that says what the code does.
#include "proxist/column/internal/format.h"

#include <cstdlib>
#include <fstream>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "proxist/column/batch.h"
#include "proxist/column/internal/column_check.h"
#include "tests/unit/column/random_batch.h"

namespace proxist::column {
namespace {

using ::testing::HasSubstr;

std::string ReadFile(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  EXPECT_TRUE(in.is_open()) << path;
  return {std::istreambuf_iterator<char>(in), {}};
}

std::string Root() {
  const std::string file = __FILE__;  // <root>/tests/unit/column/format_test.cc
  return file.substr(0, file.size() - std::string("tests/unit/column/format_test.cc").size());
}

// Compares with the golden file; with PROXIST_WRITE_GOLDEN set, writes it instead.
void ExpectGolden(const std::string& name, const std::vector<std::byte>& bytes) {
  const std::string path = Root() + "tests/unit/column/golden/" + name;
  if (std::getenv("PROXIST_WRITE_GOLDEN") != nullptr) {
    std::ofstream(path, std::ios::binary | std::ios::trunc) << AsText(bytes);
  }
  EXPECT_TRUE(ReadFile(path) == AsText(bytes)) << path;
}

SchemaPtr GoldenSchema() {
  TableSchema schema = *EveryType();
  schema.id = TableId(0x01020304);
  schema.version = SchemaVersion(7);
  schema.tenant = "desk";
  schema.hot_retain = Duration::Hours(2);
  return std::make_shared<const TableSchema>(schema);
}

Batch GoldenBatch() {
  const SchemaPtr schema = GoldenSchema();
  BatchBuilder builder(schema);
  for (int row = 0; row < 3; ++row) {
    builder.AddRow(row == 1 ? "IBM" : "AIG", Timestamp(1381327200000000000 + row), 10 - row,
                   row == 2 ? Op::kCancel : Op::kPut);
    for (size_t i = 0; i < schema->columns.size(); ++i) {
      const TypeKind kind = schema->columns[i].type.kind;
      if (schema->columns[i].nullable && row == 1) continue;
      if (IsText(kind)) {
        builder.SetText(i, std::string(static_cast<size_t>(row), 'a'));
      } else if (IsFloat(kind)) {
        builder.SetFloat(i, -0.5 * row);
      } else {
        builder.SetInt(i, kind == TypeKind::kBool ? row % 2 : 100 - row * 101);
      }
    }
  }
  return builder.Build();
}

TEST(ColumnFormat, SchemaBytesAreGolden) {
  TableSchema schema = *GoldenSchema();
  schema.durability = Durability::kProcess;
  ExpectGolden("schema_v2.bin", EncodeSchema(schema));
  const std::string golden = ReadFile(Root() + "tests/unit/column/golden/schema_v2.bin");
  EXPECT_EQ(DecodeSchema(AsBytes(golden)).value(), schema);
}

TEST(ColumnFormat, AMemoryLimitTakesFormatThree) {
  TableSchema schema = *GoldenSchema();
  schema.hot_memory_bytes = 0x1122334400000000;
  ExpectGolden("schema_v3.bin", EncodeSchema(schema));
  const std::string golden = ReadFile(Root() + "tests/unit/column/golden/schema_v3.bin");
  EXPECT_EQ(DecodeSchema(AsBytes(golden)).value(), schema);
}

TEST(ColumnFormat, HistorySettingsAndChangedColumnsTakeFormatFour) {
  TableSchema schema = *GoldenSchema();
  schema.history_retain = Duration::Days(90);
  schema.versions = Versions::kAll;
  schema.columns[2].dropped = schema.columns[2].nullable = true;
  schema.columns[3].aliases = {"before", "earlier"};
  schema.columns[3].first_name = "earlier";
  ExpectGolden("schema_v4.bin", EncodeSchema(schema));
  const std::string golden = ReadFile(Root() + "tests/unit/column/golden/schema_v4.bin");
  EXPECT_EQ(DecodeSchema(AsBytes(golden)).value(), schema);
}

TEST(ColumnFormat, SchemasOfFormatOneAreSync) {
  const std::string golden = ReadFile(Root() + "tests/unit/column/golden/schema_v1.bin");
  const TableSchema schema = DecodeSchema(AsBytes(golden)).value();
  EXPECT_EQ(schema, *GoldenSchema());
  EXPECT_EQ(schema.durability, Durability::kSync);
}

TEST(ColumnFormat, BatchBytesAreGolden) {
  ExpectGolden("batch_v1.bin", Encoded(GoldenBatch()));
  const auto golden = std::make_shared<const std::string>(
      ReadFile(Root() + "tests/unit/column/golden/batch_v1.bin"));
  const auto decoded = DecodeBatch(AsBytes(*golden), GoldenSchema(), golden);
  ASSERT_TRUE(decoded.ok()) << decoded.status();
  EXPECT_EQ(RowsOf(*decoded), RowsOf(GoldenBatch()));
}

TEST(ColumnFormat, HeadersHaveTheSizesOfTheirConstants) {
  TableSchema bare;
  bare.name = "t";
  BatchBuilder builder(std::make_shared<const TableSchema>(bare));
  builder.AddRow("A", Timestamp(1), 1);
  // Symbol: code, entry end, text; ts; seq.
  EXPECT_EQ(Encoded(builder.Build()).size(),
            kBatchHeaderBytes + 3 * kColumnHeaderBytes + (4 + 4 + 1) + 8 + 8);
}

TEST(ColumnFormat, PageSaysWhatTheCodeDoes) {
  const std::string page = ReadFile(Root() + "src/proxist/column/FORMAT.md");
  EXPECT_THAT(page, HasSubstr(fmt::format("## Schema, format {}\n", kSchemaFormat)));
  EXPECT_THAT(page, HasSubstr(fmt::format("`{:#x}`", kSchemaMagic)));
  EXPECT_THAT(page, HasSubstr(fmt::format("## Batch, format {}\n", kBatchFormat)));
  EXPECT_THAT(page, HasSubstr(fmt::format("bit 0 (`{}`): seq", kBatchHasSeq)));
  EXPECT_THAT(page, HasSubstr(fmt::format("bit 1 (`{}`): op", kBatchHasOps)));
  EXPECT_THAT(page, HasSubstr(fmt::format("bit 0 (`{}`): validity", kColumnHasValidity)));
  EXPECT_THAT(page, HasSubstr(fmt::format("at most `{}`", kMaxBatchRows)));
  EXPECT_THAT(page, HasSubstr(fmt::format("batch takes `{}` bytes", kBatchHeaderBytes)));
  EXPECT_THAT(page, HasSubstr(fmt::format("column takes `{}` bytes", kColumnHeaderBytes)));
  EXPECT_THAT(page, HasSubstr(fmt::format("mod {}`", kSlotCount)));
  for (int kind = 1; kind <= 15; ++kind) {
    std::string name = FormatType({static_cast<TypeKind>(kind), 0});
    name = name.substr(0, name.find('('));
    EXPECT_THAT(page, HasSubstr(fmt::format("{} {}", kind, name)));
  }
}

}  // namespace
}  // namespace proxist::column
