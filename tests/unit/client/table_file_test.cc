// tables.yaml: what it says, what is wrong with it, and that it round-trips.
#include "proxist/client/table_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace proxist::client {
namespace {

using ::testing::HasSubstr;

constexpr std::string_view kQuotes = R"(kind: Table
name: quotes
series: [venue]
columns:
  - {name: venue, type: symbol}
  - {name: bid, type: decimal(4)}
  - {name: bid_size, type: int64}
  - {name: note, type: string, nullable: true}
seq: producer
hot: {retain: 24h}
)";

TEST(TableFile, ReadsTheExample) {
  const auto tables = ParseTables(kQuotes, "t.yaml", "desk");
  ASSERT_TRUE(tables.ok()) << tables.status();
  ASSERT_EQ(tables->size(), 1U);
  const column::TableSchema& quotes = tables->front();
  EXPECT_EQ(quotes.name, "quotes");
  EXPECT_EQ(quotes.tenant, "desk");
  ASSERT_EQ(quotes.columns.size(), 4U);
  EXPECT_EQ(quotes.columns[1].type, (column::Type{column::TypeKind::kDecimal, 4}));
  EXPECT_FALSE(quotes.columns[1].nullable);
  EXPECT_TRUE(quotes.columns[3].nullable);
  EXPECT_THAT(quotes.series, ::testing::ElementsAre(0));
  EXPECT_EQ(quotes.seq, column::SeqMode::kProducer);
  EXPECT_EQ(quotes.hot_retain, Duration::Hours(24));
}

TEST(TableFile, ReadsManyDocumentsAndPassesOverMaps) {
  const auto tables =
      ParseTables(std::string(kQuotes) +
                      "---\nmap: quotes\ncolumns: {}\n---\n---\nkind: Table\nname: "
                      "trades\ncolumns:\n  - {name: price, type: float64}\nseq: "
                      "assigned\nhot: {retain: 1h30m, memory: 2GiB}\ndurability: process\n",
                  "t.yaml", "default");
  ASSERT_TRUE(tables.ok()) << tables.status();
  ASSERT_EQ(tables->size(), 2U);
  EXPECT_EQ((*tables)[1].name, "trades");
  EXPECT_EQ((*tables)[1].seq, column::SeqMode::kAssigned);
  EXPECT_EQ((*tables)[0].durability, column::Durability::kSync);
  EXPECT_EQ((*tables)[1].durability, column::Durability::kProcess);
  EXPECT_EQ((*tables)[1].hot_retain.ns(), Duration::Seconds(5400).ns());
  EXPECT_EQ((*tables)[0].hot_memory_bytes, 0U);
  EXPECT_EQ((*tables)[1].hot_memory_bytes, uint64_t{2} << 30);
}

TEST(TableFile, AMemoryLimitHasAUnit) {
  const std::string table = "kind: Table\nname: t\ncolumns:\n  - {name: p, type: int64}\n";
  for (const char* memory : {"1MiB", "1536MiB", "3GiB", "2TiB"}) {
    const std::string yaml = fmt::format("{}hot: {{memory: {}}}\n", table, memory);
    const auto tables = ParseTables(yaml, "t.yaml", "desk");
    ASSERT_TRUE(tables.ok()) << tables.status();
    EXPECT_THAT(FormatTable(tables->front()), ::testing::HasSubstr(memory));
  }
  for (const char* memory : {"1", "0MiB", "1GB", "-1GiB", "1.5GiB", "x", "GiB", "99999999MiB"}) {
    const std::string yaml = fmt::format("{}hot: {{memory: {}}}\n", table, memory);
    EXPECT_FALSE(ParseTables(yaml, "t.yaml", "desk").ok()) << memory;
  }
}

TEST(TableFile, FormatReadsBack) {
  for (const char* durability : {"sync", "process"}) {
    const auto tables =
        ParseTables(fmt::format("{}durability: {}\n", kQuotes, durability), "t.yaml", "desk");
    const std::string text = FormatTable(tables->front());
    const auto again = ParseTables(text, "t.yaml", "other");
    ASSERT_TRUE(again.ok()) << again.status() << "\n" << text;
    EXPECT_EQ(again->front(), tables->front());
  }
}

struct BadTable {
  std::string yaml;
  std::string message;
};

TEST(TableFile, SaysWhatIsWrongAndWhere) {
  const std::string head = "kind: Table\nname: t\n";
  const std::vector<BadTable> cases{
      {"", "t.yaml declares no table"},
      {"map: t\n", "t.yaml declares no table"},
      {"name: t\n", "t.yaml line 1: a document must have 'kind: Table'"},
      {"[1, 2]\n", "t.yaml line 1: a document must have 'kind: Table'"},
      {"kind: View\nname: t\n", "t.yaml line 1: kind is 'View', expected Table"},
      {"kind: Table\ncolumns: []\n", "t.yaml line 1: the table lacks 'name'"},
      {head, "t.yaml line 1: the table lacks 'columns'"},
      {head + "colums: []\n", "t.yaml line 3: unknown key 'colums' in a table, expected one of:"},
      {head + "columns:\n  - {name: a, typ: int64}\n",
       "t.yaml line 4: unknown key 'typ' in a column, expected one of: name, type, nullable"},
      {head + "columns:\n  - {name: a}\n", "t.yaml line 4: the column lacks 'type'"},
      {head + "columns:\n  - {name: a, type: int65}\n", "t.yaml line 4: "},
      {head + "columns:\n  - {name: a, type: decimal(19)}\n", "t.yaml line 4: "},
      {head + "columns:\n  - {name: a, type: int64, nullable: maybe}\n",
       "t.yaml line 4: nullable is 'maybe', expected true or false"},
      {head + "columns: {a: int64}\n", "t.yaml line 3: columns must be a list"},
      {head + "series: [b]\ncolumns:\n  - {name: a, type: symbol}\n",
       "t.yaml line 3: series column 'b' is not declared"},
      {head + "series: [a]\ncolumns:\n  - {name: a, type: int64}\n", "t.yaml line 1: "},
      {head + "columns:\n  - {name: a, type: int64}\nseq: line\n",
       "t.yaml line 5: seq is 'line', expected producer or assigned"},
      {head + "columns:\n  - {name: a, type: int64}\ndurability: maybe\n",
       "t.yaml line 5: durability is 'maybe', expected sync or process"},
      {head + "columns:\n  - {name: a, type: int64}\nhot: {retain: long}\n", "t.yaml line 5: "},
      {head + "columns:\n  - {name: a, type: int64}\nname: u\n",
       "t.yaml line 5: 'name' stands twice in a table"},
      {head + "columns:\n  - {name: a, type: int64\n", "t.yaml line "},
      {std::string(kQuotes) + "---\n" + std::string(kQuotes), "table quotes is declared twice"},
  };
  for (const BadTable& bad : cases) {
    const Status status = ParseTables(bad.yaml, "t.yaml", "default").status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << bad.yaml;
    EXPECT_THAT(std::string(Message(status)), HasSubstr(bad.message)) << bad.yaml;
  }
}

TEST(TableFile, ADirectiveIsAnErrorAndNoEndlessLoop) {
  for (const std::string text : {"%YAML 1.2\n", "kind: Table\n% name: t\nseq: producer\n"}) {
    const auto tables = ParseTables(text, "t.yaml", "desk");
    EXPECT_THAT(tables.status().ToString(), HasSubstr("a YAML directive ('%')"));
  }
}

TEST(TableFile, DeepNestingIsAnErrorAndNoCrash) {
  const auto tables = ParseTables(std::string(100'000, '['), "t.yaml", "default");
  EXPECT_EQ(tables.status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(TableFile, MissingFile) {
  EXPECT_EQ(ReadTables("/nonexistent/t.yaml", "default").status().code(),
            absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace proxist::client
