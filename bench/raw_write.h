// The floor of a durable ack: one plain durable write of the same size in the same directory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "proxist/base/bytes.h"
#include "proxist/base/status.h"
#include "proxist/base/time.h"

namespace proxist::bench {

/// Overwrites a preallocated file from its start to its end and again, as the log does with its
/// segments, with one pwrite each. One thread.
class RawWriter {
 public:
  /// Makes the file `path` of `file_bytes`; removed by the destructor.
  static StatusOr<std::unique_ptr<RawWriter>> Open(const std::string& path, uint64_t file_bytes);
  ~RawWriter();

  /// The time of one durable write of `bytes`, rounded up to whole blocks.
  StatusOr<Duration> Write(size_t bytes);
  /// O_DIRECT|O_DSYNC rather than O_DSYNC alone.
  [[nodiscard]] bool direct() const { return direct_; }

 private:
  RawWriter(std::string path, uint64_t file_bytes, int fd, bool direct);
  const std::string path_;
  const uint64_t file_bytes_;
  const int fd_;
  const bool direct_;
  uint64_t offset_ = 0;
  const AlignedBytes content_;
};

}  // namespace proxist::bench
