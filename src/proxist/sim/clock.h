// Time that moves when it is told to.
#pragma once

#include "proxist/env/clock.h"

namespace proxist::sim {

/// One thread.
class Clock final : public env::Clock {
 public:
  explicit Clock(Timestamp start) : start_(start) {}
  [[nodiscard]] Timestamp Now() const override { return start_.Plus(elapsed_); }
  [[nodiscard]] Duration Monotonic() const override { return elapsed_; }
  void Advance(Duration by) { elapsed_ = Duration(elapsed_.ns() + by.ns()); }

 private:
  const Timestamp start_;
  Duration elapsed_{1};
};

}  // namespace proxist::sim
