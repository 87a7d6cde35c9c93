// Tables with `durability: process`: acked and published from the page cache, durable soon after,
// flushed only then, and told apart in every ack.
#include <gmock/gmock.h>

#include "tests/unit/shard/shard_fixture.h"
#include "tests/unit/wal/memory_file_system.h"

namespace proxist::shard {
namespace {

using column::Durability;
using ::testing::HasSubstr;

class DurabilityTest : public ShardFixture {
 protected:
  void Pass(Duration time) { clock_.elapsed_ns += time.ns(); }
};

TEST_F(DurabilityTest, ProcessRowsAreAckedFromThePageCacheAndFlushedWhenTheyAreDurable) {
  ASSERT_EQ(Send("p", 1, Rows(5, kStartNs, 1)).durability, Durability::kSync);
  SetDurability(Durability::kProcess);
  const Ack ack = Send("p", 2, Rows(5, kStartNs + 10, 6));
  ASSERT_TRUE(ack.status.ok()) << ack.status;
  EXPECT_EQ(ack.durability, Durability::kProcess);
  EXPECT_EQ(Visible().size(), 10u);
  EXPECT_EQ(shard_->Stats().published, Lsn(10));
  EXPECT_EQ(shard_->Stats().durable, Lsn(5));
  EXPECT_EQ(shard_->TakeForFlush(100).batches.size(), 1u);
  EXPECT_TRUE(shard_->TakeForFlush(100).batches.empty());
  EXPECT_EQ(files_.syncs, 0u);

  EXPECT_EQ(shard_->SyncDueIn(), options_.max_unsynced);
  Pass(Duration(options_.max_unsynced.ns() - 1));
  ASSERT_TRUE(shard_->Maintain().ok());
  EXPECT_EQ(shard_->Stats().durable, Lsn(5));
  EXPECT_EQ(shard_->SyncDueIn(), Duration(1));
  Pass(Duration(1));
  ASSERT_TRUE(shard_->Maintain().ok());
  EXPECT_EQ(shard_->Stats().durable, Lsn(10));
  EXPECT_EQ(shard_->Stats().log_syncs, 1u);
  EXPECT_GT(shard_->SyncDueIn(), Duration::Seconds(1));
  EXPECT_EQ(shard_->TakeForFlush(100).batches.size(), 1u);
  const Ack again = Send("p", 2, Rows(5, kStartNs + 10, 6));
  EXPECT_TRUE(again.duplicate);
  EXPECT_EQ(again.durability, Durability::kSync);
}

TEST_F(DurabilityTest, AShardThatIsNeverIdleSyncsToo) {
  SetDurability(Durability::kProcess);
  for (uint64_t i = 0; i < 10; ++i) {
    ASSERT_TRUE(Send("", 0, Rows(1, kStartNs + static_cast<int64_t>(i), i)).status.ok());
    Pass(Duration::Millis(20));
  }
  // Groups 1 to 3 are synced after the fourth, 60 ms after the first.
  EXPECT_EQ(shard_->Stats().log_syncs, 2u);
  EXPECT_EQ(shard_->Stats().durable, Lsn(8));
}

TEST_F(DurabilityTest, OneSyncBatchMakesItsWholeGroupDurable) {
  Ack acks[3];
  std::vector<Write> writes;
  writes.push_back(WriteOf("", 0, Rows(2, kStartNs + 10, 10), &acks[1]));
  SetDurability(Durability::kProcess);
  ASSERT_EQ(Send("", 0, Rows(2, kStartNs, 1)).durability, Durability::kProcess);
  writes.insert(writes.begin(), WriteOf("", 0, Rows(2, kStartNs + 20, 20), &acks[0]));
  writes.push_back(WriteOf("", 0, Rows(2, kStartNs + 30, 30), &acks[2]));
  ASSERT_EQ(shard_->Commit(writes), 3u);
  for (const Ack& ack : acks) {
    EXPECT_TRUE(ack.status.ok());
    EXPECT_EQ(ack.durability, Durability::kSync);
  }
  // What was unsynced before went first.
  EXPECT_EQ(files_.syncs, 1u);
  EXPECT_EQ(files_.unsynced_writes, 1u);
  EXPECT_EQ(shard_->Stats().durable, shard_->Stats().published);
  EXPECT_EQ(shard_->TakeForFlush(100).batches.size(), 4u);
}

TEST_F(DurabilityTest, ADuplicateIsAckedAsDurableOnlyWhenItIs) {
  SetDurability(Durability::kProcess);
  ASSERT_TRUE(Send("p", 1, Rows(2, kStartNs, 1)).status.ok());
  const Ack process = Send("p", 1, Rows(2, kStartNs, 1));
  EXPECT_TRUE(process.duplicate);
  EXPECT_EQ(process.durability, Durability::kProcess);
  SetDurability(Durability::kSync);
  const Ack sync = Send("p", 1, Rows(2, kStartNs, 1));
  EXPECT_TRUE(sync.duplicate);
  EXPECT_EQ(sync.durability, Durability::kSync);
  EXPECT_EQ(files_.syncs, 1u);
  EXPECT_EQ(shard_->Stats().durable, Lsn(2));
}

TEST_F(DurabilityTest, AFailedSyncPoisonsAndNothingUndurableIsAckedOrFlushed) {
  ASSERT_TRUE(Send("q", 1, Rows(2, kStartNs, 1)).status.ok());
  SetDurability(Durability::kProcess);
  ASSERT_TRUE(Send("p", 1, Rows(2, kStartNs + 10, 3)).status.ok());
  const auto rows = Visible();
  files_.sync_error = Unavailable("the disk is gone");
  Pass(Duration::Seconds(1));
  EXPECT_EQ(shard_->Maintain().status().code(), absl::StatusCode::kUnavailable);
  files_.sync_error = OkStatus();
  EXPECT_THAT(shard_->Stats().poisoned, HasSubstr("the disk is gone"));
  EXPECT_TRUE(absl::IsUnavailable(Send("p", 2, Rows(2, kStartNs + 20, 5)).status));
  EXPECT_TRUE(absl::IsUnavailable(Send("p", 1, Rows(2, kStartNs + 10, 3)).status));
  EXPECT_TRUE(Send("q", 1, Rows(2, kStartNs, 1)).status.ok());
  EXPECT_EQ(Visible(), rows);
  EXPECT_EQ(shard_->Stats().durable, Lsn(2));
  EXPECT_EQ(shard_->TakeForFlush(100).batches.size(), 1u);
  EXPECT_TRUE(shard_->TakeForFlush(100).batches.empty());
  EXPECT_EQ(files_.syncs, 1u);  // never tried again
  EXPECT_FALSE(shard_->Close().ok());
  ASSERT_TRUE(Reopen().ok());
  EXPECT_EQ(Visible(), rows);
  EXPECT_EQ(shard_->Stats().durable, Lsn(4));
}

TEST_F(DurabilityTest, ASyncRowBehindAFailedSyncIsNeverSeen) {
  SetDurability(Durability::kProcess);
  ASSERT_TRUE(Send("p", 1, Rows(2, kStartNs, 1)).status.ok());
  SetDurability(Durability::kSync);
  const auto rows = Visible();
  files_.sync_error = Unavailable("the disk is gone");
  EXPECT_TRUE(absl::IsUnavailable(Send("p", 2, Rows(2, kStartNs + 10, 3)).status));
  files_.sync_error = OkStatus();
  EXPECT_EQ(Visible(), rows);
  EXPECT_TRUE(absl::IsUnavailable(Send("p", 2, Rows(2, kStartNs + 10, 3)).status));
  EXPECT_THAT(shard_->Stats().poisoned, HasSubstr("the disk is gone"));
}

TEST_F(DurabilityTest, ARestartKeepsWhatThePageCacheHasAndMakesItDurable) {
  SetDurability(Durability::kProcess);
  for (uint64_t i = 1; i <= 20; ++i) {
    ASSERT_TRUE(Send("p", i, Rows(3, kStartNs + static_cast<int64_t>(i) * 10, i * 3)).status.ok());
  }
  const auto rows = Visible();
  ASSERT_TRUE(Reopen().ok());
  EXPECT_EQ(Visible(), rows);
  EXPECT_EQ(shard_->Stats().durable, shard_->Stats().published);
  EXPECT_EQ(shard_->TakeForFlush(1000).batches.size(), 20u);
  EXPECT_TRUE(Send("p", 20, Rows(3, kStartNs + 200, 60)).duplicate);
}

TEST_F(DurabilityTest, CloseMakesEverythingDurable) {
  SetDurability(Durability::kProcess);
  ASSERT_TRUE(Send("p", 1, Rows(2, kStartNs, 1)).status.ok());
  ASSERT_TRUE(shard_->Close().ok());
  EXPECT_EQ(shard_->Stats().durable, Lsn(2));
  EXPECT_EQ(files_.syncs, 1u);
}

TEST_F(DurabilityTest, ARottenLastRowIsRefusedOnceTheWatermarkHasPassedIt) {
  for (const bool maintained : {false, true}) {
    std::filesystem::remove_all(options_.wal_directory);
    ASSERT_TRUE(Reopen().ok());
    ASSERT_TRUE(Send("", 0, Rows(2, kStartNs, 1)).status.ok());
    ASSERT_TRUE(Send("", 0, Rows(2, kStartNs + 10, 3)).status.ok());
    Pass(Duration::Seconds(2));
    if (maintained) {
      ASSERT_TRUE(shard_->Maintain().ok());
    }
    Crash();
    const std::string path = options_.wal_directory + "/0000000000000001.wal";
    auto file = files_.Open(path, env::FileSystem::Mode::kReadWrite).value();
    ASSERT_TRUE(file->WriteAt(8192 + 200, AsBytes("rot")).ok());
    const Status opened = Reopen();
    if (maintained) {
      EXPECT_EQ(opened.code(), absl::StatusCode::kDataLoss) << opened;
      EXPECT_THAT(std::string(Message(opened)), HasSubstr(path + ": damaged at offset 8192"));
    } else {
      ASSERT_TRUE(opened.ok()) << opened;
      EXPECT_TRUE(report_.torn_tail);
      EXPECT_THAT(report_.torn_why, HasSubstr("0000000000000001 at offset 8192"));
      EXPECT_EQ(Visible().size(), 2u);
    }
  }
}

/// A shard on files that power loss can take apart, with a model of what may be lost.
class DurabilityCrashTest : public ShardFixture {
 protected:
  static constexpr uint64_t kBatches = 40;
  /// What the producer was told.
  struct Told {
    uint64_t acked = 0;    // the last batch
    uint64_t durable = 0;  // the last batch that was acked as sync, or known durable since
  };

  Status OpenOn(env::FileSystem* files) {
    shard_.reset();
    report_ = {};
    PX_ASSIGN_OR_RETURN(
        shard_, Shard::Open(options_, {files, &clock_, metadata_.get(), catalog_.get()}, &report_));
    return OkStatus();
  }
  /// Sends batches of 3 rows from `next` on; every seventh is of the sync schema.
  void SendAll(uint64_t next, Told* told) {
    std::map<uint64_t, Lsn> last;
    for (uint64_t number = next; number <= kBatches; ++number) {
      schema_ = number % 7 == 0 ? sync_ : process_;
      const Ack ack =
          Send("p", number, Rows(3, kStartNs + static_cast<int64_t>(number) * 10, number * 3));
      if (!ack.status.ok()) return;
      told->acked = number;
      last[number] = ack.last;
      clock_.elapsed_ns += 11'000'000;
      if (!shard_->Maintain().ok()) return;
      const ShardStats stats = shard_->Stats();
      ASSERT_LE(stats.durable, stats.published);
      ASSERT_TRUE(number % 7 != 0 || ack.durability == Durability::kSync);
      if (ack.durability == Durability::kSync) told->durable = number;
      for (const auto& [batch, lsn] : last) {
        if (lsn <= stats.durable) told->durable = std::max(told->durable, batch);
      }
      const FlushTake take = shard_->TakeForFlush(1000);
      for (const auto& batch : take.batches) {
        ASSERT_LE(batch.first.value() + batch.batch.rows - 1, stats.durable.value());
      }
    }
  }
  /// The number of batches that are visible; all of them are whole and without gaps.
  uint64_t VisibleBatches() {
    const auto rows = Visible();
    EXPECT_EQ(rows.size() % 3, 0u);
    for (size_t i = 0; i < rows.size(); ++i) {
      EXPECT_EQ(rows[i].second, i + 3);
    }
    return rows.size() / 3;
  }

  column::SchemaPtr sync_;
  column::SchemaPtr process_;
};

TEST_F(DurabilityCrashTest, EveryCrashPointKeepsWhatWasToldToBeDurable) {
  sync_ = schema_;
  SetDurability(Durability::kProcess);
  process_ = schema_;
  options_.wal_directory = "log";
  options_.segment_bytes = 128u << 10;
  options_.max_frame_bytes = 64u << 10;
  options_.prepare_segments = false;
  env::MemoryFileSystem whole;
  ASSERT_TRUE(OpenOn(&whole).ok());
  Told told;
  SendAll(1, &told);
  ASSERT_EQ(told.acked, kBatches);
  uint64_t lost = 0;
  for (uint64_t point = 0; point < whole.changes(); ++point) {
    SCOPED_TRACE(fmt::format("crash at change {}", point));
    env::MemoryFileSystem files;
    files.CrashAfter(point, static_cast<uint32_t>(point));
    told = {};
    if (OpenOn(&files).ok()) SendAll(1, &told);
    ASSERT_TRUE(files.crashed());
    shard_.reset();
    files.Reboot();
    ASSERT_TRUE(OpenOn(&files).ok());
    const uint64_t kept = VisibleBatches();
    ASSERT_GE(kept, told.durable);
    ASSERT_LE(kept, told.acked + 1);
    lost += told.acked - std::min(kept, told.acked);
    // The producer goes on where the shard says, and power goes once more without harm.
    Told again{kept, kept};
    SendAll(kept + 1, &again);
    ASSERT_EQ(again.acked, kBatches);
    ASSERT_TRUE(shard_->Close().ok());
    files.CrashNow(static_cast<uint32_t>(point));
    shard_.reset();
    files.Reboot();
    ASSERT_TRUE(OpenOn(&files).ok());
    EXPECT_EQ(VisibleBatches(), kBatches);
  }
  EXPECT_GT(lost, 0u);  // else the test shows nothing
}

}  // namespace
}  // namespace proxist::shard
