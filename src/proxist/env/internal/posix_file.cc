// POSIX descriptors as File, and errno as Status.
#include "proxist/env/internal/posix_file.h"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <system_error>
#include <thread>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace proxist::env {
namespace {

/// A large file goes to the device in pieces of this size while it is written, with rests between
/// them: left in the page cache, it would be written in one burst, and the log's writes would stand
/// behind that. A sync of each piece would have the file system commit its journal each time, for
/// which the log's writes wait as well.
constexpr uint64_t kPushBytes = uint64_t{128} << 10;
constexpr int kRests = 2;  // times as long as the piece took
constexpr std::chrono::milliseconds kLongestRest{2};

class PosixFile final : public File {
 public:
  PosixFile(Descriptor fd, std::string path) : fd_(std::move(fd)), path_(std::move(path)) {}

  StatusOr<size_t> ReadAt(uint64_t offset, std::span<std::byte> out) const override {
    size_t done = 0;
    while (done < out.size()) {
      const ssize_t n = ::pread(fd_.get(), out.data() + done, out.size() - done,
                                static_cast<off_t>(offset + done));
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return PosixError(path_, "read", errno);
      if (n == 0) break;
      done += static_cast<size_t>(n);
    }
    return done;
  }

  Status WriteAt(uint64_t offset, ByteSpan bytes) override {
    PX_RETURN_IF_ERROR(WriteFully(fd_.get(), path_, offset, bytes));
    if (offset != end_) pushed_ = offset;
    end_ = offset + bytes.size();
    return end_ - pushed_ >= kPushBytes ? Push() : OkStatus();
  }

  StatusOr<uint64_t> Size() const override {
    struct stat info {};
    if (::fstat(fd_.get(), &info) != 0) return PosixError(path_, "stat", errno);
    return static_cast<uint64_t>(info.st_size);
  }

  Status Truncate(uint64_t size) override {
    if (::ftruncate(fd_.get(), static_cast<off_t>(size)) != 0) {
      return PosixError(path_, "truncate", errno);
    }
    return OkStatus();
  }

  Status Sync() override {
    if (::fdatasync(fd_.get()) != 0) return PosixError(path_, "fdatasync", errno);
    return OkStatus();
  }

 private:
  Status Push() {
    constexpr unsigned kDone =
        SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER;
    const auto begin = std::chrono::steady_clock::now();
    const auto count = static_cast<off64_t>(end_ - pushed_);
    // Told here, a lost write is not told again by fdatasync. What has no such call does without.
    if (::sync_file_range(fd_.get(), static_cast<off64_t>(pushed_), count, kDone) != 0 &&
        (errno == EIO || errno == ENOSPC || errno == ENOMEM)) {
      return PosixError(path_, "write", errno);
    }
    pushed_ = end_;
    const auto took = std::chrono::steady_clock::now() - begin;
    std::this_thread::sleep_for(
        std::min<std::chrono::steady_clock::duration>(kRests * took, kLongestRest));
    return OkStatus();
  }

  const Descriptor fd_;
  const std::string path_;
  // Of bytes written one after the other up to `end_`: those before `pushed_` are at the device.
  uint64_t pushed_ = 0;
  uint64_t end_ = 0;
};

}  // namespace

Status PosixError(const std::string& path, std::string_view doing, int error) {
  const std::string why = std::generic_category().message(error);
  switch (error) {
    case ENOENT:
    case ENOTDIR:
      return NotFound("{}: {}: {}", path, doing, why);
    case EACCES:
    case EPERM:
    case EROFS:
      return PermissionDenied("{}: {}: {}", path, doing, why);
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
    case EMFILE:
    case ENFILE:
      return ResourceExhausted("{}: {}: {}", path, doing, why);
    case EEXIST:
      return AlreadyExists("{}: {}: {}", path, doing, why);
    default:
      return Unavailable("{}: {}: {}", path, doing, why);
  }
}

Descriptor& Descriptor::operator=(Descriptor&& other) noexcept {
  std::swap(fd_, other.fd_);
  return *this;
}

Descriptor::~Descriptor() {
  if (fd_ >= 0) ::close(fd_);
}

Descriptor OpenDescriptor(const std::string& path, int flags) {
  int fd = -1;
  do {
    fd = ::open(path.c_str(), flags | O_CLOEXEC, 0640);
  } while (fd < 0 && errno == EINTR);
  return Descriptor(fd);
}

Status WriteFully(int fd, const std::string& path, uint64_t offset, ByteSpan bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::pwrite(fd, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return PosixError(path, "write", errno);
    if (n == 0) return Unavailable("{}: write: the file takes no more bytes", path);
    bytes = bytes.subspan(static_cast<size_t>(n));
    offset += static_cast<uint64_t>(n);
  }
  return OkStatus();
}

std::string ParentDirectory(const std::string& path) {
  const std::string parent = std::filesystem::path(path).parent_path().string();
  return parent.empty() ? "." : parent;
}

Status SyncDirectoryAt(const std::string& path) {
  const Descriptor fd = OpenDescriptor(path, O_RDONLY | O_DIRECTORY);
  if (!fd.valid()) return PosixError(path, "open directory", errno);
  if (::fsync(fd.get()) != 0) return PosixError(path, "fsync directory", errno);
  return OkStatus();
}

std::unique_ptr<File> MakePosixFile(Descriptor fd, const std::string& path) {
  return std::make_unique<PosixFile>(std::move(fd), path);
}

}  // namespace proxist::env
