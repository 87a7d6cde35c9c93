// Frames through the page cache: a killed process loses none, power loss only what was not synced,
// and what it takes is told apart from damage.
#include <algorithm>

#include "proxist/wal/internal/format.h"
#include "tests/unit/wal/log_fixture.h"

namespace proxist::wal {
namespace {

using ::testing::ElementsAreArray;
using ::testing::HasSubstr;

constexpr char kFirstSegment[] = "log/0000000000000001.wal";
constexpr auto kUnsynced = FrameLevel::kUnsynced;

class UnsyncedTest : public ::testing::Test {
 protected:
  /// One-block frames from LSN 1 on, at 4096, 8192, ...: 's' synced, 'u' unsynced, 'S' a Sync.
  void Write(const std::string& levels) {
    Opened opened = OpenLog(&files_, SmallLog());
    for (const char level : levels) {
      if (level == 'S') {
        ASSERT_TRUE(opened.log->Sync().ok());
        continue;
      }
      records_.push_back(MakeRecord(records_.size() + 1, 1, 1'000));
      ASSERT_TRUE(
          Append(opened.log.get(), records_.back(), level == 'u' ? kUnsynced : FrameLevel::kSynced)
              .ok());
    }
  }
  void Clear(size_t frame) {
    auto& bytes = files_.Content(kFirstSegment);
    std::fill_n(bytes.begin() + static_cast<ptrdiff_t>(4096 * (frame + 1)), 4096, std::byte{0});
  }
  /// Opening keeps the first `kept` records, reports the cut, and leaves no trace of it.
  void ExpectCut(size_t kept) {
    const Opened read = ReadAll(&files_, "log");
    ASSERT_TRUE(read.status.ok()) << read.status;
    EXPECT_TRUE(read.report.torn_tail);
    EXPECT_TRUE(read.report.unsynced_lost);
    EXPECT_EQ(read.report.torn_offset, 4096 * (kept + 1));
    Opened opened = OpenLog(&files_, SmallLog());
    ASSERT_TRUE(opened.status.ok()) << opened.status;
    records_.resize(kept);
    EXPECT_THAT(opened.records, ElementsAreArray(records_));
    for (uint64_t lsn = 50; lsn < 53; ++lsn) {
      records_.push_back(MakeRecord(lsn, 1, 100));
      ASSERT_TRUE(Append(opened.log.get(), records_.back(), kUnsynced).ok());
    }
    const Opened again = ReadAll(&files_, "log");
    ASSERT_TRUE(again.status.ok()) << again.status;
    EXPECT_FALSE(again.report.torn_tail);
    EXPECT_THAT(again.records, ElementsAreArray(records_));
  }
  void ExpectDataLoss(size_t frame) {
    const auto before = files_.contents();
    for (const Status& status :
         {ReadAll(&files_, "log").status, OpenLog(&files_, SmallLog()).status}) {
      ASSERT_EQ(status.code(), absl::StatusCode::kDataLoss) << status;
      EXPECT_THAT(status.ToString(), HasSubstr(fmt::format("{}: damaged at offset {}",
                                                           kFirstSegment, 4096 * (frame + 1))));
    }
    EXPECT_EQ(files_.contents(), before);
  }

  std::vector<KnownRecord> records_;
  env::MemoryFileSystem files_;
};

TEST_F(UnsyncedTest, AKilledProcessLosesNothingAndItsSuccessorMakesItDurable) {
  Write("usuuu");
  for (uint32_t seed = 0; seed < 20; ++seed) {
    env::MemoryFileSystem files = files_;
    {
      const Opened opened = OpenLog(&files, SmallLog());
      ASSERT_TRUE(opened.status.ok()) << opened.status;
      EXPECT_THAT(opened.records, ElementsAreArray(records_));
    }
    files.CrashNow(seed);
    files.Reboot();
    EXPECT_THAT(ReadAll(&files, "log").records, ElementsAreArray(records_));
  }
}

TEST_F(UnsyncedTest, PowerLossTakesUnsyncedFramesAndNothingElse) {
  Write("usuuu");
  size_t fewest = records_.size();
  for (uint32_t seed = 0; seed < 50; ++seed) {
    env::MemoryFileSystem files = files_;
    files.CrashNow(seed);
    files.Reboot();
    const Opened opened = OpenLog(&files, SmallLog());
    ASSERT_TRUE(opened.status.ok()) << opened.status;
    const size_t kept = opened.records.size();
    ASSERT_GE(kept, 2u);
    EXPECT_TRUE(std::equal(opened.records.begin(), opened.records.end(), records_.begin()));
    fewest = std::min(fewest, kept);
  }
  EXPECT_EQ(fewest, 2u);
}

TEST_F(UnsyncedTest, SyncedFramesAndSyncsProveAllBeforeThem) {
  for (const char* levels : {"uuus", "uuuS"}) {
    SCOPED_TRACE(levels);
    files_ = env::MemoryFileSystem();
    records_.clear();
    Write(levels);
    for (uint32_t seed = 0; seed < 20; ++seed) {
      env::MemoryFileSystem files = files_;
      files.CrashNow(seed);
      files.Reboot();
      EXPECT_THAT(ReadAll(&files, "log").records, ElementsAreArray(records_));
    }
  }
}

TEST_F(UnsyncedTest, TheNextSegmentStartsWhenTheOneBeforeIsDurable) {
  Write(std::string(20, 'u'));
  ASSERT_TRUE(files_.contents().contains("log/0000000000000002.wal"));
  for (uint32_t seed = 0; seed < 20; ++seed) {
    env::MemoryFileSystem files = files_;
    files.CrashNow(seed);
    files.Reboot();
    const Opened opened = OpenLog(&files, SmallLog());
    ASSERT_TRUE(opened.status.ok()) << opened.status;
    EXPECT_GE(opened.records.size(), 15u);
  }
}

TEST_F(UnsyncedTest, ALostUnsyncedFrameBeforeOthersIsCutAndReported) {
  Write("suuu");
  Clear(1);
  ExpectCut(1);
}

TEST_F(UnsyncedTest, ATornUnsyncedFrameBeforeOthersIsCutAndReported) {
  Write("suuu");
  files_.Content(kFirstSegment)[4096 * 2 + 600] ^= std::byte{1};
  ExpectCut(1);
}

TEST_F(UnsyncedTest, ALostFrameThatALaterOneSaysWasDurableIsDamage) {
  Write("suus");
  Clear(1);
  ExpectDataLoss(1);
}

TEST_F(UnsyncedTest, AnUnsyncedFrameProvesWhatWasSyncedBeforeIt) {
  Write("uuSuu");
  Clear(1);
  ExpectDataLoss(1);
}

TEST_F(UnsyncedTest, ALaterFrameWithADamagedHeaderCountsAsAProof) {
  Write("suuu");
  Clear(1);
  auto& bytes = files_.Content(kFirstSegment);
  bytes[4096 * 3 + frame_field::kDurable.offset] ^= std::byte{1};
  ExpectDataLoss(1);
}

TEST_F(UnsyncedTest, AFailedSyncPoisonsAndARestartMakesTheRestDurable) {
  Opened opened = OpenLog(&files_, SmallLog());
  const std::vector<KnownRecord> records{MakeRecord(1, 1, 100), MakeRecord(2, 1, 100)};
  ASSERT_TRUE(Append(opened.log.get(), records[0], kUnsynced).ok());
  ASSERT_TRUE(Append(opened.log.get(), records[1], kUnsynced).ok());
  EXPECT_TRUE(opened.log->unsynced());
  files_.FailNextSync();
  EXPECT_EQ(opened.log->Sync().code(), absl::StatusCode::kUnavailable);
  EXPECT_TRUE(opened.log->unsynced());
  EXPECT_EQ(opened.log->Sync().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(Append(opened.log.get(), MakeRecord(3, 1, 10)).code(),
            absl::StatusCode::kFailedPrecondition);
  // The page cache still has the frames, and no sync would write them any more.
  opened = OpenLog(&files_, SmallLog());
  EXPECT_THAT(opened.records, ElementsAreArray(records));
  files_.CrashNow(1);
  files_.Reboot();
  EXPECT_THAT(ReadAll(&files_, "log").records, ElementsAreArray(records));
}

TEST_F(UnsyncedTest, AFailedSyncBeforeASyncedFramePoisons) {
  Opened opened = OpenLog(&files_, SmallLog());
  ASSERT_TRUE(Append(opened.log.get(), MakeRecord(1, 1, 100), kUnsynced).ok());
  files_.FailNextSync();
  EXPECT_EQ(Append(opened.log.get(), MakeRecord(2, 1, 100)).code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(Append(opened.log.get(), MakeRecord(2, 1, 100)).code(),
            absl::StatusCode::kFailedPrecondition);
}

/// Appends of random level from LSN `next` on; moves `durable` up when something says so.
void WriteMixed(Log* log, uint64_t next, int frames, uint32_t seed, uint64_t* durable) {
  std::mt19937 random(seed);
  for (int i = 0; i < frames; ++i, ++next) {
    const FrameLevel level = random() % 4 == 0 ? FrameLevel::kSynced : kUnsynced;
    if (!Append(log, MakeRecord(next, 1, random() % 12'000), level).ok()) return;
    if (random() % 8 == 0 && !log->Sync().ok()) return;
    if (random() % 8 == 0 && !log->RecordWatermark().ok()) return;
    if (!log->unsynced()) *durable = next;
    if (i % 13 == 12 && !log->Recycle(Lsn(*durable / 2)).ok()) return;
  }
}

TEST(UnsyncedCrashTest, EveryCrashPointKeepsWhatWasDurable) {
  constexpr int kFrames = 50;
  constexpr uint32_t kSeed = 11;
  env::MemoryFileSystem whole;
  uint64_t durable = 0;
  WriteMixed(OpenLog(&whole, SmallLog()).log.get(), 1, kFrames, kSeed, &durable);
  ASSERT_GT(durable, 40u);
  int cuts = 0;
  for (uint64_t point = 0; point < whole.changes(); ++point) {
    SCOPED_TRACE(fmt::format("crash at change {}", point));
    env::MemoryFileSystem files;
    files.CrashAfter(point, static_cast<uint32_t>(point));
    durable = 0;
    {
      Opened opened = OpenLog(&files, SmallLog());
      if (opened.status.ok()) WriteMixed(opened.log.get(), 1, kFrames, kSeed, &durable);
    }
    ASSERT_TRUE(files.crashed());
    files.Reboot();
    // A second crash, while the tail is cut or soon after.
    files.CrashAfter(point % 7, static_cast<uint32_t>(point + 1000));
    {
      Opened opened = OpenLog(&files, SmallLog());
      if (opened.status.ok() && !opened.records.empty()) {
        cuts += opened.report.unsynced_lost ? 1 : 0;
        ASSERT_GE(opened.records.back().last, durable);
        durable = opened.records.back().last;
        WriteMixed(opened.log.get(), durable + 1, 5, kSeed, &durable);
      }
    }
    files.Reboot();
    const Opened opened = OpenLog(&files, SmallLog());
    ASSERT_TRUE(opened.status.ok()) << opened.status;
    uint64_t last = durable == 0 || opened.records.empty() ? 0 : opened.records.front().first - 1;
    EXPECT_LE(last, durable / 2);
    for (const KnownRecord& record : opened.records) {
      ASSERT_EQ(record.first, last + 1);
      ASSERT_EQ(record.payload, Payload(record.first, record.payload.size()));
      last = record.last;
    }
    ASSERT_GE(last, durable);
    EXPECT_FALSE(ReadAll(&files, "log").report.torn_tail);
  }
  EXPECT_GT(cuts, 0);
}

}  // namespace
}  // namespace proxist::wal
