// What the log does on threads of its own: reading ahead of a replay, filling the next segment's
// file.
#include <cstdlib>
#include <filesystem>

#include "proxist/wal/log.h"
#include "tests/unit/wal/log_fixture.h"

namespace proxist::wal {
namespace {

TEST(LogConcurrentTest, ReadingAheadGivesTheSame) {
  env::MemoryFileSystem files;
  LogOptions options = SmallLog();
  std::vector<KnownRecord> records;
  {
    Opened opened = OpenLog(&files, options);
    for (uint64_t lsn = 1; lsn <= 200; ++lsn) {
      records.push_back(MakeRecord(lsn, 1, 10 * lsn));
      ASSERT_TRUE(Append(opened.log.get(), records.back()).ok());
    }
  }
  options.read_ahead = true;
  Opened ahead = OpenLog(&files, options);
  ASSERT_TRUE(ahead.status.ok()) << ahead.status;
  EXPECT_EQ(ahead.records, records);
  EXPECT_EQ(ahead.report.records, 200u);
  // An error of whoever applies ends it, and is what comes back.
  ReplayReport report;
  uint64_t applied = 0;
  const auto refuse = [&](const LogRecord&) {
    return ++applied == 20 ? Internal("enough") : OkStatus();
  };
  EXPECT_EQ(Log::Open(&files, options, refuse, &report).status(), Internal("enough"));
  EXPECT_EQ(applied, 20u);
  // So is damage, after what stands before it.
  files.Content("log/0000000000000002.wal")[4096 + 200] ^= std::byte{1};
  ahead = OpenLog(&files, options);
  EXPECT_EQ(ahead.status.code(), absl::StatusCode::kDataLoss);
  EXPECT_GT(ahead.records.size(), 0u);
  EXPECT_LT(ahead.records.size(), records.size());
}

TEST(LogConcurrentTest, TheNextSegmentIsFilledBesideAppends) {
  std::string directory = (std::filesystem::temp_directory_path() / "proxist_wal_XXXXXX").string();
  ASSERT_NE(mkdtemp(directory.data()), nullptr);
  LogOptions options = SmallLog();
  options.directory = directory + "/log";
  options.prepare_next = true;
  options.read_ahead = true;
  std::vector<KnownRecord> records;
  for (int opening = 1; opening <= 3; ++opening) {
    options.epoch = Epoch(opening);
    Opened opened = OpenLog(&env::PosixFileSystem(), options);
    ASSERT_TRUE(opened.status.ok()) << opened.status;
    EXPECT_EQ(opened.records, records);
    for (int i = 0; i < 60; ++i) {
      records.push_back(MakeRecord(records.size() + 1, 1, 5000, opening));
      ASSERT_TRUE(Append(opened.log.get(), records.back()).ok());
    }
  }
  const Opened read = ReadAll(&env::PosixFileSystem(), options.directory);
  EXPECT_EQ(read.records, records);
  EXPECT_GT(read.report.durable_segment, 5u);
  std::filesystem::remove_all(directory);
}

}  // namespace
}  // namespace proxist::wal
