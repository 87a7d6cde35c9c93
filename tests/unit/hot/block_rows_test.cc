// A block read as rows holds every version that was put in, under its LSN.
#include "proxist/hot/block_rows.h"

#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "proxist/hot/image.h"
#include "tests/unit/hot/rows.h"

namespace proxist::hot {
namespace {

constexpr uint64_t kRows = 1500;
constexpr uint64_t kCancelled = 990;

/// One series with sealed chunks, an open one, and an overlay.
void Fill(Store* store, const column::SchemaPtr& schema) {
  store->SetSchema(schema);
  for (uint64_t lsn = 1; lsn <= kRows; ++lsn) {
    column::BatchBuilder builder(schema);
    const bool back = lsn % 9 == 0;
    builder.AddRow("A", Timestamp(static_cast<int64_t>(back ? lsn - 5 : lsn) * 1000), back ? 1 : 0,
                   lsn == kCancelled ? column::Op::kCancel : column::Op::kPut);
    builder.SetText(0, "x");
    SetCells(*schema, lsn, &builder);
    store->Scatter(builder.Build(), Lsn(lsn), Timestamp(7));
  }
  store->Publish(Lsn(kRows));
}

std::string CellOf(const column::ColumnView& view, size_t row) {
  const size_t width = column::WidthOf(view.type.kind);
  if (!view.IsValid(row)) return "null";
  if (column::IsText(view.type.kind)) return std::string(view.TextAt(row));
  return std::string(AsText(view.values.subspan(row * width, width)));
}

/// The row with this LSN as the builder makes it.
column::Batch Expected(const column::SchemaPtr& schema, uint64_t lsn) {
  column::BatchBuilder builder(schema);
  builder.AddRow("A", Timestamp(0), 0);
  builder.SetText(0, "x");
  SetCells(*schema, lsn, &builder);
  return builder.Build();
}

void CheckRows(const BlockRows& rows, std::set<uint64_t>* seen) {
  ASSERT_EQ(rows.batch.rows, rows.lsns.size());
  EXPECT_TRUE(column::ValidateBatch(rows.batch).ok());
  for (size_t row = 0; row < rows.lsns.size(); ++row) {
    const uint64_t lsn = rows.lsns[row].value();
    EXPECT_TRUE(seen->insert(lsn).second) << lsn;
    const bool back = lsn % 9 == 0;
    EXPECT_EQ(rows.batch.symbol.TextAt(row), "A");
    EXPECT_EQ(rows.batch.ts.At<int64_t>(row), static_cast<int64_t>(back ? lsn - 5 : lsn) * 1000);
    EXPECT_EQ(rows.batch.seq.At<uint64_t>(row), back ? 1u : 0u);
    EXPECT_EQ(rows.batch.OpAt(row) == column::Op::kCancel, lsn == kCancelled);
    const column::Batch expected = Expected(rows.batch.schema, lsn);
    for (size_t c = 0; c < expected.columns.size(); ++c) {
      EXPECT_EQ(CellOf(rows.batch.columns[c], row), CellOf(expected.columns[c], 0))
          << "LSN " << lsn << ", column " << c;
    }
  }
}

struct Image {
  std::vector<std::string> strings;
  std::vector<uint32_t> codes;
  std::vector<std::vector<std::byte>> blocks;
};

Image ImageOf(const Store& store) {
  Image out;
  StoreImage image(&store);
  for (uint32_t code = 0; code < image.strings(); ++code) {
    out.strings.emplace_back(image.TextOf(code));
  }
  while (StoredSeries* series = image.Next()) {
    out.codes = {series->codes[0], series->codes[1]};
    for (size_t i = 0; i < series->chunks.size(); ++i) {
      image.EncodeChunk(i, &out.blocks.emplace_back());
    }
    for (const ByteSpan block : {series->tail, series->overlay}) {
      out.blocks.emplace_back(block.begin(), block.end());
    }
  }
  return out;
}

TEST(BlockRowsTest, EveryVersionComesBackUnderItsLsn) {
  const auto schema = EveryType();
  Store store({.huge_pages = false});
  Fill(&store, schema);
  const Image image = ImageOf(store);
  ASSERT_GE(image.blocks.size(), 4u);
  std::set<uint64_t> seen;
  for (const auto& block : image.blocks) {
    const auto rows = ReadBlockRows(block, {schema, image.strings, image.codes});
    ASSERT_TRUE(rows.ok()) << rows.status();
    CheckRows(*rows, &seen);
  }
  EXPECT_EQ(seen.size(), kRows);
}

TEST(BlockRowsTest, ColumnsThatCameLaterAreNull) {
  Store store({.huge_pages = false});
  Fill(&store, EveryType(1, 10));
  const Image image = ImageOf(store);
  const auto rows = ReadBlockRows(image.blocks.back(), {EveryType(2), image.strings, image.codes});
  ASSERT_TRUE(rows.ok()) << rows.status();
  for (size_t row = 0; row < rows->batch.rows; ++row) {
    for (size_t c = 11; c < 16; ++c) EXPECT_FALSE(rows->batch.columns[c].IsValid(row));
  }
}

TEST(BlockRowsTest, WhatDoesNotFitIsDamage) {
  const auto schema = EveryType();
  Store store({.huge_pages = false});
  Fill(&store, schema);
  const Image image = ImageOf(store);
  const auto refused = [&](ByteSpan bytes, const BlockContext& context) {
    const auto rows = ReadBlockRows(bytes, context);
    return rows.status().code() == absl::StatusCode::kDataLoss;
  };
  const std::span<const std::string> strings(image.strings);
  for (std::vector<std::byte> block : image.blocks) {
    EXPECT_TRUE(refused(block, {schema, strings.first(1), image.codes}));
    EXPECT_TRUE(refused(block, {EveryType(1, 10), strings, image.codes}));
    EXPECT_TRUE(refused(block, {Quotes(), strings, image.codes}));
    EXPECT_TRUE(refused(block, {schema, strings, std::span(image.codes).first(1)}));
    EXPECT_TRUE(refused(ByteSpan(block).first(block.size() - 1), {schema, strings, image.codes}));
    block[block.size() / 2] ^= std::byte{1};
    EXPECT_TRUE(refused(block, {schema, strings, image.codes}));
  }
}

}  // namespace
}  // namespace proxist::hot
