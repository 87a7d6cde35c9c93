// Compiled once for each instruction set. As in block_kernels.cc nothing here adds to a product
// that is not exact. Eight rows in which no bar begins are done in less; among others no branch
// depends on where bars begin, since it would go wrong at every other step.
#include "proxist/exec/internal/bar_kernels.h"

#include <algorithm>
#include <cmath>
#include <type_traits>

// What SSSE3 adds is of no use here.
#define HWY_DISABLED_TARGETS (HWY_SSSE3 | HWY_BROKEN_TARGETS)
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "proxist/exec/internal/bar_kernels.cc"
#include <hwy/foreach_target.h>  // IWYU pragma: keep
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace proxist::exec::internal {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

#include "proxist/exec/internal/whole_reals.inc"

using Reals = hn::CappedTag<double, kRowsOfMark>;
using Wholes = hn::RebindToSigned<Reals>;
using Bits = hn::RebindToUnsigned<Reals>;
using RealVec = hn::Vec<Reals>;
using WholeVec = hn::Vec<Wholes>;

constexpr size_t kLanes = hn::MaxLanes(Reals());

/// Reals that are whole numbers of magnitude at most 2^51, as these.
HWY_ATTR HWY_INLINE WholeVec ToWholes(RealVec real) {
  const RealVec magic = hn::Set(Reals(), kMagic);
  return hn::Sub(hn::BitCast(Wholes(), hn::Add(real, magic)), hn::BitCast(Wholes(), magic));
}

/// Writes the lanes whose bit is set side by side, as 64 or 32 bits; what follows these is written
/// over as well.
template <typename Out>
HWY_ATTR HWY_INLINE void Pack(WholeVec v, uint32_t bits, Out* HWY_RESTRICT out) {
#if HWY_TARGET <= HWY_AVX3
  // The library's Compress keeps the other lanes too, by a table that costs more than the rest.
  const __m512i packed = _mm512_maskz_compress_epi64(static_cast<__mmask8>(bits), v.raw);
  if constexpr (sizeof(Out) == sizeof(int64_t)) {
    _mm512_storeu_si512(out, packed);
  } else {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(out), _mm512_cvtepi64_epi32(packed));
  }
#else
  HWY_ALIGN int64_t lanes[kLanes];
  hn::Store(v, Wholes(), lanes);
  for (size_t i = 0; i < kLanes; ++i) {
    *out = static_cast<Out>(lanes[i]);
    out += (bits >> i) & 1;
  }
#endif
}

HWY_ATTR size_t MarkBars(const int64_t* HWY_RESTRICT ts, size_t n, int64_t base, int64_t interval,
                         int64_t end, uint32_t first, const int64_t* ahead,
                         uint8_t* HWY_RESTRICT marks, uint32_t* HWY_RESTRICT rows,
                         int64_t* HWY_RESTRICT starts) {
  const Reals d;
  const Wholes di;
  const auto real_interval = static_cast<double>(interval);
  const RealVec interval_vec = hn::Set(d, real_interval);
  const RealVec inverse = hn::Set(d, 1.0 / real_interval);
  const WholeVec base_vec = hn::Set(di, base);
  const int64_t* next = ahead != nullptr ? ahead : ts;
  size_t found = 0;
  int64_t room[1 + kRowsOfMark];
  for (size_t i = 0; i < n; i += kRowsOfMark) {
    __builtin_prefetch(next + i);
    // Eight times and the one before these.
    const int64_t* at = ts + i;
    if (i == 0 || i + kRowsOfMark > n) {
      // Rows that are not there are as the last one.
      const size_t count = std::min(n - i, kRowsOfMark);
      room[0] = i > 0 ? ts[i - 1] : end == INT64_MIN ? end : end - 1;
      std::copy_n(ts + i, count, room + 1);
      std::fill(room + 1 + count, std::end(room), ts[n - 1]);
      at = room + 1;
    }
    uint32_t mark = 0;
    if (at[kRowsOfMark - 1] >= end) {
      for (size_t part = 0; part < kRowsOfMark; part += kLanes) {
        const RealVec past = ToReals(d, hn::Sub(hn::LoadU(di, at + part), base_vec));
        const RealVec bar = BarOf(d, past, interval_vec, inverse);
        const WholeVec start = hn::Add(base_vec, ToWholes(hn::Mul(bar, interval_vec)));
        const auto fresh = hn::Lt(hn::LoadU(di, at + part - 1), start);
        uint8_t bits[8] = {};
        hn::StoreMaskBits(di, fresh, bits);
        Pack(start, bits[0], starts + found);
        Pack(hn::Iota(di, static_cast<int64_t>(first + i + part)), bits[0], rows + found);
        mark |= uint32_t{bits[0]} << part;
        found += static_cast<size_t>(__builtin_popcount(bits[0]));
      }
      end = starts[found - 1] + interval;  // a bar began here
    }
    *marks++ = static_cast<uint8_t>(mark);
  }
  return found;
}

/// Sums of the lanes up to each one.
class LaneSums {
 public:
  HWY_ATTR LaneSums() {
    HWY_ALIGN int64_t lane[kLanes];
    const Wholes di;
    std::fill_n(lane, kLanes, static_cast<int64_t>(kLanes) - 1);
    last_ = hn::Load(di, lane);
    for (size_t i = 0; i < kLanes; ++i)
      lane[i] = i % 4 >= 2 ? static_cast<int64_t>(i / 4 * 4) + 1 : 0;
    second_ = hn::Load(di, lane);
    for (size_t i = 0; i < kLanes; ++i) lane[i] = i % 4 >= 2 ? -1 : 0;
    takes_second_ = hn::Load(di, lane);
    for (size_t i = 0; i < kLanes; ++i) lane[i] = i >= 4 ? 3 : 0;
    fourth_ = hn::Load(di, lane);
    for (size_t i = 0; i < kLanes; ++i) lane[i] = i >= 4 ? -1 : 0;
    takes_fourth_ = hn::Load(di, lane);
  }
  HWY_ATTR HWY_INLINE WholeVec UpTo(WholeVec v) const {
    [[maybe_unused]] const Wholes di;
#if HWY_TARGET != HWY_SCALAR
    v = hn::Add(v, hn::ShiftLeftLanes<1>(di, v));
#endif
    if constexpr (kLanes > 2) {
      v = hn::Add(v, hn::And(takes_second_, Pick(v, second_)));
    }
    if constexpr (kLanes > 4) {
      v = hn::Add(v, hn::And(takes_fourth_, Pick(v, fourth_)));
    }
    return v;
  }
  HWY_ATTR HWY_INLINE WholeVec Last(WholeVec v) const { return Pick(v, last_); }

 private:
  static HWY_ATTR HWY_INLINE WholeVec Pick(WholeVec v, WholeVec lanes) {
    return hn::TableLookupLanes(v, hn::IndicesFromVec(Wholes(), lanes));
  }
  WholeVec last_;
  WholeVec second_;
  WholeVec takes_second_;
  WholeVec fourth_;
  WholeVec takes_fourth_;
};

/// One of the sums, on its way over rows.
struct Running {
  WholeVec before;  // the same in all lanes
  int64_t* HWY_RESTRICT out;
  WholeVec unmarked;  // what rows came to in each lane that `before` does not have yet

  HWY_ATTR HWY_INLINE void Add(const LaneSums& lanes, WholeVec v, uint32_t marked) {
    const WholeVec up_to = hn::Add(before, lanes.UpTo(v));
    Pack(hn::Sub(up_to, v), marked, out);
    out += __builtin_popcount(marked);
    before = lanes.Last(up_to);
  }
  HWY_ATTR HWY_INLINE void AddUnmarked(WholeVec v) { unmarked = hn::Add(unmarked, v); }
  HWY_ATTR HWY_INLINE void TakeUnmarked(const LaneSums& lanes) {
    before = hn::Add(before, lanes.Last(lanes.UpTo(unmarked)));
    unmarked = hn::Zero(Wholes());
  }
};

/// Adds up values, or with Weight int64_t their products with weights.
template <typename Weight>
class Adder {
 public:
  static constexpr bool kWeighted = std::is_same_v<Weight, int64_t>;

  HWY_ATTR Adder(const Grid& grid, const RunningSums& sums, int64_t* high, int64_t* low,
                 int64_t* weight)
      : high_magic_(hn::Set(Reals(), grid.high_magic)),
        low_magic_(hn::Set(Reals(), grid.low_magic)),
        off_grid_(hn::Set(Bits(), sums.off_grid)),
        greatest_(hn::Set(Reals(), sums.greatest)),
        weight_bits_(hn::Set(Wholes(), static_cast<int64_t>(sums.weight_bits))),
        high_{hn::Set(Wholes(), sums.high), high, hn::Zero(Wholes())},
        low_{hn::Set(Wholes(), sums.low), low, hn::Zero(Wholes())},
        weight_{hn::Set(Wholes(), sums.weight), weight, hn::Zero(Wholes())} {}

  HWY_ATTR HWY_INLINE void AddEight(const double* values, const Weight* weights, uint8_t mark) {
    if (mark == 0) {
      any_unmarked_ = true;
      for (size_t part = 0; part < kRowsOfMark; part += kLanes) {
        AddPart<false>(values + part, kWeighted ? weights + part : weights, 0);
      }
      return;
    }
    TakeUnmarked();
    for (size_t part = 0; part < kRowsOfMark; part += kLanes) {
      const uint32_t marked = (uint32_t{mark} >> part) & ((1U << kLanes) - 1);
      AddPart<true>(values + part, kWeighted ? weights + part : weights, marked);
    }
  }
  HWY_ATTR HWY_INLINE void Get(RunningSums* sums) {
    TakeUnmarked();
    const Wholes di;
    sums->high = hn::GetLane(high_.before);
    sums->low = hn::GetLane(low_.before);
    sums->weight = hn::GetLane(weight_.before);
    sums->greatest = hn::GetLane(hn::MaxOfLanes(Reals(), greatest_));
    HWY_ALIGN uint64_t off[kLanes];
    HWY_ALIGN int64_t bits[kLanes];
    hn::Store(off_grid_, Bits(), off);
    hn::Store(weight_bits_, di, bits);
    for (size_t i = 0; i < kLanes; ++i) {
      sums->off_grid |= off[i];
      sums->weight_bits |= static_cast<uint64_t>(bits[i]);
    }
  }

 private:
  HWY_ATTR HWY_INLINE void TakeUnmarked() {
    if (!any_unmarked_) return;
    any_unmarked_ = false;
    high_.TakeUnmarked(lanes_);
    low_.TakeUnmarked(lanes_);
    if constexpr (kWeighted) weight_.TakeUnmarked(lanes_);
  }
  template <bool kMarked>
  HWY_ATTR HWY_INLINE void AddTo(Running* sum, WholeVec v, uint32_t marked) {
    if constexpr (kMarked) {
      sum->Add(lanes_, v, marked);
    } else {
      sum->AddUnmarked(v);
    }
  }
  template <bool kMarked>
  HWY_ATTR HWY_INLINE void AddPart(const double* values, const Weight* weights, uint32_t marked) {
    const Reals d;
    const Wholes di;
    RealVec value = hn::LoadU(d, values);
    if constexpr (kWeighted) {
      const WholeVec weight = hn::LoadU(di, weights);
      value = hn::Mul(value, hn::ConvertTo(d, weight));
      weight_bits_ = hn::Or(weight_bits_, hn::Xor(weight, hn::BroadcastSignBit(weight)));
      AddTo<kMarked>(&weight_, weight, marked);
    }
    const RealVec high = hn::Add(value, high_magic_);
    const RealVec rest = hn::Sub(value, hn::Sub(high, high_magic_));
    const RealVec low = hn::Add(rest, low_magic_);
    // 0 and not -0 when nothing is.
    const RealVec lost = hn::Sub(hn::Sub(low, low_magic_), rest);
    off_grid_ = hn::Or(off_grid_, hn::BitCast(Bits(), lost));
    greatest_ = hn::Max(greatest_, hn::Abs(value));
    AddTo<kMarked>(&high_, hn::Sub(hn::BitCast(di, high), hn::BitCast(di, high_magic_)), marked);
    AddTo<kMarked>(&low_, hn::Sub(hn::BitCast(di, low), hn::BitCast(di, low_magic_)), marked);
  }

  const LaneSums lanes_;
  const RealVec high_magic_;
  const RealVec low_magic_;
  hn::Vec<Bits> off_grid_;
  RealVec greatest_;
  WholeVec weight_bits_;
  Running high_;
  Running low_;
  Running weight_;
  bool any_unmarked_ = false;
};

template <typename Weight>
HWY_ATTR HWY_INLINE size_t AddAll(const double* HWY_RESTRICT values,
                                  const Weight* HWY_RESTRICT weights, size_t n,
                                  const uint8_t* HWY_RESTRICT marks, const Grid& grid,
                                  const Ahead& ahead, RunningSums* sums, int64_t* high,
                                  int64_t* low, int64_t* weight) {
  Adder<Weight> adder(grid, *sums, high, low, weight);
  const auto* next = static_cast<const double*>(ahead.values != nullptr ? ahead.values : values);
  const auto* next_weights =
      static_cast<const Weight*>(ahead.weights != nullptr ? ahead.weights : weights);
  size_t found = 0;
  size_t i = 0;
  for (; i + kRowsOfMark <= n; i += kRowsOfMark, ++marks) {
    __builtin_prefetch(next + i);
    if constexpr (Adder<Weight>::kWeighted) __builtin_prefetch(next_weights + i);
    adder.AddEight(values + i, Adder<Weight>::kWeighted ? weights + i : weights, *marks);
    found += static_cast<size_t>(__builtin_popcount(*marks));
  }
  if (i < n) {
    // Zeroes change no sum, and none of them is marked.
    double last_values[kRowsOfMark] = {};
    int64_t last_weights[kRowsOfMark] = {};
    std::copy(values + i, values + n, last_values);
    if constexpr (Adder<Weight>::kWeighted) {
      std::copy(weights + i, weights + n, last_weights);
      adder.AddEight(last_values, last_weights, *marks);
    } else {
      adder.AddEight(last_values, nullptr, *marks);
    }
    found += static_cast<size_t>(__builtin_popcount(*marks));
  }
  adder.Get(sums);
  return found;
}

HWY_ATTR size_t AddMarked(const double* values, size_t n, const uint8_t* marks, const Grid& grid,
                          const Ahead& ahead, RunningSums* sums, int64_t* high, int64_t* low) {
  return AddAll<double>(values, nullptr, n, marks, grid, ahead, sums, high, low, nullptr);
}

HWY_ATTR size_t AddMarkedProducts(const double* values, const int64_t* weights, size_t n,
                                  const uint8_t* marks, const Grid& grid, const Ahead& ahead,
                                  RunningSums* sums, int64_t* high, int64_t* low, int64_t* weight) {
  return AddAll<int64_t>(values, weights, n, marks, grid, ahead, sums, high, low, weight);
}

/// Calls finish(sum, row) for vectors of sums between marks, the last ones one by one.
template <typename Finish>
HWY_ATTR HWY_INLINE void ForMarks(const SplitPrefix& sums, size_t n, double* HWY_RESTRICT out,
                                  const Finish& finish) {
  const auto run = [&](auto d, size_t i) HWY_ATTR {
    const hn::RebindToSigned<decltype(d)> di;
    const auto real_difference = [&](const int64_t* of) HWY_ATTR {
      return ToReals(d, hn::Sub(hn::LoadU(di, of + i + 1), hn::LoadU(di, of + i)));
    };
    const auto high = hn::Mul(real_difference(sums.high), hn::Set(d, sums.grid.high_unit));
    const auto low = hn::Mul(real_difference(sums.low), hn::Set(d, sums.grid.low_unit));
    hn::StoreU(finish(hn::Add(high, low), d, real_difference), d, out + i);
  };
  size_t i = 0;
  for (; i + kLanes <= n; i += kLanes) run(Reals(), i);
  for (; i < n; ++i) run(hn::CappedTag<double, 1>(), i);
}

HWY_ATTR void MarkedSums(const SplitPrefix& sums, size_t n, double* out) {
  ForMarks(sums, n, out, [](auto sum, auto, const auto&) HWY_ATTR { return sum; });
}

HWY_ATTR bool MarkedQuotients(const SplitPrefix& sums, const int64_t* weights, size_t n,
                              double* out) {
  bool any_zero = false;
  ForMarks(sums, n, out, [&](auto sum, auto d, const auto& difference) HWY_ATTR {
    const auto weight = difference(weights);
    any_zero = any_zero || !hn::AllFalse(d, hn::Eq(weight, hn::Zero(d)));
    return hn::Div(sum, weight);
  });
  return any_zero;
}

}  // namespace HWY_NAMESPACE
}  // namespace proxist::exec::internal
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace proxist::exec::internal {

HWY_EXPORT(MarkBars);
HWY_EXPORT(AddMarked);
HWY_EXPORT(AddMarkedProducts);
HWY_EXPORT(MarkedSums);
HWY_EXPORT(MarkedQuotients);

size_t MarkBars(const int64_t* ts, size_t n, int64_t base, int64_t interval, int64_t end,
                uint32_t first, const int64_t* ahead, uint8_t* marks, uint32_t* rows,
                int64_t* starts) {
  return HWY_DYNAMIC_DISPATCH(MarkBars)(ts, n, base, interval, end, first, ahead, marks, rows,
                                        starts);
}
size_t AddMarked(const double* values, size_t n, const uint8_t* marks, const Grid& grid,
                 const Ahead& ahead, RunningSums* sums, int64_t* high, int64_t* low) {
  return HWY_DYNAMIC_DISPATCH(AddMarked)(values, n, marks, grid, ahead, sums, high, low);
}
size_t AddMarkedProducts(const double* values, const int64_t* weights, size_t n,
                         const uint8_t* marks, const Grid& grid, const Ahead& ahead,
                         RunningSums* sums, int64_t* high, int64_t* low, int64_t* weight) {
  return HWY_DYNAMIC_DISPATCH(AddMarkedProducts)(values, weights, n, marks, grid, ahead, sums, high,
                                                 low, weight);
}
void MarkedSums(const SplitPrefix& sums, size_t n, double* out) {
  HWY_DYNAMIC_DISPATCH(MarkedSums)(sums, n, out);
}
bool MarkedQuotients(const SplitPrefix& sums, const int64_t* weights, size_t n, double* out) {
  return HWY_DYNAMIC_DISPATCH(MarkedQuotients)(sums, weights, n, out);
}

}  // namespace proxist::exec::internal
#endif
