// The machine's clock.
#include "proxist/env/clock.h"

#include <ctime>

namespace proxist::env {
namespace {

int64_t ReadClock(clockid_t id) {
  timespec now{};
  ::clock_gettime(id, &now);
  return int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

class MachineClock final : public Clock {
 public:
  [[nodiscard]] Timestamp Now() const override { return Timestamp(ReadClock(CLOCK_REALTIME)); }
  [[nodiscard]] Duration Monotonic() const override { return Duration(ReadClock(CLOCK_MONOTONIC)); }
};

}  // namespace

const Clock& SystemClock() {
  static const MachineClock clock;
  return clock;
}

}  // namespace proxist::env
