#include "bench/latencies.h"

#include <algorithm>
#include <cmath>

namespace proxist::bench {

void Latencies::AddAll(const Latencies& other) {
  samples_.insert(samples_.end(), other.samples_.begin(), other.samples_.end());
}

Duration Latencies::Percentile(double percent) const {
  if (samples_.empty()) return Duration();
  std::vector<Duration> sorted = samples_;
  const auto rank =
      static_cast<size_t>(std::ceil(percent / 100.0 * static_cast<double>(sorted.size())));
  const size_t at = std::clamp<size_t>(rank, 1, sorted.size()) - 1;
  std::nth_element(sorted.begin(), sorted.begin() + static_cast<std::ptrdiff_t>(at), sorted.end());
  return sorted[at];
}

}  // namespace proxist::bench
