// An end that is missing is damage when the watermark lies behind it, and a torn tail when not.
#include "proxist/wal/internal/watermark.h"

#include <algorithm>

#include "tests/unit/wal/log_fixture.h"

namespace proxist::wal {
namespace {

using ::testing::ElementsAreArray;
using ::testing::HasSubstr;

constexpr char kFirst[] = "log/0000000000000001.wal";
constexpr char kSecond[] = "log/0000000000000002.wal";
constexpr char kWatermark[] = "log/watermark";

/// A log of one-block frames, the last one behind the watermark or not.
class WatermarkTest : public ::testing::Test {
 protected:
  void Write(uint64_t frames, bool record, FrameLevel level = FrameLevel::kSynced) {
    Opened opened = OpenLog(&files_, SmallLog());
    ASSERT_TRUE(opened.status.ok()) << opened.status;
    records_ = opened.records;
    for (uint64_t i = 0; i < frames; ++i) {
      records_.push_back(MakeRecord(records_.empty() ? 1 : records_.back().last + 1, 1, 1'000));
      ASSERT_TRUE(Append(opened.log.get(), records_.back(), level).ok());
    }
    if (record) {
      ASSERT_TRUE(opened.log->RecordWatermark().ok());
    }
  }
  std::byte* At(const std::string& path, size_t offset) {
    return files_.Content(path).data() + offset;
  }
  void ExpectDataLoss(const std::string& path, uint64_t offset, const std::string& why,
                      const std::string& what) {
    SCOPED_TRACE(what);
    const auto before = files_.contents();
    for (const Status& status :
         {ReadAll(&files_, "log").status, OpenLog(&files_, SmallLog()).status}) {
      ASSERT_EQ(status.code(), absl::StatusCode::kDataLoss) << status;
      EXPECT_THAT(status.ToString(),
                  HasSubstr(fmt::format("{}: damaged at offset {}", path, offset)));
      EXPECT_THAT(status.ToString(), HasSubstr(why));
      EXPECT_THAT(status.ToString(), HasSubstr("backup"));
    }
    EXPECT_EQ(files_.contents(), before);
  }
  void ExpectKept(size_t kept) {
    const Opened opened = OpenLog(&files_, SmallLog());
    ASSERT_TRUE(opened.status.ok()) << opened.status;
    records_.resize(kept);
    EXPECT_THAT(opened.records, ElementsAreArray(records_));
  }

  std::vector<KnownRecord> records_;
  env::MemoryFileSystem files_;
};

TEST_F(WatermarkTest, ADamagedLastFrameIsDataLossBehindTheWatermarkAndTornBefore) {
  for (const bool recorded : {true, false}) {
    for (const size_t place : {0, 40, 90, 200, 1'000}) {
      SCOPED_TRACE(fmt::format("byte {}, {}", place, recorded));
      files_ = env::MemoryFileSystem();
      Write(3, recorded);
      *At(kFirst, 4096 * 3 + place) ^= std::byte{16};
      if (recorded) {
        ExpectDataLoss(kFirst, 4096 * 3, "durable up to offset 16384, LSN 3", "flipped");
      } else {
        EXPECT_TRUE(ReadAll(&files_, "log").report.torn_tail);
        ExpectKept(2);
      }
    }
  }
}

TEST_F(WatermarkTest, ALostLastWriteIsDataLoss) {
  Write(3, true);
  std::fill_n(At(kFirst, 4096 * 3), 4096, std::byte{0});
  ExpectDataLoss(kFirst, 4096 * 3, "the log ends here, but it was durable", "zeros");
}

TEST_F(WatermarkTest, ALostWriteInARecycledFileIsDataLoss) {
  Opened opened = OpenLog(&files_, SmallLog());
  for (uint64_t lsn = 1; lsn <= 17; ++lsn) {
    ASSERT_TRUE(Append(opened.log.get(), MakeRecord(lsn, 1, 1'000)).ok());
  }
  ASSERT_EQ(opened.log->Recycle(Lsn(15)).value(), 1u);
  const auto old = files_.Content("log/free-0000000000000003.wal");
  ASSERT_TRUE(Append(opened.log.get(), MakeRecord(18, 1, 60'000)).ok());
  ASSERT_TRUE(opened.log->RecordWatermark().ok());
  // The write never reached the file: bytes of its earlier life look like a clean end.
  const std::string third = "log/0000000000000003.wal";
  std::copy(old.begin() + 4096, old.end(), files_.Content(third).begin() + 4096);
  ExpectDataLoss(third, 4096, "LSN 18", "old bytes");
  files_.Put(kWatermark, {});
  EXPECT_EQ(ReadAll(&files_, "log").status.code(), absl::StatusCode::kDataLoss);
  ASSERT_TRUE(files_.Remove(kWatermark).ok());
  EXPECT_TRUE(ReadAll(&files_, "log").status.ok());
}

TEST_F(WatermarkTest, MissingAndShorterFilesAreDataLoss) {
  Write(20, true);
  const env::MemoryFileSystem whole = files_;
  ASSERT_TRUE(files_.Remove(kSecond).ok());
  ExpectDataLoss(kSecond, 0, "the file is missing", "the last segment");
  ASSERT_TRUE(files_.Remove(kFirst).ok());
  ExpectDataLoss(kSecond, 0, "the file is missing", "all segments");
  files_ = whole;
  files_.Content(kSecond).resize(4096 * 3);
  ExpectDataLoss(kSecond, 4096 * 3, "the log ends here", "a cut file");
}

TEST_F(WatermarkTest, OtherContentBeforeItIsDataLoss) {
  Write(3, true);
  const auto mark = files_.Content(kWatermark);
  files_ = env::MemoryFileSystem();
  Opened opened = OpenLog(&files_, SmallLog());
  for (uint64_t lsn = 10; lsn < 14; ++lsn) {
    ASSERT_TRUE(Append(opened.log.get(), MakeRecord(lsn, 1, 1'000)).ok());
  }
  files_.Put(kWatermark, mark);
  ExpectDataLoss(kFirst, 4096 * 4, "not what was durable there", "another log");
}

TEST_F(WatermarkTest, UnsyncedFramesCountOnlyWhenTheyAreDurable) {
  Write(3, true, FrameLevel::kUnsynced);
  *At(kFirst, 4096 * 2) ^= std::byte{1};
  EXPECT_TRUE(ReadAll(&files_, "log").report.torn_tail);
  files_ = env::MemoryFileSystem();
  Opened opened = OpenLog(&files_, SmallLog());
  for (uint64_t lsn = 1; lsn < 4; ++lsn) {
    ASSERT_TRUE(Append(opened.log.get(), MakeRecord(lsn, 1, 1'000), FrameLevel::kUnsynced).ok());
  }
  ASSERT_TRUE(opened.log->Close().ok());
  *At(kFirst, 4096 * 2) ^= std::byte{1};
  ExpectDataLoss(kFirst, 4096 * 2, "durable up to offset 16384", "closed");
}

TEST_F(WatermarkTest, OpeningRecordsWhatItFound) {
  Write(3, false);
  Write(0, false);
  *At(kFirst, 4096 * 3 + 50) ^= std::byte{1};
  ExpectDataLoss(kFirst, 4096 * 3, "LSN 3", "seen by an opening");
}

TEST_F(WatermarkTest, OneWholeCopyIsEnoughAndNoneIsDataLoss) {
  Write(3, true);
  Write(1, true);
  Write(1, true);
  const env::MemoryFileSystem whole = files_;
  for (const size_t copy : {0, 1}) {
    files_ = whole;
    *At(kWatermark, copy * 4096 + 45) ^= std::byte{1};
    EXPECT_TRUE(ReadAll(&files_, "log").status.ok());
    std::fill_n(At(kFirst, 4096 * 4), 4096 * 2, std::byte{0});
    EXPECT_EQ(ReadAll(&files_, "log").status.code(), absl::StatusCode::kDataLoss);
  }
  files_ = whole;
  *At(kWatermark, 45) ^= std::byte{1};
  *At(kWatermark, 4096 + 45) ^= std::byte{1};
  ExpectDataLoss(kWatermark, 0, "no copy", "both copies");
  files_ = whole;
  files_.Content(kWatermark).resize(4096 + 20);
  EXPECT_TRUE(ReadAll(&files_, "log").status.ok());
  ASSERT_TRUE(files_.Remove(kWatermark).ok());
  ExpectKept(5);
}

TEST_F(WatermarkTest, OfAnotherLogOrVersionIsRefused) {
  Write(3, true);
  const auto put = [&](LogIdentity log, uint32_t version) {
    std::vector<std::byte> bytes(kWatermarkFileBytes);
    EncodeWatermark(log, {.segment = 1, .offset = 4096}, bytes.data());
    StoreField(bytes.data(), watermark_field::kVersion, version);
    StoreField(bytes.data(), watermark_field::kChecksum,
               Checksum(ByteSpan(bytes).first(watermark_field::kChecksum.offset)));
    files_.Put(kWatermark, bytes);
    return OpenLog(&files_, SmallLog()).status;
  };
  const LogOptions own = SmallLog();
  EXPECT_EQ(put({own.incarnation, own.shard}, 2).code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(put({own.incarnation + 1, own.shard}, 1).code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(put({own.incarnation, ShardId(9)}, 1).code(), absl::StatusCode::kFailedPrecondition);
}

TEST_F(WatermarkTest, AFullDiskDelaysItAndAnErrorPoisons) {
  Opened opened = OpenLog(&files_, SmallLog());
  ASSERT_TRUE(files_.Remove(kWatermark).ok());
  opened = OpenLog(&files_, SmallLog());
  ASSERT_TRUE(files_.Remove(kWatermark).ok());
  opened.log = nullptr;
  files_.SetFull(true);
  opened = OpenLog(&files_, SmallLog());
  ASSERT_TRUE(opened.status.ok()) << opened.status;
  ASSERT_TRUE(Append(opened.log.get(), MakeRecord(1, 1, 100)).ok());
  EXPECT_EQ(opened.log->RecordWatermark().code(), absl::StatusCode::kResourceExhausted);
  files_.SetFull(false);
  ASSERT_TRUE(Append(opened.log.get(), MakeRecord(2, 1, 100)).ok());
  EXPECT_TRUE(opened.log->RecordWatermark().ok());
  const uint64_t changes = files_.changes();
  EXPECT_TRUE(opened.log->RecordWatermark().ok());
  EXPECT_EQ(files_.changes(), changes) << "nothing moved";
  ASSERT_TRUE(Append(opened.log.get(), MakeRecord(3, 1, 100)).ok());
  files_.FailNextWrite();
  EXPECT_EQ(opened.log->RecordWatermark().code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(Append(opened.log.get(), MakeRecord(4, 1, 100)).code(),
            absl::StatusCode::kFailedPrecondition);
}

TEST_F(WatermarkTest, ItFollowsTheSegments) {
  Opened opened = OpenLog(&files_, SmallLog());
  EXPECT_FALSE(opened.log->watermark_is_old());
  for (uint64_t lsn = 1; lsn <= 40; ++lsn) {
    ASSERT_TRUE(Append(opened.log.get(), MakeRecord(lsn, 1, 1'000)).ok());
    if (opened.log->watermark_is_old()) {
      ASSERT_TRUE(opened.log->RecordWatermark().ok());
      EXPECT_FALSE(opened.log->watermark_is_old());
    }
  }
  // Recycled segments below it change nothing.
  ASSERT_EQ(opened.log->Recycle(Lsn(40)).value(), 2u);
  EXPECT_EQ(ReadAll(&files_, "log").report.durable_segment, 3u);
  EXPECT_TRUE(ReadAll(&files_, "log").status.ok());
}

}  // namespace
}  // namespace proxist::wal
