#include "proxist/env/internal/write_ring.h"

#include <cerrno>
#include <chrono>

#include <liburing.h>
#include <sched.h>
#include <sys/uio.h>

#include "proxist/base/check.h"

namespace proxist::env {
namespace {

using SteadyClock = std::chrono::steady_clock;

/// A write that takes longer is slept for: waking is then little of it.
constexpr SteadyClock::duration kAsking = std::chrono::microseconds(200);
/// A yield that takes longer let another thread run: the processor is wanted, and to be woken by
/// the device brings it back sooner than to queue for it.
constexpr SteadyClock::duration kOthersRan = std::chrono::microseconds(8);

/// True: the write has ended. Asks for it rather than sleep while no other thread wants the
/// processor: falling asleep and being woken takes a third as long as a quick device's write.
bool EndedWhileAsking(io_uring* ring, io_uring_cqe** done) {
  const auto begin = SteadyClock::now();
  for (auto asked = begin; asked - begin < kAsking;) {
    if (io_uring_peek_cqe(ring, done) == 0) return true;
    // Yields rather than spins: what ends the write may need this very processor.
    ::sched_yield();
    const auto back = SteadyClock::now();
    if (back - asked > kOthersRan) return false;
    asked = back;
  }
  return false;
}

}  // namespace

std::unique_ptr<WriteRing> WriteRing::Create() {
  auto ring = std::make_unique<io_uring>();
  if (io_uring_queue_init(1, ring.get(), 0) != 0) return nullptr;
  return std::unique_ptr<WriteRing>(new WriteRing(std::move(ring)));
}

WriteRing::WriteRing(std::unique_ptr<io_uring> ring) : ring_(std::move(ring)) {}

WriteRing::~WriteRing() {
  if (in_flight_) Wait();
  io_uring_queue_exit(ring_.get());
}

bool WriteRing::Submit(int fd, uint64_t offset, ByteSpan bytes, bool flush) {
  PX_CHECK(!in_flight_);
  if (refused_) return false;
  io_uring_sqe* entry = io_uring_get_sqe(ring_.get());
  PX_CHECK(entry != nullptr);
  io_uring_prep_write(entry, fd, bytes.data(), static_cast<unsigned>(bytes.size()), offset);
  entry->rw_flags = flush ? RWF_DSYNC : 0;
  int submitted = io_uring_submit(ring_.get());
  while (submitted == -EINTR) submitted = io_uring_submit(ring_.get());
  in_flight_ = submitted == 1;
  refused_ = !in_flight_;
  return in_flight_;
}

int64_t WriteRing::Wait() {
  PX_CHECK(in_flight_);
  io_uring_cqe* done = nullptr;
  if (!EndedWhileAsking(ring_.get(), &done)) {
    int waited = io_uring_wait_cqe(ring_.get(), &done);
    while (waited == -EINTR) waited = io_uring_wait_cqe(ring_.get(), &done);
    // Without an answer the kernel may still read the bytes.
    PX_CHECK(waited == 0);
  }
  const int64_t result = done->res;
  io_uring_cqe_seen(ring_.get(), done);
  in_flight_ = false;
  return result;
}

}  // namespace proxist::env
