#include "bench/raw_write.h"

#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <unistd.h>

#include "proxist/env/clock.h"
#include "proxist/env/file_system.h"

namespace proxist::bench {

StatusOr<std::unique_ptr<RawWriter>> RawWriter::Open(const std::string& path, uint64_t file_bytes) {
  // Filled as the log's segments are.
  PX_RETURN_IF_ERROR(env::PosixFileSystem().OpenDurable(path, file_bytes).status());
  int fd = ::open(path.c_str(), O_RDWR | O_DSYNC | O_DIRECT | O_CLOEXEC);
  const bool direct = fd >= 0;
  if (!direct) fd = ::open(path.c_str(), O_RDWR | O_DSYNC | O_CLOEXEC);
  if (fd < 0) return Unavailable("{}: open: {}", path, std::strerror(errno));
  return std::unique_ptr<RawWriter>(new RawWriter(path, file_bytes, fd, direct));
}

RawWriter::RawWriter(std::string path, uint64_t file_bytes, int fd, bool direct)
    : path_(std::move(path)),
      file_bytes_(file_bytes),
      fd_(fd),
      direct_(direct),
      content_(AllocateAligned(file_bytes, env::kBlockBytes)) {
  std::memset(content_.get(), 0x5a, file_bytes);
}

RawWriter::~RawWriter() {
  ::close(fd_);
  // A file that stays behind harms nothing; the directory is temporary.
  (void)env::PosixFileSystem().Remove(path_);
}

StatusOr<Duration> RawWriter::Write(size_t bytes) {
  const size_t rounded = (bytes + env::kBlockBytes - 1) / env::kBlockBytes * env::kBlockBytes;
  if (rounded > file_bytes_) {
    return InvalidArgument("a raw write of {} bytes does not fit the file of {}", rounded,
                           file_bytes_);
  }
  if (offset_ + rounded > file_bytes_) offset_ = 0;
  const Duration began = env::SystemClock().Monotonic();
  const ssize_t written = ::pwrite(fd_, content_.get(), rounded, static_cast<off_t>(offset_));
  const Duration ended = env::SystemClock().Monotonic();
  if (written != static_cast<ssize_t>(rounded)) {
    return Unavailable("{}: a raw write of {} bytes: {}", path_, rounded, std::strerror(errno));
  }
  offset_ += rounded;
  return Duration(ended.ns() - began.ns());
}

}  // namespace proxist::bench
