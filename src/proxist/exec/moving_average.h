// Exponential moving averages of rows in order.
#pragma once

#include <cstddef>
#include <optional>
#include <span>

namespace proxist::exec {

/// Values of eight bytes on their way somewhere else, as many as there are rows. `ahead`: what is
/// read after these, which is asked of memory meanwhile, or null.
struct WordCopy {
  const std::byte* from;
  std::byte* to;
  const std::byte* ahead = nullptr;
};

/// out[i] = alpha * values[i] + (1 - alpha) * the one before, which for the first one is
/// `*average`, and the value itself when there is none. Leaves the last one there. Each waits for
/// the one before it for several cycles, in which `copies` are made at no cost. `ahead`: as in
/// WordCopy, of the values.
void MovingAverages(std::span<const double> values, double alpha, std::optional<double>* average,
                    std::span<const WordCopy> copies, double* out, const double* ahead = nullptr);

}  // namespace proxist::exec
