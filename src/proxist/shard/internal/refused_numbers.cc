#include "proxist/shard/internal/refused_numbers.h"

#include <algorithm>
#include <iterator>

namespace proxist::shard::internal {

void RefusedNumbers::Add(BatchNumber number) {
  const uint64_t n = number.value();
  const auto next = runs_.upper_bound(n);
  uint64_t last = n;
  if (next != runs_.end() && next->first == n + 1) {
    last = next->second;
    runs_.erase(next);
  }
  const auto after = runs_.upper_bound(n);
  const auto before = after == runs_.begin() ? runs_.end() : std::prev(after);
  if (before != runs_.end() && (before->second >= n || before->second + 1 == n)) {
    before->second = std::max(before->second, last);
  } else {
    runs_.emplace(n, last);
  }
  if (runs_.size() <= kMaxRefusedRuns) return;
  const auto greatest = std::prev(runs_.end());
  std::prev(greatest)->second = greatest->second;
  runs_.erase(greatest);
}

void RefusedNumbers::Remove(BatchNumber number) {
  const uint64_t n = number.value();
  const auto after = runs_.upper_bound(n);
  if (after == runs_.begin()) return;
  const auto run = std::prev(after);
  const auto [first, last] = *run;
  if (n > last) return;
  if (n < last) runs_.emplace(n + 1, last);
  if (n > first) {
    run->second = n - 1;
  } else {
    runs_.erase(run);
  }
}

}  // namespace proxist::shard::internal
