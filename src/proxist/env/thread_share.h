// How threads share processors when these are scarce.
#pragma once

#include "proxist/base/time.h"

namespace proxist::env {

/// What a thread asks of the scheduler. What it does works as well where that is not granted.
struct ThreadShare {
  /// Above 0: the thread gets less of a busy processor than the process's others, at 5 a third.
  int niceness = 0;
  /// Not zero: how long the thread runs before others have their turn, in place of about 3 ms. One
  /// with a shorter slice runs the sooner once it has work, and gets no more of the processor.
  /// Linux 6.12 and later.
  Duration slice = Duration();
};

/// Threads that run queries of any length or write snapshots: shards, which acks wait for, go
/// first.
inline constexpr ThreadShare kGivesWay{.niceness = 5};
/// Threads whose work takes well under a millisecond, and is waited for.
inline constexpr ThreadShare kShortWork{.slice = Duration::Micros(100)};

/// Of the calling thread alone; `niceness` is added to what it has.
void SetShare(const ThreadShare& share);

}  // namespace proxist::env
