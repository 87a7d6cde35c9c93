// CSV records: quoting, line ends, bounds, whatever way the bytes arrive.
#include "proxist/client/csv_reader.h"

#include <algorithm>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace proxist::client {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

struct Row {
  uint64_t line;
  std::vector<std::string> fields;
  bool operator==(const Row&) const = default;
};
void PrintTo(const Row& row, std::ostream* out) {
  *out << row.line << ":";
  for (const std::string& field : row.fields) *out << " [" << field << "]";
}

// Gives `text` in pieces of at most `piece` bytes.
ByteSource Pieces(std::string text, size_t piece) {
  return [text = std::move(text), piece,
          at = size_t{0}](std::span<char> out) mutable -> StatusOr<size_t> {
    const size_t n = std::min({piece, out.size(), text.size() - at});
    std::memcpy(out.data(), text.data() + at, n);
    at += n;
    return n;
  };
}

struct Outcome {
  std::vector<Row> rows;
  Status status;
};

Outcome ReadAll(const std::string& text, CsvOptions options = {}, size_t piece = 1 << 20,
                uint64_t skip = 0) {
  CsvReader reader(Pieces(text, piece), options);
  Outcome out;
  out.status = reader.SkipLines(skip);
  CsvRecord record;
  while (out.status.ok()) {
    const StatusOr<bool> more = reader.Next(&record);
    if (!more.ok()) out.status = more.status();
    if (!more.ok() || !*more) break;
    Row row{record.line, {}};
    for (const CsvField& field : record.fields) row.fields.emplace_back(field.text);
    out.rows.push_back(std::move(row));
  }
  return out;
}

TEST(CsvReader, ReadsPlainLines) {
  const Outcome out = ReadAll("a,b\n1,\n,\n");
  EXPECT_TRUE(out.status.ok()) << out.status;
  EXPECT_THAT(out.rows, ElementsAre(Row{1, {"a", "b"}}, Row{2, {"1", ""}}, Row{3, {"", ""}}));
}

TEST(CsvReader, EndsOfLinesAndOfTheFile) {
  const std::vector<Row> expected{{1, {"a", "b"}}, {2, {"c", "d"}}};
  EXPECT_EQ(ReadAll("a,b\nc,d\n").rows, expected);
  EXPECT_EQ(ReadAll("a,b\nc,d").rows, expected);
  EXPECT_EQ(ReadAll("a,b\r\nc,d\r\n").rows, expected);
  EXPECT_EQ(ReadAll("a,b\r\nc,d\r").rows, expected);
  EXPECT_EQ(ReadAll("a,b\nc,d\n\n\r\n\n").rows, expected);
  EXPECT_EQ(ReadAll("\"a\",\"b\"\r\n\"c\",\"d\"\r\n").rows, expected);
  EXPECT_EQ(ReadAll("\"a\",\"b\"\n\"c\",\"d\"").rows, expected);
  EXPECT_TRUE(ReadAll("").rows.empty());
  EXPECT_TRUE(ReadAll("\n\r\n\n").rows.empty());
}

TEST(CsvReader, CountsSkippedLines) {
  EXPECT_THAT(ReadAll("\n\na\n\nb\n").rows, ElementsAre(Row{3, {"a"}}, Row{5, {"b"}}));
  EXPECT_THAT(ReadAll("# \"x\n# y\na\n", {}, 3, 2).rows, ElementsAre(Row{3, {"a"}}));
  EXPECT_TRUE(ReadAll("a\nb\n", {}, 1, 9).rows.empty());
}

TEST(CsvReader, Quotes) {
  EXPECT_THAT(ReadAll("\"a,\"\"b\"\"\",\"line\nbreak\",\"\"\nnext,2,3\n").rows,
              ElementsAre(Row{1, {"a,\"b\"", "line\nbreak", ""}}, Row{3, {"next", "2", "3"}}));
  EXPECT_THAT(ReadAll("\"\"\"\"\"\"\n").rows, ElementsAre(Row{1, {"\"\""}}));
  EXPECT_THAT(ReadAll("'a|b'|\"\n", {.delimiter = '|', .quote = '\''}).rows,
              ElementsAre(Row{1, {"a|b", "\""}}));
  EXPECT_THAT(ReadAll("\"a,b\"c\n", {.quote = std::nullopt}).rows,
              ElementsAre(Row{1, {"\"a", "b\"c"}}));
}

TEST(CsvReader, SaysWhichFieldsWereQuoted) {
  CsvReader reader(Pieces("\"\",\n", 100), {});
  CsvRecord record;
  ASSERT_TRUE(*reader.Next(&record));
  ASSERT_EQ(record.fields.size(), 2U);
  EXPECT_TRUE(record.fields[0].quoted);
  EXPECT_FALSE(record.fields[1].quoted);
}

TEST(CsvReader, RefusesBrokenQuoting) {
  const Outcome inside = ReadAll("ok,1\nx,a\"b\n");
  EXPECT_EQ(inside.rows.size(), 1U);
  EXPECT_EQ(Message(inside.status), "line 2, column 2: a quote stands inside an unquoted field");
  EXPECT_EQ(Message(ReadAll("\"a\"b,c\n").status),
            "line 1, column 1: text follows the closing quote");
  EXPECT_EQ(Message(ReadAll("\"a\"\rb\n").status),
            "line 1, column 1: text follows the closing quote");
  EXPECT_EQ(Message(ReadAll("a\n1,\"open\nb\n").status),
            "line 2, column 2: the quote is never closed");
}

TEST(CsvReader, StopsForGoodAfterAnError) {
  CsvReader reader(Pieces("a\"\nb\n", 100), {});
  CsvRecord record;
  EXPECT_FALSE(reader.Next(&record).ok());
  EXPECT_FALSE(reader.Next(&record).ok());
}

TEST(CsvReader, KeepsNulAndOtherBytes) {
  const std::string text("a\0b,\xff\xfe\n", 7);
  EXPECT_THAT(ReadAll(text).rows, ElementsAre(Row{1, {std::string("a\0b", 3), "\xff\xfe"}}));
}

TEST(CsvReader, SkipsAByteOrderMarkAtTheStartOnly) {
  EXPECT_THAT(ReadAll("\xef\xbb\xbf\"a\"\n\xef\xbb\xbf\n", {}, 1).rows,
              ElementsAre(Row{1, {"a"}}, Row{2, {"\xef\xbb\xbf"}}));
  EXPECT_THAT(ReadAll("\xef\xbb").rows, ElementsAre(Row{1, {"\xef\xbb"}}));
}

TEST(CsvReader, BoundsRecords) {
  const CsvOptions options{.max_record_bytes = 100};
  EXPECT_EQ(ReadAll(std::string(99, 'x') + "\n", options).rows.size(), 1U);
  EXPECT_THAT(Message(ReadAll("a\n" + std::string(101, 'x') + "\n", options).status),
              HasSubstr("line 2: the record is longer than 100 bytes"));
  // Nobody ever ends this line: it must not be collected for ever.
  size_t given = 0;
  CsvReader endless(
      [&](std::span<char> out) -> StatusOr<size_t> {
        std::fill(out.begin(), out.end(), 'x');
        given += out.size();
        return out.size();
      },
      {.max_record_bytes = 1 << 20});
  CsvRecord record;
  EXPECT_THAT(Message(endless.Next(&record).status()), HasSubstr("longer than 1048576 bytes"));
  EXPECT_LE(given, size_t{8} << 20);
}

TEST(CsvReader, PassesOnTheSourcesError) {
  CsvReader reader([](std::span<char>) -> StatusOr<size_t> { return DataLoss("cut"); }, {});
  CsvRecord record;
  EXPECT_EQ(reader.Next(&record).status().code(), absl::StatusCode::kDataLoss);
}

TEST(CsvReader, GivesTheSameHoweverTheBytesArrive) {
  const std::string text =
      "\xef\xbb\xbfh1,\"h\"\"2\"\r\n\r\n\"multi\r\nline\",x\r\n,\"\"\n\"\"\"\",\"a\"\"\"\r\nlast,"
      "\"1\"";
  const Outcome whole = ReadAll(text);
  ASSERT_TRUE(whole.status.ok()) << whole.status;
  ASSERT_EQ(whole.rows.size(), 5U);
  for (size_t piece = 1; piece < text.size(); ++piece) {
    const Outcome pieces = ReadAll(text, {}, piece);
    EXPECT_TRUE(pieces.status.ok()) << piece << ": " << pieces.status;
    EXPECT_EQ(pieces.rows, whole.rows) << piece;
  }
}

}  // namespace
}  // namespace proxist::client
