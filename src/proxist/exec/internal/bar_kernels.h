// The inner loops of bars over rows that come a piece at a time, compiled for
// several instruction sets and chosen at run time: rows are looked at eight at
// a time, each eight with a byte that says which of them begin a bar.
#pragma once

#include <cstddef>
#include <cstdint>

#include "proxist/exec/internal/block_kernels.h"

namespace proxist::exec::internal {

/// So many rows share a byte of marks: the first one has the lowest bit.
inline constexpr size_t kRowsOfMark = 8;
/// Lists that these kernels write go on past their ends by at most so many
/// values.
inline constexpr size_t kMarkSlack = kRowsOfMark;

/// What a kernel asks of memory while it works: the values that come after its
/// own, as many of them as it has, or null.
struct Ahead {
  const int64_t* times = nullptr;
  const void* values = nullptr;
  const void* weights = nullptr;
};

/// `n` times that never fall, with base <= ts < base + 2^50 and an interval
/// below 2^50.
struct BarTimes {
  const int64_t* ts = nullptr;
  size_t n = 0;
  int64_t base = 0;
  int64_t interval = 1;
  int64_t end = 0;                 // of the bar of the row before the first one: INT64_MIN when
                                   // there is none
  uint32_t first = 0;              // number of the first row
  const int64_t* ahead = nullptr;  // as in Ahead
};
/// Where what MarkBars finds is appended.
struct MarkLists {
  uint8_t* marks = nullptr;
  uint32_t* rows = nullptr;   // that are marked
  int64_t* starts = nullptr;  // when their bars begin
};
/// Marks each row whose bar is not that of the row before; returns how many
/// these are. Rows past the last one are not marked.
size_t MarkBars(const BarTimes& times, const MarkLists& lists);

/// What rows came to so far on a grid, modulo 2^64, and whether that can be
/// trusted.
struct RunningSums {
  int64_t high = 0;
  int64_t low = 0;
  int64_t weight = 0;
  uint64_t off_grid = 0;     // bits of what the grid does not hold: 0 when it holds all values
  uint64_t weight_bits = 0;  // the magnitudes of all weights, or-ed
  double greatest = 0;       // magnitude of a value; nothing when there is a NaN, which is off grid
};

/// Values on their way into sums.
struct MarkedValues {
  const double* values = nullptr;
  const int64_t* weights = nullptr;  // null: values are added as they are
  Grid grid;
  // What the sums were before each marked row is appended to these.
  int64_t* high = nullptr;
  int64_t* low = nullptr;
  int64_t* weight = nullptr;
  Ahead ahead;
};
/// Adds `n` values to `sums`, or their products with the weights, each rounded,
/// and the weights, which are right when their magnitudes are below 2^53.
void AddMarked(const MarkedValues& of, size_t n, const uint8_t* marks, RunningSums* sums);
/// AddMarked where every row is marked.
void AddEach(const MarkedValues& of, size_t n, RunningSums* sums);
/// MarkBars, and AddMarked of as many values, in one pass.
size_t MarkAndAdd(const BarTimes& times, const MarkLists& lists, const MarkedValues& of,
                  RunningSums* sums);

/// out[i] = the sum from the i-th mark to the next one, of n + 1, rounded once.
/// As PartSums asks, the highs of one add up to at most 2^51, and so do its
/// lows.
void MarkedSums(const SplitPrefix& sums, size_t n, double* out);
/// The same, divided by the weights, of at most 2^51. True when one of these is
/// zero; its quotient is then not finite.
bool MarkedQuotients(const SplitPrefix& sums, const int64_t* weights, size_t n, double* out);

}  // namespace proxist::exec::internal
