// Exponential moving averages of rows in order.
#pragma once

#include <cstddef>
#include <optional>
#include <span>

namespace proxist::exec {

/// Values of eight bytes on their way somewhere else, as many as there are rows.
struct WordCopy {
  const std::byte* from;
  std::byte* to;
};

/// out[i] = alpha * values[i] + (1 - alpha) * the one before, which for the first one is
/// `*average`, and the value itself when there is none. Leaves the last one there. Each waits for
/// the one before it for several cycles, in which `copies` are made at no cost.
void MovingAverages(std::span<const double> values, double alpha, std::optional<double>* average,
                    std::span<const WordCopy> copies, double* out);

}  // namespace proxist::exec
