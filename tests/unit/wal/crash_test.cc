// Nothing acked is lost and nothing is made up, wherever the power or the process goes.
#include <csignal>
#include <cstdlib>
#include <filesystem>

#include <sys/wait.h>
#include <unistd.h>

#include "proxist/env/file_system.h"
#include "tests/unit/wal/log_fixture.h"

namespace proxist::wal {
namespace {

/// Appends from LSN `next` on, recycling now and then, until something fails or `frames` are
/// written. Moves `acked` up with every ack.
void Write(Log* log, uint64_t next, int frames, uint64_t* acked, uint64_t* recycled) {
  for (int i = 0; i < frames; ++i) {
    const size_t bytes = (next * 2'654'435'761u) % 24'000;
    if (!Append(log, MakeRecord(next, 1, bytes)).ok()) return;
    *acked = next++;
    if (i % 11 != 10 || *acked < 6) continue;
    // Noted before it happens: a crash in it may come too late to stop it.
    *recycled = *acked - 5;
    if (!log->Recycle(Lsn(*recycled)).ok()) return;
  }
}

/// `records` are consecutive, hold all of (recycled, acked] and at most one record more.
void ExpectWhole(const std::vector<KnownRecord>& records, uint64_t acked, uint64_t recycled) {
  uint64_t expected = records.empty() ? acked + 1 : records.front().first;
  EXPECT_LE(expected, recycled + 1);
  for (const KnownRecord& record : records) {
    ASSERT_EQ(record.first, expected);
    ASSERT_EQ(record.payload, Payload(record.first, (record.first * 2'654'435'761u) % 24'000));
    ++expected;
  }
  EXPECT_GE(expected, acked + 1);
  EXPECT_LE(expected, acked + 2);
}

TEST(CrashTest, EveryCrashPointKeepsWhatWasAcked) {
  constexpr int kFrames = 40;
  env::MemoryFileSystem whole;
  {
    uint64_t acked = 0;
    uint64_t recycled = 0;
    Opened opened = OpenLog(&whole, SmallLog());
    Write(opened.log.get(), 1, kFrames, &acked, &recycled);
    ASSERT_EQ(acked, uint64_t{kFrames});
    ASSERT_GT(recycled, 0u);
  }
  for (uint64_t point = 0; point < whole.changes(); ++point) {
    SCOPED_TRACE(fmt::format("crash at change {}", point));
    env::MemoryFileSystem files;
    files.CrashAfter(point, static_cast<uint32_t>(point));
    uint64_t acked = 0;
    uint64_t recycled = 0;
    {
      Opened opened = OpenLog(&files, SmallLog());
      if (opened.status.ok()) Write(opened.log.get(), 1, kFrames, &acked, &recycled);
    }
    ASSERT_TRUE(files.crashed());
    files.Reboot();
    // A second crash, while the torn tail is cut or soon after.
    files.CrashAfter(point % 5, static_cast<uint32_t>(point + 1000));
    uint64_t next = acked + 2;
    {
      Opened opened = OpenLog(&files, SmallLog());
      if (opened.status.ok()) {
        ExpectWhole(opened.records, acked, recycled);
        next = opened.records.empty() ? acked + 1 : opened.records.back().last + 1;
        acked = next - 1;
        Write(opened.log.get(), next, 5, &acked, &recycled);
      }
    }
    files.Reboot();
    Opened opened = OpenLog(&files, SmallLog());
    ASSERT_TRUE(opened.status.ok()) << opened.status;
    ExpectWhole(opened.records, acked, recycled);
    next = opened.records.empty() ? acked + 1 : opened.records.back().last + 1;
    acked = next - 1;
    Write(opened.log.get(), next, kFrames, &acked, &recycled);
    ASSERT_EQ(acked, next - 1 + kFrames);
    const Opened read = ReadAll(&files, "log");
    ASSERT_TRUE(read.status.ok()) << read.status;
    EXPECT_FALSE(read.report.torn_tail);
    ExpectWhole(read.records, acked, recycled);
  }
}

class KillTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (std::filesystem::temp_directory_path() / "px_wal_XXXXXX").string();
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    directory_ = pattern;
  }
  void TearDown() override { std::filesystem::remove_all(directory_); }
  std::string directory_;
};

/// The child's part: writes and tells each ack through `pipe` until it is killed.
[[noreturn]] void WriteForever(const LogOptions& options, int pipe) {
  Opened opened = OpenLog(&env::PosixFileSystem(), options);
  if (!opened.status.ok()) ::_exit(1);
  uint64_t next = opened.records.empty() ? 1 : opened.records.back().last + 1;
  while (true) {
    uint64_t told[2] = {next - 1, 0};
    Write(opened.log.get(), next, 1, &told[0], &told[1]);
    if (told[0] != next) ::_exit(2);
    if (next % 16 == 0) {
      // Told before it happens: recycling may be done or not when the process dies.
      told[1] = next - 8;
      if (::write(pipe, told, sizeof told) != sizeof told) ::_exit(3);
      if (!opened.log->Recycle(Lsn(told[1])).ok()) ::_exit(4);
    } else if (::write(pipe, told, sizeof told) != sizeof told) {
      ::_exit(3);
    }
    ++next;
  }
}

TEST_F(KillTest, KilledWritersLoseNothingAcked) {
  LogOptions options = SmallLog();
  options.directory = directory_ + "/log";
  options.segment_bytes = 256 << 10;
  options.prepare_next = true;
  uint64_t acked = 0;
  uint64_t recycled = 0;
  for (int round = 0; round < 12; ++round) {
    int pipes[2];
    ASSERT_EQ(::pipe(pipes), 0);
    const pid_t child = ::fork();
    if (child == 0) {
      ::close(pipes[0]);
      WriteForever(options, pipes[1]);
    }
    ::close(pipes[1]);
    // Killed after a number of acks that differs from round to round.
    uint64_t told[2];
    for (int i = 0; i < 5 + round * 7; ++i) {
      if (::read(pipes[0], told, sizeof told) != sizeof told) break;
      acked = told[0];
      recycled = std::max(recycled, told[1]);
    }
    ::kill(child, SIGKILL);
    int status = 0;
    ::waitpid(child, &status, 0);
    EXPECT_TRUE(WIFSIGNALED(status)) << "exit code " << WEXITSTATUS(status);
    while (::read(pipes[0], told, sizeof told) == sizeof told) {
      acked = told[0];
      recycled = std::max(recycled, told[1]);
    }
    ::close(pipes[0]);
    const Opened opened = OpenLog(&env::PosixFileSystem(), options);
    ASSERT_TRUE(opened.status.ok()) << opened.status;
    ExpectWhole(opened.records, acked, recycled);
    if (!opened.records.empty()) acked = opened.records.back().last;
  }
  EXPECT_GT(acked, 400u);
}

}  // namespace
}  // namespace proxist::wal
