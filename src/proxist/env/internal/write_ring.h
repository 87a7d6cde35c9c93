// One write to a file, done by the kernel while the caller goes on.
#pragma once

#include <cstdint>
#include <memory>

#include "proxist/base/bytes.h"

struct io_uring;

namespace proxist::env {

/// An io_uring of one entry. One thread at a time.
class WriteRing {
 public:
  /// nullptr: this kernel, or what confines the process, has no io_uring.
  static std::unique_ptr<WriteRing> Create();
  /// Waits for the write that is in flight.
  ~WriteRing();
  WriteRing(const WriteRing&) = delete;
  WriteRing& operator=(const WriteRing&) = delete;

  /// Starts to write `bytes` to `fd` at `offset`, and to `flush` the device behind them; `fd` and
  /// `bytes` stay as they are until Wait returns. No write is in flight. False: nothing was
  /// started. When the process is killed the kernel ends the write after it, and keeps the open
  /// file with its flock until then.
  bool Submit(int fd, uint64_t offset, ByteSpan bytes, bool flush);
  /// Ends the write that is in flight: how many of its bytes are written, or a negative errno.
  int64_t Wait();

 private:
  explicit WriteRing(std::unique_ptr<io_uring> ring);

  const std::unique_ptr<io_uring> ring_;
  bool in_flight_ = false;
  bool refused_ = false;  // for good: the entry of the write that was refused is still there
};

}  // namespace proxist::env
