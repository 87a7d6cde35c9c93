// High and low parts of like width.
#include "proxist/exec/internal/grid.h"

#include <bit>
#include <cmath>

namespace proxist::exec::internal {
namespace {

// Exponents of values for which units and magics are normal numbers.
constexpr int kLeastExponent = -800;
constexpr int kGreatestExponent = 800;
// A high or low that a magic rounds lies in so many bits.
constexpr int kSplitBits = 51;

Grid GridOf(int high, int low) {
  Grid grid;
  grid.high_unit = std::ldexp(1.0, high);
  grid.low_unit = std::ldexp(1.0, low);
  grid.high_magic = std::ldexp(1.5, 52 + high);
  grid.low_magic = std::ldexp(1.5, 52 + low);
  return grid;
}

}  // namespace

int GrowthOf(size_t n) { return n <= 1 ? 0 : std::bit_width(n - 1); }

std::optional<Grid> GridFor(const Extent& extent, size_t longest, int sum_bits) {
  if (extent.has_nan || std::isinf(extent.greatest)) return std::nullopt;
  const int greatest = extent.greatest == 0 ? 0 : std::ilogb(extent.greatest);
  const int least = extent.greatest == 0 ? 0 : std::ilogb(extent.least);
  if (least < kLeastExponent || greatest > kGreatestExponent) return std::nullopt;
  // A value is below 2^(greatest + 1) and a multiple of 2^low.
  const int low = least - 52;
  const int high_bits = (greatest - low + 1) / 2;
  const int high = greatest + 1 - high_bits;
  if (high_bits > kSplitBits || high_bits + GrowthOf(longest) > sum_bits) return std::nullopt;
  return GridOf(high, low);
}

std::optional<Grid> WidestGrid(int exponent, size_t longest) {
  const int bits = kSumBits - GrowthOf(longest);
  const int low = exponent - 2 * bits;
  if (bits <= 0 || low + 52 < kLeastExponent || exponent > kGreatestExponent) return std::nullopt;
  return GridOf(exponent - bits, low);
}

}  // namespace proxist::exec::internal
