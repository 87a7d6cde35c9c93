// The host's file system.
#include <algorithm>
#include <cerrno>
#include <charconv>
#include <filesystem>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proxist/env/file_system.h"
#include "proxist/env/internal/durable_file.h"
#include "proxist/env/internal/posix_file.h"

namespace proxist::env {
namespace {

class PosixFileLock final : public FileLock {
 public:
  explicit PosixFileLock(Descriptor fd) : fd_(std::move(fd)) {}

 private:
  const Descriptor fd_;  // closing it gives the lock back
};

class PosixMappedFile final : public MappedFile {
 public:
  /// `bytes` are a mapping's; empty: there is none.
  explicit PosixMappedFile(ByteSpan bytes) : bytes_(bytes) {}
  ~PosixMappedFile() override {
    if (!bytes_.empty()) ::munmap(Address(), bytes_.size());
  }
  PosixMappedFile(const PosixMappedFile&) = delete;
  PosixMappedFile& operator=(const PosixMappedFile&) = delete;

  [[nodiscard]] ByteSpan bytes() const override { return bytes_; }
  void Release() const override {
    // Of a shared mapping this drops nothing but this process's references to the page cache.
    if (!bytes_.empty()) ::madvise(Address(), bytes_.size(), MADV_DONTNEED);
  }

 private:
  [[nodiscard]] void* Address() const { return const_cast<std::byte*>(bytes_.data()); }
  const ByteSpan bytes_;
};

/// Who holds the lock, as the holder wrote it: "process 123", or "another process".
std::string LockOwner(int fd) {
  char text[32];
  const ssize_t size = ::pread(fd, text, sizeof text, 0);
  int pid = 0;
  if (size > 0 && std::from_chars(text, text + size, pid).ec == std::errc() && pid > 0) {
    return fmt::format("process {}", pid);
  }
  return "another process";
}

class HostFileSystem final : public FileSystem {
 public:
  StatusOr<std::unique_ptr<File>> Open(const std::string& path, Mode mode) override {
    // O_NONBLOCK: opening a pipe for reading must not hang; regular files ignore it.
    int flags = O_RDONLY | O_NONBLOCK;
    if (mode == Mode::kReadWrite) flags = O_RDWR;
    if (mode == Mode::kCreateNew) flags = O_RDWR | O_CREAT | O_EXCL;
    Descriptor fd = OpenDescriptor(path, flags);
    if (!fd.valid()) return PosixError(path, "open", errno);
    return MakePosixFile(std::move(fd), path);
  }

  StatusOr<std::unique_ptr<DurableFile>> OpenDurable(const std::string& path,
                                                     uint64_t size) override {
    return OpenDurablePosixFile(path, size);
  }

  Status AwaitWrites(const std::string& path) override { return AwaitWritesToPosixFile(path); }

  Status CreateDirectories(const std::string& path) override {
    if (::mkdir(path.c_str(), 0750) == 0) return SyncDirectoryAt(ParentDirectory(path));
    if (errno == ENOENT && ParentDirectory(path) != path) {
      PX_RETURN_IF_ERROR(CreateDirectories(ParentDirectory(path)));
      if (::mkdir(path.c_str(), 0750) == 0) return SyncDirectoryAt(ParentDirectory(path));
    }
    const int error = errno;
    struct stat info {};
    if (error == EEXIST && ::stat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode)) {
      return OkStatus();
    }
    return PosixError(path, "create directory", error);
  }

  StatusOr<std::vector<std::string>> List(const std::string& path) override {
    std::error_code error;
    std::vector<std::string> names;
    std::filesystem::directory_iterator at(path, error);
    for (; !error && at != std::filesystem::directory_iterator(); at.increment(error)) {
      names.push_back(at->path().filename().string());
    }
    if (error) return PosixError(path, "list", error.value());
    std::ranges::sort(names);
    return names;
  }

  Status Rename(const std::string& from, const std::string& to) override {
    if (::rename(from.c_str(), to.c_str()) != 0) {
      return PosixError(from, fmt::format("rename to {}", to), errno);
    }
    return OkStatus();
  }

  Status Remove(const std::string& path) override {
    if (::unlink(path.c_str()) != 0) return PosixError(path, "remove", errno);
    return OkStatus();
  }

  Status SyncDirectory(const std::string& path) override { return SyncDirectoryAt(path); }

  StatusOr<bool> Exists(const std::string& path) override {
    struct stat info {};
    if (::stat(path.c_str(), &info) == 0) return true;
    if (errno == ENOENT || errno == ENOTDIR) return false;
    return PosixError(path, "stat", errno);
  }

  Status WriteAtomically(const std::string& path, ByteSpan bytes) override {
    const std::string growing = path + ".tmp";
    Status status = WriteSynced(growing, bytes);
    if (status.ok()) status = Rename(growing, path);
    if (!status.ok()) {
      ::unlink(growing.c_str());
      return status;
    }
    return SyncDirectoryAt(ParentDirectory(path));
  }

  StatusOr<std::vector<std::byte>> ReadAll(const std::string& path, uint64_t max_bytes) override {
    PX_ASSIGN_OR_RETURN(std::unique_ptr<File> file, Open(path, Mode::kRead));
    PX_ASSIGN_OR_RETURN(const uint64_t size, file->Size());
    std::vector<std::byte> bytes;
    // The size is a hint: the file may grow, and some files report none.
    uint64_t wanted = std::min(size, max_bytes) + 1;
    while (true) {
      const size_t have = bytes.size();
      bytes.resize(wanted);
      PX_ASSIGN_OR_RETURN(const size_t got, file->ReadAt(have, std::span(bytes).subspan(have)));
      bytes.resize(have + got);
      if (bytes.size() > max_bytes) {
        return ResourceExhausted("{}: read: it has more than the {} bytes allowed", path,
                                 max_bytes);
      }
      if (bytes.size() < wanted) return bytes;
      wanted = std::min(wanted * 2, max_bytes + 1);
    }
  }

  StatusOr<std::shared_ptr<const MappedFile>> Map(const std::string& path) override {
    const Descriptor fd = OpenDescriptor(path, O_RDONLY | O_NONBLOCK);
    if (!fd.valid()) return PosixError(path, "open", errno);
    struct stat info {};
    if (::fstat(fd.get(), &info) != 0) return PosixError(path, "stat", errno);
    const auto size = static_cast<size_t>(info.st_size);
    if (size == 0) return std::make_shared<const PosixMappedFile>(ByteSpan());
    void* address = ::mmap(nullptr, size, PROT_READ, MAP_SHARED, fd.get(), 0);
    if (address == MAP_FAILED) return PosixError(path, "map", errno);
    return std::make_shared<const PosixMappedFile>(
        ByteSpan(static_cast<const std::byte*>(address), size));
  }

  StatusOr<std::unique_ptr<FileLock>> Lock(const std::string& path) override {
    Descriptor fd = OpenDescriptor(path, O_RDWR | O_CREAT);
    if (!fd.valid()) return PosixError(path, "open lock file", errno);
    if (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
      if (errno != EWOULDBLOCK) return PosixError(path, "lock", errno);
      return FailedPrecondition("{}: is held by {}", path, LockOwner(fd.get()));
    }
    const std::string owner = fmt::format("{}\n", ::getpid());
    if (::ftruncate(fd.get(), 0) != 0) return PosixError(path, "truncate lock file", errno);
    PX_RETURN_IF_ERROR(WriteFully(fd.get(), path, 0, AsBytes(owner)));
    return std::make_unique<PosixFileLock>(std::move(fd));
  }

 private:
  static Status WriteSynced(const std::string& path, ByteSpan bytes) {
    const Descriptor fd = OpenDescriptor(path, O_WRONLY | O_CREAT | O_TRUNC);
    if (!fd.valid()) return PosixError(path, "create", errno);
    PX_RETURN_IF_ERROR(WriteFully(fd.get(), path, 0, bytes));
    if (::fsync(fd.get()) != 0) return PosixError(path, "fsync", errno);
    return OkStatus();
  }
};

}  // namespace

FileSystem& PosixFileSystem() {
  static HostFileSystem files;
  return files;
}

}  // namespace proxist::env
