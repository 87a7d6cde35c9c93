// The floor of a durable ack: one durable write of the same size in the same directory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "proxist/base/bytes.h"
#include "proxist/base/status.h"
#include "proxist/base/time.h"
#include "proxist/env/file_system.h"

namespace proxist::bench {

/// Overwrites a preallocated file from its start to its end and again, as the log does with its
/// segments. One thread.
class RawWriter {
 public:
  /// Makes the file `path` of `file_bytes`; removed by the destructor.
  static StatusOr<std::unique_ptr<RawWriter>> Open(const std::string& path, uint64_t file_bytes);
  ~RawWriter();

  /// The time of one durable write of `bytes`, rounded up to whole blocks.
  StatusOr<Duration> Write(size_t bytes);
  [[nodiscard]] bool direct() const { return file_->direct(); }

 private:
  RawWriter(std::string path, uint64_t file_bytes, std::unique_ptr<env::DurableFile> file);
  std::string path_;
  uint64_t file_bytes_;
  uint64_t offset_ = 0;
  std::unique_ptr<env::DurableFile> file_;
  AlignedBytes content_;
};

}  // namespace proxist::bench
