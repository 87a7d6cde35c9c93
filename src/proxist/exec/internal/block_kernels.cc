// Compiled once for each instruction set. A compiler may fuse a product and a sum, which then
// rounds once: so no function here adds to a product that is not exact.
#include "proxist/exec/internal/block_kernels.h"

#include <algorithm>
#include <cmath>

// What SSSE3 adds is of no use here.
#define HWY_DISABLED_TARGETS (HWY_SSSE3 | HWY_BROKEN_TARGETS)
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "proxist/exec/internal/block_kernels.cc"
#include <hwy/foreach_target.h>  // IWYU pragma: keep
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace proxist::exec::internal {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

#include "proxist/exec/internal/whole_reals.inc"

using Reals = hn::ScalableTag<double>;
using Wholes = hn::RebindToSigned<Reals>;
using RealVec = hn::Vec<Reals>;
using WholeVec = hn::Vec<Wholes>;
using Rows = hn::Rebind<uint32_t, Reals>;

/// Collects an extent, a vector of values at a time and the last ones one by one.
class ExtentVec {
 public:
  HWY_ATTR ExtentVec()
      : greatest_(hn::Zero(Reals())), least_(hn::Set(Reals(), HUGE_VAL)), nan_(hn::Zero(Reals())) {}
  HWY_ATTR void Add(RealVec v) {
    const Reals d;
    const RealVec magnitude = hn::Abs(v);
    greatest_ = hn::Max(greatest_, magnitude);
    const auto is_zero = hn::Eq(v, hn::Zero(d));
    least_ = hn::Min(least_, hn::IfThenElse(is_zero, hn::Set(d, HUGE_VAL), magnitude));
    nan_ = hn::Or(nan_, hn::VecFromMask(d, hn::IsNaN(v)));
  }
  HWY_ATTR Extent Get() const {
    const Reals d;
    Extent out;
    out.has_nan = !hn::AllFalse(d, hn::MaskFromVec(nan_));
    // What NaN leaves in these does not matter.
    out.greatest = hn::GetLane(hn::MaxOfLanes(d, greatest_));
    out.least = hn::GetLane(hn::MinOfLanes(d, least_));
    return out;
  }

 private:
  RealVec greatest_;
  RealVec least_;
  RealVec nan_;
};

void AddToExtent(double value, Extent* out) {
  if (std::isnan(value)) out->has_nan = true;
  out->greatest = std::max(out->greatest, std::abs(value));
  if (value != 0) out->least = std::min(out->least, std::abs(value));
}

HWY_ATTR Extent ExtentOf(const double* HWY_RESTRICT values, size_t n) {
  const Reals d;
  ExtentVec extent;
  size_t i = 0;
  for (; i + hn::Lanes(d) <= n; i += hn::Lanes(d)) extent.Add(hn::LoadU(d, values + i));
  Extent out = extent.Get();
  for (; i < n; ++i) AddToExtent(values[i], &out);
  return out;
}

template <typename Weight>
HWY_ATTR Extent MultiplyBy(const double* HWY_RESTRICT values, const Weight* HWY_RESTRICT weights,
                           size_t n, double* HWY_RESTRICT out) {
  const Reals d;
  const hn::Rebind<Weight, Reals> dw;
  ExtentVec extent;
  size_t i = 0;
  for (; i + hn::Lanes(d) <= n; i += hn::Lanes(d)) {
    RealVec weight;
    if constexpr (std::is_same_v<Weight, double>) {
      weight = hn::LoadU(d, weights + i);
    } else {
      weight = hn::ConvertTo(d, hn::LoadU(dw, weights + i));
    }
    const RealVec product = hn::Mul(hn::LoadU(d, values + i), weight);
    hn::StoreU(product, d, out + i);
    extent.Add(product);
  }
  Extent all = extent.Get();
  for (; i < n; ++i) {
    out[i] = values[i] * static_cast<double>(weights[i]);
    AddToExtent(out[i], &all);
  }
  return all;
}
HWY_ATTR Extent MultiplyByReals(const double* values, const double* weights, size_t n,
                                double* out) {
  return MultiplyBy(values, weights, n, out);
}
HWY_ATTR Extent MultiplyByWholes(const double* values, const int64_t* weights, size_t n,
                                 double* out) {
  return MultiplyBy(values, weights, n, out);
}

HWY_ATTR Extent MultiplyAndSum(const double* HWY_RESTRICT values,
                               const int64_t* HWY_RESTRICT weights, size_t n,
                               double* HWY_RESTRICT out, WeightSum* HWY_RESTRICT weight_sum) {
  const Reals d;
  const Wholes di;
  ExtentVec extent;
  WholeVec sum = hn::Zero(di);
  WholeVec reach = hn::Zero(di);
  size_t i = 0;
  for (; i + hn::Lanes(d) <= n; i += hn::Lanes(d)) {
    const WholeVec weight = hn::LoadU(di, weights + i);
    const RealVec product = hn::Mul(hn::LoadU(d, values + i), hn::ConvertTo(d, weight));
    hn::StoreU(product, d, out + i);
    extent.Add(product);
    sum = hn::Add(sum, weight);
    reach = hn::Or(reach, hn::Xor(weight, hn::BroadcastSignBit(weight)));
  }
  Extent all = extent.Get();
  HWY_ALIGN int64_t sums[hn::MaxLanes(Wholes())];
  HWY_ALIGN int64_t reaches[hn::MaxLanes(Wholes())];
  hn::Store(sum, di, sums);
  hn::Store(reach, di, reaches);
  uint64_t total = 0;
  int64_t bits = 0;
  for (size_t lane = 0; lane < hn::Lanes(di); ++lane) {
    total += static_cast<uint64_t>(sums[lane]);
    bits |= reaches[lane];
  }
  for (; i < n; ++i) {
    out[i] = values[i] * static_cast<double>(weights[i]);
    AddToExtent(out[i], &all);
    total += static_cast<uint64_t>(weights[i]);
    bits |= weights[i] ^ (weights[i] >> 63);
  }
  *weight_sum = {static_cast<int64_t>(total), bits};
  return all;
}

/// Rounds values onto a grid.
class Splitter {
 public:
  HWY_ATTR explicit Splitter(const Grid& grid)
      : high_magic_(hn::Set(Reals(), grid.high_magic)),
        low_magic_(hn::Set(Reals(), grid.low_magic)) {}
  HWY_ATTR void Split(RealVec value, WholeVec* high, WholeVec* low) const {
    const Wholes di;
    const RealVec rounded = hn::Add(value, high_magic_);
    const RealVec rest = hn::Sub(value, hn::Sub(rounded, high_magic_));
    *high = hn::Sub(hn::BitCast(di, rounded), hn::BitCast(di, high_magic_));
    *low = hn::Sub(hn::BitCast(di, hn::Add(rest, low_magic_)), hn::BitCast(di, low_magic_));
  }

 private:
  RealVec high_magic_;
  RealVec low_magic_;
};

HWY_ATTR void Split(const double* HWY_RESTRICT values, size_t n, const Grid& grid,
                    int64_t* HWY_RESTRICT high, int64_t* HWY_RESTRICT low) {
  const Reals d;
  const Wholes di;
  const Splitter splitter(grid);
  WholeVec high_part;
  WholeVec low_part;
  size_t i = 0;
  for (; i + hn::Lanes(d) <= n; i += hn::Lanes(d)) {
    splitter.Split(hn::LoadU(d, values + i), &high_part, &low_part);
    hn::StoreU(high_part, di, high + i);
    hn::StoreU(low_part, di, low + i);
  }
  for (; i < n; ++i) {
    splitter.Split(hn::Set(d, values[i]), &high_part, &low_part);
    high[i] = hn::GetLane(high_part);
    low[i] = hn::GetLane(low_part);
  }
}

HWY_ATTR SplitSum SumOnGrid(const double* HWY_RESTRICT values, size_t n, const Grid& grid) {
  const Reals d;
  const Wholes di;
  const Splitter splitter(grid);
  WholeVec high = hn::Zero(di);
  WholeVec low = hn::Zero(di);
  WholeVec high_part;
  WholeVec low_part;
  size_t i = 0;
  for (; i + hn::Lanes(d) <= n; i += hn::Lanes(d)) {
    splitter.Split(hn::LoadU(d, values + i), &high_part, &low_part);
    high = hn::Add(high, high_part);
    low = hn::Add(low, low_part);
  }
  SplitSum sum{hn::GetLane(hn::SumOfLanes(di, high)), hn::GetLane(hn::SumOfLanes(di, low))};
  for (; i < n; ++i) {
    splitter.Split(hn::Set(d, values[i]), &high_part, &low_part);
    sum.high += hn::GetLane(high_part);
    sum.low += hn::GetLane(low_part);
  }
  return sum;
}

/// Some parts of a block; windows that move on row by row end at neighbouring rows.
struct PartVec {
  WholeVec begin;
  WholeVec end;
  uint32_t first_end;
  bool neighbours;
};

HWY_ATTR HWY_INLINE WholeVec Difference(const int64_t* HWY_RESTRICT prefix, const PartVec& parts) {
  const Wholes di;
  const WholeVec before = hn::GatherIndex(di, prefix, parts.begin);
  if (parts.neighbours) return hn::Sub(hn::LoadU(di, prefix + parts.first_end), before);
  return hn::Sub(hn::GatherIndex(di, prefix, parts.end), before);
}

HWY_ATTR HWY_INLINE WholeVec LoadRows(const uint32_t* rows) {
  const hn::RebindToSigned<Rows> narrow;
  return hn::PromoteTo(Wholes(), hn::BitCast(narrow, hn::LoadU(Rows(), rows)));
}

/// Calls finish(sum, parts, how many of them count) for each vector of parts and writes what it
/// returns.
template <typename Finish>
HWY_ATTR HWY_INLINE void ForParts(const SplitPrefix& prefix, const uint32_t* HWY_RESTRICT begin,
                                  const uint32_t* HWY_RESTRICT end, size_t n,
                                  double* HWY_RESTRICT out, const Finish& finish) {
  const Reals d;
  const Wholes di;
  const WholeVec iota = hn::Iota(di, 0);
  const RealVec high_unit = hn::Set(d, prefix.grid.high_unit);
  const RealVec low_unit = hn::Set(d, prefix.grid.low_unit);
  const size_t lanes = hn::Lanes(d);
  HWY_ALIGN uint32_t last_begin[hn::MaxLanes(Reals())] = {};
  HWY_ALIGN uint32_t last_end[hn::MaxLanes(Reals())] = {};
  HWY_ALIGN double last_out[hn::MaxLanes(Reals())];
  for (size_t i = 0; i < n; i += lanes) {
    const bool whole = i + lanes <= n;
    const uint32_t* from_begin = begin + i;
    const uint32_t* from_end = end + i;
    if (!whole) {
      std::copy(begin + i, begin + n, last_begin);
      std::copy(end + i, end + n, last_end);
      from_begin = last_begin;
      from_end = last_end;
    }
    PartVec parts;
    parts.begin = LoadRows(from_begin);
    parts.end = LoadRows(from_end);
    parts.first_end = from_end[0];
    const WholeVec neighbours = hn::Add(iota, hn::Set(di, int64_t{from_end[0]}));
    parts.neighbours = whole && hn::AllTrue(di, hn::Eq(parts.end, neighbours));
    const RealVec high = ToReals(Reals(), Difference(prefix.high, parts));
    const RealVec low = ToReals(Reals(), Difference(prefix.low, parts));
    const RealVec sum = hn::Add(hn::Mul(high, high_unit), hn::Mul(low, low_unit));
    const RealVec result = finish(sum, parts, whole ? lanes : n - i);
    if (whole) {
      hn::StoreU(result, d, out + i);
    } else {
      hn::Store(result, d, last_out);
      std::copy(last_out, last_out + (n - i), out + i);
    }
  }
}

HWY_ATTR void PartSums(const SplitPrefix& prefix, const uint32_t* begin, const uint32_t* end,
                       size_t n, double* out) {
  ForParts(prefix, begin, end, n, out,
           [](RealVec sum, const PartVec&, size_t) HWY_ATTR { return sum; });
}

HWY_ATTR void PartMeans(const SplitPrefix& prefix, const uint32_t* begin, const uint32_t* end,
                        size_t n, double* out) {
  ForParts(prefix, begin, end, n, out, [](RealVec sum, const PartVec& parts, size_t) HWY_ATTR {
    return hn::Div(sum, ToReals(Reals(), hn::Sub(parts.end, parts.begin)));
  });
}

HWY_ATTR bool PartQuotients(const SplitPrefix& prefix, const int64_t* weights,
                            const uint32_t* begin, const uint32_t* end, size_t n, double* out) {
  const Reals d;
  bool any_zero = false;
  ForParts(prefix, begin, end, n, out,
           [&](RealVec sum, const PartVec& parts, size_t valid) HWY_ATTR {
             const RealVec weight = ToReals(Reals(), Difference(weights, parts));
             const auto zero = hn::And(hn::Eq(weight, hn::Zero(d)), hn::FirstN(d, valid));
             any_zero = any_zero || !hn::AllFalse(d, zero);
             return hn::Div(sum, weight);
           });
  return any_zero;
}

HWY_ATTR size_t BarStarts(const int64_t* HWY_RESTRICT ts, size_t n, int64_t base, int64_t interval,
                          double* HWY_RESTRICT bar, uint32_t* HWY_RESTRICT rows,
                          int64_t* HWY_RESTRICT starts) {
  const Reals d;
  const Wholes di;
  const size_t lanes = hn::Lanes(d);
  const auto real_interval = static_cast<double>(interval);
  const RealVec interval_vec = hn::Set(d, real_interval);
  const RealVec inverse = hn::Set(d, 1.0 / real_interval);
  const WholeVec base_vec = hn::Set(di, base);
  const RealVec magic = hn::Set(d, kMagic);
  const WholeVec magic_bits = hn::BitCast(di, magic);
  HWY_ALIGN int64_t lane_starts[hn::MaxLanes(Wholes())];
  uint8_t bits[8] = {};
  const auto bar_of = [&](const int64_t* at) HWY_ATTR {
    // Below 2^51, so the magic makes reals of them.
    return BarOf(d, ToReals(d, hn::Sub(hn::LoadU(di, at), base_vec)), interval_vec, inverse);
  };
  const auto bar_of_one = [&](int64_t at) HWY_ATTR {
    const RealVec past = hn::Set(d, static_cast<double>(at - base));
    return hn::GetLane(BarOf(d, past, interval_vec, inverse));
  };
  size_t found = 0;
  double before = *bar;
  const auto take_one = [&](size_t row) HWY_ATTR {
    const double now = bar_of_one(ts[row]);
    if (now == before) return;
    before = now;
    starts[found] = base + static_cast<int64_t>(now) * interval;
    rows[found++] = static_cast<uint32_t>(row);
  };
  if (n > 0) take_one(0);
  size_t i = 1;
  for (; i + lanes <= n; i += lanes) {
    const RealVec now = bar_of(ts + i);
    const auto fresh = hn::Ne(now, bar_of(ts + i - 1));
    if (hn::AllFalse(d, fresh)) continue;
    const RealVec offset = hn::Mul(now, interval_vec);
    const WholeVec start =
        hn::Add(base_vec, hn::Sub(hn::BitCast(di, hn::Add(offset, magic)), magic_bits));
    hn::Store(start, di, lane_starts);
    hn::StoreMaskBits(d, fresh, bits);
    // Without a branch, which would go wrong often: what is not fresh is written over.
    for (size_t lane = 0; lane < lanes; ++lane) {
      starts[found] = lane_starts[lane];
      rows[found] = static_cast<uint32_t>(i + lane);
      found += (bits[0] >> lane) & 1;
    }
  }
  if (i > 1) before = bar_of_one(ts[i - 1]);
  for (; i < n; ++i) take_one(i);
  *bar = before;
  return found;
}

/// Goes over rows with the begin of the window of the last one.
struct WindowWalk {
  uint32_t row;
  uint32_t low;
};

/// One row, whose window begins at `low` or later.
HWY_INLINE void StepOne(const int64_t* HWY_RESTRICT ts, int64_t span, uint32_t first,
                        WindowWalk* walk, uint32_t* HWY_RESTRICT begin) {
  const int64_t least = ts[walk->row] - span;
  while (ts[walk->low] < least) ++walk->low;
  begin[walk->row++ - first] = walk->low;
}

/// A row for each lane: how many times from `low` on are too early, counted for all of them at
/// once.
HWY_ATTR HWY_INLINE void StepLanes(const int64_t* HWY_RESTRICT ts, size_t n, int64_t span,
                                   uint32_t first, WindowWalk* walk, uint32_t* HWY_RESTRICT begin) {
  const Wholes di;
  constexpr size_t kLanes = hn::MaxLanes(Wholes());
  const int64_t* at = ts + walk->low;
  const WholeVec least = hn::Sub(hn::LoadU(di, ts + walk->row), hn::Set(di, span));
  const int64_t last = ts[walk->row + kLanes - 1] - span;
  WholeVec counts[2] = {hn::Set(di, static_cast<int64_t>(walk->low)), hn::Zero(di)};
  // Seldom more than two rounds; how many of them is not easy to foresee.
  size_t seen = 0;
  do {
    if (walk->low + seen + 2 * kLanes > n) {
      for (size_t i = 0; i < kLanes; ++i) StepOne(ts, span, first, walk, begin);
      return;
    }
    for (size_t i = 0; i < kLanes; ++i) {
      for (size_t half = 0; half < 2; ++half) {
        const WholeVec time = hn::Set(di, at[seen + half * kLanes + i]);
        counts[half] = hn::Sub(counts[half], hn::VecFromMask(di, hn::Lt(time, least)));
      }
    }
    seen += 2 * kLanes;
  } while (at[seen - 1] < last);
  const auto low = hn::BitCast(hn::RebindToUnsigned<Wholes>(), hn::Add(counts[0], counts[1]));
  hn::StoreU(hn::TruncateTo(Rows(), low), Rows(), begin + (walk->row - first));
  walk->row += static_cast<uint32_t>(kLanes);
  walk->low = begin[walk->row - 1 - first];
}

HWY_ATTR void WindowBegins(const int64_t* HWY_RESTRICT ts, size_t n, uint32_t first, int64_t span,
                           uint32_t* HWY_RESTRICT begin) {
  // A step waits for the one before it; steps of several stretches of rows go on side by side.
  constexpr uint32_t kWalks = 2;
  const auto lanes = static_cast<uint32_t>(hn::Lanes(Wholes()));
  const uint32_t steps = (static_cast<uint32_t>(n) - first) / kWalks / lanes;
  WindowWalk walks[kWalks];
  for (uint32_t w = 0; w < kWalks; ++w) {
    walks[w] = {first + steps * lanes * w, 0};
    if (walks[w].row == n) continue;
    const int64_t least = ts[walks[w].row] - span;
    walks[w].low = static_cast<uint32_t>(std::lower_bound(ts, ts + walks[w].row, least) - ts);
  }
  for (uint32_t i = 0; i < steps; ++i) {
    for (WindowWalk& walk : walks) StepLanes(ts, n, span, first, &walk, begin);
  }
  WindowWalk& rest = walks[kWalks - 1];
  while (rest.row + lanes <= n) StepLanes(ts, n, span, first, &rest, begin);
  while (rest.row < n) StepOne(ts, span, first, &rest, begin);
}

HWY_ATTR uint32_t Longest(const uint32_t* HWY_RESTRICT begin, const uint32_t* HWY_RESTRICT end,
                          size_t n) {
  const hn::ScalableTag<uint32_t> d;
  auto longest = hn::Zero(d);
  size_t i = 0;
  for (; i + hn::Lanes(d) <= n; i += hn::Lanes(d)) {
    longest = hn::Max(longest, hn::Sub(hn::LoadU(d, end + i), hn::LoadU(d, begin + i)));
  }
  uint32_t out = hn::GetLane(hn::MaxOfLanes(d, longest));
  for (; i < n; ++i) out = std::max(out, end[i] - begin[i]);
  return out;
}

}  // namespace HWY_NAMESPACE
}  // namespace proxist::exec::internal
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace proxist::exec::internal {

HWY_EXPORT(ExtentOf);
HWY_EXPORT(MultiplyByReals);
HWY_EXPORT(MultiplyByWholes);
HWY_EXPORT(MultiplyAndSum);
HWY_EXPORT(Split);
HWY_EXPORT(SumOnGrid);
HWY_EXPORT(PartSums);
HWY_EXPORT(PartMeans);
HWY_EXPORT(PartQuotients);
HWY_EXPORT(BarStarts);
HWY_EXPORT(WindowBegins);
HWY_EXPORT(Longest);

Extent ExtentOf(const double* values, size_t n) {
  return HWY_DYNAMIC_DISPATCH(ExtentOf)(values, n);
}
Extent Multiply(const double* values, const double* weights, size_t n, double* out) {
  return HWY_DYNAMIC_DISPATCH(MultiplyByReals)(values, weights, n, out);
}
Extent Multiply(const double* values, const int64_t* weights, size_t n, double* out) {
  return HWY_DYNAMIC_DISPATCH(MultiplyByWholes)(values, weights, n, out);
}
Extent MultiplyAndSum(const double* values, const int64_t* weights, size_t n, double* out,
                      WeightSum* weight_sum) {
  return HWY_DYNAMIC_DISPATCH(MultiplyAndSum)(values, weights, n, out, weight_sum);
}
void Split(const double* values, size_t n, const Grid& grid, int64_t* high, int64_t* low) {
  HWY_DYNAMIC_DISPATCH(Split)(values, n, grid, high, low);
}
SplitSum SumOnGrid(const double* values, size_t n, const Grid& grid) {
  return HWY_DYNAMIC_DISPATCH(SumOnGrid)(values, n, grid);
}
void PartSums(const SplitPrefix& prefix, const uint32_t* begin, const uint32_t* end, size_t n,
              double* out) {
  HWY_DYNAMIC_DISPATCH(PartSums)(prefix, begin, end, n, out);
}
void PartMeans(const SplitPrefix& prefix, const uint32_t* begin, const uint32_t* end, size_t n,
               double* out) {
  HWY_DYNAMIC_DISPATCH(PartMeans)(prefix, begin, end, n, out);
}
bool PartQuotients(const SplitPrefix& prefix, const int64_t* weights, const uint32_t* begin,
                   const uint32_t* end, size_t n, double* out) {
  return HWY_DYNAMIC_DISPATCH(PartQuotients)(prefix, weights, begin, end, n, out);
}
size_t BarStarts(const int64_t* ts, size_t n, int64_t base, int64_t interval, double* bar,
                 uint32_t* rows, int64_t* starts) {
  return HWY_DYNAMIC_DISPATCH(BarStarts)(ts, n, base, interval, bar, rows, starts);
}
void WindowBegins(const int64_t* ts, size_t n, uint32_t first, int64_t span, uint32_t* begin) {
  HWY_DYNAMIC_DISPATCH(WindowBegins)(ts, n, first, span, begin);
}
uint32_t Longest(const uint32_t* begin, const uint32_t* end, size_t n) {
  return HWY_DYNAMIC_DISPATCH(Longest)(begin, end, n);
}

}  // namespace proxist::exec::internal
#endif
