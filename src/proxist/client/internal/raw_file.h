// A file read from start to end through POSIX.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>

#include <sys/types.h>

#include "proxist/base/status.h"

namespace proxist::client {

/// One thread.
class RawFile {
 public:
  /// Errors as DataFile::Open.
  static StatusOr<std::unique_ptr<RawFile>> Open(const std::string& path);
  ~RawFile();
  RawFile(const RawFile&) = delete;
  RawFile& operator=(const RawFile&) = delete;

  /// The next bytes; 0 only at the end.
  StatusOr<size_t> Read(std::span<char> out);
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  RawFile(std::string path, int fd) : path_(std::move(path)), fd_(fd) {}
  std::string path_;
  int fd_;
};

/// The whole of a small text file. RESOURCE_EXHAUSTED beyond `max_bytes`; else as RawFile::Open.
StatusOr<std::string> ReadTextFile(const std::string& path, size_t max_bytes);

}  // namespace proxist::client
