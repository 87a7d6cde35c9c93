// The shard: dedup, durability, recovery, failure, eviction.
#include "proxist/shard/shard.h"

#include <gmock/gmock.h>

#include "tests/unit/shard/shard_fixture.h"

namespace proxist::shard {
namespace {

using ::testing::HasSubstr;

class ShardTest : public ShardFixture {};

TEST_F(ShardTest, AcksContiguousRangesAndShowsTheRows) {
  const Ack first = Send("p", 1, Rows(10, kStartNs, 1));
  ASSERT_TRUE(first.status.ok()) << first.status;
  EXPECT_EQ(first.first, Lsn(1));
  EXPECT_EQ(first.last, Lsn(10));
  EXPECT_FALSE(first.duplicate);
  const Ack second = Send("", 0, Rows(5, kStartNs + 100, 11));
  EXPECT_EQ(second.first, Lsn(11));
  EXPECT_EQ(second.last, Lsn(15));
  EXPECT_EQ(Visible().size(), 15u);
  const ShardStats stats = shard_->Stats();
  EXPECT_EQ(stats.published, Lsn(15));
  EXPECT_EQ(stats.backlog_rows, 15u);
  EXPECT_EQ(stats.rows, 15u);
}

TEST_F(ShardTest, AGroupSharesOneWriteAndKeepsItsOrder) {
  Ack acks[3];
  std::vector<Write> writes;
  for (uint64_t i = 0; i < 3; ++i) {
    writes.push_back(
        WriteOf("p", i + 1, Rows(4, kStartNs + static_cast<int64_t>(i) * 10, i * 4), &acks[i]));
  }
  EXPECT_EQ(shard_->Commit(writes), 3u);
  EXPECT_EQ(acks[2].first, Lsn(9));
  EXPECT_EQ(acks[2].last, Lsn(12));
  EXPECT_EQ(shard_->Stats().groups, 1u);
  EXPECT_EQ(shard_->Stats().batches, 3u);
}

TEST_F(ShardTest, ARetriedBatchCountsOnceAlsoAfterARestart) {
  ASSERT_TRUE(Send("p", 1, Rows(10, kStartNs, 1)).status.ok());
  const Ack again = Send("p", 1, Rows(10, kStartNs, 1));
  EXPECT_TRUE(again.status.ok());
  EXPECT_TRUE(again.duplicate);
  EXPECT_EQ(again.first, Lsn(1));
  EXPECT_EQ(again.last, Lsn(10));
  ASSERT_TRUE(Send("p", 2, Rows(10, kStartNs + 50, 11)).status.ok());
  ASSERT_TRUE(Reopen().ok());
  EXPECT_EQ(report_.rows, 20u);
  const Ack older = Send("p", 1, Rows(10, kStartNs, 1));
  EXPECT_TRUE(older.duplicate);
  EXPECT_EQ(older.first.value(), older.last.value() + 1);
  EXPECT_TRUE(Send("p", 2, Rows(10, kStartNs + 50, 11)).duplicate);
  EXPECT_EQ(Visible().size(), 20u);
}

TEST_F(ShardTest, ADuplicateInsideOneGroupIsAnsweredOnce) {
  Ack acks[2];
  std::vector<Write> writes;
  writes.push_back(WriteOf("p", 1, Rows(4, kStartNs, 1), &acks[0]));
  writes.push_back(WriteOf("p", 1, Rows(4, kStartNs, 1), &acks[1]));
  EXPECT_EQ(shard_->Commit(writes), 2u);
  EXPECT_FALSE(acks[0].duplicate);
  EXPECT_TRUE(acks[1].duplicate);
  EXPECT_EQ(acks[1].last, acks[0].last);
  EXPECT_EQ(Visible().size(), 4u);
}

TEST_F(ShardTest, ANewEpochStartsAboveEveryLsn) {
  ASSERT_TRUE(Send("", 0, Rows(10, kStartNs, 1)).status.ok());
  const auto rows = Visible();
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(Reopen().ok());
    EXPECT_EQ(Visible(), rows);
  }
  const Ack next = Send("", 0, Rows(1, kStartNs + 99, 99));
  EXPECT_GT(next.first, Lsn(10));
}

TEST_F(ShardTest, AFailedWritePoisonsShowsNothingAndReadsGoOn) {
  ASSERT_TRUE(Send("p", 1, Rows(3, kStartNs, 1)).status.ok());
  const auto rows = Visible();
  files_.wait_error = Unavailable("the disk is gone");
  const Ack failed = Send("p", 2, Rows(3, kStartNs + 10, 4));
  EXPECT_TRUE(absl::IsUnavailable(failed.status)) << failed.status;
  EXPECT_THAT(std::string(Message(failed.status)), HasSubstr("the disk is gone"));
  EXPECT_EQ(Visible(), rows);
  files_.wait_error = OkStatus();
  EXPECT_TRUE(absl::IsUnavailable(Send("q", 1, Rows(3, kStartNs + 20, 7)).status));
  EXPECT_TRUE(Send("p", 1, Rows(3, kStartNs, 1)).duplicate);
  EXPECT_THAT(shard_->Stats().poisoned, HasSubstr("the disk is gone"));
  EXPECT_EQ(Visible(), rows);
  // The write may or may not have reached the disk; after a restart the retried batch counts once
  // either way.
  ASSERT_TRUE(Reopen().ok());
  ASSERT_TRUE(Send("p", 2, Rows(3, kStartNs + 10, 4)).status.ok());
  EXPECT_EQ(Visible().size(), 6u);
}

TEST_F(ShardTest, AFullDiskRefusesAndLaterBatchesWaitForTheRefusedOne) {
  ASSERT_TRUE(Send("p", 1, Rows(3, kStartNs, 1)).status.ok());
  files_.open_error = ResourceExhausted("no space left");
  Ack ack;
  uint64_t number = 2;
  // Until the open segment is full, writes need no new space.
  do {
    ack = Send("p", number,
               Rows(2000, kStartNs + static_cast<int64_t>(number) * 10000, number * 10000));
    if (ack.status.ok()) ++number;
    ASSERT_LT(number, 200u);
  } while (ack.status.ok());
  EXPECT_TRUE(absl::IsResourceExhausted(ack.status)) << ack.status;
  const auto rows = Visible();
  files_.open_error = OkStatus();
  const Ack ahead = Send("p", number + 1, Rows(3, kStartNs, 900'000));
  EXPECT_TRUE(absl::IsFailedPrecondition(ahead.status)) << ahead.status;
  EXPECT_EQ(Visible(), rows);
  EXPECT_TRUE(
      Send("p", number, Rows(2000, kStartNs + static_cast<int64_t>(number) * 10000, number * 10000))
          .status.ok());
  EXPECT_TRUE(Send("p", number + 1, Rows(3, kStartNs, 900'000)).status.ok());
  EXPECT_EQ(Visible().size(), rows.size() + 2003);
  const auto all = Visible();
  ASSERT_TRUE(Reopen().ok());
  EXPECT_EQ(Visible(), all);
}

TEST_F(ShardTest, ABoundOnProducers) {
  options_.max_producers = 2;
  ASSERT_TRUE(Reopen().ok());
  EXPECT_TRUE(Send("a", 1, Rows(1, kStartNs, 1)).status.ok());
  EXPECT_TRUE(Send("b", 1, Rows(1, kStartNs, 2)).status.ok());
  EXPECT_TRUE(absl::IsResourceExhausted(Send("c", 1, Rows(1, kStartNs, 3)).status));
  EXPECT_TRUE(Send("a", 2, Rows(1, kStartNs, 4)).status.ok());
}

TEST_F(ShardTest, AnAddedColumnReadsAsNullInOlderRecordsAfterReplay) {
  ASSERT_TRUE(Send("", 0, Rows(3, kStartNs, 1)).status.ok());
  column::TableSchema wider = *schema_;
  wider.columns.push_back({ColumnId(0), "note", {column::TypeKind::kString, 0}, true});
  const auto applied = catalog_->Apply(wider, "test");
  ASSERT_TRUE(applied.ok()) << applied.status();
  const auto old_schema = schema_;
  schema_ = *applied;
  column::BatchBuilder builder(schema_);
  builder.AddRow("S0", Timestamp(kStartNs + 50), 50);
  builder.SetInt(0, 7);
  builder.SetText(1, "hello");
  ASSERT_TRUE(Send("", 0, builder.Build()).status.ok());
  schema_ = old_schema;
  ASSERT_TRUE(Send("", 0, Rows(2, kStartNs + 60, 60)).status.ok());
  schema_ = *applied;
  ASSERT_TRUE(Reopen().ok());
  EXPECT_EQ(Visible().size(), 6u);
}

TEST_F(ShardTest, EvictionRecordsFloorsThatARestartKeeps) {
  ASSERT_TRUE(Send("", 0, Rows(100, kStartNs, 1)).status.ok());
  // Nothing is persisted: nothing may leave.
  auto result = shard_->Evict(schema_->id, Timestamp(kStartNs + 50), Timestamp::Max());
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(Visible().size(), 100u);
  shard_->TakeForFlush(1'000'000);
  shard_->Persisted(Lsn(100));
  const meta::Mutation persisted{"shard/0/persisted", "100", std::nullopt};
  ASSERT_TRUE(metadata_->Apply({&persisted, 1}, "test", "").ok());
  // Series names go into metadata with a flush; this test stands in for it.
  ASSERT_TRUE(Reopen().ok());
  auto take = shard_->TakeForFlush(1'000'000);
  EXPECT_TRUE(take.batches.empty());
  ASSERT_FALSE(take.series.empty());
  ASSERT_TRUE(metadata_->Apply(take.series, "test", "").ok());
  result = shard_->Evict(schema_->id, Timestamp(kStartNs + 50), Timestamp::Max());
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(Visible().size(), 50u);
  EXPECT_EQ(Visible().front().first, kStartNs + 50);
  ASSERT_TRUE(Reopen().ok());
  EXPECT_EQ(Visible().size(), 50u);
  EXPECT_EQ(Visible().front().first, kStartNs + 50);
}

TEST_F(ShardTest, SegmentsOfEvictedRowsAreRecycledAndProducersAreStillKnown) {
  uint64_t number = 0;
  while (shard_->Stats().log_live_bytes < 6 * options_.segment_bytes) {
    ++number;
    ASSERT_TRUE(Send("p", number,
                     Rows(5000, kStartNs + static_cast<int64_t>(number) * 10000, number * 10000))
                    .status.ok());
  }
  const Lsn last = shard_->Stats().published;
  const FlushTake take = shard_->TakeForFlush(100'000'000);
  std::vector<meta::Mutation> mutations = take.series;
  mutations.push_back({"shard/0/persisted", std::to_string(last.value()), std::nullopt});
  ASSERT_TRUE(metadata_->Apply(mutations, "test", "").ok());
  shard_->Persisted(last);
  const uint64_t before = shard_->Stats().log_live_bytes;
  // All but the newest batch leaves memory.
  const int64_t kept = kStartNs + static_cast<int64_t>(number) * 10000;
  ASSERT_TRUE(shard_->Evict(schema_->id, Timestamp(kept), Timestamp::Max()).ok());
  auto job = shard_->BeginSnapshot();
  ASSERT_TRUE(job.ok()) << job.status();
  ASSERT_TRUE((*job)->Run().ok());
  ASSERT_TRUE(shard_->FinishSnapshot(std::move(*job)).ok());
  ASSERT_TRUE(Send("q", 1, Rows(1, kept + 9000, 1)).status.ok());
  EXPECT_LT(shard_->Stats().log_live_bytes, before);
  EXPECT_EQ(Visible().size(), 5001u);
  const auto rows = Visible();
  for (int i = 0; i < 2; ++i) {
    ASSERT_TRUE(Reopen().ok());
    EXPECT_EQ(Visible(), rows);
    EXPECT_LT(report_.rows, last.value());
    EXPECT_TRUE(Send("p", number, Rows(5000, kept, number * 10000)).duplicate);
    EXPECT_TRUE(Send("p", 1, Rows(5000, kStartNs, 1)).duplicate);
  }
  const Ack next = Send("p", number + 1, Rows(1, kept + 9001, 2));
  ASSERT_TRUE(next.status.ok()) << next.status;
  EXPECT_GT(next.first, last);
}

TEST_F(ShardTest, TakenBatchesStayUntilPersistedAndAreFoundByRange) {
  for (uint64_t i = 0; i < 10; ++i) {
    ASSERT_TRUE(
        Send("", 0, Rows(10, kStartNs + static_cast<int64_t>(i) * 100, i * 10)).status.ok());
  }
  const FlushTake first = shard_->TakeForFlush(25);
  ASSERT_EQ(first.batches.size(), 2u);
  EXPECT_EQ(first.batches[1].first, Lsn(11));
  EXPECT_EQ(shard_->TakeForFlush(1).batches.size(), 1u);
  EXPECT_EQ(shard_->Find(Lsn(11), Lsn(30)).size(), 2u);
  EXPECT_EQ(shard_->Stats().backlog_rows, 100u);
  shard_->Persisted(Lsn(20));
  EXPECT_EQ(shard_->Stats().backlog_rows, 80u);
  EXPECT_EQ(shard_->PersistedThrough(schema_->id), Timestamp(kStartNs + 200 - 1));
  EXPECT_EQ(shard_->TakeForFlush(1'000'000).batches.size(), 7u);
  shard_->Persisted(Lsn(100));
  EXPECT_EQ(shard_->PersistedThrough(schema_->id), Timestamp(kStartNs + 909));
  EXPECT_EQ(shard_->Stats().oldest_unpersisted, Timestamp::Max());
}

TEST_F(ShardTest, ACorrectionAndACancelAreHandedOverAsRewrites) {
  ASSERT_TRUE(Send("", 0, Rows(5, kStartNs, 1)).status.ok());
  EXPECT_TRUE(shard_->TakeForFlush(100).rewritten_days.empty());
  EXPECT_EQ(shard_->RewriteHandedToFlush(schema_->id), Lsn(0));
  ASSERT_TRUE(Send("", 0, Rows(1, kStartNs, 1)).status.ok());  // the same key again
  column::BatchBuilder builder(schema_);
  builder.AddRow("S1", Timestamp(kStartNs + 1), 2, column::Op::kCancel);
  builder.SetInt(0, 0);
  ASSERT_TRUE(Send("", 0, builder.Build()).status.ok());
  const FlushTake take = shard_->TakeForFlush(100);
  ASSERT_EQ(take.rewritten_days.size(), 1u);
  EXPECT_EQ(take.rewritten_days[0].second, DayOf(Timestamp(kStartNs)));
  EXPECT_EQ(shard_->RewriteHandedToFlush(schema_->id), Lsn(7));
  EXPECT_EQ(Visible().size(), 4u);
}

}  // namespace
}  // namespace proxist::shard
