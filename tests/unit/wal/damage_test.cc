// Torn tails are cut and reported; damage before them is refused with file and offset.
#include <algorithm>

#include "proxist/wal/internal/format.h"
#include "tests/unit/wal/log_fixture.h"

namespace proxist::wal {
namespace {

using ::testing::ElementsAreArray;
using ::testing::HasSubstr;

constexpr char kFirstSegment[] = "log/0000000000000001.wal";

/// Three frames in one segment: 4096..8192, 8192..20480 (three blocks), 20480..(last).
class DamageTest : public ::testing::Test {
 protected:
  void SetUp() override {
    Opened opened = OpenLog(&files_, SmallLog());
    for (const KnownRecord& record : records_) {
      ASSERT_TRUE(Append(opened.log.get(), record).ok());
    }
  }

  /// Expects that reading changes nothing and opening cuts the last frame at `kLastFrame`, takes
  /// appends again, and reads clean afterwards.
  void ExpectCut(env::MemoryFileSystem files, const std::string& what) {
    SCOPED_TRACE(what);
    const auto before = files.contents();
    const Opened read = ReadAll(&files, "log");
    ASSERT_TRUE(read.status.ok()) << read.status;
    EXPECT_EQ(files.contents(), before);
    ASSERT_TRUE(read.report.torn_tail);
    EXPECT_EQ(read.report.torn_segment, 1u);
    EXPECT_EQ(read.report.torn_offset, kLastFrame);
    EXPECT_EQ(read.records.size(), 2u);
    ExpectGoesOn(&files, 2);
  }

  /// Opens, expects the first `kept` records, appends, and expects no trace of the cut.
  void ExpectGoesOn(env::MemoryFileSystem* files, size_t kept) {
    Opened opened = OpenLog(files, SmallLog());
    ASSERT_TRUE(opened.status.ok()) << opened.status;
    std::vector<KnownRecord> expected(records_.begin(),
                                      records_.begin() + static_cast<ptrdiff_t>(kept));
    EXPECT_THAT(opened.records, ElementsAreArray(expected));
    expected.push_back(MakeRecord(50, 2, 100));
    ASSERT_TRUE(Append(opened.log.get(), expected.back()).ok());
    const Opened again = ReadAll(files, "log");
    ASSERT_TRUE(again.status.ok()) << again.status;
    EXPECT_FALSE(again.report.torn_tail);
    EXPECT_THAT(again.records, ElementsAreArray(expected));
  }

  void ExpectDataLoss(env::MemoryFileSystem files, const std::string& file, uint64_t offset,
                      const std::string& what) {
    SCOPED_TRACE(what);
    const auto before = files.contents();
    for (const Status& status :
         {ReadAll(&files, "log").status, OpenLog(&files, SmallLog()).status}) {
      ASSERT_EQ(status.code(), absl::StatusCode::kDataLoss) << status;
      EXPECT_THAT(status.ToString(),
                  HasSubstr(fmt::format("{}: damaged at offset {}", file, offset)));
      EXPECT_THAT(status.ToString(), HasSubstr("backup"));
    }
    EXPECT_EQ(files.contents(), before);
  }

  static constexpr size_t kLastFrame = 20'480;
  static constexpr size_t kLastLength = kFrameHeaderBytes + kRecordHeaderBytes + 9'000;
  const std::vector<KnownRecord> records_{MakeRecord(1, 3, 2'000), MakeRecord(4, 1, 9'000),
                                          MakeRecord(5, 7, 9'000)};
  env::MemoryFileSystem files_;
};

TEST_F(DamageTest, EveryCutOfTheLastFrameIsATornTail) {
  std::vector<size_t> cuts{1,  7,   8,   79,  80,  87,  88,  95,
                           96, 103, 104, 105, 127, 128, 129, kLastLength - 1};
  for (size_t cut = 512; cut < kLastLength; cut += 512) cuts.push_back(cut);
  for (const size_t cut : cuts) {
    env::MemoryFileSystem shorter = files_;
    shorter.Content(kFirstSegment).resize(kLastFrame + cut);
    ExpectCut(shorter, fmt::format("file cut {} bytes into the frame", cut));
    for (const bool garbage : {false, true}) {
      env::MemoryFileSystem torn = files_;
      auto& bytes = torn.Content(kFirstSegment);
      for (size_t i = cut; i < kLastLength; ++i) {
        bytes[kLastFrame + i] = garbage ? bytes[kLastFrame + i] ^ std::byte{0x5a} : std::byte{0};
      }
      ExpectCut(torn,
                fmt::format("{} from byte {} of the frame on", garbage ? "garbage" : "zeros", cut));
    }
  }
}

TEST_F(DamageTest, AFileCutAtAFrameIsReported) {
  files_.Content(kFirstSegment).resize(kLastFrame);
  ExpectCut(files_, "cut at the frame's start");
}

TEST_F(DamageTest, AWriteThatNeverBeganIsACleanEnd) {
  auto& bytes = files_.Content(kFirstSegment);
  std::fill(bytes.begin() + kLastFrame, bytes.end(), std::byte{0});
  EXPECT_FALSE(ReadAll(&files_, "log").report.torn_tail);
  ExpectGoesOn(&files_, 2);
}

TEST_F(DamageTest, GarbageBehindTheEndIsATornTail) {
  auto& bytes = files_.Content(kFirstSegment);
  for (size_t i = kLastFrame; i < bytes.size(); ++i) bytes[i] = std::byte{0xee};
  ExpectCut(files_, "all garbage");
}

TEST_F(DamageTest, FlippedBitsBeforeTheLastFrameAreDataLoss) {
  // Of each frame that another follows: every header byte, and places in the payload.
  const std::vector<std::pair<size_t, size_t>> frames{
      {4096, kFrameHeaderBytes + kRecordHeaderBytes + 2'000},
      {8192, kFrameHeaderBytes + kRecordHeaderBytes + 9'000}};
  for (const auto& [begin, length] : frames) {
    std::vector<size_t> places;
    for (size_t i = 0; i < 128; ++i) places.push_back(i);
    for (size_t i = 128; i < length; i += 397) places.push_back(i);
    places.push_back(length - 1);
    for (const size_t place : places) {
      env::MemoryFileSystem flipped = files_;
      flipped.Content(kFirstSegment)[begin + place] ^= std::byte{1} << (place % 8);
      ExpectDataLoss(flipped, kFirstSegment, begin, fmt::format("byte {} of {}", place, begin));
    }
  }
}

TEST_F(DamageTest, FlippedBitsInASegmentHeaderAreDataLoss) {
  for (size_t place = 0; place < 72; ++place) {
    env::MemoryFileSystem flipped = files_;
    flipped.Content(kFirstSegment)[place] ^= std::byte{4};
    ExpectDataLoss(flipped, kFirstSegment, 0, fmt::format("byte {}", place));
  }
  files_.Content(kFirstSegment).resize(100);
  ExpectDataLoss(files_, kFirstSegment, 0, "shorter than its header");
}

TEST_F(DamageTest, LostFramesBeforeALaterSegmentAreDataLoss) {
  Opened opened = OpenLog(&files_, SmallLog());
  ASSERT_TRUE(Append(opened.log.get(), MakeRecord(50, 1, 60'000)).ok());
  ASSERT_TRUE(files_.contents().contains("log/0000000000000002.wal"));
  for (const size_t cut : {size_t{0}, size_t{80}, size_t{5'000}}) {
    env::MemoryFileSystem zeroed = files_;
    auto& bytes = zeroed.Content(kFirstSegment);
    std::fill(bytes.begin() + kLastFrame + static_cast<ptrdiff_t>(cut), bytes.end(), std::byte{0});
    ExpectDataLoss(zeroed, kFirstSegment, kLastFrame, fmt::format("zeros from {}", cut));
    env::MemoryFileSystem shorter = files_;
    shorter.Content(kFirstSegment).resize(kLastFrame + cut);
    ExpectDataLoss(shorter, kFirstSegment, kLastFrame, fmt::format("cut at {}", cut));
  }
}

TEST_F(DamageTest, AWholeFrameFromElsewhereIsDataLoss) {
  // Another log of the same shard and place, with other content before it.
  env::MemoryFileSystem other;
  Opened opened = OpenLog(&other, SmallLog());
  ASSERT_TRUE(Append(opened.log.get(), MakeRecord(1, 2, 2'000)).ok());
  ASSERT_TRUE(Append(opened.log.get(), MakeRecord(4, 1, 9'000)).ok());
  ASSERT_TRUE(Append(opened.log.get(), MakeRecord(5, 7, 9'000)).ok());
  const auto& from = other.Content(kFirstSegment);
  std::copy(from.begin() + kLastFrame, from.end(),
            files_.Content(kFirstSegment).begin() + kLastFrame);
  ExpectDataLoss(files_, kFirstSegment, kLastFrame, "frame of another chain");
}

TEST_F(DamageTest, AMisdirectedWriteIsDataLossWhereverItLands) {
  const auto original = files_.Content(kFirstSegment);
  const auto move = [&](size_t from, size_t to, bool clear) {
    env::MemoryFileSystem moved = files_;
    auto& bytes = moved.Content(kFirstSegment);
    if (clear)
      std::fill(bytes.begin() + kLastFrame, bytes.begin() + kLastFrame + 12'288, std::byte{});
    std::copy_n(original.begin() + static_cast<ptrdiff_t>(from), 12'288,
                bytes.begin() + static_cast<ptrdiff_t>(to));
    return moved;
  };
  // The last frame went behind its place, and its place stayed as it was.
  ExpectDataLoss(move(kLastFrame, 40'960, true), kFirstSegment, kLastFrame, "behind the end");
  // It went over an earlier frame.
  ExpectDataLoss(move(kLastFrame, 8'192, true), kFirstSegment, 8'192, "over a frame");
  // An earlier frame was written over the last one.
  ExpectDataLoss(move(8'192, kLastFrame, false), kFirstSegment, kLastFrame, "over the last");
  env::MemoryFileSystem moved = move(8'192, kLastFrame, false);
  EXPECT_THAT(ReadAll(&moved, "log").status.ToString(),
              HasSubstr("was written for offset 8192 of segment 0000000000000001"));
}

TEST_F(DamageTest, AFrameOfAnotherSegmentInANewFileIsDataLoss) {
  Opened opened = OpenLog(&files_, SmallLog());
  ASSERT_TRUE(Append(opened.log.get(), MakeRecord(50, 1, 60'000)).ok());
  const std::string second = "log/0000000000000002.wal";
  const auto& from = files_.Content(kFirstSegment);
  auto& to = files_.Content(second);
  std::copy_n(from.begin() + 4'096, 4'096, to.begin() + 4'096);
  ExpectDataLoss(files_, second, 4'096, "a frame of the segment before");
}

TEST_F(DamageTest, ATornFrameInARecycledFileIsCut) {
  env::MemoryFileSystem files;
  Opened opened = OpenLog(&files, SmallLog());
  for (uint64_t lsn = 1; lsn <= 16; ++lsn) {
    ASSERT_TRUE(Append(opened.log.get(), MakeRecord(lsn, 1, 1'000)).ok());
  }
  ASSERT_EQ(opened.log->Recycle(Lsn(15)).value(), 1u);
  ASSERT_TRUE(Append(opened.log.get(), MakeRecord(17, 1, 60'000)).ok());  // in the recycled file
  opened.log = nullptr;
  const std::string third = "log/0000000000000003.wal";
  ASSERT_TRUE(files.contents().contains(third));
  files.Content(third)[40'000] ^= std::byte{1};
  opened = OpenLog(&files, SmallLog());
  ASSERT_TRUE(opened.status.ok()) << opened.status;
  EXPECT_TRUE(opened.report.torn_tail);
  EXPECT_EQ(opened.report.torn_segment, 3u);
  EXPECT_EQ(opened.records.size(), 1u);
  ASSERT_TRUE(Append(opened.log.get(), MakeRecord(18, 1, 10)).ok());
  const Opened again = ReadAll(&files, "log");
  EXPECT_FALSE(again.report.torn_tail);
  EXPECT_EQ(again.records.size(), 2u);
}

}  // namespace
}  // namespace proxist::wal
