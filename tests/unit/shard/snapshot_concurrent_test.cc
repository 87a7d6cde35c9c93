// A snapshot is written by one thread while the shard's own thread writes, evicts and compacts.
#include <atomic>
#include <random>
#include <thread>

#include "tests/unit/shard/shard_fixture.h"

namespace proxist::shard {
namespace {

class SnapshotConcurrentTest : public ShardFixture {};

TEST_F(SnapshotConcurrentTest, TheWriterGoesOnAndNothingIsMissing) {
  options_.store.overlay_compact_rows = 32;
  options_.store.max_readers = 4;
  ASSERT_TRUE(Reopen().ok());
  std::mt19937 random(5);
  uint64_t seq = 0;
  int64_t ts = kStartNs;
  const auto write = [&] {
    // Some batches go back in time, some correct what there is.
    const int64_t at = ts - (random() % 4 == 0 ? 700 : 0);
    const uint64_t first = random() % 8 == 0 && seq > 400 ? seq - 300 : seq;
    ASSERT_TRUE(Send("", 0, Rows(100, at, first)).status.ok());
    seq += 100;
    ts += 100;
    const FlushTake take = shard_->TakeForFlush(150);
    if (!take.batches.empty()) {
      const auto& last = take.batches.back();
      const Lsn lsn(last.first.value() + last.batch.rows - 1);
      std::vector<meta::Mutation> mutations = take.series;
      mutations.push_back({"shard/0/persisted", std::to_string(lsn.value()), std::nullopt});
      ASSERT_TRUE(metadata_->Apply(mutations, "test", "").ok());
      shard_->Persisted(lsn);
    }
    if (random() % 8 == 0) {
      ASSERT_TRUE(shard_->Evict(schema_->id, Timestamp(ts - 3000), Timestamp::Max()).status().ok());
    }
    clock_.elapsed_ns += 500'000'000;
    ASSERT_TRUE(shard_->Maintain().status().ok());
  };
  for (int i = 0; i < 30; ++i) write();
  for (int round = 0; round < 6; ++round) {
    auto begun = shard_->BeginSnapshot();
    ASSERT_TRUE(begun.ok()) << begun.status();
    ASSERT_NE(*begun, nullptr);
    std::atomic<bool> done{false};
    std::thread worker([&, job = begun->get()] {
      EXPECT_TRUE(job->Run().ok());
      done = true;
    });
    for (int i = 0; i < 10 || !done; ++i) write();
    worker.join();
    ASSERT_TRUE(shard_->FinishSnapshot(std::move(*begun)).ok());
  }
  const auto rows = Visible();
  const Lsn snapshot = shard_->Stats().snapshot;
  ASSERT_TRUE(Reopen().ok());
  EXPECT_EQ(report_.snapshot, snapshot);
  EXPECT_TRUE(report_.warnings.empty());
  EXPECT_EQ(Visible(), rows);
}

}  // namespace
}  // namespace proxist::shard
