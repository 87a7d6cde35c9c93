// Snapshots: recovery from one is recovery from the whole log; crashes, damage, recycling.
#include <utility>

#include <gmock/gmock.h>

#include "tests/unit/shard/snapshot_fixture.h"

namespace proxist::shard {
namespace {

using ::testing::HasSubstr;

class SnapshotTest : public SnapshotFixture {
 protected:
  std::vector<std::string> Files(const std::string& suffix) const {
    std::vector<std::string> names;
    for (const auto& [path, bytes] : memory_.contents()) {
      if (path.starts_with("snap/") && path.ends_with(suffix)) names.push_back(path);
    }
    return names;
  }
  std::vector<std::string> Manifests() const {
    std::vector<std::string> names;
    for (const auto& [path, bytes] : memory_.contents()) {
      if (path.starts_with("snap/snapshot-")) names.push_back(path);
    }
    return names;
  }
  uint64_t Segments() const {
    return static_cast<uint64_t>(std::ranges::count_if(memory_.contents(), [](const auto& file) {
      return file.first.starts_with("wal/0") && file.first.ends_with(".wal");
    }));
  }
  /// Fills `segments` log segments and persists everything when told.
  void Fill(uint64_t segments, bool persist) {
    while (Segments() < segments) {
      for (int i = 0; i < 20; ++i) WriteRandom();
      if (persist) FlushAll();
      ASSERT_FALSE(HasFatalFailure());
    }
  }
  /// Nothing is recycled then: the whole log stays.
  void StartInOneSegment() {
    options_.segment_bytes = 32u << 20;
    shard_.reset();
    memory_ = env::MemoryFileSystem();
    ASSERT_TRUE(OpenOver(&memory_).ok());
  }
  void FlushAll() {
    while (shard_->Stats().backlog_rows > 0) FlushSome();
  }
};

TEST_F(SnapshotTest, ComesBackWithoutReplayingWhatItHolds) {
  for (int i = 0; i < 50; ++i) WriteRandom();
  ASSERT_TRUE(TakeSnapshot().ok());
  const uint64_t held = shard_->Stats().published.value();
  EXPECT_EQ(shard_->Stats().snapshot.value(), held);
  EXPECT_GT(shard_->Stats().snapshot_bytes, 0u);
  for (int i = 0; i < 5; ++i) WriteRandom();
  const std::string before = Describe();
  const uint64_t last = shard_->Stats().published.value();
  ASSERT_TRUE(OpenOver(&memory_).ok());
  EXPECT_EQ(report_.snapshot.value(), held);
  EXPECT_GT(report_.snapshot_rows, 0u);
  EXPECT_LE(report_.rows, last - held);
  EXPECT_TRUE(report_.warnings.empty());
  EXPECT_EQ(Describe(), before);
  // Nothing new: nothing to do.
  ASSERT_TRUE(TakeSnapshot().ok());
  const auto job = shard_->BeginSnapshot();
  ASSERT_TRUE(job.ok());
  EXPECT_EQ(*job, nullptr);
}

TEST_F(SnapshotTest, RecoveryFromASnapshotIsRecoveryFromTheWholeLog) {
  StartInOneSegment();
  std::unique_ptr<SnapshotJob> job;
  int compared = 0;
  for (int step = 0; step < 500; ++step) {
    SCOPED_TRACE(step);
    WriteRandom();
    if (random_() % 3 == 0) FlushSome();
    if (random_() % 15 == 0) EvictSome();
    if (random_() % 20 == 0) SpillAll();
    if (step == 200) AddColumn();
    if (job == nullptr && random_() % 8 == 0) {
      auto begun = shard_->BeginSnapshot();
      ASSERT_TRUE(begun.ok()) << begun.status();
      job = std::move(*begun);
    } else if (job != nullptr && !*job->Step()) {
      ASSERT_TRUE(shard_->FinishSnapshot(std::exchange(job, nullptr)).ok());
    }
    if (random_() % 40 == 0 && !Manifests().empty()) {
      job = nullptr;
      env::MemoryFileSystem log = WithoutSnapshots(memory_);
      ASSERT_TRUE(OpenOver(&log).ok());
      EXPECT_EQ(report_.snapshot, Lsn(0));
      const std::string replayed = Describe();
      const Timestamp through = shard_->PersistedThrough(schema_->id);
      auto unflushed = Unflushed();
      ASSERT_TRUE(OpenOver(&memory_).ok());
      EXPECT_GT(report_.snapshot, Lsn(0));
      ASSERT_EQ(Describe(), replayed);
      EXPECT_EQ(shard_->PersistedThrough(schema_->id), through);
      auto again = Unflushed();
      // Days that may be rewritten may be more, never fewer.
      EXPECT_THAT(again[0], HasSubstr(unflushed[0]));
      again[0] = unflushed[0];
      ASSERT_EQ(again, unflushed);
      ASSERT_TRUE(OpenOver(&memory_).ok());
      ++compared;
    }
    ASSERT_FALSE(HasFatalFailure());
  }
  EXPECT_GT(compared, 4);
}

TEST_F(SnapshotTest, ARowThatComesAgainAfterARestartRewritesItsDay) {
  const auto days_after = [this](int64_t ts, uint64_t seq) {
    column::BatchBuilder builder(schema_);
    builder.AddRow("S0", Timestamp(kStartNs + ts), seq);
    builder.SetText(0, "0");
    builder.SetInt(1, 1);
    EXPECT_TRUE(Send("", 0, builder.Build()).status.ok());
    return shard_->TakeForFlush(100).rewritten_days.size();
  };
  ASSERT_EQ(days_after(100, 7), 0u);
  ASSERT_EQ(days_after(90, 8), 0u) << "late, with a key of its own";
  ASSERT_TRUE(TakeSnapshot().ok());
  for (const auto& [ts, seq] : {std::pair<int64_t, uint64_t>(100, 7), {90, 8}}) {
    ASSERT_TRUE(OpenOver(&memory_).ok());
    shard_->TakeForFlush(100);
    EXPECT_EQ(days_after(ts, seq), 1u);
  }
}

TEST_F(SnapshotTest, TheSameLogGivesTheSameSnapshotToTheByte) {
  StartInOneSegment();
  for (int i = 0; i < 100; ++i) {
    WriteRandom();
    if (i % 10 == 0) FlushSome();
    if (i % 30 == 0) EvictSome();
  }
  std::map<std::string, env::MemoryFileSystem::Bytes> first;
  const meta::Mutation epoch{"shard/0/epoch", std::string("9"), std::nullopt};
  for (int round = 0; round < 2; ++round) {
    env::MemoryFileSystem log = WithoutSnapshots(memory_);
    ASSERT_TRUE(metadata_->Apply({&epoch, 1}, "test", "").ok());
    ASSERT_TRUE(OpenOver(&log).ok());
    ASSERT_TRUE(TakeSnapshot().ok());
    if (round == 0) first = log.contents();
    EXPECT_TRUE(first == log.contents());
  }
  EXPECT_GE(first.size(), 3u);
}

TEST_F(SnapshotTest, ACrashAtAnyPointOfASnapshotLosesNothing) {
  Fill(3, true);
  ASSERT_TRUE(TakeSnapshot().ok());
  Fill(Segments() + 1, true);
  EvictSome();
  for (int i = 0; i < 5; ++i) WriteRandom();
  const std::string expected = Describe();
  const env::MemoryFileSystem start = memory_;
  const auto recycled = metadata_->Get("shard/0/recycled");
  ASSERT_TRUE(recycled.ok());
  const meta::Mutation restore{"shard/0/recycled", recycled->value, std::nullopt};
  bool crashed = true;
  uint64_t changes = 0;
  for (uint64_t count = 0; crashed; ++count) {
    SCOPED_TRACE(count);
    env::MemoryFileSystem files = start;
    ASSERT_TRUE(metadata_->Apply({&restore, 1}, "test", "").ok());
    ASSERT_TRUE(OpenOver(&files).ok());
    files.CrashAfter(count, static_cast<uint32_t>(count));
    const Status taken = TakeSnapshot();
    crashed = files.crashed();
    changes = count;
    EXPECT_TRUE(taken.ok() || crashed) << taken;
    shard_.reset();
    files.Reboot();
    const Status opened = OpenOver(&files);
    ASSERT_TRUE(opened.ok()) << opened;
    ASSERT_EQ(Describe(), expected);
    ASSERT_TRUE(TakeSnapshot().ok());
    ASSERT_TRUE(OpenOver(&files).ok());
    ASSERT_EQ(Describe(), expected);
    for (const auto& [path, bytes] : files.contents()) {
      EXPECT_FALSE(path.ends_with(".tmp") && path.starts_with("snap/")) << path;
    }
  }
  EXPECT_GE(changes, 10u);
}

TEST_F(SnapshotTest, ACrashAtAnyPointOfARecoveryLosesNothing) {
  for (int i = 0; i < 30; ++i) WriteRandom();
  ASSERT_TRUE(TakeSnapshot().ok());
  for (int i = 0; i < 30; ++i) WriteRandom();
  const std::string expected = Describe();
  shard_.reset();
  // The last write is torn, so recovery has something to mend.
  memory_.Content("wal/0000000000000001.wal")
      .resize(memory_.Content("wal/0000000000000001.wal").size() - 4096);
  const env::MemoryFileSystem start = memory_;
  bool crashed = true;
  for (uint64_t count = 0; crashed; ++count) {
    SCOPED_TRACE(count);
    env::MemoryFileSystem files = start;
    files.CrashAfter(count, static_cast<uint32_t>(count));
    const Status first = OpenOver(&files);
    crashed = files.crashed();
    EXPECT_EQ(first.ok(), !crashed) << first;
    shard_.reset();
    files.Reboot();
    const Status opened = OpenOver(&files);
    ASSERT_TRUE(opened.ok()) << opened;
    EXPECT_EQ(Describe(), expected);
  }
}

TEST_F(SnapshotTest, ADamagedSnapshotGivesWayToAnOlderOneOrToTheLog) {
  StartInOneSegment();
  for (int i = 0; i < 40; ++i) WriteRandom();
  ASSERT_TRUE(TakeSnapshot().ok());
  for (int i = 0; i < 150; ++i) WriteRandom();
  ASSERT_TRUE(TakeSnapshot().ok());
  for (int i = 0; i < 3; ++i) WriteRandom();
  const std::string expected = Describe();
  const std::vector<std::string> manifests = Manifests();
  const std::vector<std::string> chunks = Files(".chunks");
  ASSERT_EQ(manifests.size(), 2u);
  ASSERT_EQ(chunks.size(), 2u);
  const env::MemoryFileSystem whole = memory_;
  const Lsn newest(shard_->Stats().snapshot);
  for (const std::string& file : {manifests[1], chunks[1]}) {
    for (int i = 0; i < 8; ++i) {
      env::MemoryFileSystem files = whole;
      auto& bytes = files.Content(file);
      // Padding is not covered by any checksum, and nothing is believed of it.
      const size_t at = i == 0 ? 0 : random_() % bytes.size();
      SCOPED_TRACE(fmt::format("{} byte {}", file, at));
      bytes[at] ^= std::byte{0x10};
      ASSERT_TRUE(OpenOver(&files).ok());
      EXPECT_EQ(Describe(), expected);
      EXPECT_EQ(report_.warnings.empty(), report_.snapshot == newest);
      if (i == 0) {
        ASSERT_EQ(report_.warnings.size(), 1u);
        EXPECT_THAT(report_.warnings[0], HasSubstr(file));
        EXPECT_LT(report_.snapshot, newest);
        EXPECT_GT(report_.snapshot, Lsn(0));
        // The next snapshot replaces the damaged one.
        WriteRandom();
        const std::string more = Describe();
        ASSERT_TRUE(TakeSnapshot().ok());
        ASSERT_TRUE(OpenOver(&files).ok());
        EXPECT_TRUE(report_.warnings.empty());
        EXPECT_EQ(Describe(), more);
      }
    }
  }
  // Both gone: the log still has everything.
  env::MemoryFileSystem files = whole;
  files.Content(manifests[0])[70] ^= std::byte{1};
  files.Content(manifests[1]).resize(files.Content(manifests[1]).size() / 2);
  ASSERT_TRUE(OpenOver(&files).ok());
  EXPECT_EQ(report_.warnings.size(), 2u);
  EXPECT_EQ(report_.snapshot, Lsn(0));
  EXPECT_EQ(Describe(), expected);
}

TEST_F(SnapshotTest, DamageThatTheLogCannotMakeUpForIsDataLoss) {
  Fill(3, true);
  ASSERT_TRUE(TakeSnapshot().ok());
  EXPECT_LE(Segments(), 2u);
  const env::MemoryFileSystem whole = memory_;
  for (const std::string& file : {Manifests()[0], Files(".chunks")[0]}) {
    env::MemoryFileSystem files = whole;
    files.Content(file)[100] ^= std::byte{1};
    const auto before = files.contents();
    const Status opened = OpenOver(&files);
    EXPECT_TRUE(absl::IsDataLoss(opened)) << opened;
    EXPECT_THAT(std::string(Message(opened)), HasSubstr(file.substr(5)));
    EXPECT_THAT(std::string(Message(opened)), HasSubstr("backup"));
    EXPECT_TRUE(files.contents() == before);
    ASSERT_TRUE(files.Remove(file).ok());
    EXPECT_TRUE(absl::IsDataLoss(OpenOver(&files)));
  }
  env::MemoryFileSystem foreign = whole;
  options_.incarnation = 43;
  EXPECT_TRUE(absl::IsFailedPrecondition(OpenOver(&foreign)));
}

TEST_F(SnapshotTest, SegmentsAreRecycledWhenSnapshottedAndPersisted) {
  Fill(3, false);
  ASSERT_TRUE(TakeSnapshot().ok());
  EXPECT_EQ(Segments(), 3u) << "nothing is persisted";
  EXPECT_EQ(shard_->Stats().log_bytes_after_snapshot, 0u);
  FlushAll();
  clock_.elapsed_ns += 2'000'000'000;
  ASSERT_TRUE(shard_->Maintain().ok());
  EXPECT_EQ(Segments(), 1u) << "everything is in history and in the snapshot";
  Fill(4, true);
  clock_.elapsed_ns += 2'000'000'000;
  ASSERT_TRUE(shard_->Maintain().ok());
  EXPECT_EQ(Segments(), 4u) << "persisted, not in the snapshot";
  EXPECT_GE(shard_->Stats().log_bytes_after_snapshot, 2 * options_.segment_bytes);
  const std::string before = Describe();
  ASSERT_TRUE(OpenOver(&memory_).ok());
  EXPECT_EQ(Describe(), before);
  EXPECT_GE(shard_->Stats().log_bytes_after_snapshot, 2 * options_.segment_bytes);
  ASSERT_TRUE(TakeSnapshot().ok());
  EXPECT_EQ(Segments(), 1u);
}

TEST_F(SnapshotTest, UnpersistedRowsThatTheLogLostAreDataLoss) {
  for (int i = 0; i < 10; ++i) WriteRandom();
  ASSERT_TRUE(TakeSnapshot().ok());
  shard_.reset();
  ASSERT_TRUE(memory_.Remove("wal/0000000000000001.wal").ok());
  // The watermark would say first that the file is missing.
  ASSERT_TRUE(memory_.Remove("wal/watermark").ok());
  const Status opened = OpenOver(&memory_);
  EXPECT_TRUE(absl::IsDataLoss(opened)) << opened;
  EXPECT_THAT(std::string(Message(opened)), HasSubstr("the log lacks LSNs 1 to"));
}

TEST_F(SnapshotTest, WithoutHistoryTheSnapshotAloneFreesTheLog) {
  options_.keep_backlog = false;
  env::MemoryFileSystem files;
  ASSERT_TRUE(OpenOver(&files).ok());
  while (shard_->Stats().log_live_bytes < 3 * options_.segment_bytes) WriteRandom();
  ASSERT_TRUE(TakeSnapshot().ok());
  EXPECT_EQ(shard_->Stats().log_live_bytes, options_.segment_bytes);
  const std::string before = Describe();
  ASSERT_TRUE(OpenOver(&files).ok());
  EXPECT_EQ(Describe(), before);
  options_.keep_backlog = true;
  const Status opened = OpenOver(&files);
  EXPECT_TRUE(absl::IsFailedPrecondition(opened)) << opened;
  EXPECT_THAT(std::string(Message(opened)), HasSubstr("--history none"));
}

TEST_F(SnapshotTest, ChunksAreWrittenOnceAndDeadFilesGo) {
  Fill(2, true);
  ASSERT_TRUE(TakeSnapshot().ok());
  const uint64_t first = shard_->Stats().snapshot_written_bytes;
  for (int i = 0; i < 3; ++i) WriteRandom();
  ASSERT_TRUE(TakeSnapshot().ok());
  // Overlays, and chunks that a compaction rewrote, are written anew.
  EXPECT_LT(shard_->Stats().snapshot_written_bytes, first / 4 * 3);
  const std::string old_file = Files(".chunks").front();
  FlushAll();
  ASSERT_TRUE(
      shard_->Evict(schema_->id, Timestamp(kStartNs + now_ms_ * 1'000'000), Timestamp::Max()).ok());
  for (int i = 0; i < 3; ++i) {
    WriteRandom();
    ASSERT_TRUE(TakeSnapshot().ok());
  }
  EXPECT_EQ(Manifests().size(), 2u);
  EXPECT_FALSE(memory_.contents().contains(old_file));
  const std::string before = Describe();
  ASSERT_TRUE(OpenOver(&memory_).ok());
  EXPECT_EQ(Describe(), before);
}

TEST_F(SnapshotTest, AFailedJobLeavesTheLastSnapshotAndNoFiles) {
  for (int i = 0; i < 40; ++i) WriteRandom();
  ASSERT_TRUE(TakeSnapshot().ok());
  const Lsn last = shard_->Stats().snapshot;
  WriteRandom();
  const auto before = memory_.contents().size();
  auto job = shard_->BeginSnapshot();
  ASSERT_TRUE(job.ok());
  ASSERT_TRUE(*(*job)->Step());
  EXPECT_TRUE(absl::IsFailedPrecondition((*job)->status()));
  // Given up half way, as at a stop of the server.
  EXPECT_TRUE(absl::IsFailedPrecondition(shard_->FinishSnapshot(std::move(*job))));
  EXPECT_EQ(shard_->Stats().snapshot, last);
  ASSERT_TRUE(TakeSnapshot().ok());
  EXPECT_GT(shard_->Stats().snapshot, last);
  EXPECT_GE(memory_.contents().size(), before);
}

}  // namespace
}  // namespace proxist::shard
