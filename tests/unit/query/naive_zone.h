// Local days by the C library's clock, sharing nothing with the engine's.
#pragma once

#include <cstdint>
#include <string>

namespace proxist::query {

/// Where bars of a zone begin. One thread: it sets TZ.
class NaiveZone {
 public:
  explicit NaiveZone(const std::string& name);
  /// The start of the bar of `interval` that holds `ts`, and of the bar after the one that starts
  /// at `start`; all in ns.
  [[nodiscard]] int64_t StartOf(int64_t ts, int64_t interval) const;
  [[nodiscard]] static int64_t NextAfter(int64_t start, int64_t interval);
};

}  // namespace proxist::query
