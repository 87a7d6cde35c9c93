// Time as a service, so that tests and the simulator can own it.
#pragma once

#include "proxist/base/time.h"

namespace proxist::env {

/// Thread-safe.
class Clock {
 public:
  virtual ~Clock() = default;
  /// Wall-clock time, UTC. May step.
  [[nodiscard]] virtual Timestamp Now() const = 0;
  /// Never goes back; its zero means nothing. For measuring and deadlines.
  [[nodiscard]] virtual Duration Monotonic() const = 0;
};

/// The machine's clock.
const Clock& SystemClock();

}  // namespace proxist::env
