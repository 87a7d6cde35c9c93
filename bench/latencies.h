// Durations of many repetitions and their percentiles.
#pragma once

#include <cstddef>
#include <vector>

#include "proxist/base/time.h"

namespace proxist::bench {

/// One thread at a time.
class Latencies {
 public:
  void Add(Duration elapsed) { samples_.push_back(elapsed); }
  void AddAll(const Latencies& other);
  void Clear() { samples_.clear(); }
  [[nodiscard]] size_t count() const { return samples_.size(); }
  /// The least sample that at least `percent` of a hundred do not exceed; zero when there is none.
  [[nodiscard]] Duration Percentile(double percent) const;

 private:
  std::vector<Duration> samples_;
};

}  // namespace proxist::bench
