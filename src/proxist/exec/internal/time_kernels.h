// Searches in ascending times, compiled for several instruction sets and chosen at run time.
#pragma once

#include <cstddef>
#include <cstdint>

namespace proxist::exec::internal {

/// How many of `n` ascending times are before `at`, or with `equal` at it: those that lie in front,
/// looked at one after the other.
size_t CountUpTo(const int64_t* times, size_t n, int64_t at, bool equal);

/// out[i] = how many of `rows` ascending times are before at[i], or with `equal` at it, minus
/// `less`. For many moments at once, in any order; `rows` are at most kSearchRows.
inline constexpr uint32_t kSearchRows = 512;
void CountsUpTo(const int64_t* times, uint32_t rows, const int64_t* at, size_t n, bool equal,
                uint32_t less, uint32_t* out);

}  // namespace proxist::exec::internal
