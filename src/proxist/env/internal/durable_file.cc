// Preallocated files that are overwritten durably through io_uring.
#include "proxist/env/internal/durable_file.h"

#include <algorithm>
#include <cerrno>

#include <fcntl.h>
#include <liburing.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proxist/base/check.h"
#include "proxist/env/internal/posix_file.h"

namespace proxist::env {
namespace {

constexpr size_t kZeroingBytes = size_t{1} << 20;
/// Writes of at least this many bytes go to a thread of the kernel, so that Submit returns at once:
/// what the caller does meanwhile takes longer than handing over. Smaller ones are plain writes in
/// Wait. Left to itself the ring does neither: it tries at once, and where the disk is quick or the
/// file's time has to be updated, that takes the whole write or fails and is handed over late.
constexpr size_t kHandOverBytes = size_t{16} << 10;

/// An io_uring of one entry; absent where the kernel or a sandbox refuses it.
class Ring {
 public:
  static std::unique_ptr<Ring> Make() {
    auto ring = std::make_unique<Ring>();
    if (::io_uring_queue_init(1, &ring->ring_, 0) != 0) return nullptr;
    ring->open_ = true;
    return ring;
  }
  ~Ring() {
    if (open_) ::io_uring_queue_exit(&ring_);
  }

  /// False when the kernel does not take it; then nothing is in flight.
  bool Submit(int fd, uint64_t offset, ByteSpan bytes) {
    io_uring_sqe* entry = ::io_uring_get_sqe(&ring_);
    PX_CHECK(entry != nullptr);
    ::io_uring_prep_write(entry, fd, bytes.data(), static_cast<unsigned>(bytes.size()), offset);
    ::io_uring_sqe_set_flags(entry, IOSQE_ASYNC);
    int taken = 0;
    do {
      taken = ::io_uring_submit(&ring_);
    } while (taken == -EINTR);
    return taken == 1;
  }

  /// Bytes written or a negative errno.
  int Wait() {
    io_uring_cqe* done = nullptr;
    int error = 0;
    do {
      error = ::io_uring_wait_cqe(&ring_, &done);
    } while (error == -EINTR);
    // The kernel still reads the caller's buffer: returning would corrupt the log.
    PX_CHECK(error == 0);
    const int result = done->res;
    ::io_uring_cqe_seen(&ring_, done);
    return result;
  }

 private:
  io_uring ring_{};
  bool open_ = false;
};

class UringDurableFile final : public DurableFile {
 public:
  UringDurableFile(Descriptor fd, Descriptor cached, std::string path, uint64_t size, bool direct)
      : fd_(std::move(fd)),
        cached_(std::move(cached)),
        path_(std::move(path)),
        size_(size),
        direct_(direct),
        ring_(Ring::Make()) {}

  ~UringDurableFile() override {
    if (queued_) ring_->Wait();
  }

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
    if (ring_ != nullptr && bytes.size() >= kHandOverBytes) {
      queued_ = ring_->Submit(fd_.get(), offset, bytes);
      // A ring that refuses once may have kept the entry: it is not used again.
      if (!queued_) ring_.reset();
    }
    return OkStatus();
  }

  Status Wait() override {
    PX_CHECK(in_flight_);
    in_flight_ = false;
    size_t written = 0;
    if (queued_) {
      queued_ = false;
      const int result = ring_->Wait();
      // Neither of these two touched the file, so writing it again is safe.
      if (result < 0 && result != -EINTR && result != -EAGAIN) {
        return PosixError(path_, "durable write", -result);
      }
      written = static_cast<size_t>(std::max(result, 0));
    }
    // A short write is completed here. Under O_DIRECT its length may not be aligned; the whole
    // block is then written again.
    written -= written % kBlockBytes;
    return WriteFully(fd_.get(), path_, offset_ + written, bytes_.subspan(written));
  }

  Status WriteUnsynced(uint64_t offset, ByteSpan bytes) override {
    PX_CHECK(!in_flight_);
    PX_RETURN_IF_ERROR(CheckPlace(offset, bytes));
    return WriteFully(cached_.get(), path_, offset, bytes);
  }

  Status Sync() override {
    PX_CHECK(!in_flight_);
    if (::fdatasync(cached_.get()) != 0) return PosixError(path_, "fdatasync", errno);
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

  const Descriptor fd_;      // past the page cache where that is possible; each write is durable
  const Descriptor cached_;  // into the page cache
  const std::string path_;
  const uint64_t size_;
  const bool direct_;
  std::unique_ptr<Ring> ring_;  // null: all writes happen in Wait
  bool in_flight_ = false;      // between Submit and Wait
  bool queued_ = false;         // the kernel holds the write
  uint64_t offset_ = 0;
  ByteSpan bytes_;
};

/// Writes `size` zeros to a new file and syncs it. Written rather than reserved: an extent that is
/// only reserved costs a journal commit at its first overwrite.
Status WriteZeros(const std::string& path, uint64_t size) {
  const Descriptor fd = OpenDescriptor(path, O_WRONLY | O_CREAT | O_TRUNC);
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
  // Direct writes would otherwise have to throw these pages out one by one.
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
  Descriptor fd = OpenDescriptor(path, O_RDWR | O_DSYNC | O_DIRECT);
  const bool direct = fd.valid();
  // Without O_DIRECT each write still carries an fdatasync of its own through O_DSYNC.
  if (!direct && errno == EINVAL) fd = OpenDescriptor(path, O_RDWR | O_DSYNC);
  if (!fd.valid()) return PosixError(path, "open for durable writes", errno);
  Descriptor cached = OpenDescriptor(path, O_RDWR);
  if (!cached.valid()) return PosixError(path, "open for unsynced writes", errno);
  return std::make_unique<UringDurableFile>(std::move(fd), std::move(cached), path, size, direct);
}

}  // namespace proxist::env
