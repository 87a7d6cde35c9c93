// A cut by hand keeps what stands before it, gives up the rest, and leaves a log that goes on.
#include "proxist/wal/repair.h"

#include "tests/unit/wal/log_fixture.h"

namespace proxist::wal {
namespace {

using ::testing::ElementsAreArray;

constexpr char kFirst[] = "log/0000000000000001.wal";

class RepairTest : public ::testing::Test {
 protected:
  /// 15 one-block frames in segment 1, then some in segments 2 and 3.
  void SetUp() override {
    Opened opened = OpenLog(&files_, SmallLog());
    for (uint64_t lsn = 1; lsn <= 35; ++lsn) {
      records_.push_back(MakeRecord(lsn, 1, 1'000));
      ASSERT_TRUE(Append(opened.log.get(), records_.back()).ok());
    }
    ASSERT_TRUE(opened.log->Close().ok());
  }

  std::vector<KnownRecord> records_;
  env::MemoryFileSystem files_;
};

TEST_F(RepairTest, ALogWithDamageGoesOnBeforeIt) {
  files_.Content(kFirst)[4096 * 6 + 300] ^= std::byte{1};
  ASSERT_EQ(OpenLog(&files_, SmallLog()).status.code(), absl::StatusCode::kDataLoss);
  const auto before = files_.contents();
  const auto plan = PlanCut(&files_, "log", 1, 4096 * 6);
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_EQ(files_.contents(), before);
  EXPECT_EQ(plan->frames_kept, 5u);
  EXPECT_EQ(plan->last, Lsn(5));
  EXPECT_EQ(plan->clear_bytes, 65'536u - 4096 * 6);
  EXPECT_THAT(plan->aside, testing::ElementsAre(2, 3));
  // A crash at any step leaves a log that is refused or whole, and the cut can be repeated.
  uint64_t steps = 0;
  for (uint64_t point = 0;; ++point) {
    env::MemoryFileSystem files = files_;
    files.CrashAfter(point, static_cast<uint32_t>(point));
    const bool done = Cut(&files, *plan).ok();
    if (done) break;
    ++steps;
    files.Reboot();
    const Opened opened = OpenLog(&files, SmallLog());
    EXPECT_EQ(opened.status.code(), absl::StatusCode::kDataLoss) << point;
    const auto again = PlanCut(&files, "log", 1, 4096 * 6);
    ASSERT_TRUE(again.ok()) << again.status();
    ASSERT_TRUE(Cut(&files, *again).ok());
    EXPECT_EQ(OpenLog(&files, SmallLog()).records.size(), 5u);
  }
  EXPECT_GT(steps, 4u);
  ASSERT_TRUE(Cut(&files_, *plan).ok());
  Opened opened = OpenLog(&files_, SmallLog());
  ASSERT_TRUE(opened.status.ok()) << opened.status;
  EXPECT_FALSE(opened.report.torn_tail);
  records_.resize(5);
  EXPECT_THAT(opened.records, ElementsAreArray(records_));
  for (uint64_t lsn = 100; lsn < 140; ++lsn) {
    records_.push_back(MakeRecord(lsn, 1, 1'000));
    ASSERT_TRUE(Append(opened.log.get(), records_.back()).ok());
  }
  EXPECT_THAT(ReadAll(&files_, "log").records, ElementsAreArray(records_));
  EXPECT_TRUE(files_.contents().contains("log/0000000000000002.wal.cut"));
  EXPECT_EQ(Cut(&files_, *PlanCut(&files_, "log", 1, 4096 * 6)).code(),
            absl::StatusCode::kAlreadyExists);
}

TEST_F(RepairTest, OnlyAPlaceBehindWholeFramesCanBeCut) {
  const auto code = [&](uint64_t segment, uint64_t offset) {
    return PlanCut(&files_, "log", segment, offset).status().code();
  };
  EXPECT_EQ(code(1, 4096), absl::StatusCode::kOk);
  EXPECT_EQ(code(2, 4096 * 3), absl::StatusCode::kOk);
  EXPECT_EQ(code(1, 0), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(code(1, 5000), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(code(3, 4096 * 15), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(code(9, 4096), absl::StatusCode::kNotFound);
  files_.Content(kFirst)[4096 * 6 + 300] ^= std::byte{1};
  EXPECT_EQ(code(1, 4096 * 7), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(code(2, 4096), absl::StatusCode::kDataLoss);
}

TEST_F(RepairTest, WhatTheWatermarkMissesCanBeGivenUp) {
  std::fill_n(files_.Content("log/0000000000000003.wal").begin() + 4096 * 3, 4096 * 4,
              std::byte{0});
  ASSERT_EQ(OpenLog(&files_, SmallLog()).status.code(), absl::StatusCode::kDataLoss);
  const auto plan = PlanCut(&files_, "log", 3, 4096 * 3);
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_EQ(plan->last, Lsn(32));
  ASSERT_TRUE(Cut(&files_, *plan).ok());
  EXPECT_EQ(OpenLog(&files_, SmallLog()).records.size(), 32u);
}

}  // namespace
}  // namespace proxist::wal
