// What a live view is given by a shard, and which batches wait for it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/shard/shard_fixture.h"

namespace proxist::shard {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr Duration kHold = Duration::Millis(250);

class LiveCutTest : public ShardFixture {
 protected:
  std::vector<uint64_t> TakenFirsts() {
    std::vector<uint64_t> firsts;
    for (const auto& batch : shard_->TakeForFlush(1'000'000).batches) {
      firsts.push_back(batch.first.value());
    }
    return firsts;
  }
  static std::vector<uint64_t> Firsts(const LiveCut& cut) {
    std::vector<uint64_t> firsts;
    for (const auto& batch : cut.rows) firsts.push_back(batch->first.value());
    return firsts;
  }
};

TEST_F(LiveCutTest, HasWhatIsPublishedAndNotPersistedAndKeepsIt) {
  ASSERT_TRUE(Send("", 0, Rows(10, kStartNs, 1)).status.ok());
  ASSERT_TRUE(Send("", 0, Rows(5, kStartNs + 100, 11)).status.ok());
  EXPECT_THAT(TakenFirsts(), ElementsAre(1, 11));
  const LiveCut before = shard_->FixLiveCut(kHold);
  shard_->Persisted(Lsn(10));
  const LiveCut after = shard_->FixLiveCut(kHold);
  ASSERT_TRUE(Send("", 0, Rows(3, kStartNs + 200, 16)).status.ok());
  shard_->Persisted(Lsn(15));
  EXPECT_EQ(before.persisted, Lsn(0));
  EXPECT_EQ(before.published, Lsn(15));
  EXPECT_THAT(Firsts(before), ElementsAre(1, 11));
  EXPECT_EQ(before.rows[0]->batch.rows, 10u);
  EXPECT_EQ(before.rows[0]->batch.ts.At<int64_t>(0), kStartNs);
  EXPECT_EQ(after.persisted, Lsn(10));
  EXPECT_THAT(Firsts(after), ElementsAre(11));
  EXPECT_EQ(after.rows[0], before.rows[1]) << "the same batch is kept once";
  EXPECT_THAT(Firsts(shard_->FixLiveCut(kHold)), ElementsAre(16));
  EXPECT_THAT(before.rewritten_days, IsEmpty());
}

TEST_F(LiveCutTest, TellsOfRewrittenDaysFromTheBatchOnAndAfterARestart) {
  ASSERT_TRUE(Send("", 0, Rows(10, kStartNs, 1)).status.ok());
  EXPECT_THAT(shard_->FixLiveCut(kHold).rewritten_days, IsEmpty());
  ASSERT_TRUE(Send("", 0, Rows(10, kStartNs, 1)).status.ok());
  const auto days = shard_->FixLiveCut(kHold).rewritten_days;
  ASSERT_EQ(days.size(), 1u);
  EXPECT_THAT(days.at(schema_->id), ElementsAre(DayOf(Timestamp(kStartNs))));
  ASSERT_TRUE(Reopen().ok());
  EXPECT_EQ(shard_->FixLiveCut(kHold).rewritten_days, days);
}

TEST_F(LiveCutTest, MarksOfEarlierFlushesCountAsRewrittenDays) {
  const meta::Mutation mark{
      fmt::format("dirty/{}/{}", schema_->id.value(), DayOf(Timestamp(kStartNs)).value()), "1",
      std::nullopt};
  ASSERT_TRUE(metadata_->Apply({&mark, 1}, "test", "a mark").ok());
  ASSERT_TRUE(Reopen().ok());
  EXPECT_THAT(shard_->FixLiveCut(kHold).rewritten_days.at(schema_->id),
              ElementsAre(DayOf(Timestamp(kStartNs))));
}

TEST_F(LiveCutTest, HoldsRewritesAboveTheCutForAWhileAndNothingElse) {
  ASSERT_TRUE(Send("", 0, Rows(10, kStartNs, 1)).status.ok());
  ASSERT_TRUE(Send("", 0, Rows(10, kStartNs, 1)).status.ok());
  const LiveCut first = shard_->FixLiveCut(kHold);
  EXPECT_EQ(first.published, Lsn(20));
  ASSERT_TRUE(Send("", 0, Rows(10, kStartNs + 1000, 11)).status.ok());
  ASSERT_TRUE(Send("", 0, Rows(10, kStartNs, 1)).status.ok());
  ASSERT_TRUE(Send("", 0, Rows(10, kStartNs + 2000, 21)).status.ok());
  // The rewrite at or below the cut goes, and the plain batch above it; the rewrite above waits.
  EXPECT_THAT(TakenFirsts(), ElementsAre(1, 11, 21));
  EXPECT_THAT(TakenFirsts(), IsEmpty());
  clock_.elapsed_ns += kHold.ns() - 1;
  EXPECT_THAT(TakenFirsts(), IsEmpty());
  // A later cut at a higher LSN does not let go what waits for the first.
  const LiveCut later = shard_->FixLiveCut(kHold);
  EXPECT_EQ(later.published, Lsn(50));
  EXPECT_THAT(TakenFirsts(), IsEmpty());
  clock_.elapsed_ns += 1;
  EXPECT_THAT(TakenFirsts(), ElementsAre(31, 41));
}

TEST_F(LiveCutTest, AHeldTableDoesNotHoldBackWhatHistoryHasOfOthers) {
  ASSERT_TRUE(Send("", 0, Rows(10, kStartNs, 1)).status.ok());
  EXPECT_THAT(TakenFirsts(), ElementsAre(1));
  const TableId other(schema_->id.value() + 1);
  shard_->Flushed(Lsn(10), {other});
  const LiveCut cut = shard_->FixLiveCut(kHold);
  EXPECT_EQ(cut.persisted, Lsn(0));
  EXPECT_EQ(cut.PersistedOf(schema_->id), Lsn(10));
  EXPECT_EQ(cut.PersistedOf(other), Lsn(0));
  EXPECT_THAT(Firsts(cut), IsEmpty());
}

TEST_F(LiveCutTest, ACutThatIsLetGoHoldsNothingAnyMoreAndOthersStillDo) {
  ASSERT_TRUE(Send("", 0, Rows(10, kStartNs, 1)).status.ok());
  auto early = std::make_unique<LiveCut>(shard_->FixLiveCut(kHold));
  auto copy = std::make_unique<LiveCut>(*early);
  ASSERT_TRUE(Send("", 0, Rows(10, kStartNs, 1)).status.ok());
  auto late = std::make_unique<LiveCut>(shard_->FixLiveCut(kHold));
  ASSERT_TRUE(Send("", 0, Rows(10, kStartNs, 1)).status.ok());
  EXPECT_THAT(TakenFirsts(), ElementsAre(1));
  early.reset();
  EXPECT_THAT(TakenFirsts(), IsEmpty()) << "a copy lives";
  copy.reset();
  EXPECT_THAT(TakenFirsts(), ElementsAre(11));
  late.reset();
  EXPECT_THAT(TakenFirsts(), ElementsAre(21));
}

TEST_F(LiveCutTest, RepeatedCutsAtOneLsnHoldUntilTheLast) {
  ASSERT_TRUE(Send("", 0, Rows(10, kStartNs, 1)).status.ok());
  const LiveCut first = shard_->FixLiveCut(kHold);
  clock_.elapsed_ns += kHold.ns() / 2;
  const LiveCut last = shard_->FixLiveCut(kHold);
  ASSERT_TRUE(Send("", 0, Rows(10, kStartNs, 1)).status.ok());
  clock_.elapsed_ns += kHold.ns() / 2 + 1;
  EXPECT_THAT(TakenFirsts(), ElementsAre(1));
  clock_.elapsed_ns += kHold.ns() / 2;
  EXPECT_THAT(TakenFirsts(), ElementsAre(11));
}

}  // namespace
}  // namespace proxist::shard
