// Exact values: memory, reclamation, schema versions, boundaries, compaction.
#include "proxist/hot/store.h"

#include <algorithm>
#include <random>
#include <vector>

#include <gtest/gtest.h>

#include "proxist/hot/image.h"
#include "tests/unit/hot/rows.h"

namespace proxist::hot {
namespace {

using column::BatchBuilder;
using column::Op;

struct Row {
  int64_t ts;
  uint64_t seq;
  Op op = Op::kPut;
};

class StoreTest : public testing::Test {
 protected:
  /// Scatters and publishes rows of one series.
  ScatterResult Write(const std::vector<Row>& rows, const char* venue = "x", int64_t now = 0) {
    BatchBuilder builder(schema_);
    const Lsn first = lsn_.Next();
    for (const Row& row : rows) {
      lsn_ = lsn_.Next();
      builder.AddRow("A", Timestamp(row.ts), row.seq, row.op);
      builder.SetText(0, venue);
      SetCells(*schema_, lsn_.value(), &builder);
    }
    const ScatterResult result = store_.Scatter(builder.Build(), first, Timestamp(now));
    store_.Publish(lsn_);
    return result;
  }
  void Persist() { store_.SetPersisted(lsn_); }
  std::vector<SeriesRecord> Plan(int64_t before, int64_t published = INT64_MAX) {
    return store_.PlanEviction(kTable, Timestamp(before), Timestamp(published));
  }
  std::vector<SeriesSnapshot> Snapshots(const ReadGuard& guard) {
    std::vector<SeriesSnapshot> out;
    const auto symbol = store_.dictionary().Find("A");
    if (symbol) guard.SeriesOf(kTable, *symbol, &out);
    return out;
  }
  std::vector<int64_t> TsOf(std::span<const RowRun> runs) {
    std::vector<int64_t> out;
    for (const RowRun& run : runs) {
      out.insert(out.end(), TimestampsOf(*run.block) + run.begin,
                 TimestampsOf(*run.block) + run.end);
    }
    return out;
  }
  std::vector<int64_t> All(const SeriesSnapshot& snapshot) {
    std::vector<RowRun> runs;
    snapshot.Runs(Timestamp::Min(), Timestamp::Max(), &runs);
    return TsOf(runs);
  }
  /// {-1} when it is unknown.
  std::vector<int64_t> BoundaryTs() {
    const ReadGuard guard = store_.Read();
    const auto boundary = Snapshots(guard).at(0).Boundary();
    return boundary ? TsOf(*boundary) : std::vector<int64_t>{-1};
  }

  column::SchemaPtr schema_ = EveryType(1, 3);
  Store store_{StoreOptions{.overlay_compact_rows = 64}};
  Lsn lsn_;
};

using Ts = std::vector<int64_t>;

TEST_F(StoreTest, UnknownTablesAndSymbolsAreEmpty) {
  const ReadGuard guard = store_.Read();
  std::vector<SeriesSnapshot> out;
  guard.SeriesOf(TableId(99), 0, &out);
  guard.SeriesOf(kTable, 4'000'000'000, &out);
  EXPECT_TRUE(out.empty());
  EXPECT_EQ(store_.SchemaOf(kTable), nullptr);
  EXPECT_EQ(store_.StatsOf(kTable).rows, 0U);
  EXPECT_TRUE(Plan(100).empty());
}

TEST_F(StoreTest, ScatteredRowsAreInvisibleUntilPublished) {
  Write({{1, 1}});
  BatchBuilder builder(schema_);
  builder.AddRow("A", Timestamp(2), 1);
  builder.SetText(0, "x");
  builder.AddRow("A", Timestamp(0), 1);
  builder.SetText(0, "x");
  store_.Scatter(builder.Build(), Lsn(2), Timestamp(0));
  const ReadGuard before = store_.Read();
  EXPECT_EQ(All(Snapshots(before)[0]), Ts{1});
  store_.Publish(Lsn(3));
  store_.Publish(Lsn(1));
  const ReadGuard after = store_.Read();
  EXPECT_EQ(All(Snapshots(after)[0]), (Ts{0, 1, 2}));
  EXPECT_EQ(All(Snapshots(before)[0]), Ts{1});
}

TEST_F(StoreTest, StepsCountResolvedRows) {
  Write({{1, 1}, {2, 1}, {2, 2}, {3, 1}});
  Write({{2, 2, Op::kCancel}});
  const ReadGuard guard = store_.Read();
  const SeriesSnapshot s = Snapshots(guard)[0];
  EXPECT_EQ(s.StepBack(Timestamp::Max(), 3), Timestamp(1));
  EXPECT_EQ(s.StepBack(Timestamp::Max(), 4), std::nullopt);
  EXPECT_EQ(s.StepBack(Timestamp::Max(), 0), Timestamp::Max());
  EXPECT_EQ(s.StepForward(Timestamp::Min(), 3), Timestamp(3));
  EXPECT_EQ(s.StepForward(Timestamp(4), 1), std::nullopt);
  EXPECT_EQ(s.StepForward(Timestamp::Min(), SIZE_MAX), std::nullopt);
  EXPECT_GE(s.MostRows(), 3U);
  EXPECT_LE(s.MostRows(), kChunkRows + 2U);  // of one chunk and of the overlay
}

TEST_F(StoreTest, ABatchMayHaveAStringTwice) {
  // Two codes of the same symbol: two groups of one series, the second with smaller LSNs too.
  BatchBuilder builder(schema_);
  const Lsn first = lsn_.Next();
  constexpr int kRows = 40;
  for (int row = 0; row < kRows; ++row) {
    lsn_ = lsn_.Next();
    const bool second = row % 2 == 1;
    builder.AddRow(second ? "B" : "A", Timestamp(second ? 1000 + row : row),
                   static_cast<uint64_t>(row), Op::kPut);
    builder.SetText(0, "x");
    SetCells(*schema_, lsn_.value(), &builder);
  }
  column::Batch batch = builder.Build();
  batch.symbol.dictionary[1] = batch.symbol.dictionary[0];
  store_.Scatter(batch, first, Timestamp(0));
  store_.Publish(lsn_);
  const ReadGuard guard = store_.Read();
  std::vector<RowRun> runs;
  Snapshots(guard)[0].Runs(Timestamp::Min(), Timestamp::Max(), &runs);
  int rows = 0;
  for (const RowRun& run : runs) {
    for (uint32_t row = run.begin; row < run.end; ++row, ++rows) {
      EXPECT_EQ(run.block->lsn(row), first.value() + run.block->seq()[row]);
    }
  }
  EXPECT_EQ(rows, kRows);
}

TEST_F(StoreTest, TheBoundaryFollowsEvictions) {
  Write({{1, 1}, {2, 1}, {2, 2}, {3, 1}, {9, 1}});
  EXPECT_EQ(BoundaryTs(), Ts{});
  EXPECT_TRUE(Plan(10).empty()) << "nothing is persisted";
  Persist();
  ASSERT_EQ(Plan(3).size(), 1U);
  EXPECT_EQ(Plan(3)[0].floor, Timestamp(2));
  const EvictResult result = store_.Evict(kTable, Plan(3));
  EXPECT_EQ(result.rows, 3U);
  EXPECT_EQ(result.series, 1U);
  EXPECT_EQ(BoundaryTs(), (Ts{2, 2}));
  Write({{3, 1, Op::kCancel}});
  Persist();
  store_.Evict(kTable, Plan(5));
  EXPECT_EQ(store_.Manifest(kTable)[0].floor, Timestamp(4));
  EXPECT_EQ(BoundaryTs(), (Ts{2, 2})) << "the row that left was cancelled";
  const ScatterResult late = Write({{1, 7}});
  EXPECT_EQ(late.rewritten_days, std::vector<Day>{Day(0)});
  EXPECT_EQ(BoundaryTs(), Ts{-1});
  Persist();
  store_.Evict(kTable, Plan(INT64_MAX));
  EXPECT_EQ(store_.Manifest(kTable)[0].floor, Timestamp(9)) << "not above the last row";
  EXPECT_EQ(BoundaryTs(), Ts{9});
}

TEST_F(StoreTest, ARestoredFloorHasAnUnknownBoundaryAndSkipsWhatWasEvicted) {
  store_.SetSchema(schema_);
  store_.RestoreSeries(kTable, {"A", {"x"}, Timestamp(5)});
  store_.SetPersisted(Lsn(2));
  Write({{4, 1}, {6, 1}, {5, 1}});
  EXPECT_EQ(BoundaryTs(), Ts{-1});
  const ReadGuard guard = store_.Read();
  EXPECT_EQ(All(Snapshots(guard)[0]), Ts{6});
  std::vector<LateRow> late;
  Snapshots(guard)[0].LateRows(Timestamp::Min(), Timestamp::Max(), Lsn(2), &late);
  ASSERT_EQ(late.size(), 1U);
  EXPECT_EQ(LsnOf(*late[0].block, late[0].row), Lsn(3));
  EXPECT_EQ(store_.StatsOf(kTable).rows, 2U);
}

TEST_F(StoreTest, LateRowsLeaveWhenNoOlderReaderIsLeft) {
  Write({{1, 1}, {5, 1}});
  Persist();
  store_.Evict(kTable, Plan(3));
  Write({{1, 2}});
  {
    const ReadGuard guard = store_.Read();
    Persist();
    EXPECT_FALSE(store_.Maintain());
    EXPECT_EQ(store_.StatsOf(kTable).overlay_rows, 1U);
  }
  store_.Maintain();
  EXPECT_EQ(store_.StatsOf(kTable).overlay_rows, 0U);
  EXPECT_EQ(store_.StatsOf(kTable).rows, 1U);
}

TEST_F(StoreTest, RetentionCountsFromPublication) {
  std::vector<Row> old;
  for (int64_t ts = 0; ts < 700; ++ts) old.push_back({ts, 1});
  Write(old, "x", 10);
  Write({{700, 1}, {701, 1}}, "x", 20);
  Write({{300, 2}}, "x", 30);
  Persist();
  EXPECT_TRUE(Plan(INT64_MAX, 9).empty());
  EXPECT_EQ(Plan(INT64_MAX, 29).at(0).floor, Timestamp(299));
  EXPECT_EQ(Plan(INT64_MAX, 30).at(0).floor, Timestamp(701));
}

TEST_F(StoreTest, ANewColumnIsNullInOlderRows) {
  Write({{1, 1}});
  schema_ = EveryType(2, 4);
  store_.SetSchema(schema_);
  Write({{2, 1}});
  const ReadGuard guard = store_.Read();
  std::vector<RowRun> runs;
  Snapshots(guard)[0].Runs(Timestamp::Min(), Timestamp::Max(), &runs);
  ASSERT_EQ(runs.size(), 2U);
  EXPECT_EQ(ValuesOf(*runs[0].block, 4), nullptr);
  EXPECT_FALSE(IsValid(*runs[0].block, 4, 0));
  EXPECT_FALSE(AllValid(*runs[0].block, 4, 0, 1));
  EXPECT_EQ(CheckCell(*runs[1].block, 0, 4, schema_->columns[4].type.kind, store_.dictionary()),
            "");
  schema_ = EveryType(1, 3);  // a batch that was encoded before the change
  Write({{3, 1}});
  const ReadGuard later = store_.Read();
  runs.clear();
  Snapshots(later)[0].Runs(Timestamp(3), Timestamp(4), &runs);
  EXPECT_FALSE(IsValid(*runs.at(0).block, 4, runs[0].begin));
  EXPECT_EQ(store_.SchemaOf(kTable)->version, SchemaVersion(2));
}

TEST_F(StoreTest, AssignedSeqIsTheLsn) {
  column::TableSchema schema = *schema_;
  schema.seq = column::SeqMode::kAssigned;
  schema_ = std::make_shared<const column::TableSchema>(schema);
  Write({{1, 0}, {1, 0}});
  const ReadGuard guard = store_.Read();
  std::vector<RowRun> runs;
  Snapshots(guard)[0].Runs(Timestamp(1), Timestamp(2), &runs);
  ASSERT_EQ(runs.size(), 1U);
  EXPECT_EQ(SeqsOf(*runs[0].block)[0], 1U);
  EXPECT_EQ(SeqsOf(*runs[0].block)[1], 2U);
}

TEST_F(StoreTest, AnLsnBeyondTheChunksReachStartsANewChunk) {
  Write({{1, 1}});
  lsn_ = Lsn(lsn_.value() + (uint64_t{1} << 40));
  Write({{2, 1}});
  const ReadGuard guard = store_.Read();
  std::vector<RowRun> runs;
  Snapshots(guard)[0].Runs(Timestamp::Min(), Timestamp::Max(), &runs);
  ASSERT_EQ(runs.size(), 2U);
  EXPECT_EQ(LsnOf(*runs[1].block, 0), lsn_);
}

TEST_F(StoreTest, CompactionKeepsTheAnswerAndEmptiesTheOverlay) {
  std::vector<Row> rows;
  for (int64_t ts = 0; ts < 30'000; ++ts) rows.push_back({ts, 1});
  std::shuffle(rows.begin(), rows.end(), std::mt19937_64(3));
  for (size_t i = 0; i < rows.size(); i += 1000) {
    Write({rows.begin() + static_cast<ptrdiff_t>(i),
           rows.begin() + static_cast<ptrdiff_t>(i) + 1000});
    while (store_.Maintain()) {
    }
  }
  EXPECT_LT(store_.StatsOf(kTable).overlay_rows, 30'000U / 8);
  EXPECT_EQ(store_.StatsOf(kTable).rows, 30'000U);
  const ReadGuard guard = store_.Read();
  Ts want(30'000);
  for (size_t i = 0; i < want.size(); ++i) want[i] = static_cast<int64_t>(i);
  EXPECT_EQ(All(Snapshots(guard)[0]), want);
}

TEST_F(StoreTest, FewLateRowsAmongManyAreMergedAsOftenAsThatPays) {
  // One row in forty is late: each overlay row falls among more chunk rows than one compaction
  // would be worth, but to copy the overlay for each further row costs more in the end.
  constexpr int64_t kBatches = 2500;
  uint64_t most = 0;
  Ts expected;
  for (int64_t batch = 0; batch < kBatches; ++batch) {
    std::vector<Row> rows;
    for (int64_t row = 0; row < 40; ++row) rows.push_back({(batch * 40 + row) * 2, 1});
    if (batch > 25) rows.push_back({(batch - 25) * 80 + 1, 1});
    for (const Row& row : rows) expected.push_back(row.ts);
    Write(rows);
    Persist();
    while (store_.Maintain()) {
    }
    most = std::max(most, store_.StatsOf(kTable).overlay_rows);
  }
  EXPECT_LT(most, 500U) << "of " << kBatches << " late rows";
  std::sort(expected.begin(), expected.end());
  const ReadGuard guard = store_.Read();
  EXPECT_EQ(All(Snapshots(guard)[0]), expected);
}

TEST_F(StoreTest, CompactionForgetsCancelledRowsOnlyWhenPersisted) {
  std::vector<Row> puts;
  std::vector<Row> cancels;
  for (int64_t ts = 0; ts < 100; ++ts) puts.push_back({ts, 1});
  for (int64_t ts = 10; ts < 90; ++ts) cancels.push_back({ts, 1, Op::kCancel});
  Write(puts);
  Write(cancels);
  while (store_.Maintain()) {
  }
  EXPECT_EQ(store_.StatsOf(kTable).rows, 180U);
  Persist();
  while (store_.Maintain()) {
  }
  EXPECT_EQ(store_.StatsOf(kTable).rows, 20U);
  EXPECT_EQ(store_.StatsOf(kTable).overlay_rows, 0U);
  EXPECT_EQ(Write({{50, 1}}).rewritten_days, std::vector<Day>{Day(0)}) << "history has the key";
  const ReadGuard guard = store_.Read();
  EXPECT_EQ(All(Snapshots(guard)[0]).size(), 21U);
}

// Each batch replaces overlays of many series; nobody calls Maintain.
TEST(StoreMemoryTest, BatchesFreeWhatTheyReplace) {
  constexpr int64_t kBatches = 200;
  constexpr int kSeries = 100;
  const auto schema = Quotes();
  Store store(StoreOptions{.huge_pages = false});
  Lsn lsn(1);
  for (int64_t batch = 0; batch < kBatches; ++batch) {
    BatchBuilder builder(schema);
    for (int i = 0; i < kSeries; ++i) {
      builder.AddRow("S" + std::to_string(i), Timestamp(kBatches - batch), 0);
      builder.SetText(0, "A");
    }
    store.Scatter(builder.Build(), lsn, Timestamp(0));
    lsn = Lsn(lsn.value() + kSeries);
    store.Publish(Lsn(lsn.value() - 1));
  }
  const TableStats stats = store.StatsOf(kTable);
  EXPECT_EQ(stats.overlay_rows, (kBatches - 1) * kSeries);
  // All that came and went are a hundred times what is left.
  EXPECT_LT(stats.retired_bytes, 10 * (stats.bytes - stats.retired_bytes));
}

// An image takes as long as a disk does; what is replaced meanwhile is freed all the same.
TEST_F(StoreTest, AnImageHoldsBackWhatItHasAlone) {
  std::vector<Row> rows;
  for (int64_t i = 1; i <= 2000; ++i) rows.push_back({i * 10, static_cast<uint64_t>(i)});
  Write(rows);
  Write({{15, 1}, {25, 1}});
  StoreImage image(&store_);
  const StoredSeries* stored = image.Next();
  ASSERT_NE(stored, nullptr);
  std::vector<std::byte> before;
  const uint64_t checksum = image.EncodeChunk(0, &before);
  const uint64_t bytes = store_.StatsOf(kTable).bytes;
  for (int64_t i = 0; i < 3000; ++i) {
    Write({{i % 2000 * 10 + 1, static_cast<uint64_t>(i)}});
    store_.Maintain();
  }
  // The overlays that came and went are hundreds of times as large.
  EXPECT_LT(store_.StatsOf(kTable).bytes, 4 * bytes);
  EXPECT_LT(store_.StatsOf(kTable).overlay_rows, 1000U) << "compactions go on";
  EXPECT_EQ(store_.StatsOf(kTable).rows, 5002U);
  std::vector<std::byte> after;
  EXPECT_EQ(image.EncodeChunk(0, &after), checksum);
  EXPECT_EQ(after, before);
  EXPECT_GT(store_.StatsOf(kTable).retired_bytes, 0U) << "the chunks that it shows";
  EXPECT_EQ(image.Next(), nullptr);
  while (store_.Maintain()) {
  }
  EXPECT_EQ(store_.StatsOf(kTable).retired_bytes, 0U);
}

// Enough of each size of chunk that they come from regions, and go again.
TEST(StoreMemoryTest, ManySeriesShareRegions) {
  constexpr uint64_t kSeries = 300;
  constexpr uint64_t kRows = 120'000;
  const auto schema = Quotes();
  for (const bool huge_pages : {true, false}) {
    Store store(StoreOptions{.huge_pages = huge_pages});
    for (uint64_t lsn = 1; lsn <= kRows; lsn += 2000) {
      BatchBuilder builder(schema);
      for (uint64_t i = lsn; i < lsn + 2000; ++i) {
        builder.AddRow("S" + std::to_string(i * i % kSeries), Timestamp(static_cast<int64_t>(i)),
                       i);
        builder.SetText(0, "A");
        for (size_t c = 1; c < 4; ++c) builder.SetInt(c, static_cast<int64_t>(i * c));
        builder.SetFloat(4, static_cast<double>(i));
      }
      store.Scatter(builder.Build(), Lsn(lsn), Timestamp(0));
      store.Publish(Lsn(lsn + 1999));
      store.Maintain();
    }
    uint64_t rows = 0;
    uint64_t sum = 0;
    {
      const ReadGuard guard = store.Read();
      std::vector<SeriesSnapshot> all;
      for (uint32_t code = 0; code < store.dictionary().size(); ++code) {
        guard.SeriesOf(kTable, code, &all);
      }
      std::vector<RowRun> runs;
      for (const SeriesSnapshot& series : all) {
        series.Runs(Timestamp::Min(), Timestamp::Max(), &runs);
      }
      for (const RowRun& run : runs) {
        for (uint32_t row = run.begin; row < run.end; ++row) {
          ++rows;
          const auto i = static_cast<uint64_t>(TimestampsOf(*run.block)[row]);
          sum += i;
          ASSERT_EQ(SeqsOf(*run.block)[row], i);
          ASSERT_EQ(LsnOf(*run.block, row), Lsn(i));
          ASSERT_EQ(LoadAt<uint64_t>(ValuesOf(*run.block, 3), row), 3 * i);
          ASSERT_EQ(LoadAt<double>(ValuesOf(*run.block, 4), row), static_cast<double>(i));
        }
      }
    }
    EXPECT_EQ(rows, kRows);
    EXPECT_EQ(sum, kRows * (kRows + 1) / 2);
    store.SetPersisted(Lsn(kRows));
    const auto plan = store.PlanEviction(kTable, Timestamp::Max(), Timestamp::Max());
    EXPECT_EQ(store.Evict(kTable, plan).rows, kRows);
    store.Maintain();
    EXPECT_EQ(store.StatsOf(kTable).rows, 0U);
  }
}

TEST(StoreMemoryTest, AQuoteTakesLittleMoreThanItsData) {
  constexpr uint64_t kRows = 100'000;
  constexpr uint64_t kSeries = 4;
  const auto schema = Quotes();
  Store store(StoreOptions{});
  for (uint64_t lsn = 1; lsn <= kRows; lsn += 1000) {
    BatchBuilder builder(schema);
    for (uint64_t i = lsn; i < lsn + 1000; ++i) {
      builder.AddRow("AIG", Timestamp(static_cast<int64_t>(i)), i);
      builder.SetText(0, std::string(1, static_cast<char>('A' + i % kSeries)));
      for (size_t c = 1; c < 4; ++c) builder.SetInt(c, static_cast<int64_t>(i));
      builder.SetFloat(4, 0.5);
    }
    store.Scatter(builder.Build(), Lsn(lsn), Timestamp(0));
    store.Publish(Lsn(lsn + 999));
  }
  const TableStats stats = store.StatsOf(kTable);
  EXPECT_EQ(stats.rows, kRows);
  EXPECT_EQ(stats.series, kSeries);
  // At most one chunk a series is not full.
  EXPECT_LE(stats.bytes, kRows * 53 + kSeries * (kChunkRows * 56 + 8192));

  store.SetPersisted(Lsn(kRows));
  {
    const ReadGuard guard = store.Read();
    const auto plan = store.PlanEviction(kTable, Timestamp::Max(), Timestamp::Max());
    const EvictResult result = store.Evict(kTable, plan);
    EXPECT_EQ(result.rows, kRows);
    EXPECT_EQ(result.series, kSeries);
    store.Maintain();
    EXPECT_GE(store.StatsOf(kTable).bytes, stats.bytes) << "a reader may still look at them";
  }
  store.Maintain();
  EXPECT_EQ(store.StatsOf(kTable).rows, 0U);
  EXPECT_LT(store.StatsOf(kTable).bytes, kSeries * 16'384);
}

}  // namespace
}  // namespace proxist::hot
