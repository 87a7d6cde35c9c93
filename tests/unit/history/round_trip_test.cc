// Every type, at its extremes, comes back from a real ClickHouse to the bit.
#include <bit>
#include <cmath>
#include <limits>
#include <map>
#include <optional>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/history/shared_server.h"

namespace proxist::history {
namespace {

using column::ColumnDef;
using column::Type;
using column::TypeKind;

constexpr TypeKind kAllKinds[] = {TypeKind::kBool,      TypeKind::kInt8,    TypeKind::kInt16,
                                  TypeKind::kInt32,     TypeKind::kInt64,   TypeKind::kUint8,
                                  TypeKind::kUint16,    TypeKind::kUint32,  TypeKind::kUint64,
                                  TypeKind::kFloat32,   TypeKind::kFloat64, TypeKind::kDecimal,
                                  TypeKind::kTimestamp, TypeKind::kString,  TypeKind::kSymbol};

/// Values of one kind as bit patterns; texts stand in `texts` by index.
std::vector<uint64_t> Patterns(TypeKind kind) {
  switch (kind) {
    case TypeKind::kBool:
      return {0, 1};
    case TypeKind::kInt8:
    case TypeKind::kUint8:
      return {0, 1, 0x7f, 0x80, 0xff};
    case TypeKind::kInt16:
    case TypeKind::kUint16:
      return {0, 1, 0x7fff, 0x8000, 0xffff};
    case TypeKind::kInt32:
    case TypeKind::kUint32:
      return {0, 1, 0x7fffffff, 0x80000000, 0xffffffff};
    case TypeKind::kFloat32:  // zeros, subnormals, infinities, NaNs with payload, extremes
      return {0,          0x80000000, 1,          0x007fffff, 0x7f800000,
              0xff800000, 0x7fc00001, 0xffc12345, 0x7f7fffff, 0x3f800000};
    case TypeKind::kFloat64:
      return {0,
              0x8000000000000000,
              1,
              0x000fffffffffffff,
              0x7ff0000000000000,
              0xfff0000000000000,
              0x7ff8000000000001,
              0xfff8deadbeef1234,
              0x7ff0000000000001,
              0x7fefffffffffffff,
              0x3ff0000000000000};
    case TypeKind::kDecimal:
      return {0, 1, static_cast<uint64_t>(column::kDecimalLimit - 1),
              static_cast<uint64_t>(-(column::kDecimalLimit - 1)), static_cast<uint64_t>(-1)};
    case TypeKind::kTimestamp:
      return {0, 1, static_cast<uint64_t>(kMaxRowTimestamp.ns()), 1'381'327'200'123'456'789};
    case TypeKind::kString:
    case TypeKind::kSymbol:
      return {0, 1, 2, 3, 4, 5, 6};
    default:
      return {0, 1, 0x7fffffffffffffff, 0x8000000000000000, 0xffffffffffffffff};
  }
}

const std::vector<std::string>& Texts() {
  static const std::vector<std::string> texts = {"",
                                                 "plain",
                                                 std::string("nul\0 inside", 11),
                                                 "\xff\xfe not utf-8 \x80",
                                                 "tab\tquote'\"\\",
                                                 "Gr\xc3\xbc\xc3\x9f"
                                                 "e \xe2\x82\xac",
                                                 std::string(3000, 'x')};
  return texts;
}

struct Cell {
  bool null = false;
  uint64_t bits = 0;
  std::string text;
  bool operator==(const Cell&) const = default;
};

Cell CellAt(const column::ColumnView& view, size_t row) {
  if (!view.IsValid(row)) return {true, 0, ""};
  if (column::IsText(view.type.kind)) return {false, 0, std::string(view.TextAt(row))};
  Cell cell;
  const size_t width = column::WidthOf(view.type.kind);
  std::memcpy(&cell.bits, view.values.data() + row * width, width);
  return cell;
}

std::vector<ColumnDef> AllColumns() {
  std::vector<ColumnDef> columns;
  for (const TypeKind kind : kAllKinds) {
    const Type type{kind, static_cast<uint8_t>(kind == TypeKind::kDecimal ? 9 : 0)};
    const std::string name = "c" + std::to_string(static_cast<int>(kind));
    columns.push_back({ColumnId(), name, type, false});
    columns.push_back({ColumnId(), name + "_null", type, true});
  }
  columns.push_back({ColumnId(), "wide", {TypeKind::kDecimal, 18}, false});
  columns.push_back({ColumnId(), "whole", {TypeKind::kDecimal, 0}, false});
  return columns;
}

/// Row i holds pattern i of each kind (wrapping); nullable columns are null in every third row.
std::vector<SourceBatch> AllTypeRows(const column::SchemaPtr& schema, size_t rows,
                                     std::vector<std::vector<Cell>>* expected) {
  column::BatchBuilder builder(schema);
  expected->assign(rows, {});
  for (size_t row = 0; row < rows; ++row) {
    builder.AddRow("AIG", Timestamp(kDayStart.ns() + static_cast<int64_t>(row)), row * 7);
    for (size_t i = 0; i < schema->columns.size(); ++i) {
      const ColumnDef& def = schema->columns[i];
      Cell cell;
      if (def.nullable && row % 3 == 1) {
        cell.null = true;
      } else {
        const std::vector<uint64_t> patterns = Patterns(def.type.kind);
        const uint64_t bits = patterns[row % patterns.size()];
        if (column::IsText(def.type.kind)) {
          cell.text = Texts()[bits];
          builder.SetText(i, cell.text);
        } else if (def.type.kind == TypeKind::kFloat64) {
          cell.bits = bits;
          builder.SetFloat(i, std::bit_cast<double>(bits));
        } else if (def.type.kind == TypeKind::kFloat32) {
          cell.bits = bits;
          builder.SetFloat(i,
                           static_cast<double>(std::bit_cast<float>(static_cast<uint32_t>(bits))));
        } else {
          cell.bits = bits;
          builder.SetInt(i, static_cast<int64_t>(bits));
        }
      }
      (*expected)[row].push_back(cell);
    }
  }
  return {{ShardId(0), builder.Build(), Lsn(100)}};
}

void ExpectAllTypes(const column::TableSchema& schema, const ReadResult& read,
                    const std::vector<std::vector<Cell>>& expected) {
  ASSERT_EQ(read.batch.rows, expected.size());
  for (size_t row = 0; row < expected.size(); ++row) {
    EXPECT_EQ(read.versions[row], 100 + row);
    EXPECT_EQ(read.batch.symbol.TextAt(row), "AIG");
    EXPECT_EQ(read.batch.ts.At<int64_t>(row), kDayStart.ns() + static_cast<int64_t>(row));
    EXPECT_EQ(read.batch.seq.At<uint64_t>(row), row * 7);
    EXPECT_EQ(read.batch.OpAt(row), column::Op::kPut);
    for (size_t i = 0; i < schema.columns.size(); ++i) {
      const Cell got = CellAt(read.batch.columns[i], row);
      const Cell& want = expected[row][i];
      EXPECT_TRUE(got == want) << schema.columns[i].name << " row " << row << ": got " << got.null
                               << " " << got.bits << " '" << got.text << "', want " << want.null
                               << " " << want.bits << " '" << want.text << "'";
    }
  }
  EXPECT_EQ(column::ValidateBatch(read.batch), OkStatus());
}

TEST(RoundTrip, EveryTypeToTheBit) {
  auto history = MakeClickHouseHistory(SharedServer().address());
  const column::SchemaPtr schema = MakeSchema("every_type", AllColumns());
  ASSERT_EQ(history->EnsureTable(*schema), OkStatus());
  std::vector<std::vector<Cell>> expected;
  constexpr size_t kRows = 42;
  const std::vector<SourceBatch> sources = AllTypeRows(schema, kRows, &expected);
  ASSERT_EQ(history->Insert(IntentFor("every_type", schema, sources), sources), OkStatus());

  const auto read = history->Read(RequestFor(schema, {"AIG"}));
  ASSERT_EQ(read.status(), OkStatus());
  ExpectAllTypes(*schema, *read, expected);
  // The same out of statements that resolve versions, on a day that was rewritten and on one that
  // was not, and as the rows that stay beside totals.
  for (const bool rewritten : {false, true}) {
    ReadRequest request = RequestFor(schema, {"AIG"});
    request.max_version = Lsn(1'000);
    request.push_down = PushDown{};
    if (rewritten) request.push_down->rewritten_days = {DayOf(kDayStart)};
    const auto resolved = history->Read(request);
    ASSERT_EQ(resolved.status(), OkStatus());
    ExpectAllTypes(*schema, *resolved, expected);
    TotalsRequest totals;
    totals.rows = request;
    totals.interval = Duration(1);
    const auto ends = history->ReadTotals(totals);
    ASSERT_EQ(ends.status(), OkStatus());
    ExpectAllTypes(*schema, ends->ends, expected);
  }
}

TEST(RoundTrip, BordersOfDaysAndSpansAreExact) {
  auto history = MakeClickHouseHistory(SharedServer().address());
  const column::SchemaPtr schema =
      MakeSchema("borders", {{ColumnId(), "n", {TypeKind::kInt64}, false}});
  ASSERT_EQ(history->EnsureTable(*schema), OkStatus());
  const int64_t day = kDayStart.ns();
  const int64_t next = day + 86'400'000'000'000;
  const std::vector<int64_t> times = {0,
                                      1,
                                      day - 1,
                                      day,
                                      day + 1,
                                      next - 1,
                                      next,
                                      next + 1,
                                      kMaxRowTimestamp.ns() - 1,
                                      kMaxRowTimestamp.ns()};
  for (size_t i = 0; i < times.size(); ++i) {
    column::BatchBuilder builder(schema);
    builder.AddRow("A", Timestamp(times[i]), 0);
    builder.SetInt(0, static_cast<int64_t>(i));
    const std::vector<SourceBatch> sources = {{ShardId(0), builder.Build(), Lsn(1 + i)}};
    InsertIntent intent = IntentFor("borders" + std::to_string(i), schema, sources);
    intent.day = DayOf(Timestamp(times[i]));
    ASSERT_EQ(history->Insert(intent, sources), OkStatus());
  }
  for (const bool pushed : {false, true}) {
    for (const int64_t from : times) {
      for (const int64_t to : times) {
        ReadRequest request = RequestFor(schema, {"A"});
        request.from = Timestamp(from);
        request.to = Timestamp(to);
        request.max_version = Lsn(100);
        if (pushed) request.push_down = PushDown{{DayOf(kDayStart)}, {}};
        std::vector<int64_t> expected;
        for (const int64_t ts : times) {
          if (ts >= from && ts <= to) expected.push_back(ts);
        }
        const auto read = history->Read(request);
        ASSERT_EQ(read.status(), OkStatus());
        std::vector<int64_t> got;
        for (size_t row = 0; row < read->batch.rows; ++row) {
          got.push_back(read->batch.ts.At<int64_t>(row));
        }
        EXPECT_EQ(got, expected) << from << " to " << to;
      }
    }
  }
}

TEST(RoundTrip, MinusZeroSurvivesAmongManyZerosAndAMerge) {
  auto history = MakeClickHouseHistory(SharedServer().address());
  const column::SchemaPtr schema =
      MakeSchema("minus_zero", {{ColumnId(), "x", {TypeKind::kFloat64}, false}});
  ASSERT_EQ(history->EnsureTable(*schema), OkStatus());
  constexpr size_t kRows = 20'000;
  const auto insert = [&](int64_t offset, uint64_t first) {
    column::BatchBuilder builder(schema);
    for (size_t row = 0; row < kRows; ++row) {
      builder.AddRow("A", Timestamp(kDayStart.ns() + offset + static_cast<int64_t>(row)), 0);
      builder.SetFloat(0, row % 1000 == 7 ? -0.0 : 0.0);
    }
    const std::vector<SourceBatch> sources = {{ShardId(0), builder.Build(), Lsn(first)}};
    return history->Insert(IntentFor("mz" + std::to_string(first), schema, sources), sources);
  };
  ASSERT_EQ(insert(0, 1), OkStatus());
  ASSERT_EQ(insert(kRows, 1 + kRows), OkStatus());
  Connection connection(SharedServer().address());
  ASSERT_EQ(
      connection
          .Query("OPTIMIZE TABLE `default`.`minus_zero_history` FINAL", {}, Duration::Seconds(30))
          .status(),
      OkStatus());
  const auto read = history->Read(RequestFor(schema, {"A"}));
  ASSERT_EQ(read.status(), OkStatus());
  ASSERT_EQ(read->batch.rows, 2 * kRows);
  for (size_t row = 0; row < 2 * kRows; ++row) {
    ASSERT_EQ(std::signbit(read->batch.columns[0].At<double>(row)), row % 1000 == 7) << row;
  }
}

TEST(RoundTrip, SymbolsOfAnyBytesAreFoundAndOrdered) {
  auto history = MakeClickHouseHistory(SharedServer().address());
  const column::SchemaPtr schema = MakeSchema("any_symbol",
                                              {{ColumnId(), "venue", {TypeKind::kSymbol}, false},
                                               {ColumnId(), "n", {TypeKind::kInt32}, false}},
                                              {0});
  ASSERT_EQ(history->EnsureTable(*schema), OkStatus());
  std::vector<std::string> symbols(Texts().begin() + 1, Texts().end());
  symbols.insert(symbols.end(), {"a`b", "%s", "{x:String}", "--", ";", "\n", "\\x41", "A\x7f"});
  column::BatchBuilder builder(schema);
  std::map<std::pair<std::string, std::string>, int> expected;
  int n = 0;
  for (const std::string& symbol : symbols) {
    for (const std::string& venue : symbols) {
      builder.AddRow(symbol, kDayStart, 1);
      builder.SetText(0, venue);
      builder.SetInt(1, n);
      expected[{symbol, venue}] = n++;
    }
  }
  const std::vector<SourceBatch> sources = {{ShardId(0), builder.Build(), Lsn(1)}};
  ASSERT_EQ(history->Insert(IntentFor("any_symbol", schema, sources), sources), OkStatus());

  const auto all = history->Read(RequestFor(schema, symbols));
  ASSERT_EQ(all.status(), OkStatus());
  ASSERT_EQ(all->batch.rows, expected.size());
  size_t row = 0;
  for (const auto& [key, value] : expected) {  // a map's order is the bytes' order
    EXPECT_EQ(all->batch.symbol.TextAt(row), key.first);
    EXPECT_EQ(all->batch.columns[0].TextAt(row), key.second);
    EXPECT_EQ(all->batch.columns[1].At<int32_t>(row), value);
    ++row;
  }
  for (const std::string& symbol : symbols) {
    const auto one = history->Read(RequestFor(schema, {symbol}));
    ASSERT_EQ(one.status(), OkStatus()) << symbol;
    EXPECT_EQ(one->batch.rows, symbols.size()) << symbol;
  }
}

TEST(RoundTrip, ColumnsNotAskedForAreNullAndSeriesColumnsAlwaysCome) {
  auto history = MakeClickHouseHistory(SharedServer().address());
  const column::SchemaPtr schema = MakeSchema("some_columns", AllColumns(), {28});
  ASSERT_EQ(schema->columns[28].type.kind, TypeKind::kSymbol);
  ASSERT_EQ(history->EnsureTable(*schema), OkStatus());
  std::vector<std::vector<Cell>> expected;
  const std::vector<SourceBatch> sources = AllTypeRows(schema, 10, &expected);
  ASSERT_EQ(history->Insert(IntentFor("some_columns", schema, sources), sources), OkStatus());
  ReadRequest request = RequestFor(schema, {"AIG"});
  request.columns = {8};
  const auto read = history->Read(request);
  ASSERT_EQ(read.status(), OkStatus());
  ASSERT_EQ(read->batch.rows, 10u);
  for (size_t row = 0; row < 10; ++row) {
    for (size_t i = 0; i < schema->columns.size(); ++i) {
      const Cell want = i == 8 || i == 28 ? expected[row][i] : Cell{true, 0, ""};
      EXPECT_TRUE(CellAt(read->batch.columns[i], row) == want) << i << " " << row;
    }
  }
}

TEST(RoundTrip, AnEmptyAnswerIsAnEmptyBatch) {
  auto history = MakeClickHouseHistory(SharedServer().address());
  const column::SchemaPtr schema = MakeSchema("nothing_here", AllColumns());
  ASSERT_EQ(history->EnsureTable(*schema), OkStatus());
  for (const auto& symbols : {std::vector<std::string>{"NONE"}, std::vector<std::string>{}}) {
    const auto read = history->Read(RequestFor(schema, symbols));
    ASSERT_EQ(read.status(), OkStatus());
    EXPECT_EQ(read->batch.rows, 0u);
    EXPECT_EQ(read->batch.columns.size(), schema->columns.size());
    EXPECT_TRUE(read->versions.empty());
  }
}

}  // namespace
}  // namespace proxist::history
