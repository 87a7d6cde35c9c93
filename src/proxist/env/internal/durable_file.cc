// Preallocated files that are overwritten durably, past the page cache.
#include "proxist/env/internal/durable_file.h"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <thread>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proxist/base/check.h"
#include "proxist/env/internal/posix_file.h"
#include "proxist/env/internal/write_ring.h"

namespace proxist::env {
namespace {

/// Small enough that a log write that comes meanwhile waits for little at the device.
constexpr size_t kZeroingBytes = size_t{256} << 10;
constexpr size_t kSmallBytes = size_t{16} << 10;
constexpr std::chrono::minutes kLongestWrite{1};
constexpr std::chrono::milliseconds kBetweenLooks{1};

/// Waits until the flock of `kind` can be had. A write that the kernel ends for a process that was
/// killed keeps the one that the process had.
Status AwaitLock(const Descriptor& file, int kind, const std::string& path) {
  const auto end = std::chrono::steady_clock::now() + kLongestWrite;
  while (::flock(file.get(), kind | LOCK_NB) != 0) {
    if (errno == EINTR) continue;
    if (errno != EWOULDBLOCK) return PosixError(path, "lock", errno);
    if (std::chrono::steady_clock::now() > end) {
      return FailedPrecondition(
          "{}: a durable write of another process is in flight, or it is open for such writes",
          path);
    }
    std::this_thread::sleep_for(kBetweenLooks);
  }
  return OkStatus();
}

/// One file, opened for each way to write to it.
struct Descriptors {
  Descriptor synced;    // past the page cache where that is possible; each write is durable
  Descriptor unsynced;  // past the page cache; not valid where that is not possible; has a flock
  Descriptor cached;    // into the page cache
};

/// Durable writes are the kernel's while the caller goes on. Behind a small one the caller flushes
/// the device itself (fdatasync: the file's metadata stay as they are), which is quicker than to
/// have a kernel thread do it; behind a large one that thread does, since the caller is likely to
/// have more to do than the write without the flush takes.
class PosixDurableFile final : public DurableFile {
 public:
  PosixDurableFile(Descriptors files, bool direct, std::string path, uint64_t size)
      : files_(std::move(files)),
        direct_(direct),
        path_(std::move(path)),
        size_(size),
        ring_(files_.unsynced.valid() ? WriteRing::Create() : nullptr) {}

  Status Submit(uint64_t offset, ByteSpan bytes) override {
    PX_CHECK(!in_flight_);
    PX_RETURN_IF_ERROR(CheckPlace(offset, bytes));
    if (reinterpret_cast<uintptr_t>(bytes.data()) % kBlockBytes != 0) {
      return InvalidArgument("{}: the bytes of a durable write are not aligned to {} bytes", path_,
                             kBlockBytes);
    }
    offset_ = offset;
    bytes_ = bytes;
    in_flight_ = true;
    flushes_ = bytes.size() <= kSmallBytes;
    in_ring_ = ring_ != nullptr && ring_->Submit(files_.unsynced.get(), offset, bytes, !flushes_);
    return OkStatus();
  }

  Status Wait() override {
    PX_CHECK(in_flight_);
    in_flight_ = false;
    if (!in_ring_) return WriteFully(files_.synced.get(), path_, offset_, bytes_);
    const int64_t written = ring_->Wait();
    if (written < 0 && written != -EAGAIN && written != -EINTR) {
      return PosixError(path_, "write", static_cast<int>(-written));
    }
    // Nothing of what is left was tried, so that this is no second try.
    const ByteSpan left = bytes_.subspan(static_cast<size_t>(std::max<int64_t>(written, 0)));
    PX_RETURN_IF_ERROR(
        WriteFully(files_.synced.get(), path_, offset_ + bytes_.size() - left.size(), left));
    return flushes_ ? Sync() : OkStatus();
  }

  Status WriteUnsynced(uint64_t offset, ByteSpan bytes) override {
    PX_CHECK(!in_flight_);
    PX_RETURN_IF_ERROR(CheckPlace(offset, bytes));
    return WriteFully(files_.cached.get(), path_, offset, bytes);
  }

  Status Sync() override {
    PX_CHECK(!in_flight_);
    if (::fdatasync(files_.cached.get()) != 0) return PosixError(path_, "fdatasync", errno);
    return OkStatus();
  }

  [[nodiscard]] bool direct() const override { return direct_; }

 private:
  static constexpr size_t kMaxWriteBytes = size_t{1} << 30;

  [[nodiscard]] Status CheckPlace(uint64_t offset, ByteSpan bytes) const {
    if (offset % kBlockBytes != 0 || bytes.size() % kBlockBytes != 0) {
      return InvalidArgument("{}: write at {} of {} bytes is not aligned to {} bytes", path_,
                             offset, bytes.size(), kBlockBytes);
    }
    if (offset > size_ || bytes.size() > size_ - offset || bytes.size() > kMaxWriteBytes) {
      return OutOfRange("{}: write at {} of {} bytes does not fit the file's {} bytes", path_,
                        offset, bytes.size(), size_);
    }
    return OkStatus();
  }

  const Descriptors files_;
  const bool direct_;
  const std::string path_;
  const uint64_t size_;
  const std::unique_ptr<WriteRing> ring_;  // nullptr: Wait writes
  bool in_flight_ = false;                 // between Submit and Wait
  bool in_ring_ = false;                   // what is in flight, the kernel writes
  bool flushes_ = false;                   // what is in flight is durable after a flush alone
  uint64_t offset_ = 0;
  ByteSpan bytes_;
};

/// Writes `size` zeros to a new file and syncs it. Written rather than reserved: an extent that is
/// only reserved costs a journal commit at its first overwrite.
Status WriteZeros(const std::string& path, uint64_t size) {
  constexpr int kNew = O_WRONLY | O_CREAT | O_TRUNC;
  // Past the page cache: it would copy every zero, and hold memory that nobody reads.
  Descriptor fd = OpenDescriptor(path, kNew | O_DIRECT);
  if (!fd.valid() && errno == EINVAL) fd = OpenDescriptor(path, kNew);
  if (!fd.valid()) return PosixError(path, "create", errno);
  // Reserving first keeps the extents together and finds a full disk early.
  if (::fallocate(fd.get(), 0, 0, static_cast<off_t>(size)) != 0 && errno != EOPNOTSUPP &&
      errno != EINTR && errno != ENOSYS) {
    return PosixError(path, fmt::format("reserve {} bytes", size), errno);
  }
  const AlignedBytes zeros = AllocateAligned(kZeroingBytes, kBlockBytes);
  for (uint64_t at = 0; at < size; at += kZeroingBytes) {
    const size_t count = static_cast<size_t>(std::min<uint64_t>(kZeroingBytes, size - at));
    PX_RETURN_IF_ERROR(WriteFully(fd.get(), path, at, {zeros.get(), count}));
  }
  if (::fsync(fd.get()) != 0) return PosixError(path, "fsync", errno);
  // Where they went through the cache, direct writes would have to throw the pages out one by one.
  ::posix_fadvise(fd.get(), 0, 0, POSIX_FADV_DONTNEED);
  return OkStatus();
}

/// The file appears under its name only when it has its full size.
Status Preallocate(const std::string& path, uint64_t size) {
  const std::string growing = path + ".tmp";
  Status status = WriteZeros(growing, size);
  if (status.ok() && ::rename(growing.c_str(), path.c_str()) != 0) {
    status = PosixError(path, "rename into place", errno);
  }
  if (!status.ok()) {
    ::unlink(growing.c_str());
    return status;
  }
  return SyncDirectoryAt(ParentDirectory(path));
}

}  // namespace

StatusOr<std::unique_ptr<DurableFile>> OpenDurablePosixFile(const std::string& path,
                                                            uint64_t size) {
  if (size == 0 || size % kBlockBytes != 0) {
    return InvalidArgument("{}: a durable file's size of {} bytes is not a multiple of {}", path,
                           size, kBlockBytes);
  }
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) {
    if (errno != ENOENT) return PosixError(path, "stat", errno);
    PX_RETURN_IF_ERROR(Preallocate(path, size));
  } else if (!S_ISREG(info.st_mode) || static_cast<uint64_t>(info.st_size) != size) {
    return FailedPrecondition("{}: has {} bytes where a file of {} bytes is expected", path,
                              info.st_size, size);
  }
  Descriptors opened;
  opened.synced = OpenDescriptor(path, O_RDWR | O_DSYNC | O_DIRECT);
  const bool direct = opened.synced.valid();
  // Without O_DIRECT each write still carries an fdatasync of its own through O_DSYNC.
  if (!direct && errno == EINVAL) opened.synced = OpenDescriptor(path, O_RDWR | O_DSYNC);
  if (!opened.synced.valid()) return PosixError(path, "open for durable writes", errno);
  if (direct) opened.unsynced = OpenDescriptor(path, O_RDWR | O_DIRECT);
  if (opened.unsynced.valid()) {
    PX_RETURN_IF_ERROR(AwaitLock(opened.unsynced, LOCK_EX, path));
  }
  opened.cached = OpenDescriptor(path, O_RDWR);
  if (!opened.cached.valid()) return PosixError(path, "open for unsynced writes", errno);
  return std::make_unique<PosixDurableFile>(std::move(opened), direct, path, size);
}

Status AwaitWritesToPosixFile(const std::string& path) {
  const Descriptor file = OpenDescriptor(path, O_RDONLY);
  if (!file.valid()) return PosixError(path, "open", errno);
  return AwaitLock(file, LOCK_SH, path);
}

}  // namespace proxist::env
