// Map files: what they say, and what is wrong with them.
#include "proxist/client/import_map.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace proxist::client {
namespace {

using ::testing::HasSubstr;

constexpr std::string_view kQuotes = R"(map: quotes
columns:
  symbol: {const: AIG}
  ts: {column: 1, unit: ms, base: 2013-10-09T00:00:00, timezone: America/New_York}
  seq: {line: true}
  bid: {column: 2, scaled: 4}          # the integer 475000 is 47.5000
  bid_size: {column: 3}
  venue: {column: 6, null: [NA, "-"]}
)";

Status ErrorOf(std::string_view yaml, std::string_view table = "t") {
  return ParseImportMap(yaml, "m.yaml", table).status();
}

const CellRule& RuleOf(const ImportMap& map, std::string_view column) {
  for (const NamedRule& rule : map.columns) {
    if (rule.column == column) return rule.rule;
  }
  ADD_FAILURE() << "no rule for " << column;
  return map.columns[0].rule;
}

TEST(ImportMap, ReadsTheExample) {
  const StatusOr<ImportMap> map = ParseImportMap(kQuotes, "m.yaml", "quotes");
  ASSERT_TRUE(map.ok()) << map.status();
  EXPECT_EQ(map->table, "quotes");
  EXPECT_FALSE(map->header);
  EXPECT_EQ(map->csv.delimiter, ',');
  EXPECT_EQ(map->csv.quote, '"');
  EXPECT_EQ(map->columns.size(), 6U);
  EXPECT_EQ(RuleOf(*map, "symbol").source, CellRule::Source::kConst);
  EXPECT_EQ(RuleOf(*map, "symbol").text, "AIG");
  const CellRule& ts = RuleOf(*map, "ts");
  EXPECT_EQ(ts.position, 1U);
  EXPECT_EQ(ts.unit_digits, 3U);
  EXPECT_EQ(FormatIso8601(ts.base), "2013-10-09T04:00:00.000000000Z");
  EXPECT_EQ(RuleOf(*map, "seq").source, CellRule::Source::kLine);
  EXPECT_EQ(RuleOf(*map, "bid").scaled, 4U);
  EXPECT_EQ(RuleOf(*map, "bid").map_line, 6);
  EXPECT_THAT(RuleOf(*map, "venue").null_tokens, ::testing::ElementsAre("NA", "-"));
}

TEST(ImportMap, ReadsFileOptionsAndNames) {
  const StatusOr<ImportMap> map = ParseImportMap(
      "map: t\ndelimiter: tab\nquote: ''\nheader: true\nskip_lines: 2\nop: {column: action}\n"
      "columns:\n  ts: {column: time, format: iso, timezone: Europe/Berlin}\n",
      "m.yaml", "t");
  ASSERT_TRUE(map.ok()) << map.status();
  EXPECT_EQ(map->csv.delimiter, '\t');
  EXPECT_EQ(map->csv.quote, std::nullopt);
  EXPECT_TRUE(map->header);
  EXPECT_EQ(map->skip_lines, 2U);
  EXPECT_EQ(RuleOf(*map, "op").text, "action");
  EXPECT_EQ(RuleOf(*map, "ts").text, "time");
  EXPECT_EQ(RuleOf(*map, "ts").timezone, "Europe/Berlin");
}

TEST(ImportMap, PicksTheTablesMapAndPassesOverTables) {
  const std::string both =
      "kind: Table\nname: a\n---\nmap: a\ncolumns: {seq: {line: true}}\n---\n" +
      std::string(kQuotes);
  const StatusOr<ImportMap> a = ParseImportMap(both, "m.yaml", "a");
  ASSERT_TRUE(a.ok()) << a.status();
  EXPECT_EQ(a->columns.size(), 1U);
  EXPECT_TRUE(ParseImportMap(both, "m.yaml", "quotes").ok());
  EXPECT_EQ(Message(ErrorOf(both, "c")), "m.yaml holds no map for table c, only for: a, quotes");
  EXPECT_EQ(Message(ErrorOf("", "c")), "m.yaml holds no map ('map: c')");
  EXPECT_THAT(Message(ErrorOf("map: t\ncolumns: {}\n---\nmap: t\ncolumns: {}\n")),
              HasSubstr("m.yaml line 4: a second map for table t"));
}

TEST(ImportMap, BaseMayCarryItsOffset) {
  const auto base = [](const std::string& rule) -> StatusOr<Timestamp> {
    PX_ASSIGN_OR_RETURN(ImportMap map,
                        ParseImportMap("map: t\ncolumns:\n  ts: " + rule, "m.yaml", "t"));
    return map.columns[0].rule.base;
  };
  EXPECT_EQ(base("{column: 1, unit: s}")->ns(), 0);
  EXPECT_EQ(base("{column: 1, unit: s, base: '1970-01-01T00:00:01'}")->ns(), 1'000'000'000);
  EXPECT_EQ(base("{column: 1, unit: s, base: '1970-01-01T02:00:00+02:00'}")->ns(), 0);
  EXPECT_EQ(
      base("{column: 1, unit: s, base: '1970-01-01T01:00:00', timezone: Europe/Berlin}")->ns(), 0);
  EXPECT_THAT(
      Message(base("{column: 1, unit: s, base: '1970-01-01T00:00:00Z', timezone: UTC}").status()),
      HasSubstr("base has an offset"));
}

struct BadMap {
  std::string yaml;
  std::string message;
};

TEST(ImportMap, SaysWhatIsWrongAndWhere) {
  const std::vector<BadMap> cases{
      {"map: t\ncolumns:\n  a: {colum: 1}\n", "m.yaml line 3: unknown key 'colum' in column a"},
      {"map: t\ncolumns:\n  a: {column: 1, const: x}\n", "m.yaml line 3: expected exactly one of"},
      {"map: t\ncolumns:\n  a: {}\n", "m.yaml line 3: expected exactly one of"},
      {"map: t\ncolumns:\n  a: {column: 0}\n",
       "m.yaml line 3: column is '0', expected an integer from 1 to 65536"},
      {"map: t\ncolumns:\n  a: {column: bid}\n",
       "m.yaml line 3: column 'bid' is a name, which needs 'header: true'"},
      {"map: t\ncolumns:\n  a: {column: 1}\n  a: {column: 2}\n",
       "m.yaml line 4: column 'a' stands twice"},
      {"map: t\ncolumns:\n  a: {column: 1, unit: min}\n",
       "m.yaml line 3: unit is 'min', expected ns, us, ms or s"},
      {"map: t\ncolumns:\n  a:\n    column: 1\n    unit: s\n    base: noon\n",
       "m.yaml line 6: base is 'noon', expected a time as 2013-10-09T00:00:00"},
      {"map: t\ncolumns:\n  a: {column: 1, base: 2013-10-09T00:00:00}\n",
       "m.yaml line 3: base needs unit"},
      {"map: t\ncolumns:\n  a: {column: 1, unit: s, timezone: Europe/Berlin}\n",
       "m.yaml line 3: timezone needs base or format: iso"},
      {"map: t\ncolumns:\n  a: {column: 1, format: iso, timezone: Mars/Olympus}\n",
       "m.yaml line 3: time zone 'Mars/Olympus'"},
      {"map: t\ncolumns:\n  a: {column: 1, format: us}\n",
       "m.yaml line 3: format is 'us', expected iso"},
      {"map: t\ncolumns:\n  a: {column: 1, format: iso, unit: s}\n",
       "m.yaml line 3: format: iso excludes unit and base"},
      {"map: t\ncolumns:\n  a: {column: 1, scaled: 19}\n",
       "m.yaml line 3: scaled is '19', expected an integer from 0 to 18"},
      {"map: t\ncolumns:\n  a: {line: false}\n", "m.yaml line 3: line can only be true"},
      {"map: t\nheader: yes\ncolumns: {}\n",
       "m.yaml line 2: header is 'yes', expected true or false"},
      {"map: t\ndelimiter: ab\ncolumns: {}\n", "m.yaml line 2: delimiter must be one byte, or tab"},
      {"map: t\ndelimiter: '\"'\ncolumns: {}\n", "quote and delimiter are the same"},
      {"map: t\nrows: 3\ncolumns: {}\n", "m.yaml line 2: unknown key 'rows' in a map"},
      {"map: t\n", "m.yaml line 1: the map lacks 'columns'"},
      {"map: t\ncolumns: [1]\n", "m.yaml line 2: columns must be a mapping"},
      {"map: t\nop: {column: 1}\ncolumns: {op: {column: 2}}\n",
       "m.yaml line 2: op stands here and among the columns"},
      {"map: t\ncolumns: {a: {column: 1}\n", "m.yaml line "},
      {"just text\n", "m.yaml line 1: a document must have 'map: TABLE'"},
  };
  for (const BadMap& bad : cases) {
    const Status status = ErrorOf(bad.yaml);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << bad.yaml;
    EXPECT_THAT(std::string(Message(status)), HasSubstr(bad.message)) << bad.yaml;
  }
}

TEST(ImportMap, CanonicalTextDependsOnMeaningOnly) {
  const auto canonical = [](std::string_view yaml) {
    return CanonicalText(*ParseImportMap(yaml, "x", "t"));
  };
  const std::string text =
      canonical("map: t\ncolumns:\n  seq: {line: true}\n  a: {column: 2, null: [x, y]}\n");
  EXPECT_EQ(text, canonical("# why\ncolumns: {a: {null: [y, x], column: 2}, seq: {line: true}}\n"
                            "header: false\ndelimiter: ','\nmap: t\n"));
  EXPECT_NE(text,
            canonical("map: t\ncolumns:\n  seq: {line: true}\n  a: {column: 3, null: [x, y]}\n"));
  EXPECT_NE(text,
            canonical("map: t\ncolumns:\n  seq: {line: true}\n  a: {column: 2, null: [xy]}\n"));
  EXPECT_NE(text, canonical("map: t\nskip_lines: 1\ncolumns:\n  seq: {line: true}\n"
                            "  a: {column: 2, null: [x, y]}\n"));
}

}  // namespace
}  // namespace proxist::client
