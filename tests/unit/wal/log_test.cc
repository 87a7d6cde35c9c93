// Appending, replaying, rotating, recycling and refusing.
#include "proxist/wal/log.h"

#include <functional>

#include "proxist/wal/internal/format.h"
#include "tests/unit/wal/log_fixture.h"

namespace proxist::wal {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class LogTest : public ::testing::Test {
 protected:
  Opened Open() { return OpenLog(&files_, options_); }
  /// Of the segments' files.
  [[nodiscard]] std::vector<std::string> Names() {
    std::vector<std::string> names = files_.List("log").value();
    std::erase(names, "watermark");
    return names;
  }

  env::MemoryFileSystem files_;
  LogOptions options_ = SmallLog();
};

TEST_F(LogTest, EmptyLogReplaysNothing) {
  Opened first = Open();
  ASSERT_TRUE(first.status.ok()) << first.status;
  EXPECT_EQ(first.log->live_bytes(), options_.segment_bytes);
  EXPECT_TRUE(first.log->direct());
  EXPECT_EQ(first.log->pending_bytes(), 0u);
  EXPECT_TRUE(first.log->Submit().ok());
  EXPECT_TRUE(first.log->Wait().ok());
  first.log = nullptr;
  const Opened again = Open();
  ASSERT_TRUE(again.status.ok());
  EXPECT_THAT(again.records, IsEmpty());
  EXPECT_FALSE(again.report.torn_tail);
  EXPECT_EQ(again.report.last, Lsn(0));
}

TEST_F(LogTest, ReplaysWhatWasAddedAcrossFramesAndSegments) {
  std::vector<KnownRecord> added;
  Opened opened = Open();
  uint64_t lsn = 1;
  const size_t sizes[] = {
      0, 1, 7, 8, 9, 100, 4096 - kFrameHeaderBytes - kRecordHeaderBytes, 4096, 20'000, 60'000};
  for (int round = 0; round < 12; ++round) {
    for (const size_t size : sizes) {
      const KnownRecord record = MakeRecord(lsn, size % 5, size);
      Status status = Add(opened.log.get(), record);
      if (status.code() == absl::StatusCode::kResourceExhausted) {
        ASSERT_TRUE(opened.log->Submit().ok());
        ASSERT_TRUE(opened.log->Wait().ok());
        status = Add(opened.log.get(), record);
      }
      ASSERT_TRUE(status.ok()) << status;
      added.push_back(record);
      lsn += size % 5 + 1;
    }
  }
  EXPECT_GT(opened.log->pending_bytes(), 0u);
  ASSERT_TRUE(opened.log->Submit().ok());
  EXPECT_EQ(opened.log->pending_bytes(), 0u);
  ASSERT_TRUE(opened.log->Wait().ok());
  opened.log = nullptr;
  for (const Opened& again : {ReadAll(&files_, "log"), Open()}) {
    ASSERT_TRUE(again.status.ok()) << again.status;
    EXPECT_EQ(again.records, added);
    EXPECT_EQ(again.report.records, added.size());
    EXPECT_EQ(again.report.last.value(), added.back().last);
    EXPECT_FALSE(again.report.torn_tail);
  }
  EXPECT_GT(Names().size(), 10u);
}

TEST_F(LogTest, RecordsOutliveTheReplay) {
  Opened opened = Open();
  ASSERT_TRUE(Append(opened.log.get(), MakeRecord(1, 1, 5000)).ok());
  std::vector<LogRecord> kept;
  ReplayReport report;
  ASSERT_TRUE(ReadLog(
                  &files_, "log",
                  [&](const LogRecord& record) {
                    kept.push_back(record);
                    return OkStatus();
                  },
                  &report)
                  .ok());
  files_.Content("log/0000000000000001.wal").assign(1, std::byte{0});
  EXPECT_EQ(AsText(kept.at(0).payload), Payload(1, 5000));
  EXPECT_EQ(kept[0].segment, 1u);
  EXPECT_EQ(kept[0].frame_offset, kSegmentHeaderBytes);
}

TEST_F(LogTest, RecordsMayBeWrittenIntoTheFrame) {
  Opened opened = Open();
  Log* log = opened.log.get();
  ASSERT_TRUE(Add(log, MakeRecord(1, 2, 300)).ok());
  const KnownRecord record = MakeRecord(3, 1, 30'001);
  const auto room = log->AddRecord(record.payload.size(), Lsn(3), Lsn(3));
  ASSERT_TRUE(room.ok()) << room.status();
  ASSERT_EQ(room->size(), record.payload.size());
  std::ranges::copy(AsBytes(record.payload), room->begin());
  ASSERT_TRUE(Append(log, MakeRecord(4, 1, 3)).ok());
  EXPECT_THAT(ReadAll(&files_, "log").records,
              ElementsAre(MakeRecord(1, 2, 300), record, MakeRecord(4, 1, 3)));
  EXPECT_EQ(log->AddRecord(size_t{1} << 40, Lsn(5), Lsn(5)).status().code(),
            absl::StatusCode::kInvalidArgument);
}

TEST_F(LogTest, AFrameIsWrittenByWait) {
  Opened opened = Open();
  ASSERT_TRUE(Append(opened.log.get(), MakeRecord(1, 1, 10)).ok());
  ASSERT_TRUE(Add(opened.log.get(), MakeRecord(2, 1, 10)).ok());
  const uint64_t changes = files_.changes();
  ASSERT_TRUE(opened.log->Submit().ok());
  EXPECT_EQ(files_.changes(), changes);
  opened.log = nullptr;
  EXPECT_THAT(Open().records, ElementsAre(MakeRecord(1, 1, 10)));
}

TEST_F(LogTest, FramesAreBuiltWhileOneIsInFlight) {
  Opened opened = Open();
  Log* log = opened.log.get();
  ASSERT_TRUE(Add(log, MakeRecord(1, 2, 300)).ok());
  ASSERT_TRUE(log->Submit().ok());
  ASSERT_TRUE(Add(log, MakeRecord(3, 1, 30'000)).ok());
  ASSERT_TRUE(Add(log, MakeRecord(4, 1, 3)).ok());
  ASSERT_TRUE(log->Wait().ok());
  ASSERT_TRUE(log->Submit().ok());
  ASSERT_TRUE(log->Wait().ok());
  EXPECT_THAT(ReadAll(&files_, "log").records,
              ElementsAre(MakeRecord(1, 2, 300), MakeRecord(3, 1, 30'000), MakeRecord(4, 1, 3)));
  EXPECT_EQ(ReadAll(&files_, "log").report.frames, 2u);
}

TEST_F(LogTest, EpochsGoOnInTheSameSegmentAndNeverBack) {
  Opened opened = Open();
  ASSERT_TRUE(Append(opened.log.get(), MakeRecord(1, 1, 10)).ok());
  opened.log = nullptr;
  options_.epoch = Epoch(7);
  opened = Open();
  EXPECT_THAT(opened.records, ElementsAre(MakeRecord(1, 1, 10)));
  ASSERT_TRUE(Append(opened.log.get(), MakeRecord(100, 1, 10, 7)).ok());
  opened.log = nullptr;
  EXPECT_THAT(Names(), ElementsAre("0000000000000001.wal"));
  const auto before = files_.contents();
  options_.epoch = Epoch(6);
  const Opened stale = Open();
  EXPECT_EQ(stale.status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(stale.status.ToString(), HasSubstr("epoch 7"));
  EXPECT_EQ(files_.contents(), before);
  options_.epoch = Epoch(8);
  EXPECT_THAT(Open().records, ElementsAre(MakeRecord(1, 1, 10), MakeRecord(100, 1, 10, 7)));
}

TEST_F(LogTest, RefusesRecordsOutOfOrderOrTooLarge) {
  options_.max_frame_bytes = 8192;
  Opened opened = Open();
  Log* log = opened.log.get();
  const auto code = [&](uint64_t first, uint64_t last, size_t size) {
    return log->AddRecord(AsBytes(Payload(1, size)), Lsn(first), Lsn(last)).code();
  };
  EXPECT_EQ(code(0, 5, 1), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(code(0, ~uint64_t{0}, 1), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(code(10, 8, 1), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(code(10, 9, 1), absl::StatusCode::kOk);
  EXPECT_EQ(code(10, 12, 1), absl::StatusCode::kOk);
  EXPECT_EQ(code(12, 13, 1), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(code(13, 13, 8192 - kFrameHeaderBytes - kRecordHeaderBytes + 1),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(code(13, 13, 8192 - kFrameHeaderBytes - kRecordHeaderBytes),
            absl::StatusCode::kResourceExhausted);
  ASSERT_TRUE(log->Submit().ok() && log->Wait().ok());
  EXPECT_EQ(code(13, 13, 8192 - kFrameHeaderBytes - kRecordHeaderBytes), absl::StatusCode::kOk);
  EXPECT_EQ(log->pending_bytes(), 8192u);
  ASSERT_TRUE(log->Submit().ok() && log->Wait().ok());
  EXPECT_EQ(ReadAll(&files_, "log").records.size(), 3u);
}

TEST_F(LogTest, RefusesBadOptions) {
  options_.segment_bytes = 4096;
  EXPECT_EQ(Open().status.code(), absl::StatusCode::kInvalidArgument);
  options_.segment_bytes = 10'000;
  EXPECT_EQ(Open().status.code(), absl::StatusCode::kInvalidArgument);
  options_ = SmallLog();
  options_.max_frame_bytes = 100;
  EXPECT_EQ(Open().status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_TRUE(files_.contents().empty());
}

TEST_F(LogTest, RefusesAnotherDirectorysLog) {
  ASSERT_TRUE(Append(Open().log.get(), MakeRecord(1, 1, 10)).ok());
  const auto before = files_.contents();
  options_.incarnation++;
  EXPECT_EQ(Open().status.code(), absl::StatusCode::kFailedPrecondition);
  options_ = SmallLog();
  options_.shard = ShardId(4);
  const Status status = Open().status;
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(status.ToString(), HasSubstr("log/watermark"));
  EXPECT_EQ(files_.contents(), before);
}

TEST_F(LogTest, RefusesAnotherFormatVersion) {
  ASSERT_TRUE(Append(Open().log.get(), MakeRecord(1, 1, 10)).ok());
  auto& bytes = files_.Content("log/0000000000000001.wal");
  bytes[segment_field::kVersion.offset] = std::byte{kEncryptedVersion + 1};
  const uint64_t checksum = Checksum(ByteSpan(bytes).first(segment_field::kChecksum.offset));
  std::memcpy(bytes.data() + segment_field::kChecksum.offset, &checksum, sizeof checksum);
  const Status status = Open().status;
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(status.ToString(), HasSubstr("version 4"));
}

TEST_F(LogTest, AnErrorOfApplyStopsAndChangesNothing) {
  ASSERT_TRUE(Append(Open().log.get(), MakeRecord(1, 1, 10)).ok());
  const uint64_t changes = files_.changes();
  ReplayReport report;
  const auto opened = Log::Open(
      &files_, options_, [](const LogRecord&) { return NotFound("no table 9"); }, &report);
  EXPECT_EQ(opened.status(), NotFound("no table 9"));
  EXPECT_EQ(files_.changes(), changes);
}

TEST_F(LogTest, AFailedWritePoisonsUntilReopened) {
  Opened opened = Open();
  Log* log = opened.log.get();
  ASSERT_TRUE(Append(log, MakeRecord(1, 1, 10)).ok());
  files_.FailNextWrite();
  EXPECT_EQ(Append(log, MakeRecord(2, 1, 10)).code(), absl::StatusCode::kUnavailable);
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(log->Submit().code(), absl::StatusCode::kFailedPrecondition);
    EXPECT_EQ(log->Wait().code(), absl::StatusCode::kFailedPrecondition);
    const Status refused = Add(log, MakeRecord(3, 1, 10));
    EXPECT_EQ(refused.code(), absl::StatusCode::kFailedPrecondition);
    EXPECT_THAT(refused.ToString(), HasSubstr("Input/output error"));
    EXPECT_EQ(log->Recycle(Lsn::Max()).status().code(), absl::StatusCode::kFailedPrecondition);
  }
  opened.log = nullptr;
  opened = Open();
  EXPECT_THAT(opened.records, ElementsAre(MakeRecord(1, 1, 10)));
  EXPECT_TRUE(Append(opened.log.get(), MakeRecord(2, 1, 11)).ok());
}

TEST_F(LogTest, AFailureToMakeTheNextSegmentPoisons) {
  Opened opened = Open();
  Log* log = opened.log.get();
  ASSERT_TRUE(Append(log, MakeRecord(1, 1, 50'000)).ok());
  files_.FailNextWrite();  // Of the new segment's header.
  EXPECT_FALSE(Append(log, MakeRecord(2, 1, 50'000)).ok());
  EXPECT_EQ(log->Submit().code(), absl::StatusCode::kFailedPrecondition);
  opened.log = nullptr;
  opened = Open();
  EXPECT_THAT(opened.records, ElementsAre(MakeRecord(1, 1, 50'000)));
  ASSERT_TRUE(Append(opened.log.get(), MakeRecord(2, 1, 50'000)).ok());
  EXPECT_THAT(Names(), ElementsAre("0000000000000001.wal", "0000000000000002.wal"));
  EXPECT_EQ(ReadAll(&files_, "log").records.size(), 2u);
}

TEST_F(LogTest, AFullDiskDropsTheFrameAndNothingElse) {
  Opened opened = Open();
  Log* log = opened.log.get();
  ASSERT_TRUE(Append(log, MakeRecord(1, 1, 50'000)).ok());
  files_.SetFull(true);
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(Append(log, MakeRecord(2, 1, 50'000)).code(), absl::StatusCode::kResourceExhausted);
    EXPECT_EQ(log->pending_bytes(), 0u);
  }
  // What fits the open segment still goes.
  ASSERT_TRUE(Append(log, MakeRecord(2, 1, 100)).ok());
  files_.SetFull(false);
  ASSERT_TRUE(Append(log, MakeRecord(3, 1, 50'000)).ok());
  EXPECT_THAT(
      ReadAll(&files_, "log").records,
      ElementsAre(MakeRecord(1, 1, 50'000), MakeRecord(2, 1, 100), MakeRecord(3, 1, 50'000)));
}

TEST_F(LogTest, RecyclesWholeSegmentsOldestFirst) {
  Opened opened = Open();
  Log* log = opened.log.get();
  for (uint64_t lsn = 1; lsn <= 6; ++lsn) {
    ASSERT_TRUE(Append(log, MakeRecord(lsn, 1, 50'000)).ok());
  }
  EXPECT_EQ(log->live_bytes(), 6 * options_.segment_bytes);
  EXPECT_EQ(log->Recycle(Lsn(0)).value(), 0u);
  EXPECT_EQ(log->Recycle(Lsn(2)).value(), 2u);
  EXPECT_EQ(log->live_bytes(), 4 * options_.segment_bytes);
  EXPECT_THAT(Names(), ElementsAre("0000000000000003.wal", "0000000000000004.wal",
                                   "0000000000000005.wal", "0000000000000006.wal",
                                   "free-0000000000000007.wal", "free-0000000000000008.wal"));
  // The open segment stays, whatever is asked.
  EXPECT_EQ(log->Recycle(Lsn::Max()).value(), 3u);
  EXPECT_EQ(ReadAll(&files_, "log").records.size(), 1u);
  for (uint64_t lsn = 7; lsn <= 12; ++lsn) {
    ASSERT_TRUE(Append(log, MakeRecord(lsn, 1, 50'000 - lsn)).ok());
  }
  opened.log = nullptr;
  opened = Open();
  ASSERT_TRUE(opened.status.ok()) << opened.status;
  ASSERT_EQ(opened.records.size(), 7u);
  EXPECT_EQ(opened.records.front(), MakeRecord(6, 1, 50'000));
  EXPECT_EQ(opened.records.back(), MakeRecord(12, 1, 50'000 - 12));
  EXPECT_EQ(Names().size(), 7u) << "five files were used again, one was new";
}

TEST_F(LogTest, OldFramesInARecycledFileAreNotReplayed) {
  Opened opened = Open();
  Log* log = opened.log.get();
  // Frames of one block: each old frame begins where a new one may end.
  for (uint64_t lsn = 1; lsn <= 16; ++lsn) {
    ASSERT_TRUE(Append(log, MakeRecord(lsn, 1, 1000)).ok());
  }
  ASSERT_EQ(log->Recycle(Lsn::Max()).value(), 1u);
  for (uint64_t lsn = 17; lsn <= 30; ++lsn) {
    ASSERT_TRUE(Append(log, MakeRecord(lsn, 1, 1000)).ok());
  }
  ASSERT_TRUE(Append(log, MakeRecord(31, 1, 1000)).ok());
  EXPECT_THAT(Names(), ElementsAre("0000000000000002.wal", "0000000000000003.wal"));
  const Opened read = ReadAll(&files_, "log");
  ASSERT_TRUE(read.status.ok()) << read.status;
  EXPECT_EQ(read.records.size(), 16u);
  EXPECT_FALSE(read.report.torn_tail);
}

TEST_F(LogTest, KnowsTheHighestLsnAfterRecyclingAll) {
  Opened opened = Open();
  ASSERT_TRUE(Append(opened.log.get(), MakeRecord(1, 40, 60'000)).ok());
  ASSERT_TRUE(Append(opened.log.get(), MakeRecord(41, 0, 60'000)).ok());
  ASSERT_EQ(opened.log->Recycle(Lsn(40)).value(), 1u);
  opened.log = nullptr;
  opened = Open();
  EXPECT_EQ(opened.report.last, Lsn(40));
  EXPECT_EQ(opened.report.records, 1u);
  EXPECT_EQ(Add(opened.log.get(), MakeRecord(40, 1, 1)).code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(LogTest, FreeFilesAreBoundedAndOfTheRightSize) {
  options_.max_free_segments = 1;
  Opened opened = Open();
  for (uint64_t lsn = 1; lsn <= 4; ++lsn) {
    ASSERT_TRUE(Append(opened.log.get(), MakeRecord(lsn, 1, 50'000)).ok());
  }
  EXPECT_EQ(opened.log->Recycle(Lsn::Max()).value(), 3u);
  EXPECT_THAT(Names(), ElementsAre("0000000000000004.wal", "free-0000000000000005.wal"));
  opened.log = nullptr;
  options_.segment_bytes *= 2;
  opened = Open();
  ASSERT_TRUE(Append(opened.log.get(), MakeRecord(5, 1, 90'000)).ok());
  EXPECT_THAT(Names(), ElementsAre("0000000000000004.wal", "0000000000000005.wal"));
  EXPECT_EQ(ReadAll(&files_, "log").records.size(), 2u);
}

TEST_F(LogTest, ReadLogOfAMissingSegmentIsDataLoss) {
  Opened opened = Open();
  for (uint64_t lsn = 1; lsn <= 3; ++lsn) {
    ASSERT_TRUE(Append(opened.log.get(), MakeRecord(lsn, 1, 50'000)).ok());
  }
  ASSERT_TRUE(files_.Remove("log/0000000000000002.wal").ok());
  const Status status = ReadAll(&files_, "log").status;
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(status.ToString(), HasSubstr("log/0000000000000002.wal"));
}

}  // namespace
}  // namespace proxist::wal
