// Kernels are compiled for several instruction sets; a test asks for each that this machine has.
#pragma once

#include <cstdint>
#include <vector>

#include <gtest/gtest.h>
#include <hwy/targets.h>

namespace proxist::exec {

/// Calls `check` once for each instruction set, with it alone in use; then all are again.
template <typename Check>
void OnEachTarget(const Check& check) {
  struct All {
    All() { hwy::SetSupportedTargetsForTest(0); }
    ~All() { hwy::SetSupportedTargetsForTest(0); }
  } const all;
  const std::vector<int64_t> targets = hwy::SupportedAndGeneratedTargets();
  for (const int64_t target : targets) {
    SCOPED_TRACE(hwy::TargetName(target));
    hwy::SetSupportedTargetsForTest(target);
    check();
  }
}

}  // namespace proxist::exec
