#include "proxist/env/thread_share.h"

#include <algorithm>
#include <cstdint>

#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace proxist::env {
namespace {

// What the kernel's headers name sched_attr, in its first version: they cannot be included beside
// those of the C library, which has no call for it.
struct Attributes {
  uint32_t size = sizeof(Attributes);
  uint32_t policy = 0;
  uint64_t flags = 0;
  int32_t niceness = 0;
  uint32_t priority = 0;
  uint64_t runtime = 0;  // ns: of threads without a deadline, the slice
  uint64_t deadline = 0;
  uint64_t period = 0;
};
static_assert(sizeof(Attributes) == 48);

constexpr int kMaxNiceness = 19;

}  // namespace

void SetShare(const ThreadShare& share) {
  Attributes attributes;
  if (syscall(SYS_sched_getattr, 0, &attributes, sizeof(attributes), 0) != 0) return;
  // Who starts the process under another policy knows better.
  if (attributes.policy != SCHED_OTHER && attributes.policy != SCHED_BATCH) return;
  attributes.niceness = std::min(attributes.niceness + share.niceness, kMaxNiceness);
  attributes.runtime = static_cast<uint64_t>(share.slice.ns());
  syscall(SYS_sched_setattr, 0, &attributes, 0);
}

}  // namespace proxist::env
