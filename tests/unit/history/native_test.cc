// The Native format: golden bytes, and answers that lie.
#include <algorithm>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "proxist/history/internal/native_reader.h"
#include "proxist/history/internal/native_writer.h"

namespace proxist::history {
namespace {

using column::TypeKind;

std::vector<HistoryColumn> Expected() {
  return {{"s", "LowCardinality(Nullable(String))", {TypeKind::kSymbol}, true},
          {"t", "String", {TypeKind::kString}, false},
          {"n", "Nullable(UInt16)", {TypeKind::kUint16}, true}};
}

/// Two rows: (null, "ab", 258) and ("x", "", null).
std::vector<std::byte> Block() {
  std::vector<std::byte> out;
  NativeWriter writer(&out, 0);
  writer.BeginBlock(3, 2);
  writer.BeginColumn("s", "LowCardinality(Nullable(String))");
  const std::vector<std::string_view> dictionary = {"", "x"};
  const std::vector<uint32_t> codes = {0, 1};
  writer.AppendLowCardinality(dictionary, codes);
  writer.BeginColumn("t", "String");
  writer.AppendString("ab");
  writer.AppendString("");
  writer.BeginColumn("n", "Nullable(UInt16)");
  std::byte* nulls = writer.AppendFixed(2);
  nulls[0] = std::byte{0};
  nulls[1] = std::byte{1};
  std::byte* values = writer.AppendFixed(4);
  for (size_t i = 0; i < 4; ++i) values[i] = std::byte{0};
  values[0] = std::byte{2};
  values[1] = std::byte{1};
  writer.Finish();
  return out;
}

TEST(Native, GoldenBytes) {
  const std::string expected =
      std::string("\x03\x02") + "\x01s\x20LowCardinality(Nullable(String))" +
      std::string("\x01\0\0\0\0\0\0\0", 8) + std::string("\0\x02\0\0\0\0\0\0", 8) +
      std::string("\x02\0\0\0\0\0\0\0", 8) + std::string("\0\x01x", 3) +
      std::string("\x02\0\0\0\0\0\0\0", 8) + std::string("\0\x01", 2) + "\x01t\x06String" +
      std::string(
          "\x02"
          "ab\0",
          4) +
      "\x01n\x10Nullable(UInt16)" + std::string("\0\x01\x02\x01\0\0", 6);
  EXPECT_EQ(AsText(Block()), expected);
}

TEST(Native, BlocksAddUp) {
  const std::vector<std::byte> block = Block();
  NativeReader reader(Expected());
  ASSERT_EQ(reader.Append(block, 100), OkStatus());
  ASSERT_EQ(reader.Append(block, 100), OkStatus());
  ASSERT_EQ(reader.rows(), 4u);
  const column::ColumnView s = reader.columns()[0].View();
  const column::ColumnView t = reader.columns()[1].View();
  const column::ColumnView n = reader.columns()[2].View();
  for (const size_t at : {size_t{0}, size_t{2}}) {
    EXPECT_FALSE(s.IsValid(at));
    EXPECT_EQ(t.TextAt(at), "ab");
    ASSERT_TRUE(n.IsValid(at));
    EXPECT_EQ(n.At<uint16_t>(at), 258);
    ASSERT_TRUE(s.IsValid(at + 1));
    EXPECT_EQ(s.TextAt(at + 1), "x");
    EXPECT_EQ(t.TextAt(at + 1), "");
    EXPECT_FALSE(n.IsValid(at + 1));
  }
  EXPECT_EQ(s.dictionary.size(), 1u);
  EXPECT_EQ(NativeReader(Expected()).Append(block, 1).code(), absl::StatusCode::kResourceExhausted);
}

/// What a reader has gathered, as text.
std::string Gathered(NativeReader* reader) {
  std::string out = std::to_string(reader->rows());
  for (NativeColumn& column : reader->columns()) {
    const column::ColumnView view = column.View();
    out += "|" + std::string(AsText(column.values)) + "|" + std::string(AsText(column.validity)) +
           "|" + std::string(AsText(column.text));
    for (const std::string_view entry : view.dictionary) out += "," + std::string(entry);
  }
  return out;
}

TEST(Native, PiecesOfAnySizeGiveTheSame) {
  std::vector<std::byte> body;
  for (int i = 0; i < 3; ++i) {
    const std::vector<std::byte> block = Block();
    body.insert(body.end(), block.begin(), block.end());
  }
  NativeReader whole(Expected());
  ASSERT_EQ(whole.Append(body, 100), OkStatus());
  const std::string expected = Gathered(&whole);
  for (size_t size = 1; size <= body.size(); ++size) {
    NativeReader reader(Expected());
    const ByteSpan bytes(body);
    for (size_t at = 0; at < bytes.size(); at += size) {
      ASSERT_EQ(reader.Push(bytes.subspan(at, std::min(size, bytes.size() - at)), 6), OkStatus());
    }
    ASSERT_EQ(reader.Finish(6), OkStatus()) << size;
    EXPECT_EQ(Gathered(&reader), expected) << size;
    NativeReader bounded(Expected());
    Status pushed;
    for (size_t at = 0; at < bytes.size() && pushed.ok(); at += size) {
      pushed = bounded.Push(bytes.subspan(at, std::min(size, bytes.size() - at)), 5);
    }
    if (pushed.ok()) pushed = bounded.Finish(5);
    EXPECT_EQ(pushed.code(), absl::StatusCode::kResourceExhausted) << size;
  }
}

TEST(Native, EveryCutAndEveryFlippedByteIsSurvived) {
  const std::vector<std::byte> block = Block();
  for (size_t size = 1; size < block.size(); ++size) {
    const std::vector<std::byte> cut(block.begin(), block.begin() + static_cast<ptrdiff_t>(size));
    EXPECT_EQ(NativeReader(Expected()).Append(cut, 100).code(), absl::StatusCode::kDataLoss)
        << size;
  }
  for (size_t at = 0; at < block.size(); ++at) {
    for (int bit = 0; bit < 8; ++bit) {
      std::vector<std::byte> flipped = block;
      flipped[at] ^= std::byte{1} << bit;
      NativeReader reader(Expected());
      if (!reader.Append(flipped, 100).ok()) continue;
      for (NativeColumn& column : reader.columns()) {
        const column::ColumnView view = column.View();
        for (size_t row = 0; row < reader.rows(); ++row) {
          if (view.IsValid(row) && column::IsText(view.type.kind)) {
            EXPECT_LE(view.TextAt(row).size(), block.size());
          }
        }
      }
    }
  }
}

TEST(Native, HugeCountsAllocateNothing) {
  // 3 columns, 2^63 rows.
  std::vector<std::byte> lie = {std::byte{3}};
  for (int i = 0; i < 9; ++i) lie.push_back(std::byte{0x80});
  lie.push_back(std::byte{1});
  EXPECT_EQ(NativeReader(Expected()).Append(lie, SIZE_MAX).code(), absl::StatusCode::kDataLoss);
  lie.back() = std::byte{2};  // more than 64 bits
  EXPECT_EQ(NativeReader(Expected()).Append(lie, SIZE_MAX).code(), absl::StatusCode::kDataLoss);
}

}  // namespace
}  // namespace proxist::history
