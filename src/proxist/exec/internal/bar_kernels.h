// The inner loops of bars over rows that come a piece at a time, compiled for several instruction
// sets and chosen at run time: rows are looked at eight at a time, each eight with a byte that says
// which of them begin a bar.
#pragma once

#include <cstddef>
#include <cstdint>

#include "proxist/exec/internal/block_kernels.h"

namespace proxist::exec::internal {

/// So many rows share a byte of marks: the first one has the lowest bit.
inline constexpr size_t kRowsOfMark = 8;
/// Lists that these kernels write go on past their ends by at most so many values.
inline constexpr size_t kMarkSlack = kRowsOfMark;

/// What a kernel asks of memory while it works: the values that come after its own, as many of them
/// as it has, or null.
struct Ahead {
  const void* values = nullptr;
  const void* weights = nullptr;
};

/// Marks each row whose bar is not that of the row before, for times that never fall, with
/// base <= ts < base + 2^50 and an interval below 2^50; `end` is where the bar of the row before
/// the first one ends: INT64_MIN when there is none. Appends to `rows` the marked rows, of which
/// the first row is `first`, and to `starts` when their bars begin; returns how many these are.
/// Rows past the last one are not marked.
size_t MarkBars(const int64_t* ts, size_t n, int64_t base, int64_t interval, int64_t end,
                uint32_t first, const int64_t* ahead, uint8_t* marks, uint32_t* rows,
                int64_t* starts);

/// What rows came to so far on a grid, modulo 2^64, and whether that can be trusted.
struct RunningSums {
  int64_t high = 0;
  int64_t low = 0;
  int64_t weight = 0;
  uint64_t off_grid = 0;     // bits of what the grid does not hold: 0 when it holds all values
  uint64_t weight_bits = 0;  // the magnitudes of all weights, or-ed
  double greatest = 0;       // magnitude of a value; nothing when there is a NaN, which is off grid
};

/// Adds `values` to `sums` and appends to high and low what these were before each marked row;
/// returns how many are marked.
size_t AddMarked(const double* values, size_t n, const uint8_t* marks, const Grid& grid,
                 const Ahead& ahead, RunningSums* sums, int64_t* high, int64_t* low);
/// The same of the products with `weights`, each rounded, and of the weights, which are right when
/// their magnitudes are below 2^53.
size_t AddMarkedProducts(const double* values, const int64_t* weights, size_t n,
                         const uint8_t* marks, const Grid& grid, const Ahead& ahead,
                         RunningSums* sums, int64_t* high, int64_t* low, int64_t* weight);

/// out[i] = the sum from the i-th mark to the next one, of n + 1, rounded once. As PartSums asks,
/// the highs of one add up to at most 2^51, and so do its lows.
void MarkedSums(const SplitPrefix& sums, size_t n, double* out);
/// The same, divided by the weights, of at most 2^51. True when one of these is zero; its quotient
/// is then not finite.
bool MarkedQuotients(const SplitPrefix& sums, const int64_t* weights, size_t n, double* out);

}  // namespace proxist::exec::internal
