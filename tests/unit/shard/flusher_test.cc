// The flush: every row reaches history once, through failures on either side of the commit and
// restarts.
#include "proxist/shard/flusher.h"

#include <random>

#include <gmock/gmock.h>

#include "tests/unit/shard/shard_fixture.h"

namespace proxist::shard {
namespace {

using ::testing::HasSubstr;

class FlusherTest : public ShardFixture {
 protected:
  void MakeFlusher() {
    port_ = std::make_unique<DirectPort>(shard_.get());
    flusher_ = std::make_unique<Flusher>(
        Flusher::Ports{metadata_.get(), catalog_.get(), &history_, &clock_},
        std::vector<ShardPort*>{port_.get()}, "000000000000002a");
  }
  void ExpectHistoryIs(size_t rows) {
    ASSERT_EQ(history_.rows.size(), rows);
    std::set<uint64_t> versions;
    for (const auto& row : history_.rows) versions.insert(row.version);
    EXPECT_EQ(versions.size(), rows) << "a version came twice";
  }

  RecordingHistory history_;
  std::unique_ptr<DirectPort> port_;
  std::unique_ptr<Flusher> flusher_;
};

TEST_F(FlusherTest, OneRoundSendsADayAnInsertAndRaisesTheWatermark) {
  MakeFlusher();
  ASSERT_TRUE(flusher_->Resume().ok());
  ASSERT_TRUE(Send("", 0, Rows(10, kStartNs, 1)).status.ok());
  ASSERT_TRUE(Send("", 0, Rows(10, kStartNs + kDayNs - 5, 11)).status.ok());
  const auto sent = flusher_->Round(1000);
  ASSERT_TRUE(sent.ok()) << sent.status();
  EXPECT_EQ(*sent, 20u);
  EXPECT_EQ(history_.tokens.size(), 2u);
  ExpectHistoryIs(20);
  EXPECT_EQ(shard_->Stats().persisted, Lsn(20));
  EXPECT_EQ(*metadata_->Get("shard/0/persisted")->value.c_str(), '2');
  EXPECT_TRUE(metadata_->List("flush/")->empty());
  EXPECT_EQ(*flusher_->Round(1000), 0u);
}

TEST_F(FlusherTest, TheIntentIsInMetadataBeforeTheInsert) {
  MakeFlusher();
  ASSERT_TRUE(flusher_->Resume().ok());
  history_.before_commit = [&] {
    EXPECT_EQ(metadata_->List("flush/round")->size(), 1u);
    EXPECT_FALSE(metadata_->List("shard/0/series/")->empty());
    return OkStatus();
  };
  ASSERT_TRUE(Send("", 0, Rows(10, kStartNs, 1)).status.ok());
  ASSERT_TRUE(flusher_->Round(1000).ok());
  ExpectHistoryIs(10);
}

TEST_F(FlusherTest, AFailureKeepsTheRoundAndShowsItsError) {
  MakeFlusher();
  ASSERT_TRUE(flusher_->Resume().ok());
  ASSERT_TRUE(Send("", 0, Rows(10, kStartNs, 1)).status.ok());
  history_.before_commit = [] { return Unavailable("too many parts"); };
  EXPECT_TRUE(absl::IsUnavailable(flusher_->Round(1000).status()));
  EXPECT_THAT(flusher_->Stats().last_error, HasSubstr("too many parts"));
  EXPECT_EQ(shard_->Stats().persisted, Lsn(0));
  ASSERT_TRUE(Send("", 0, Rows(10, kStartNs + 100, 11)).status.ok());
  history_.before_commit = [] { return OkStatus(); };
  EXPECT_EQ(*flusher_->Round(1000), 10u);
  EXPECT_EQ(*flusher_->Round(1000), 10u);
  EXPECT_TRUE(flusher_->Stats().last_error.empty());
  ExpectHistoryIs(20);
}

TEST_F(FlusherTest, ATimeoutAfterTheCommitDoesNotDouble) {
  MakeFlusher();
  ASSERT_TRUE(flusher_->Resume().ok());
  ASSERT_TRUE(Send("", 0, Rows(10, kStartNs, 1)).status.ok());
  history_.after_commit = [] { return DeadlineExceeded("timed out"); };
  EXPECT_FALSE(flusher_->Round(1000).ok());
  history_.after_commit = [] { return OkStatus(); };
  ASSERT_TRUE(flusher_->Round(1000).ok());
  EXPECT_EQ(history_.deduplicated, 1u);
  // Later than the token is trusted, the rows are counted instead.
  ASSERT_TRUE(Send("", 0, Rows(10, kStartNs + 100, 11)).status.ok());
  history_.after_commit = [] { return DeadlineExceeded("timed out"); };
  EXPECT_FALSE(flusher_->Round(1000).ok());
  history_.after_commit = [] { return OkStatus(); };
  history_.tokens.clear();  // the window is finite
  clock_.elapsed_ns += 2'000'000'000;
  ASSERT_TRUE(flusher_->Round(1000).ok());
  EXPECT_EQ(flusher_->Stats().skipped_after_count, 1u);
  ExpectHistoryIs(20);
}

TEST_F(FlusherTest, ARestartSendsTheSameBlockUnderTheSameToken) {
  for (const bool committed : {false, true}) {
    SCOPED_TRACE(committed);
    MakeFlusher();
    ASSERT_TRUE(flusher_->Resume().ok());
    const size_t before = history_.rows.size();
    const int64_t at = kStartNs + static_cast<int64_t>(before) * 1000;
    ASSERT_TRUE(Send("", 0, Rows(10, at, before)).status.ok());
    ASSERT_TRUE(Send("", 0, Rows(10, at + kDayNs, before + 10)).status.ok());
    std::vector<std::string> tokens;
    (committed ? history_.after_commit : history_.before_commit) = [] {
      return Unavailable("killed");
    };
    EXPECT_FALSE(flusher_->Round(1000).ok());
    const std::string round = metadata_->List("flush/round")->front().value;
    history_.before_commit = history_.after_commit = [] { return OkStatus(); };
    flusher_.reset();
    ASSERT_TRUE(Reopen().ok());
    history_.tokens.clear();
    MakeFlusher();
    // More rows arrive before the flush resumes: they do not join the old round.
    ASSERT_TRUE(Send("", 0, Rows(5, at + 500, before + 500)).status.ok());
    ASSERT_TRUE(flusher_->Resume().ok());
    EXPECT_EQ(history_.rows.size(), before + 20);
    for (const std::string& token : history_.tokens) EXPECT_THAT(round, HasSubstr(token));
    ASSERT_TRUE(flusher_->Round(1000).ok());
    ExpectHistoryIs(before + 25);
  }
}

TEST_F(FlusherTest, ARefusedTableIsHeldAndTheOthersGoOn) {
  MakeFlusher();
  ASSERT_TRUE(flusher_->Resume().ok());
  ASSERT_TRUE(Send("", 0, Rows(10, kStartNs, 1)).status.ok());        // LSN 1..10
  ASSERT_TRUE(Send("", 0, Orders(5, kStartNs, 1)).status.ok());       // 11..15
  ASSERT_TRUE(Send("", 0, Rows(10, kStartNs + 50, 11)).status.ok());  // 16..25
  history_.drifted = {orders_->id};
  EXPECT_EQ(*flusher_->Round(1000), 20u);
  ASSERT_EQ(flusher_->Stats().held.size(), 1u);
  EXPECT_THAT(flusher_->Stats().held[0].why, HasSubstr("another type"));
  EXPECT_EQ(shard_->Stats().persisted, Lsn(0)) << "the whole round's range counts as left behind";
  EXPECT_EQ(shard_->Stats().backlog_rows, 5u) << "what history has leaves the backlog";
  ASSERT_TRUE(Send("", 0, Orders(5, kStartNs + 60, 6)).status.ok());  // 26..30
  ASSERT_TRUE(Send("", 0, Rows(5, kStartNs + 70, 21)).status.ok());   // 31..35
  EXPECT_EQ(*flusher_->Round(1000), 5u);
  flusher_->RetryHeld();
  EXPECT_EQ(flusher_->Stats().held.size(), 1u);
  ExpectHistoryIs(25);
  // Also over a restart nothing of the others comes again.
  flusher_.reset();
  ASSERT_TRUE(Reopen().ok());
  MakeFlusher();
  ASSERT_TRUE(flusher_->Resume().ok());
  EXPECT_EQ(*flusher_->Round(1000), 0u);
  EXPECT_EQ(shard_->Stats().backlog_rows, 10u);
  history_.drifted.clear();
  flusher_->RetryHeld();
  EXPECT_TRUE(flusher_->Stats().held.empty());
  EXPECT_EQ(*flusher_->Round(1000), 10u);
  EXPECT_EQ(shard_->Stats().persisted, Lsn(35));
  EXPECT_EQ(shard_->Stats().backlog_rows, 0u);
  EXPECT_TRUE(metadata_->List("flush/")->empty());
  ExpectHistoryIs(35);
}

TEST_F(FlusherTest, ADayThatWasTakenBeforeTheTableDriftedIsNotSentAgain) {
  MakeFlusher();
  ASSERT_TRUE(flusher_->Resume().ok());
  ASSERT_TRUE(Send("", 0, Rows(10, kStartNs, 1)).status.ok());
  ASSERT_TRUE(Send("", 0, Rows(10, kStartNs + kDayNs, 11)).status.ok());
  int inserts = 0;
  history_.before_commit = [&] {
    return ++inserts == 2 ? FailedPrecondition("a column went") : OkStatus();
  };
  ASSERT_TRUE(flusher_->Round(1000).ok());
  ExpectHistoryIs(10);
  EXPECT_EQ(shard_->Stats().persisted, Lsn(0));
  ASSERT_TRUE(Send("", 0, Rows(10, kStartNs + 500, 21)).status.ok());
  EXPECT_EQ(*flusher_->Round(1000), 0u);
  flusher_->RetryHeld();
  while (*flusher_->Round(1000) > 0) {
  }
  ExpectHistoryIs(30);
  EXPECT_EQ(shard_->Stats().persisted, Lsn(30));
}

TEST_F(FlusherTest, ATableThatAnOpenRoundLeftBehindIsHeldAfterARestart) {
  MakeFlusher();
  ASSERT_TRUE(flusher_->Resume().ok());
  ASSERT_TRUE(Send("", 0, Orders(5, kStartNs, 1)).status.ok());
  history_.drifted = {orders_->id};
  ASSERT_TRUE(flusher_->Round(1000).ok());
  // Opened while the table is held, and not settled before the end.
  ASSERT_TRUE(Send("", 0, Orders(5, kStartNs + 60, 6)).status.ok());
  ASSERT_NE(*flusher_->Open(1000), nullptr);
  flusher_.reset();
  ASSERT_TRUE(Reopen().ok());
  MakeFlusher();
  history_.drifted.clear();
  ASSERT_TRUE(flusher_->Resume().ok());
  flusher_->RetryHeld();
  while (*flusher_->Round(1000) > 0) continue;
  EXPECT_TRUE(flusher_->Stats().held.empty());
  EXPECT_EQ(shard_->Stats().persisted, Lsn(10));
  ExpectHistoryIs(10);
}

TEST_F(FlusherTest, ALaterRoundMayBeSentFirst) {
  MakeFlusher();
  ASSERT_TRUE(flusher_->Resume().ok());
  ASSERT_TRUE(Send("", 0, Rows(10, kStartNs, 1)).status.ok());
  ASSERT_TRUE(Send("", 0, Rows(10, kStartNs + 100, 11)).status.ok());
  const auto first = *flusher_->Open(10);
  const auto second = *flusher_->Open(10);
  ASSERT_NE(second, nullptr);
  EXPECT_EQ(*flusher_->Open(10), nullptr);
  ASSERT_TRUE(flusher_->Send(second.get()).ok());
  EXPECT_EQ(*flusher_->Settle(), 0u);
  EXPECT_EQ(shard_->Stats().persisted, Lsn(0));
  // A restart here counts before it sends.
  flusher_.reset();
  ASSERT_TRUE(Reopen().ok());
  MakeFlusher();
  history_.tokens.clear();
  ASSERT_TRUE(flusher_->Resume().ok());
  EXPECT_EQ(shard_->Stats().persisted, Lsn(20));
  ExpectHistoryIs(20);
}

TEST_F(FlusherTest, RandomFailuresAndRestartsNeverLoseOrDouble) {
  std::mt19937 random(11);
  size_t written = 0;
  Lsn last_persisted;
  const auto flaky = [&] { return random() % 4 == 0 ? Unavailable("flaky") : OkStatus(); };
  history_.before_commit = flaky;
  history_.after_commit = flaky;
  MakeFlusher();
  bool resumed = false;
  for (int step = 0; step < 300; ++step) {
    if (random() % 3 == 0) {
      const int64_t ts = kStartNs + static_cast<int64_t>(random() % 3) * kDayNs + step * 1000;
      ASSERT_TRUE(
          Send("", 0, Rows(1 + random() % 50, ts, static_cast<uint64_t>(step) * 100)).status.ok());
      written = Visible().size();
    }
    if (random() % 20 == 0) {
      flusher_.reset();
      ASSERT_TRUE(Reopen().ok());
      MakeFlusher();
      resumed = false;
    }
    if (!resumed) resumed = flusher_->Resume().ok();
    if (resumed) (void)flusher_->Round(1 + random() % 200);
    clock_.elapsed_ns += static_cast<int64_t>(random() % 2'000'000'000);
    const ShardStats stats = shard_->Stats();
    EXPECT_LE(stats.persisted, stats.durable);
    EXPECT_GE(stats.persisted, last_persisted);
    last_persisted = stats.persisted;
  }
  history_.before_commit = history_.after_commit = [] { return OkStatus(); };
  ASSERT_TRUE(flusher_->Resume().ok());
  while (true) {
    const auto sent = flusher_->Round(100);
    ASSERT_TRUE(sent.ok()) << sent.status();
    if (*sent == 0) break;
  }
  ExpectHistoryIs(written);
  EXPECT_EQ(Visible().size(), written);
}

}  // namespace
}  // namespace proxist::shard
