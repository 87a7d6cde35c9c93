// Copies go in steps that a processor can look ahead over.
#include "proxist/exec/moving_average.h"

#include <algorithm>
#include <cstring>

namespace proxist::exec {

void MovingAverages(std::span<const double> values, double alpha, std::optional<double>* average,
                    std::span<const WordCopy> copies, double* out, const double* ahead) {
  constexpr size_t kStep = 8;
  constexpr size_t kWord = 8;
  if (values.empty()) return;
  const size_t n = values.size();
  const double keep = 1 - alpha;
  // The first of all takes itself as it is.
  double now = average->value_or(values[0]);
  size_t i = 0;
  if (!average->has_value()) out[i++] = now;
  size_t copied = 0;
  if (ahead == nullptr) ahead = values.data();
  for (; i + kStep <= n; copied += kStep) {
    __builtin_prefetch(ahead + copied);
    for (const WordCopy& one : copies) {
      __builtin_prefetch((one.ahead == nullptr ? one.from : one.ahead) + copied * kWord);
      std::memcpy(one.to + copied * kWord, one.from + copied * kWord, kStep * kWord);
    }
    for (const size_t stop = i + kStep; i < stop; ++i) {
      now = alpha * values[i] + keep * now;
      out[i] = now;
    }
  }
  for (const WordCopy& one : copies) {
    std::memcpy(one.to + copied * kWord, one.from + copied * kWord, (n - copied) * kWord);
  }
  for (; i < n; ++i) {
    now = alpha * values[i] + keep * now;
    out[i] = now;
  }
  *average = now;
}

}  // namespace proxist::exec
