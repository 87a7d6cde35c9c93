// Records become rows exactly: times with clock changes, decimals, nulls, and what is refused.
#include "proxist/client/row_mapper.h"

#include <cmath>
#include <limits>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "proxist/base/time.h"

namespace proxist::client {
namespace {

using column::Type;
using column::TypeKind;
using ::testing::HasSubstr;

constexpr std::string_view kBasics =
    "  symbol: {const: A}\n  ts: {const: 0, unit: ns}\n  seq: {line: true}\n";

column::SchemaPtr TableOf(Type type, bool nullable,
                          column::SeqMode seq = column::SeqMode::kProducer) {
  column::TableSchema schema;
  schema.name = "t";
  schema.columns = {{ColumnId(1), "v", type, nullable}};
  schema.seq = seq;
  return std::make_shared<const column::TableSchema>(std::move(schema));
}

ImportMap MapOf(const std::string& rules, const std::string& options = "") {
  StatusOr<ImportMap> map =
      ParseImportMap("map: t\n" + options + "columns:\n" + rules, "m.yaml", "t");
  EXPECT_TRUE(map.ok()) << map.status();
  return *std::move(map);
}

CsvRecord RecordOf(uint64_t line, std::vector<std::string_view> fields) {
  CsvRecord record{line, {}};
  for (const std::string_view field : fields) record.fields.push_back({field, false});
  return record;
}

// The batch of one record under `rule` for a column v of this type, or the error.
StatusOr<column::Batch> MapOne(const column::SchemaPtr& schema, const std::string& rule,
                               CsvField field) {
  const ImportMap map = MapOf(std::string(kBasics) + "  v: " + rule + "\n");
  PX_ASSIGN_OR_RETURN(const std::unique_ptr<RowMapper> mapper, RowMapper::Create(map, schema, 4));
  CsvRecord record{7, {field}};
  PX_RETURN_IF_ERROR(mapper->Add(record));
  return mapper->Take();
}

template <typename T>
StatusOr<T> ValueOf(Type type, const std::string& rule, std::string_view text) {
  PX_ASSIGN_OR_RETURN(const column::Batch batch, MapOne(TableOf(type, false), rule, {text, false}));
  PX_RETURN_IF_ERROR(column::ValidateBatch(batch));
  return batch.columns[0].At<T>(0);
}

std::string ErrorOf(Type type, const std::string& rule, std::string_view text) {
  const auto batch = MapOne(TableOf(type, false), rule, {text, false});
  EXPECT_EQ(batch.status().code(), absl::StatusCode::kInvalidArgument) << text;
  return std::string(Message(batch.status()));
}

TEST(RowMapper, MapsTheExampleFile) {
  column::TableSchema schema;
  schema.name = "t";
  schema.columns = {{ColumnId(1), "venue", {TypeKind::kSymbol}},
                    {ColumnId(2), "bid", {TypeKind::kDecimal, 4}},
                    {ColumnId(3), "bid_size", {TypeKind::kInt64}},
                    {ColumnId(4), "note", {TypeKind::kString}, true}};
  schema.series = {0};
  const ImportMap map = MapOf(
      "  symbol: {const: AIG}\n"
      "  ts: {column: 1, unit: ms, base: 2013-10-09T00:00:00, timezone: America/New_York}\n"
      "  seq: {line: true}\n  bid: {column: 2, scaled: 4}\n  bid_size: {column: 3}\n"
      "  venue: {column: 4}\n");
  const auto mapper =
      RowMapper::Create(map, std::make_shared<const column::TableSchema>(schema), 3);
  ASSERT_TRUE(mapper.ok()) << mapper.status();
  EXPECT_TRUE((*mapper)->Add(RecordOf(1, {"14400521", "475000", "200", "P"})).ok());
  EXPECT_TRUE((*mapper)->Add(RecordOf(2, {"14400521.5", "0", "0", "Q"})).ok());
  EXPECT_FALSE((*mapper)->full());
  EXPECT_TRUE((*mapper)->Add(RecordOf(3, {"18188580", "-475100", "-1", "P"})).ok());
  EXPECT_TRUE((*mapper)->full());
  const column::Batch batch = (*mapper)->Take();
  ASSERT_TRUE(column::ValidateBatch(batch).ok()) << column::ValidateBatch(batch);
  EXPECT_EQ((*mapper)->rows(), 0U);
  ASSERT_EQ(batch.rows, 3U);
  EXPECT_EQ(batch.symbol.TextAt(2), "AIG");
  EXPECT_EQ(FormatIso8601(Timestamp(batch.ts.At<int64_t>(0))), "2013-10-09T08:00:00.521000000Z");
  EXPECT_EQ(FormatIso8601(Timestamp(batch.ts.At<int64_t>(1))), "2013-10-09T08:00:00.521500000Z");
  EXPECT_EQ(batch.seq.At<uint64_t>(1), 2U);
  EXPECT_TRUE(batch.op.values.empty());
  EXPECT_EQ(batch.columns[0].TextAt(0), "P");
  EXPECT_EQ(batch.columns[0].TextAt(1), "Q");
  EXPECT_EQ(batch.columns[0].TextAt(2), "P");
  EXPECT_EQ(batch.columns[0].dictionary.size(), 2U);
  EXPECT_EQ(batch.columns[1].At<int64_t>(2), -475100);
  EXPECT_EQ(batch.columns[2].At<int64_t>(0), 200);
  for (size_t row = 0; row < 3; ++row) EXPECT_FALSE(batch.columns[3].IsValid(row));
}

TEST(RowMapper, NumbersAreTimesSinceTheBaseInItsZone) {
  const Type type{TypeKind::kTimestamp};
  EXPECT_EQ(ValueOf<int64_t>(type, "{column: 1, unit: ms}", "1.5").value(), 1'500'000);
  EXPECT_EQ(ValueOf<int64_t>(type, "{column: 1, unit: s}", "1381305600.123456789").value(),
            1'381'305'600'123'456'789);
  EXPECT_EQ(ValueOf<int64_t>(type, "{column: 1, unit: ns}", "-1").value(), -1);
  EXPECT_EQ(ErrorOf(type, "{column: 1, unit: us}", "1.0001"),
            "line 7, column 1 (v): '1.0001' is finer than a nanosecond");
  EXPECT_EQ(ErrorOf(type, "{column: 1, unit: s}", "9223372037"),
            "line 7, column 1 (v): '9223372037' is beyond 64-bit nanoseconds");
  EXPECT_THAT(ErrorOf(type, "{column: 1, unit: s, base: 2013-10-09T00:00:00}", "9223372036"),
              HasSubstr("beyond 64-bit nanoseconds"));
  EXPECT_THAT(ErrorOf(type, "{column: 1, unit: s}", "noon"), HasSubstr("not a number of time"));
}

TEST(RowMapper, IsoTimesFollowTheClockOfTheirZone) {
  const Type type{TypeKind::kTimestamp};
  const std::string rule = "{column: 1, format: iso, timezone: America/New_York}";
  const auto iso = [&](std::string_view text) {
    const StatusOr<int64_t> ns = ValueOf<int64_t>(type, rule, text);
    return ns.ok() ? FormatIso8601(Timestamp(*ns)) : std::string(Message(ns.status()));
  };
  EXPECT_EQ(iso("2013-11-03T00:59:59.999999999"), "2013-11-03T04:59:59.999999999Z");
  EXPECT_EQ(iso("2013-11-03T01:30:00"), "2013-11-03T05:30:00.000000000Z");  // the first of two
  EXPECT_EQ(iso("2013-11-03T02:00:00"), "2013-11-03T07:00:00.000000000Z");
  EXPECT_EQ(iso("2013-03-10T01:59:59.5"), "2013-03-10T06:59:59.500000000Z");
  EXPECT_EQ(iso("2013-03-10T03:00:00"), "2013-03-10T07:00:00.000000000Z");
  EXPECT_EQ(iso("2013-03-10 03:00:00.000000001"), "2013-03-10T07:00:00.000000001Z");
  EXPECT_EQ(iso("2013-03-10T03:00:00.25+02:00"), "2013-03-10T01:00:00.250000000Z");
  EXPECT_EQ(iso("2013-03-10T03:00:00Z"), "2013-03-10T03:00:00.000000000Z");
  EXPECT_EQ(iso("2013-03-10"), "2013-03-10T05:00:00.000000000Z");
  EXPECT_EQ(iso("1969-12-31T18:59:59.999999999"), "1969-12-31T23:59:59.999999999Z");
  EXPECT_THAT(iso("2013-03-10T03:00:00.0000000001"), HasSubstr("finer than a nanosecond"));
  EXPECT_EQ(iso("2013-03-10T03:00:00.5000000000"), "2013-03-10T07:00:00.500000000Z");
  for (const std::string_view bad :
       {"now", "1", "2013-02-29T00:00:00", "2013-03-10T03:00:00.", "2013-03-10T03:00:00.5x",
        "10/09/2013", "2013-03-10T25:00:00"}) {
    EXPECT_THAT(iso(bad), HasSubstr("is not an ISO-8601 time")) << bad;
  }
}

TEST(RowMapper, RowTimesStayInTheirBounds) {
  const column::SchemaPtr schema = TableOf({TypeKind::kInt8}, true);
  const ImportMap map =
      MapOf("  symbol: {const: A}\n  ts: {column: 1, unit: ns}\n  seq: {line: true}\n");
  const auto add = [&](std::string_view text) {
    return (*RowMapper::Create(map, schema, 4))->Add(RecordOf(1, {text}));
  };
  EXPECT_TRUE(add("0").ok());
  EXPECT_TRUE(add(std::to_string(kMaxRowTimestamp.ns())).ok());
  EXPECT_FALSE(add(std::to_string(kMaxRowTimestamp.ns() + 1)).ok());
  EXPECT_EQ(Message(add("-1")),
            "line 1, column 1 (ts): '-1' is outside 1970-01-01..2148-12-31 UTC");
}

TEST(RowMapper, DecimalsAreExact) {
  const Type type{TypeKind::kDecimal, 4};
  EXPECT_EQ(ValueOf<int64_t>(type, "{column: 1}", "47.5").value(), 475000);
  EXPECT_EQ(ValueOf<int64_t>(type, "{column: 1}", "-47.5000000").value(), -475000);
  EXPECT_EQ(ValueOf<int64_t>(type, "{column: 1, scaled: 4}", "475000").value(), 475000);
  EXPECT_EQ(ValueOf<int64_t>(type, "{column: 1, scaled: 0}", "47").value(), 470000);
  EXPECT_EQ(ValueOf<int64_t>(type, "{column: 1, scaled: 9}", "47500000000").value(), 475000);
  EXPECT_EQ(ErrorOf(type, "{column: 1, scaled: 9}", "47500000001"),
            "line 7, column 1 (v): '47500000001' has more digits after the point than decimal(4) "
            "holds");
  EXPECT_THAT(ErrorOf(type, "{column: 1}", "0.00001"), HasSubstr("more digits"));
  EXPECT_THAT(ErrorOf(type, "{column: 1, scaled: 4}", "47.5"),
              HasSubstr("'47.5' is not an integer (scaled: 4)"));
  EXPECT_THAT(ErrorOf(type, "{column: 1}", "4x"), HasSubstr("'4x' is not a decimal number"));
  EXPECT_EQ(ValueOf<int64_t>(type, "{column: 1}", "99999999999999.9999").value(),
            column::kDecimalLimit - 1);
  EXPECT_THAT(ErrorOf(type, "{column: 1}", "100000000000000"), HasSubstr("too large"));
  EXPECT_THAT(ErrorOf(type, "{column: 1, scaled: 4}", "-1000000000000000000"),
              HasSubstr("too large"));
}

TEST(RowMapper, NumbersFitTheirTypes) {
  EXPECT_EQ(ValueOf<int8_t>({TypeKind::kInt8}, "{column: 1}", "-128").value(), -128);
  EXPECT_THAT(ErrorOf({TypeKind::kInt8}, "{column: 1}", "128"),
              HasSubstr("'128' is not an integer that fits int8"));
  EXPECT_EQ(ValueOf<uint64_t>({TypeKind::kUint64}, "{column: 1}", "18446744073709551615").value(),
            std::numeric_limits<uint64_t>::max());
  EXPECT_THAT(ErrorOf({TypeKind::kUint16}, "{column: 1}", "-1"), HasSubstr("uint16"));
  EXPECT_THAT(ErrorOf({TypeKind::kInt32}, "{column: 1}", "1.0"), HasSubstr("int32"));
  EXPECT_THAT(ErrorOf({TypeKind::kInt32}, "{column: 1}", " 1"), HasSubstr("int32"));
  EXPECT_EQ(ValueOf<int32_t>({TypeKind::kInt32}, "{column: 1}", "+1").value(), 1);
  EXPECT_THAT(ErrorOf({TypeKind::kInt32}, "{column: 1}", "+-1"), HasSubstr("int32"));
  EXPECT_EQ(ValueOf<double>({TypeKind::kFloat64}, "{column: 1}", "0.1").value(), 0.1);
  EXPECT_EQ(ValueOf<double>({TypeKind::kFloat64}, "{column: 1}", "5e-324").value(), 5e-324);
  EXPECT_TRUE(std::isnan(ValueOf<double>({TypeKind::kFloat64}, "{column: 1}", "nan").value()));
  EXPECT_EQ(ValueOf<float>({TypeKind::kFloat32}, "{column: 1}", "-inf").value(),
            -std::numeric_limits<float>::infinity());
  EXPECT_EQ(ValueOf<float>({TypeKind::kFloat32}, "{column: 1}", "16777217").value(), 16777216.0F);
  EXPECT_THAT(ErrorOf({TypeKind::kFloat64}, "{column: 1}", "1e999"), HasSubstr("float64"));
  EXPECT_EQ(ValueOf<uint8_t>({TypeKind::kBool}, "{column: 1}", "true").value(), 1);
  EXPECT_THAT(ErrorOf({TypeKind::kBool}, "{column: 1}", "yes"), HasSubstr("not a bool"));
}

TEST(RowMapper, EmptyCellsAreNullWhereTheColumnIsNullable) {
  const auto map_one = [](Type type, bool nullable, CsvField field, const std::string& rule) {
    return MapOne(TableOf(type, nullable), rule, field);
  };
  const std::string plain = "{column: 1}";
  EXPECT_FALSE(map_one({TypeKind::kInt64}, true, {"", false}, plain)->columns[0].IsValid(0));
  EXPECT_EQ(Message(map_one({TypeKind::kInt64}, false, {"", false}, plain).status()),
            "line 7, column 1 (v): it is empty, expected int64 (the column is not nullable)");
  EXPECT_FALSE(map_one({TypeKind::kString}, true, {"", false}, plain)->columns[0].IsValid(0));
  EXPECT_EQ(map_one({TypeKind::kString}, true, {"", true}, plain)->columns[0].TextAt(0), "");
  EXPECT_EQ(map_one({TypeKind::kString}, false, {"", false}, plain)->columns[0].TextAt(0), "");
  EXPECT_FALSE(map_one({TypeKind::kSymbol}, false, {"", false}, plain).ok());
  EXPECT_EQ(map_one({TypeKind::kSymbol}, false, {"", true}, plain)->columns[0].TextAt(0), "");
  const std::string tokens = "{column: 1, null: [NA, '-']}";
  EXPECT_FALSE(map_one({TypeKind::kInt64}, true, {"NA", false}, tokens)->columns[0].IsValid(0));
  EXPECT_FALSE(map_one({TypeKind::kInt64}, true, {"-", true}, tokens)->columns[0].IsValid(0));
  EXPECT_FALSE(map_one({TypeKind::kInt64}, true, {"N", false}, tokens).ok());
}

TEST(RowMapper, NullsAndValuesMix) {
  const column::SchemaPtr schema = TableOf({TypeKind::kString}, true);
  const ImportMap map = MapOf(std::string(kBasics) + "  v: {column: 1}\n");
  const auto mapper = RowMapper::Create(map, schema, 20);
  ASSERT_TRUE(mapper.ok());
  const std::vector<std::string> texts{"a", "", "bc", "", "", "d", "e", "f", "g", "", "h"};
  for (size_t i = 0; i < texts.size(); ++i) {
    ASSERT_TRUE((*mapper)->Add(RecordOf(i + 1, {texts[i]})).ok());
  }
  const column::Batch batch = (*mapper)->Take();
  ASSERT_TRUE(column::ValidateBatch(batch).ok()) << column::ValidateBatch(batch);
  for (size_t i = 0; i < texts.size(); ++i) {
    EXPECT_EQ(batch.columns[0].IsValid(i), !texts[i].empty()) << i;
    if (texts[i].empty()) continue;
    EXPECT_EQ(batch.columns[0].TextAt(i), texts[i]);
  }
}

TEST(RowMapper, Ops) {
  const column::SchemaPtr schema = TableOf({TypeKind::kInt64}, true);
  const ImportMap map = MapOf(std::string(kBasics) + "  op: {column: 1}\n");
  const auto mapper = RowMapper::Create(map, schema, 4);
  ASSERT_TRUE(mapper.ok()) << mapper.status();
  uint64_t line = 0;
  for (const std::string_view op : {"put", "cancel", "0", "1"}) {
    EXPECT_TRUE((*mapper)->Add(RecordOf(++line, {op})).ok());
  }
  const column::Batch batch = (*mapper)->Take();
  EXPECT_EQ(batch.OpAt(0), column::Op::kPut);
  EXPECT_EQ(batch.OpAt(1), column::Op::kCancel);
  EXPECT_EQ(batch.OpAt(2), column::Op::kPut);
  EXPECT_EQ(batch.OpAt(3), column::Op::kCancel);
  EXPECT_EQ(Message((*mapper)->Add(RecordOf(9, {"delete"}))),
            "line 9, column 1 (op): 'delete' is not put, cancel, 0 or 1");
}

TEST(RowMapper, RefusesMapsThatDoNotFitTheTable) {
  const auto error = [](Type type, const std::string& rules) {
    return std::string(Message(RowMapper::Create(MapOf(rules), TableOf(type, false), 4).status()));
  };
  const std::string basics(kBasics);
  EXPECT_EQ(error({TypeKind::kInt64}, basics),
            "m.yaml line 1: the map lacks column v, which every row needs");
  EXPECT_EQ(error({TypeKind::kInt64}, basics + "  w: {column: 1}\n"),
            "m.yaml line 6: table t has no column 'w', only: symbol, ts, seq, op, v");
  EXPECT_THAT(error({TypeKind::kInt64}, "  symbol: {column: 1}\n  v: {column: 1}\n"),
              HasSubstr("lacks column ts"));
  EXPECT_THAT(error({TypeKind::kInt64}, basics + "  v: {column: 1, scaled: 4}\n"),
              HasSubstr("m.yaml line 6: column v: scaled is for decimals, this column is int64"));
  EXPECT_THAT(error({TypeKind::kInt64}, basics + "  v: {column: 1, unit: s}\n"),
              HasSubstr("unit and format are for timestamps"));
  EXPECT_THAT(error({TypeKind::kTimestamp}, basics + "  v: {column: 1}\n"),
              HasSubstr("a timestamp needs unit (ns, us, ms or s) or format: iso"));
  EXPECT_THAT(error({TypeKind::kInt64}, basics + "  v: {column: 1, null: NA}\n"),
              HasSubstr("null is for nullable columns"));
  EXPECT_THAT(error({TypeKind::kInt32}, basics + "  v: {line: true}\n"),
              HasSubstr("line is for seq and for 64-bit integers"));
  EXPECT_THAT(error({TypeKind::kInt32}, basics + "  v: {const: many}\n"),
              HasSubstr("m.yaml line 6: column v: 'many' is not an integer that fits int32"));
  EXPECT_THAT(
      std::string(Message(
          RowMapper::Create(MapOf(basics),
                            TableOf({TypeKind::kInt64}, true, column::SeqMode::kAssigned), 4)
              .status())),
      HasSubstr("table t assigns seq"));
}

TEST(RowMapper, FindsColumnsByTheirNames) {
  const column::SchemaPtr schema = TableOf({TypeKind::kInt64}, false);
  const ImportMap map = MapOf(
      "  symbol: {column: sym}\n  ts: {column: 1, unit: ns}\n  seq: {line: true}\n"
      "  v: {column: value}\n",
      "header: true\n");
  const auto mapper = RowMapper::Create(map, schema, 4);
  ASSERT_TRUE(mapper.ok()) << mapper.status();
  ASSERT_TRUE((*mapper)->BindHeader(RecordOf(1, {"t", "value", "sym"})).ok());
  ASSERT_TRUE((*mapper)->Add(RecordOf(2, {"5", "7", "X"})).ok());
  const column::Batch batch = (*mapper)->Take();
  EXPECT_EQ(batch.symbol.TextAt(0), "X");
  EXPECT_EQ(batch.columns[0].At<int64_t>(0), 7);

  const auto header_error = [&](std::vector<std::string_view> names) {
    return std::string(
        Message((*RowMapper::Create(map, schema, 4))->BindHeader(RecordOf(1, std::move(names)))));
  };
  EXPECT_EQ(header_error({"t", "sym"}),
            "m.yaml line 7: the header in line 1 has no column 'value', only: t, sym");
  EXPECT_THAT(header_error({"sym", "value", "sym"}), HasSubstr("has column 'sym' twice"));
}

TEST(RowMapper, EveryLineHasAsManyColumns) {
  const column::SchemaPtr schema = TableOf({TypeKind::kInt64}, false);
  const ImportMap map = MapOf(std::string(kBasics) + "  v: {column: 2}\n");
  const auto mapper = RowMapper::Create(map, schema, 4);
  ASSERT_TRUE((*mapper)->Add(RecordOf(1, {"5", "7", "X"})).ok());
  EXPECT_EQ(Message((*mapper)->Add(RecordOf(2, {"5", "7"}))),
            "line 2: it has 2 columns, line 1 has 3");
  EXPECT_EQ(Message((*RowMapper::Create(map, schema, 4))->Add(RecordOf(1, {"5"}))),
            "line 1, column 2 (v): the line has only 1 columns");
}

TEST(RowMapper, EmptySymbolsAreRefused) {
  const column::SchemaPtr schema = TableOf({TypeKind::kInt64}, true);
  const ImportMap map =
      MapOf("  symbol: {column: 1}\n  ts: {const: 0, unit: ns}\n  seq: {line: true}\n");
  EXPECT_FALSE((*RowMapper::Create(map, schema, 4))->Add({1, {{"", false}}}).ok());
  EXPECT_FALSE((*RowMapper::Create(map, schema, 4))->Add({1, {{"", true}}}).ok());
}

TEST(RowMapper, LongTextsCloseAChunkEarly) {
  const column::SchemaPtr schema = TableOf({TypeKind::kString}, false);
  const ImportMap map = MapOf(std::string(kBasics) + "  v: {column: 1}\n");
  const auto mapper = RowMapper::Create(map, schema, 1000);
  const std::string text(size_t{1} << 20, 'x');
  uint64_t rows = 0;
  while (!(*mapper)->full()) ASSERT_TRUE((*mapper)->Add(RecordOf(++rows, {text})).ok());
  EXPECT_EQ(rows, 16U);
  EXPECT_EQ((*mapper)->Take().rows, 16U);
  EXPECT_FALSE((*mapper)->full());
}

}  // namespace
}  // namespace proxist::client
