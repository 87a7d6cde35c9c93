// The host's file system: files, durable writes, locks, and the codes and texts of failures.
#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <random>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proxist/env/clock.h"
#include "proxist/env/file_system.h"

namespace proxist::env {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::vector<std::byte> Pattern(size_t size, uint32_t seed) {
  std::vector<std::byte> bytes(size);
  std::mt19937 random(seed);
  for (std::byte& b : bytes) b = static_cast<std::byte>(random());
  return bytes;
}

class PosixFileSystemTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (std::filesystem::temp_directory_path() / "px_env_XXXXXX").string();
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    directory_ = pattern;
  }
  void TearDown() override { std::filesystem::remove_all(directory_); }
  [[nodiscard]] std::string Path(std::string_view name) const {
    return directory_ + "/" + std::string(name);
  }
  FileSystem& files_ = PosixFileSystem();
  std::string directory_;
};

void ExpectError(const Status& status, absl::StatusCode code, const std::string& path) {
  EXPECT_EQ(status.code(), code) << status;
  EXPECT_THAT(std::string(Message(status)), HasSubstr(path));
}

TEST_F(PosixFileSystemTest, FilesReadWriteTruncate) {
  const std::string path = Path("a");
  {
    auto file = files_.Open(path, FileSystem::Mode::kCreateNew).value();
    EXPECT_TRUE(file->WriteAt(3, AsBytes("tick")).ok());
    EXPECT_TRUE(file->Sync().ok());
    EXPECT_EQ(file->Size().value(), 7u);
  }
  ExpectError(files_.Open(path, FileSystem::Mode::kCreateNew).status(),
              absl::StatusCode::kAlreadyExists, path);
  auto file = files_.Open(path, FileSystem::Mode::kReadWrite).value();
  std::vector<std::byte> out(10);
  EXPECT_EQ(file->ReadAt(0, out).value(), 7u);
  EXPECT_EQ(AsText(ByteSpan(out).first(7)), std::string_view("\0\0\0tick", 7));
  EXPECT_EQ(file->ReadAt(100, out).value(), 0u);
  EXPECT_TRUE(file->Truncate(5).ok());
  EXPECT_EQ(AsText(files_.ReadAll(path, 5).value()), std::string_view("\0\0\0ti", 5));
  ExpectError(files_.ReadAll(path, 4).status(), absl::StatusCode::kResourceExhausted, path);
  auto reader = files_.Open(path, FileSystem::Mode::kRead).value();
  EXPECT_FALSE(reader->WriteAt(0, AsBytes("x")).ok());
}

TEST_F(PosixFileSystemTest, FailuresHaveCodePathAndReason) {
  const std::string missing = Path("missing/file");
  ExpectError(files_.Open(missing, FileSystem::Mode::kRead).status(), absl::StatusCode::kNotFound,
              missing);
  EXPECT_THAT(std::string(Message(files_.Open(missing, FileSystem::Mode::kRead).status())),
              HasSubstr("No such file or directory"));
  ExpectError(files_.WriteAtomically(missing, {}), absl::StatusCode::kNotFound, missing);
  ExpectError(files_.OpenDurable(missing, kBlockBytes).status(), absl::StatusCode::kNotFound,
              missing);
  ExpectError(files_.List(missing).status(), absl::StatusCode::kNotFound, missing);
  ExpectError(files_.Rename(missing, Path("b")), absl::StatusCode::kNotFound, missing);
  ExpectError(files_.Remove(missing), absl::StatusCode::kNotFound, missing);
  ExpectError(files_.SyncDirectory(missing), absl::StatusCode::kNotFound, missing);
  ExpectError(files_.Lock(missing).status(), absl::StatusCode::kNotFound, missing);
  auto full = files_.Open("/dev/full", FileSystem::Mode::kReadWrite).value();
  ExpectError(full->WriteAt(0, AsBytes("x")), absl::StatusCode::kResourceExhausted, "/dev/full");
  // A file stands where a directory is wanted.
  ASSERT_TRUE(files_.WriteAtomically(Path("file"), AsBytes("x")).ok());
  EXPECT_FALSE(files_.CreateDirectories(Path("file")).ok());
  EXPECT_FALSE(files_.CreateDirectories(Path("file/below")).ok());
}

TEST_F(PosixFileSystemTest, DirectoriesAndNames) {
  ASSERT_TRUE(files_.CreateDirectories(Path("x/y/z")).ok());
  ASSERT_TRUE(files_.CreateDirectories(Path("x/y/z")).ok());
  ASSERT_TRUE(files_.WriteAtomically(Path("x/b"), AsBytes("1")).ok());
  ASSERT_TRUE(files_.WriteAtomically(Path("x/a"), AsBytes("2")).ok());
  EXPECT_THAT(files_.List(Path("x")).value(), ElementsAre("a", "b", "y"));
  ASSERT_TRUE(files_.Rename(Path("x/a"), Path("x/b")).ok());
  EXPECT_EQ(AsText(files_.ReadAll(Path("x/b"), 10).value()), "2");
  EXPECT_FALSE(files_.Exists(Path("x/a")).value());
  EXPECT_FALSE(files_.Exists(Path("x/b/c")).value());
  EXPECT_TRUE(files_.Exists(Path("x/b")).value());
  ASSERT_TRUE(files_.Remove(Path("x/b")).ok());
  ASSERT_TRUE(files_.SyncDirectory(Path("x")).ok());
  EXPECT_THAT(files_.List(Path("x")).value(), ElementsAre("y"));
}

TEST_F(PosixFileSystemTest, WriteAtomicallyReplacesAndLeavesNothingBehind) {
  ASSERT_TRUE(files_.WriteAtomically(Path("m"), AsBytes("longer content")).ok());
  ASSERT_TRUE(files_.WriteAtomically(Path("m"), AsBytes("short")).ok());
  EXPECT_EQ(AsText(files_.ReadAll(Path("m"), 100).value()), "short");
  EXPECT_EQ(files_.ReadAll("/proc/self/stat", 1 << 20).value().empty(), false);
  std::filesystem::create_directory(Path("d"));
  EXPECT_FALSE(files_.WriteAtomically(Path("d"), AsBytes("x")).ok());
  EXPECT_THAT(files_.List(directory_).value(), ElementsAre("d", "m"));
}

/// Durable and unsynced writes of many sizes and places, against the same bytes in memory.
void CheckDurableWrites(FileSystem* files, const std::string& path) {
  constexpr uint64_t kSize = 64 * kBlockBytes;
  std::vector<std::byte> expected(kSize);
  auto file = files->OpenDurable(path, kSize).value();
  EXPECT_EQ(files->ReadAll(path, kSize).value(), expected);
  std::mt19937 random(3);
  const AlignedBytes buffer = AllocateAligned(kSize, kBlockBytes);
  for (int i = 0; i < 40; ++i) {
    const size_t offset = random() % 64 * kBlockBytes;
    const size_t count = (random() % (64 - offset / kBlockBytes) + 1) * kBlockBytes;
    const std::vector<std::byte> bytes = Pattern(count, random());
    std::ranges::copy(bytes, buffer.get());
    if (random() % 2 == 0) {
      ASSERT_TRUE(file->WriteUnsynced(offset, bytes).ok());
    } else {
      ASSERT_TRUE(file->Sync().ok());
      ASSERT_TRUE(file->Submit(offset, {buffer.get(), count}).ok());
      ASSERT_TRUE(file->Wait().ok());
    }
    std::ranges::copy(bytes, expected.begin() + static_cast<ptrdiff_t>(offset));
    ASSERT_EQ(files->ReadAll(path, kSize).value(), expected);
  }
  EXPECT_EQ(files->ReadAll(path, kSize).value(), expected);
  file = nullptr;
  file = files->OpenDurable(path, kSize).value();  // Opening again keeps the bytes.
  EXPECT_EQ(files->ReadAll(path, kSize).value(), expected);
}

TEST_F(PosixFileSystemTest, DurableWritesLandWhereTheyShould) {
  CheckDurableWrites(&files_, Path("segment"));
  EXPECT_THAT(files_.List(directory_).value(), ElementsAre("segment"));
}

TEST_F(PosixFileSystemTest, DurableWritesWorkWithoutDirectIo) {
  const std::string path = fmt::format("/dev/shm/px_env_test_{}", ::getpid());
  CheckDurableWrites(&files_, path);
  EXPECT_TRUE(files_.Remove(path).ok());
}

TEST_F(PosixFileSystemTest, DurableFilesRefuseWhatTheyCannotDo) {
  const std::string path = Path("segment");
  auto file = files_.OpenDurable(path, 4 * kBlockBytes).value();
  const AlignedBytes buffer = AllocateAligned(8 * kBlockBytes, kBlockBytes);
  const auto code = [&](uint64_t offset, size_t at, size_t count) {
    return file->Submit(offset, {buffer.get() + at, count}).code();
  };
  EXPECT_EQ(code(1, 0, kBlockBytes), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(code(0, 512, kBlockBytes), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(code(0, 0, 100), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(code(0, 0, 5 * kBlockBytes), absl::StatusCode::kOutOfRange);
  EXPECT_EQ(code(4 * kBlockBytes, 0, kBlockBytes), absl::StatusCode::kOutOfRange);
  EXPECT_EQ(code(~uint64_t{0} - kBlockBytes + 1, 0, kBlockBytes), absl::StatusCode::kOutOfRange);
  const auto unsynced = [&](uint64_t offset, size_t count) {
    return file->WriteUnsynced(offset, {buffer.get() + 1, count}).code();
  };
  EXPECT_EQ(unsynced(1, kBlockBytes), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(unsynced(0, 100), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(unsynced(0, 5 * kBlockBytes), absl::StatusCode::kOutOfRange);
  EXPECT_EQ(unsynced(4 * kBlockBytes, kBlockBytes), absl::StatusCode::kOutOfRange);
  // A refused write leaves the file usable.
  ASSERT_TRUE(file->Submit(3 * kBlockBytes, {buffer.get(), kBlockBytes}).ok());
  EXPECT_TRUE(file->Wait().ok());
  ExpectError(files_.OpenDurable(path, 8 * kBlockBytes).status(),
              absl::StatusCode::kFailedPrecondition, path);
  ExpectError(files_.OpenDurable(directory_, kBlockBytes).status(),
              absl::StatusCode::kFailedPrecondition, directory_);
  ExpectError(files_.OpenDurable(Path("odd"), 100).status(), absl::StatusCode::kInvalidArgument,
              "odd");
  // Larger than any file may be: nothing stays behind.
  ExpectError(files_.OpenDurable(Path("huge"), uint64_t{1} << 62).status(),
              absl::StatusCode::kResourceExhausted, "huge");
  EXPECT_THAT(files_.List(directory_).value(), ElementsAre("segment"));
}

TEST_F(PosixFileSystemTest, DestroyedWithAWriteInFlight) {
  const AlignedBytes buffer = AllocateAligned(kBlockBytes, kBlockBytes);
  buffer[0] = std::byte{9};
  {
    auto file = files_.OpenDurable(Path("segment"), kBlockBytes).value();
    ASSERT_TRUE(file->Submit(0, {buffer.get(), kBlockBytes}).ok());
  }
  EXPECT_EQ(files_.ReadAll(Path("segment"), kBlockBytes).value().size(), kBlockBytes);
}

/// Runs `body` in a child process and returns its exit code, or minus its signal.
int InChild(const std::function<int()>& body) {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(body());
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

/// From here on io_uring_setup is what it is in a container that forbids it.
bool ForbidRings() {
  sock_filter filter[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_io_uring_setup, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const sock_fprog program = {std::size(filter), filter};
  return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0 &&
         ::syscall(SYS_io_uring_setup, 1, nullptr) == -1 && errno == EPERM;
}

TEST_F(PosixFileSystemTest, DurableWritesWorkWithoutRings) {
  EXPECT_EQ(InChild([this] {
              if (!ForbidRings()) return 1;
              CheckDurableWrites(&files_, Path("segment"));
              return HasFailure() ? 2 : 0;
            }),
            0);
}

TEST_F(PosixFileSystemTest, WritesOfAProcessThatIsKilledAreWaitedFor) {
  const std::string path = Path("segment");
  constexpr size_t kSize = size_t{8} << 20;
  ASSERT_TRUE(files_.OpenDurable(path, kSize).ok());
  ASSERT_TRUE(files_.AwaitWrites(path).ok()) << "nobody writes";
  int ready[2];
  ASSERT_EQ(::pipe(ready), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    const AlignedBytes buffer = AllocateAligned(kSize, kBlockBytes);
    std::fill_n(buffer.get(), kSize, std::byte{7});
    const auto file = files_.OpenDurable(path, kSize).value();
    // It is killed at once, or after a while in which it holds the file without writing.
    if (file->Submit(0, {buffer.get(), kSize}).ok() && ::write(ready[1], "x", 1) == 1) ::pause();
    ::_exit(1);
  }
  char byte = 0;
  ASSERT_EQ(::read(ready[0], &byte, 1), 1);
  std::atomic<bool> killed{false};
  std::thread killer([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    killed = true;
    ::kill(child, SIGKILL);
  });
  EXPECT_TRUE(files_.AwaitWrites(path).ok());
  EXPECT_TRUE(killed);
  const auto before = files_.ReadAll(path, kSize).value();
  killer.join();
  ::waitpid(child, nullptr, 0);
  ::close(ready[0]);
  ::close(ready[1]);
  EXPECT_EQ(files_.ReadAll(path, kSize).value(), before);
}

TEST_F(PosixFileSystemTest, LocksHoldAcrossProcessesAndNameTheOwner) {
  const std::string path = Path("LOCK");
  const std::string owner = fmt::format("process {}", ::getpid());
  auto lock = files_.Lock(path).value();
  const auto refused = [&] {
    const Status status = files_.Lock(path).status();
    return status.code() == absl::StatusCode::kFailedPrecondition &&
           Message(status).find(owner) != std::string_view::npos &&
           Message(status).find(path) != std::string_view::npos;
  };
  EXPECT_TRUE(refused());
  EXPECT_EQ(InChild([&] { return refused() ? 0 : 1; }), 0);
  lock = nullptr;
  // A holder that is killed leaves no lock behind.
  EXPECT_EQ(InChild([&] {
              const auto held = files_.Lock(path);
              if (!held.ok()) return 1;
              ::raise(SIGKILL);
              return 2;
            }),
            -SIGKILL);
  EXPECT_TRUE(files_.Lock(path).ok());
}

TEST(SystemClockTest, MovesForward) {
  const Clock& clock = SystemClock();
  EXPECT_GT(clock.Now(), ParseTimestamp("2020-01-01").value());
  EXPECT_LT(clock.Now(), kMaxRowTimestamp);
  const Duration first = clock.Monotonic();
  EXPECT_LE(first, clock.Monotonic());
}

TEST_F(PosixFileSystemTest, AMappingOutlivesItsFile) {
  FileSystem& files = PosixFileSystem();
  const auto pattern = Pattern(100'000, 7);
  ASSERT_TRUE(files.WriteAtomically(Path("a"), pattern).ok());
  ASSERT_TRUE(files.WriteAtomically(Path("empty"), {}).ok());
  const auto mapped = files.Map(Path("a"));
  ASSERT_TRUE(mapped.ok()) << mapped.status();
  ASSERT_TRUE(files.Remove(Path("a")).ok());
  EXPECT_TRUE(std::ranges::equal((*mapped)->bytes(), pattern));
  (*mapped)->Release();
  EXPECT_TRUE(std::ranges::equal((*mapped)->bytes(), pattern));
  EXPECT_EQ(reinterpret_cast<uintptr_t>((*mapped)->bytes().data()) % 64, 0U);
  EXPECT_TRUE(absl::IsNotFound(files.Map(Path("a")).status()));
  const auto empty = files.Map(Path("empty"));
  ASSERT_TRUE(empty.ok()) << empty.status();
  EXPECT_TRUE((*empty)->bytes().empty());
}

}  // namespace
}  // namespace proxist::env
