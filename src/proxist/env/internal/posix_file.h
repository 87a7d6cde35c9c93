// POSIX descriptors as File, and errno as Status.
#pragma once

#include <memory>
#include <string>
#include <utility>

#include "proxist/env/file_system.h"

namespace proxist::env {

/// "path: doing: strerror" under the code that file_system.h documents for `error` (an errno).
Status PosixError(const std::string& path, std::string_view doing, int error);

/// Owns a descriptor.
class Descriptor {
 public:
  Descriptor() = default;
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept;
  ~Descriptor();
  [[nodiscard]] int get() const { return fd_; }
  [[nodiscard]] bool valid() const { return fd_ >= 0; }

 private:
  int fd_ = -1;
};

/// open(2) with O_CLOEXEC, repeated on EINTR. An invalid descriptor leaves errno as open set it.
Descriptor OpenDescriptor(const std::string& path, int flags);

/// pwrite(2) until all is written.
Status WriteFully(int fd, const std::string& path, uint64_t offset, ByteSpan bytes);

/// The directory that holds `path`; "." for a bare name.
std::string ParentDirectory(const std::string& path);
/// fsync of a directory: makes the names in it durable.
Status SyncDirectoryAt(const std::string& path);

/// `fd` as a File; `path` is for messages.
std::unique_ptr<File> MakePosixFile(Descriptor fd, const std::string& path);

}  // namespace proxist::env
