// A file read from start to end through POSIX.
#include "proxist/client/internal/raw_file.h"

#include <cerrno>
#include <system_error>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace proxist::client {
namespace {

Status ErrnoStatus(const std::string& path, std::string_view what, int error) {
  const std::string reason = std::generic_category().message(error);
  switch (error) {
    case ENOENT:
    case ENOTDIR:
      return NotFound("cannot {} {}: {}", what, path, reason);
    case EACCES:
    case EPERM:
      return PermissionDenied("cannot {} {}: {}", what, path, reason);
    default:
      return Unavailable("cannot {} {}: {}", what, path, reason);
  }
}

}  // namespace

StatusOr<std::unique_ptr<RawFile>> RawFile::Open(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return ErrnoStatus(path, "open", errno);
  std::unique_ptr<RawFile> file(new RawFile(path, fd));
  struct stat about {};
  if (::fstat(fd, &about) != 0) return ErrnoStatus(path, "read", errno);
  if (!S_ISREG(about.st_mode)) {
    return InvalidArgument("{} is {}, expected a regular file", path,
                           S_ISDIR(about.st_mode) ? "a directory" : "not a file");
  }
  return file;
}

RawFile::~RawFile() { ::close(fd_); }

StatusOr<size_t> RawFile::Read(std::span<char> out) {
  while (true) {
    const ssize_t got = ::read(fd_, out.data(), out.size());
    if (got >= 0) return static_cast<size_t>(got);
    if (errno != EINTR) return ErrnoStatus(path_, "read", errno);
  }
}

StatusOr<std::string> ReadTextFile(const std::string& path, size_t max_bytes) {
  PX_ASSIGN_OR_RETURN(std::unique_ptr<RawFile> file, RawFile::Open(path));
  std::string text;
  while (true) {
    const size_t at = text.size();
    if (at > max_bytes) {
      return ResourceExhausted("{} is larger than the {} bytes allowed", path, max_bytes);
    }
    text.resize(at + 65536);
    PX_ASSIGN_OR_RETURN(const size_t got, file->Read({text.data() + at, 65536}));
    text.resize(at + got);
    if (got == 0) return text;
  }
}

}  // namespace proxist::client
