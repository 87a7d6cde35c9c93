// How far threads give way to those that take rows in, when processors are scarce.
#pragma once

#include <sys/resource.h>
#include <unistd.h>

namespace proxist::env {

/// Of threads that run queries or write snapshots: on busy processors shards, which acks wait for,
/// get three times as much.
inline constexpr int kQueryNiceness = 5;

/// Of the calling thread alone, as Linux has it. What it does works as well without.
inline void SetNiceness(int niceness) {
  setpriority(PRIO_PROCESS, static_cast<id_t>(gettid()), niceness);
}

}  // namespace proxist::env
