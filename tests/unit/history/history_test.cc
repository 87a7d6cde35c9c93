// Inserts, versions, schema changes and errors against a real ClickHouse.
#include "proxist/history/history.h"

#include <algorithm>
#include <random>
#include <tuple>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "proxist/history/insert_block.h"
#include "proxist/history/internal/native_reader.h"
#include "proxist/history/monitor.h"
#include "tests/unit/history/shared_server.h"

namespace proxist::history {
namespace {

using column::Op;
using column::TypeKind;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

const column::ColumnDef kPrice{ColumnId(), "price", {TypeKind::kDecimal, 4}, false};
const column::ColumnDef kVenue{ColumnId(), "venue", {TypeKind::kSymbol}, false};
const column::ColumnDef kNote{ColumnId(), "note", {TypeKind::kString}, true};

std::unique_ptr<History> Open() { return MakeClickHouseHistory(SharedServer().address()); }

struct Row {
  std::string symbol;
  int64_t ns;  // after kDayStart
  uint64_t seq;
  int64_t price;
  Op op = Op::kPut;
};

column::Batch PriceBatch(const column::SchemaPtr& schema, const std::vector<Row>& rows) {
  column::BatchBuilder builder(schema);
  for (const Row& row : rows) {
    builder.AddRow(row.symbol, Timestamp(kDayStart.ns() + row.ns), row.seq, row.op);
    builder.SetInt(0, row.price);
  }
  return builder.Build();
}

/// "symbol ns seq price version op" of every row.
std::vector<std::string> Lines(const ReadResult& result) {
  std::vector<std::string> out;
  for (size_t i = 0; i < result.batch.rows; ++i) {
    out.push_back(fmt::format("{} {} {} {} {} {}", result.batch.symbol.TextAt(i),
                              result.batch.ts.At<int64_t>(i) - kDayStart.ns(),
                              result.batch.seq.At<uint64_t>(i),
                              result.batch.columns[0].At<int64_t>(i), result.versions[i],
                              result.batch.OpAt(i) == Op::kCancel ? "cancel" : "put"));
  }
  return out;
}

TEST(History, ARetriedInsertCountsOnce) {
  auto history = Open();
  const auto schema = MakeSchema("retried", {kPrice});
  ASSERT_EQ(history->EnsureTable(*schema), OkStatus());
  const std::vector<SourceBatch> sources = {
      {ShardId(0), PriceBatch(schema, {{"A", 1, 1, 10}, {"A", 2, 1, 20}}), Lsn(5)}};
  const InsertIntent intent = IntentFor("token-1", schema, sources);
  EXPECT_EQ(CountRows(intent, sources), 2u);
  for (int i = 0; i < 3; ++i) ASSERT_EQ(history->Insert(intent, sources), OkStatus());
  Connection connection(SharedServer().address());
  const auto count = connection.Query("SELECT count() FROM `default`.`retried_history`", {},
                                      Duration::Seconds(10));
  ASSERT_EQ(count.status(), OkStatus());
  EXPECT_EQ(*count, "2\n");
  EXPECT_EQ(history->CountVersions(intent).value(), 2u);
}

/// The settings of merges that a table has.
std::string MergeSettingsOf(const std::string& table) {
  Connection connection(SharedServer().address());
  const auto settings = connection.Query(
      "SELECT arrayStringConcat(extractAll(engine_full, '(merge_selector_base = [0-9]+|"
      "auto_statistics_types = [^,]*)'), ', ') FROM system.tables WHERE name = '" +
          table + "' FORMAT TSVRaw",
      {}, Duration::Seconds(10));
  return settings.ok() ? *settings : settings.status().ToString();
}

TEST(History, MergesTakeAsManyPartsAsTheLimitAdmits) {
  const auto schema = MakeSchema("merges", {kPrice});
  const auto ensure = [&](uint32_t part_limit) {
    ASSERT_EQ(OpenClickHouse({SharedServer().address()}, part_limit).history->EnsureTable(*schema),
              OkStatus());
  };
  ensure(150);
  EXPECT_EQ(MergeSettingsOf("merges_history"),
            "auto_statistics_types = '', merge_selector_base = 10\n");
  ensure(8);
  EXPECT_EQ(MergeSettingsOf("merges_history"), "auto_statistics_types = ''\n");
  ensure(100);
  EXPECT_EQ(MergeSettingsOf("merges_history"),
            "auto_statistics_types = '', merge_selector_base = 10\n");
  Connection connection(SharedServer().address());
  for (const std::string chosen : {"7", "100"}) {
    ASSERT_EQ(
        connection
            .Query("ALTER TABLE merges_history MODIFY SETTING merge_selector_base = " + chosen, {},
                   Duration::Seconds(10))
            .status(),
        OkStatus());
    for (const uint32_t part_limit : {150, 8}) {
      ensure(part_limit);
      EXPECT_THAT(MergeSettingsOf("merges_history"),
                  HasSubstr("merge_selector_base = " + chosen + "\n"));
    }
  }
}

TEST(History, VersionsComeBackInOrder) {
  auto history = Open();
  const auto schema = MakeSchema("versions", {kPrice});
  ASSERT_EQ(history->EnsureTable(*schema), OkStatus());
  const std::vector<SourceBatch> sources = {
      {ShardId(0), PriceBatch(schema, {{"B", 5, 1, 10}, {"A", 9, 2, 20}, {"A", 9, 1, 30}}), Lsn(1)},
      {ShardId(0), PriceBatch(schema, {{"A", 9, 2, 21}, {"A", 3, 7, 40}}), Lsn(4)},
      {ShardId(0), PriceBatch(schema, {{"A", 9, 2, 0, Op::kCancel}}), Lsn(6)},
      {ShardId(1), PriceBatch(schema, {{"A", 1, 1, 99}}), Lsn(1)}};
  ASSERT_EQ(history->Insert(IntentFor("v", schema, sources), sources), OkStatus());
  ReadRequest request = RequestFor(schema, {"B", "A", "A"});
  EXPECT_THAT(Lines(history->Read(request).value()),
              ElementsAre("A 3 7 40 5 put", "A 9 1 30 3 put", "A 9 2 20 2 put", "A 9 2 21 4 put",
                          "A 9 2 0 6 cancel", "B 5 1 10 1 put"));
  request.max_version = Lsn(4);
  request.from = Timestamp(kDayStart.ns() + 5);
  request.to = Timestamp(kDayStart.ns() + 9);
  EXPECT_THAT(Lines(history->Read(request).value()),
              ElementsAre("A 9 1 30 3 put", "A 9 2 20 2 put", "A 9 2 21 4 put", "B 5 1 10 1 put"));
  request.to = Timestamp(kDayStart.ns() + 8);
  EXPECT_THAT(Lines(history->Read(request).value()), ElementsAre("B 5 1 10 1 put"));
  request.to = Timestamp(kDayStart.ns() + 4);
  EXPECT_THAT(Lines(history->Read(request).value()), ElementsAre());
  request = RequestFor(schema, {"A"});
  request.shard = ShardId(1);
  EXPECT_THAT(Lines(history->Read(request).value()), ElementsAre("A 1 1 99 1 put"));
}

TEST(History, AnIntentTakesItsRangesTableAndDayOnly) {
  auto history = Open();
  const auto schema = MakeSchema("ranges", {kPrice});
  const auto other = MakeSchema("ranges_other", {kPrice});
  ASSERT_EQ(history->EnsureTable(*schema), OkStatus());
  constexpr int64_t kDayNs = 86'400'000'000'000;
  std::vector<SourceBatch> sources = {{ShardId(0),
                                       PriceBatch(schema, {{"A", -1, 1, 1},
                                                           {"A", 0, 1, 2},
                                                           {"A", kDayNs - 1, 1, 3},
                                                           {"A", kDayNs, 1, 4},
                                                           {"A", 7, 1, 5},
                                                           {"A", 8, 1, 6}}),
                                       Lsn(10)},
                                      {ShardId(0), PriceBatch(other, {{"A", 5, 1, 7}}), Lsn(16)},
                                      {ShardId(3), PriceBatch(schema, {{"A", 6, 1, 8}}), Lsn(12)}};
  InsertIntent intent{"r", schema, DayOf(kDayStart), {}};
  intent.ranges = {{ShardId(0), Lsn(10), Lsn(13)},
                   {ShardId(0), Lsn(12), Lsn(14)},
                   {ShardId(0), Lsn(16), Lsn(900)}};
  EXPECT_EQ(CountRows(intent, sources), 3u);
  ASSERT_EQ(history->Insert(intent, sources), OkStatus());
  EXPECT_THAT(Lines(history->Read(RequestFor(schema, {"A"})).value()),
              ElementsAre("A 0 1 2 11 put", "A 7 1 5 14 put", "A 86399999999999 1 3 12 put"));
  EXPECT_EQ(history->CountVersions(intent).value(), 3u);
  intent.ranges = {{ShardId(0), Lsn(12), Lsn(13)}, {ShardId(3), Lsn(1), Lsn(99)}};
  EXPECT_EQ(history->CountVersions(intent).value(), 1u);
  intent.ranges = {};
  EXPECT_EQ(history->CountVersions(intent).value(), 0u);
  EXPECT_EQ(history->Insert(intent, sources), OkStatus());

  EXPECT_THAT(history->Days(*schema).value(), ElementsAre(DayOf(kDayStart)));
  intent.day = DayOf(kDayStart).Next();
  intent.token = "next day";
  intent.ranges = {{ShardId(0), Lsn(1), Lsn(99)}};
  ASSERT_EQ(history->Insert(intent, sources), OkStatus());
  EXPECT_THAT(history->Days(*schema).value(),
              ElementsAre(DayOf(kDayStart), DayOf(kDayStart).Next()));
  EXPECT_THAT(history->Days(*other).value(), ElementsAre());
}

TEST(History, ManyShuffledRowsOfManyBatchesComeBackSorted) {
  auto history = Open();
  const auto schema = MakeSchema("shuffled", {kPrice, kVenue, kNote}, {1});
  ASSERT_EQ(history->EnsureTable(*schema), OkStatus());
  using Key = std::tuple<std::string, int64_t, uint64_t, std::string, uint64_t>;
  std::vector<std::pair<Key, int64_t>> expected;
  std::vector<SourceBatch> sources;
  std::mt19937_64 random(7);
  uint64_t lsn = 1;
  for (int b = 0; b < 40; ++b) {
    column::BatchBuilder builder(schema);
    const uint64_t first = lsn;
    for (int i = 0; i < 500; ++i) {
      const std::string symbol = fmt::format("S{}", random() % 300);
      const auto ns = static_cast<int64_t>(random() % 20);
      const uint64_t seq = random() % 3;
      const std::string venue(1, static_cast<char>('A' + random() % 4));
      const auto price = static_cast<int64_t>(random() % 1'000'000);
      builder.AddRow(symbol, Timestamp(kDayStart.ns() + ns), seq);
      builder.SetInt(0, price);
      builder.SetText(1, venue);
      if (i % 2 == 0) builder.SetText(2, std::to_string(lsn));
      expected.push_back({Key{symbol, ns, seq, venue, lsn++}, price});
    }
    sources.push_back({ShardId(0), builder.Build(), Lsn(first)});
  }
  ASSERT_EQ(history->Insert(IntentFor("shuffled", schema, sources), sources), OkStatus());
  std::sort(expected.begin(), expected.end());
  std::vector<std::string> symbols;
  for (int i = 0; i < 300; ++i) symbols.push_back(fmt::format("S{}", i));
  const auto read = history->Read(RequestFor(schema, symbols));
  ASSERT_EQ(read.status(), OkStatus());
  // A merge may already have dropped versions that a later one of the same key replaces.
  const auto same_key = [](const Key& a, const Key& b) {
    return std::tie(std::get<0>(a), std::get<1>(a), std::get<2>(a), std::get<3>(a)) ==
           std::tie(std::get<0>(b), std::get<1>(b), std::get<2>(b), std::get<3>(b));
  };
  size_t row = 0;
  for (size_t i = 0; i < expected.size(); ++i) {
    const auto& [key, price] = expected[i];
    const bool replaced = i + 1 < expected.size() && same_key(key, expected[i + 1].first);
    if (row >= read->batch.rows || read->versions[row] != std::get<4>(key)) {
      ASSERT_TRUE(replaced) << i;
      continue;
    }
    ASSERT_EQ(read->batch.symbol.TextAt(row), std::get<0>(key));
    ASSERT_EQ(read->batch.ts.At<int64_t>(row) - kDayStart.ns(), std::get<1>(key));
    ASSERT_EQ(read->batch.seq.At<uint64_t>(row), std::get<2>(key));
    ASSERT_EQ(read->batch.columns[1].TextAt(row), std::get<3>(key));
    ASSERT_EQ(read->batch.columns[0].At<int64_t>(row), price);
    // Rows of a batch alternate between a note and none; batches start at odd versions.
    ASSERT_EQ(read->batch.columns[2].IsValid(row), std::get<4>(key) % 2 == 1);
    ++row;
  }
  EXPECT_EQ(row, read->batch.rows);
}

TEST(History, AssignedSeqIsTheVersion) {
  auto history = Open();
  const auto schema = MakeSchema("assigned", {kPrice}, {}, column::SeqMode::kAssigned);
  ASSERT_EQ(history->EnsureTable(*schema), OkStatus());
  const std::vector<SourceBatch> sources = {
      {ShardId(0), PriceBatch(schema, {{"A", 2, 0, 10}, {"A", 1, 0, 20}}), Lsn(77)}};
  ASSERT_EQ(history->Insert(IntentFor("assigned", schema, sources), sources), OkStatus());
  EXPECT_THAT(Lines(history->Read(RequestFor(schema, {"A"})).value()),
              ElementsAre("A 1 78 20 78 put", "A 2 77 10 77 put"));
}

TEST(History, AnAddedColumnIsNullInOlderRows) {
  auto history = Open();
  const auto before = MakeSchema("evolved", {kPrice});
  ASSERT_EQ(history->EnsureTable(*before), OkStatus());
  column::TableSchema declared = *before;
  declared.columns.push_back(kNote);
  declared.columns.push_back({ColumnId(), "flag", {TypeKind::kSymbol}, true});
  const auto after = column::Evolve(before, declared, TableId(0)).value();

  column::BatchBuilder fresh(after);
  fresh.AddRow("A", Timestamp(kDayStart.ns() + 2), 1);
  fresh.SetInt(0, 2);
  fresh.SetText(1, "new");
  fresh.SetText(2, "");
  const std::vector<SourceBatch> sources = {
      {ShardId(0), PriceBatch(before, {{"A", 1, 1, 1}}), Lsn(1)},
      {ShardId(0), fresh.Build(), Lsn(2)}};
  // Reading a column that the table lacks adds it.
  EXPECT_EQ(history->Read(RequestFor(after, {"A"})).value().batch.rows, 0u);
  ASSERT_EQ(history->EnsureTable(*after), OkStatus());
  ASSERT_EQ(history->EnsureTable(*before), OkStatus());
  ASSERT_EQ(history->Insert(IntentFor("evolved", after, sources), sources), OkStatus());
  const ReadResult read = history->Read(RequestFor(after, {"A"})).value();
  EXPECT_THAT(Lines(read), ElementsAre("A 1 1 1 1 put", "A 2 1 2 2 put"));
  EXPECT_FALSE(read.batch.columns[1].IsValid(0));
  EXPECT_FALSE(read.batch.columns[2].IsValid(0));
  EXPECT_EQ(read.batch.columns[1].TextAt(1), "new");
  EXPECT_EQ(read.batch.columns[2].TextAt(1), "");
}

TEST(History, ADriftedTableIsNamed) {
  auto history = Open();
  const auto expect_drift = [&](const column::SchemaPtr& schema, const std::string& text) {
    const Status status = history->EnsureTable(*schema);
    EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
    EXPECT_THAT(std::string(Message(status)), HasSubstr(text));
  };
  ASSERT_EQ(history->EnsureTable(*MakeSchema("drifted", {kPrice, kVenue}, {1})), OkStatus());
  column::ColumnDef wider = kPrice;
  wider.type.scale = 6;
  expect_drift(MakeSchema("drifted", {wider, kVenue}, {1}),
               "column price as Decimal(18, 4), expected is Decimal(18, 6)");
  expect_drift(MakeSchema("drifted", {kPrice, kVenue}, {}), "order symbol, ts, seq, venue");
  column::ColumnDef required{ColumnId(), "size", {TypeKind::kInt64}, false};
  expect_drift(MakeSchema("drifted", {kPrice, kVenue, required}, {1}), "lacks column size Int64");
}

TEST(History, BoundsAndTimeouts) {
  auto history = Open();
  const auto schema = MakeSchema("bounds", {kPrice});
  ASSERT_EQ(history->EnsureTable(*schema), OkStatus());
  const std::vector<SourceBatch> sources = {
      {ShardId(0), PriceBatch(schema, {{"A", 1, 1, 1}, {"A", 2, 1, 1}, {"A", 3, 1, 1}}), Lsn(1)}};
  ASSERT_EQ(history->Insert(IntentFor("bounds", schema, sources), sources), OkStatus());
  ReadRequest request = RequestFor(schema, {"A"});
  request.max_rows = 3;
  EXPECT_EQ(history->Read(request).value().batch.rows, 3u);
  request.max_rows = 2;
  EXPECT_EQ(history->Read(request).status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(history->Read(RequestFor(MakeSchema("never_made", {kPrice}), {"A"})).status().code(),
            absl::StatusCode::kNotFound);

  // A list of symbols far above ClickHouse's usual limits for statements.
  request = RequestFor(schema, {"A"});
  for (int i = 0; i < 20'000; ++i) request.symbols.push_back(fmt::format("unknown-{}", i));
  EXPECT_EQ(history->Read(request).value().batch.rows, 3u);

  Connection connection(SharedServer().address());
  EXPECT_EQ(connection.Query("SELECT sleep(3)", {}, Duration::Millis(50)).status().code(),
            absl::StatusCode::kDeadlineExceeded);
  EXPECT_EQ(connection.Query("SELECT 1", {}, Duration::Seconds(5)).value(), "1\n");
  EXPECT_EQ(
      connection.Query("SELECT repeat('x', 100)", {}, Duration::Seconds(5), 50).status().code(),
      absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(connection.Query("SELECT )", {}, Duration::Seconds(5)).status().code(),
            absl::StatusCode::kInternal);
}

TEST(History, AStreamBringsPiecesAndTheErrorThatComesLate) {
  Connection connection(SharedServer().address());
  uint64_t bytes = 0;
  int pieces = 0;
  const Connection::Sink sink = [&](ByteSpan piece) {
    bytes += piece.size();
    ++pieces;
    return OkStatus();
  };
  const Duration timeout = Duration::Seconds(20);
  ASSERT_EQ(
      connection.Stream("SELECT number FROM numbers(3000000) FORMAT RowBinary", {}, timeout, sink),
      OkStatus());
  EXPECT_EQ(bytes, 24'000'000u);
  EXPECT_GT(pieces, 10);
  // HTTP 200 and a million numbers, then the error.
  bytes = 0;
  const Status late = connection.Stream(
      "SELECT throwIf(number = 3000000, 'too late'), number FROM numbers(9000000) FORMAT RowBinary",
      {{"max_threads", "1"}}, timeout, sink);
  EXPECT_GT(bytes, 9'000'000u);
  EXPECT_EQ(late.code(), absl::StatusCode::kInternal);
  EXPECT_THAT(std::string(Message(late)), HasSubstr("too late"));
  // The same when what came before cannot be made sense of.
  NativeReader reader({{"c", "UInt8", {TypeKind::kUint8}, false}});
  const Status amid = connection.Stream(
      "SELECT toUInt8(throwIf(number = 3000000, 'too late')) AS c FROM numbers(9000000) FORMAT "
      "Native",
      {{"max_threads", "1"}}, timeout,
      [&](ByteSpan piece) { return reader.Push(piece, SIZE_MAX); });
  EXPECT_THAT(std::string(Message(amid)), HasSubstr("too late"));
  EXPECT_GT(reader.rows(), 1'000'000u);
  const Status early = connection.Stream("SELECT nothing", {}, timeout, sink);
  EXPECT_THAT(std::string(Message(early)), HasSubstr("nothing"));
  // A sink that has enough.
  const Status enough =
      connection.Stream("SELECT number FROM numbers(1000000000) FORMAT RowBinary", {}, timeout,
                        [](ByteSpan) { return ResourceExhausted("enough"); });
  EXPECT_EQ(Message(enough), "enough");
  std::atomic<bool> cancelled = false;
  const Status stopped = connection.Stream(
      "SELECT number FROM numbers(100000000000) FORMAT RowBinary", {}, timeout,
      [&](ByteSpan) {
        cancelled = true;
        return OkStatus();
      },
      &cancelled);
  EXPECT_EQ(stopped.code(), absl::StatusCode::kCancelled);
  EXPECT_EQ(connection.Query("SELECT 1", {}, timeout).value(), "1\n");
}

TEST(History, WhoMayNotAndWhatIsNotThere) {
  ClickHouseAddress wrong = SharedServer().address();
  wrong.password = "guess";
  EXPECT_EQ(MakeClickHouseHistory(wrong)->Ping().code(), absl::StatusCode::kPermissionDenied);
  ClickHouseAddress open_user{SharedServer().address().url, "default", ""};
  Connection connection(open_user);
  EXPECT_EQ(connection.Query("CREATE DATABASE stolen", {}, Duration::Seconds(5)).status().code(),
            absl::StatusCode::kPermissionDenied);
  // Port 1 of the loopback has no listener.
  const auto nobody = MakeClickHouseHistory({"http://127.0.0.1:1", "default", ""});
  EXPECT_EQ(nobody->Ping().code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(nobody->Days(*MakeSchema("x", {kPrice})).status().code(),
            absl::StatusCode::kUnavailable);
}

TEST(History, TheFirstIncarnationStays) {
  auto history = Open();
  const std::string odd = "first \t'\\ \xff";
  EXPECT_EQ(history->Incarnation(odd).value(), odd);
  EXPECT_EQ(history->Incarnation("second").value(), odd);
  EXPECT_EQ(Open()->Incarnation("third").value(), odd);
}

TEST(HistoryDeathTest, AnInsertAboveTheBoundIsABug) {
  const auto schema = MakeSchema("too_many", {kPrice});
  constexpr uint64_t kBatchRows = 1000;
  const column::Batch batch = PriceBatch(schema, std::vector<Row>(kBatchRows, {"A", 1, 1, 1}));
  std::vector<SourceBatch> sources;
  // The same batch stands in for a thousand others.
  for (uint64_t i = 0; i * kBatchRows <= kMaxInsertRows; ++i) {
    sources.push_back({ShardId(0), batch, Lsn(i * kBatchRows + 1)});
  }
  InsertIntent intent{"t", schema, DayOf(kDayStart), {{ShardId(0), Lsn(1), Lsn::Max()}}};
  EXPECT_DEATH(EncodeInsertBlock(intent, sources), "kMaxInsertRows");
}

}  // namespace
}  // namespace proxist::history
