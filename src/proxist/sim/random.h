// Every decision of a run comes from one seed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <random>
#include <span>

namespace proxist::sim {

/// Equal draws in equal order are equal under every compiler; so no two stand in one expression
/// whose operands, or one list of arguments, a compiler may evaluate in either order. One thread.
class Random {
 public:
  explicit Random(uint64_t seed) : engine_(seed) {}
  /// In [0, n); n is at least 1.
  uint64_t Below(uint64_t n) { return engine_() % n; }
  /// In [low, high].
  int64_t Between(int64_t low, int64_t high) {
    return low + static_cast<int64_t>(Below(static_cast<uint64_t>(high - low) + 1));
  }
  /// True `percent` times in a hundred.
  bool Chance(uint64_t percent) { return Below(100) < percent; }
  template <typename T, size_t N>
  T OneOf(const T (&values)[N]) {
    return values[Below(N)];
  }
  /// For what draws from a standard engine.
  std::mt19937_64* engine() { return &engine_; }
  /// An index, as likely as its weight; at least one weight is above zero.
  size_t Weighted(std::span<const uint32_t> weights) {
    uint64_t total = 0;
    for (const uint32_t weight : weights) total += weight;
    uint64_t at = Below(total);
    size_t index = 0;
    while (at >= weights[index]) at -= weights[index++];
    return index;
  }

 private:
  std::mt19937_64 engine_;
};

}  // namespace proxist::sim
