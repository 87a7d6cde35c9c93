// Which binary grid holds values of an extent, so that their sums are exact in two whole numbers.
#pragma once

#include <cstddef>
#include <optional>

#include "proxist/exec/internal/block_kernels.h"

namespace proxist::exec::internal {

// Sums of highs, and of lows, lie in this many bits: they stay whole as float64, and there is room
// to add a magic to them.
inline constexpr int kSumBits = 51;

/// Bits of the sum of `n` values beyond those of one value.
int GrowthOf(size_t n);

/// The grid on which the highs, and the lows, of at most `longest` values of this extent add up to
/// no more than `sum_bits`, if there is one.
std::optional<Grid> GridFor(const Extent& extent, size_t longest, int sum_bits = kSumBits);

/// The grid of as many bits as sums of `longest` values leave, for magnitudes below 2^exponent: it
/// may or may not hold values, however small they are. Nothing when there is none.
std::optional<Grid> WidestGrid(int exponent, size_t longest);

}  // namespace proxist::exec::internal
