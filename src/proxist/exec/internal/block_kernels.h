// The inner loops over blocks of columns, compiled for several instruction sets and chosen at run
// time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>

namespace proxist::exec::internal {

/// How large values are: what a grid that holds all of them must span.
struct Extent {
  double greatest = 0;                                     // magnitude
  double least = std::numeric_limits<double>::infinity();  // magnitude of those that are not zero
  bool has_nan = false;
};

Extent ExtentOf(const double* values, size_t n);
/// out[i] = values[i] * weights[i], rounded; the extent is that of the products.
Extent Multiply(const double* values, const double* weights, size_t n, double* out);
/// The same; each weight is rounded to float64 first.
Extent Multiply(const double* values, const int64_t* weights, size_t n, double* out);

/// What weights come to.
struct WeightSum {
  int64_t sum = 0;    // may wrap
  int64_t reach = 0;  // or-ed from w and ~w of what is below zero
};
/// Multiply, which adds up the weights too.
Extent MultiplyAndSum(const double* values, const int64_t* weights, size_t n, double* out,
                      WeightSum* weight_sum);

/// Two whole numbers in place of a value: value = high * 2^q + low * 2^g, with `high_unit` 2^q and
/// `low_unit` 2^g; the magics are 1.5 * 2^52 times these, to which a value is added to round it.
struct Grid {
  double high_magic = 0;
  double low_magic = 0;
  double high_unit = 0;
  double low_unit = 0;
};
/// What each value is on a grid that holds it: |high| and |low| are at most 2^51.
void Split(const double* values, size_t n, const Grid& grid, int64_t* high, int64_t* low);

struct SplitSum {
  int64_t high = 0;
  int64_t low = 0;
};
/// The sum of what Split gives.
SplitSum SumOnGrid(const double* values, size_t n, const Grid& grid);

/// Prefix sums, which may wrap: of the rows before each one, and of all as the last one of n + 1.
struct SplitPrefix {
  const int64_t* high;
  const int64_t* low;
  Grid grid;
};
/// out[i] = the sum of rows [begin[i], end[i]), rounded once. Their highs add up to at most 2^51,
/// and so do their lows.
void PartSums(const SplitPrefix& prefix, const uint32_t* begin, const uint32_t* end, size_t n,
              double* out);
/// The same, divided by the number of rows; NaN where there are none.
void PartMeans(const SplitPrefix& prefix, const uint32_t* begin, const uint32_t* end, size_t n,
               double* out);
/// The same, divided by the sums of `weights`, prefix sums whose parts add up to at most 2^51.
/// True when one of these is zero; its quotient is then not finite.
bool PartQuotients(const SplitPrefix& prefix, const int64_t* weights, const uint32_t* begin,
                   const uint32_t* end, size_t n, double* out);

/// Lists of BarStarts are written past their ends by fewer than this.
inline constexpr size_t kBarStartsSlack = 8;
/// The rows with which bars begin and where these bars begin, for times that never fall, with
/// base <= ts < base + 2^50 and an interval below 2^50: each row whose bar is not that of the row
/// before. Of the row before the first it is the bar at `bar`, which becomes the last row's; below
/// zero: none. Returns how many bars begin.
size_t BarStarts(const int64_t* ts, size_t n, int64_t base, int64_t interval, double* bar,
                 uint32_t* rows, int64_t* starts);

/// begin[i] is the first row with ts >= its ts - span, for the i-th row of [first, n). Times never
/// fall and are not below zero, nor is the span.
void WindowBegins(const int64_t* ts, size_t n, uint32_t first, int64_t span, uint32_t* begin);

/// The greatest end[i] - begin[i]; 0 without any.
uint32_t Longest(const uint32_t* begin, const uint32_t* end, size_t n);

}  // namespace proxist::exec::internal
