// Compiled once for each instruction set. As in block_kernels.cc nothing here
// adds to a product that is not exact. Eight rows in which no bar begins are
// done in less; among others no branch depends on where bars begin, since it
// would go wrong at every other step.
#include "proxist/exec/internal/bar_kernels.h"

#include <algorithm>
#include <bit>
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

/// A bit for each lane, the first one the lowest.
HWY_ATTR HWY_INLINE uint32_t LaneBits(hn::Mask<Wholes> lanes) {
  uint8_t bits[8] = {};
  hn::StoreMaskBits(Wholes(), lanes, bits);
  uint32_t out = bits[0];
  // GCC 12 may keep a mask in one byte of the stack and read four of them: it
  // may not here, and what it would read beside the mask goes.
  asm("" : "+r"(out));
  return out & ((1U << kLanes) - 1);
}

/// Writes the lanes whose bit is set side by side, as 64 or 32 bits; what
/// follows these is written over as well.
template <typename Out>
HWY_ATTR HWY_INLINE void Pack(WholeVec v, uint32_t bits, Out* HWY_RESTRICT out) {
#if HWY_TARGET <= HWY_AVX3
  // The library's Compress keeps the other lanes too, by a table that costs
  // more than the rest.
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

/// Eight values, of which `n` are at `from` and the others are `rest`. Written
/// as they will be read: a vector that is read from where several smaller ones
/// were just written would wait for these.
template <typename T>
HWY_ATTR HWY_INLINE void FillEight(const T* from, size_t n, T rest, T* HWY_RESTRICT to) {
#if HWY_TARGET <= HWY_AVX3
  const __m512i others = _mm512_set1_epi64(std::bit_cast<int64_t>(rest));
  const auto there = static_cast<__mmask8>((1U << n) - 1);
  _mm512_storeu_si512(to, _mm512_mask_loadu_epi64(others, there, from));
#else
  std::copy_n(from, n, to);
  std::fill(to + n, to + kRowsOfMark, rest);
#endif
}

/// Finds rows that begin bars, eight rows at a time.
class Marker {
 public:
  HWY_ATTR Marker(const BarTimes& times, const MarkLists& lists)
      : times_(times),
        end_(times.end),
        next_(times.ahead != nullptr ? times.ahead : times.ts),
        base_(hn::Set(Wholes(), times.base)),
        interval_(hn::Set(Reals(), static_cast<double>(times.interval))),
        inverse_(hn::Set(Reals(), 1.0 / static_cast<double>(times.interval))),
        marks_(lists.marks),
        rows_(lists.rows),
        starts_(lists.starts) {}

  /// Eight rows from row `i` on, of which the first may be the first of all,
  /// and some may not be there: `kEdge` says that this may be so.
  template <bool kEdge>
  HWY_ATTR HWY_INLINE uint32_t MarkEight(size_t i) {
    __builtin_prefetch(next_ + i);
    const int64_t* at = times_.ts + i;
    HWY_ALIGN int64_t room[2 * kRowsOfMark];  // these times, and before them the
                                              // one before them
    if constexpr (kEdge) {
      const bool first_of_all = i == 0 && end_ == INT64_MIN;
      room[kRowsOfMark - 1] = i > 0 ? times_.ts[i - 1] : first_of_all ? end_ : end_ - 1;
      // Rows that are not there are as the last one.
      FillEight(at, std::min(times_.n - i, kRowsOfMark), times_.ts[times_.n - 1],
                room + kRowsOfMark);
      at = room + kRowsOfMark;
    }
    uint32_t mark = 0;
    if (at[kRowsOfMark - 1] >= end_) mark = MarkFresh(at, i);
    *marks_++ = static_cast<uint8_t>(mark);
    return mark;
  }
  [[nodiscard]] size_t found() const { return found_; }

 private:
  /// A bar begins in these rows.
  HWY_ATTR HWY_INLINE uint32_t MarkFresh(const int64_t* at, size_t i) {
    const Reals d;
    const Wholes di;
    uint32_t mark = 0;
    for (size_t part = 0; part < kRowsOfMark; part += kLanes) {
      const RealVec past = ToReals(d, hn::Sub(hn::LoadU(di, at + part), base_));
      const RealVec bar = BarOf(d, past, interval_, inverse_);
      const WholeVec start = hn::Add(base_, ToWholes(hn::Mul(bar, interval_)));
      const auto fresh = hn::Lt(hn::LoadU(di, at + part - 1), start);
      const uint32_t bits = LaneBits(fresh);
      Pack(start, bits, starts_ + found_);
      Pack(hn::Iota(di, static_cast<int64_t>(times_.first + i + part)), bits, rows_ + found_);
      mark |= bits << part;
      found_ += static_cast<size_t>(__builtin_popcount(bits));
    }
    end_ = starts_[found_ - 1] + times_.interval;
    return mark;
  }

  const BarTimes times_;
  int64_t end_;
  const int64_t* next_;
  const WholeVec base_;
  const RealVec interval_;
  const RealVec inverse_;
  uint8_t* HWY_RESTRICT marks_;
  uint32_t* HWY_RESTRICT rows_;
  int64_t* HWY_RESTRICT starts_;
  size_t found_ = 0;
};

HWY_ATTR size_t MarkBars(const BarTimes& times, const MarkLists& lists) {
  Marker marker(times, lists);
  if (times.n > 0) marker.MarkEight<true>(0);
  size_t i = kRowsOfMark;
  for (; i + kRowsOfMark <= times.n; i += kRowsOfMark) marker.MarkEight<false>(i);
  if (i < times.n) marker.MarkEight<true>(i);
  return marker.found();
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
#if HWY_TARGET <= HWY_AVX3
    // Lanes move up across the whole vector, and zeroes into their places.
    const __m512i zero = _mm512_setzero_si512();
    v = hn::Add(v, WholeVec{_mm512_alignr_epi64(v.raw, zero, 7)});
    v = hn::Add(v, WholeVec{_mm512_alignr_epi64(v.raw, zero, 6)});
    return hn::Add(v, WholeVec{_mm512_alignr_epi64(v.raw, zero, 4)});
#elif HWY_TARGET != HWY_SCALAR
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
  WholeVec unmarked;  // what rows came to in each lane that `before` does not
                      // have yet

  HWY_ATTR HWY_INLINE void Add(const LaneSums& lanes, WholeVec v, uint32_t marked) {
    const WholeVec up_to = hn::Add(before, lanes.UpTo(v));
    Pack(hn::Sub(up_to, v), marked, out);
    out += __builtin_popcount(marked);
    before = lanes.Last(up_to);
  }
  HWY_ATTR HWY_INLINE void AddEach(const LaneSums& lanes, WholeVec v) {
    const WholeVec up_to = hn::Add(before, lanes.UpTo(v));
    hn::StoreU(hn::Sub(up_to, v), Wholes(), out);
    out += kLanes;
    before = lanes.Last(up_to);
  }
  HWY_ATTR HWY_INLINE void AddUnmarked(WholeVec v) { unmarked = hn::Add(unmarked, v); }
  HWY_ATTR HWY_INLINE void TakeUnmarked(const LaneSums& lanes) {
    before = hn::Add(before, lanes.Last(lanes.UpTo(unmarked)));
    unmarked = hn::Zero(Wholes());
  }
};

/// Which of some rows are marked.
enum class Marked : uint8_t { kNone, kSome, kEach };

/// Adds up values, or their products with weights.
template <bool kWeighted>
class Adder {
 public:
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

  HWY_ATTR HWY_INLINE void AddEight(const double* values, const int64_t* weights, uint32_t mark) {
    if (mark == 0) {
      any_unmarked_ = true;
      for (size_t part = 0; part < kRowsOfMark; part += kLanes) {
        AddPart<Marked::kNone>(values + part, kWeighted ? weights + part : weights, 0);
      }
      return;
    }
    TakeUnmarked();
    for (size_t part = 0; part < kRowsOfMark; part += kLanes) {
      const uint32_t marked = (mark >> part) & ((1U << kLanes) - 1);
      AddPart<Marked::kSome>(values + part, kWeighted ? weights + part : weights, marked);
    }
  }
  /// All eight rows are marked, as all before them are.
  HWY_ATTR HWY_INLINE void AddEachOfEight(const double* values, const int64_t* weights) {
    for (size_t part = 0; part < kRowsOfMark; part += kLanes) {
      AddPart<Marked::kEach>(values + part, kWeighted ? weights + part : weights, 0);
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
  template <Marked kMarked>
  HWY_ATTR HWY_INLINE void AddTo(Running* sum, WholeVec v, uint32_t marked) {
    if constexpr (kMarked == Marked::kSome) {
      sum->Add(lanes_, v, marked);
    } else if constexpr (kMarked == Marked::kEach) {
      sum->AddEach(lanes_, v);
    } else {
      sum->AddUnmarked(v);
    }
  }
  template <Marked kMarked>
  HWY_ATTR HWY_INLINE void AddPart(const double* values, const int64_t* weights, uint32_t marked) {
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

/// Marks that are known already, as a Marker gives them.
class KnownMarks {
 public:
  explicit KnownMarks(const uint8_t* marks) : marks_(marks) {}
  template <bool kEdge>
  HWY_ATTR HWY_INLINE uint32_t MarkEight(size_t /*i*/) {
    return *marks_++;
  }

 private:
  const uint8_t* HWY_RESTRICT marks_;
};

/// Instead of marks: every row is marked.
class EveryRow {};

template <bool kEdge, bool kWeighted, typename Marks>
HWY_ATTR HWY_INLINE void AddEight(const double* values, const int64_t* weights, size_t i,
                                  Marks* marks, Adder<kWeighted>* adder) {
  if constexpr (std::is_same_v<Marks, EveryRow>) {
    adder->AddEachOfEight(values, weights);
  } else {
    adder->AddEight(values, weights, marks->template MarkEight<kEdge>(i));
  }
}

template <bool kWeighted, typename Marks>
HWY_ATTR HWY_INLINE void AddRows(const MarkedValues& of, size_t n, Marks* marks,
                                 RunningSums* sums) {
  Adder<kWeighted> adder(of.grid, *sums, of.high, of.low, of.weight);
  const double* values = of.values;
  const int64_t* weights = kWeighted ? of.weights : nullptr;
  // What is to be asked for, from where the values are.
  const auto* next = static_cast<const double*>(of.ahead.values);
  const auto* next_weights = static_cast<const int64_t*>(of.ahead.weights);
  if (next == nullptr) next = values;
  if (next_weights == nullptr) next_weights = weights;
  size_t i = 0;
  if (n >= kRowsOfMark) {
    AddEight<true>(values, weights, 0, marks, &adder);
    i = kRowsOfMark;
  }
  for (; i + kRowsOfMark <= n; i += kRowsOfMark) {
    __builtin_prefetch(next + i);
    if constexpr (kWeighted) __builtin_prefetch(next_weights + i);
    AddEight<false>(values + i, kWeighted ? weights + i : nullptr, i, marks, &adder);
  }
  if (i < n) {
    // Zeroes change no sum, and what is noted of them is not looked at.
    HWY_ALIGN double last_values[kRowsOfMark];
    HWY_ALIGN int64_t last_weights[kRowsOfMark];
    FillEight(values + i, n - i, 0.0, last_values);
    if constexpr (kWeighted) FillEight(weights + i, n - i, int64_t{0}, last_weights);
    AddEight<true>(last_values, last_weights, i, marks, &adder);
  }
  adder.Get(sums);
}

/// Adds the values of `n` rows that `marks`, a Marker, KnownMarks or EveryRow,
/// marks eight by eight.
template <typename Marks>
HWY_ATTR HWY_INLINE void AddAll(const MarkedValues& of, size_t n, Marks* marks, RunningSums* sums) {
  if (of.weights == nullptr) {
    AddRows<false>(of, n, marks, sums);
  } else {
    AddRows<true>(of, n, marks, sums);
  }
}

HWY_ATTR void AddEach(const MarkedValues& of, size_t n, RunningSums* sums) {
  EveryRow every;
  AddAll(of, n, &every, sums);
}

HWY_ATTR void AddMarked(const MarkedValues& of, size_t n, const uint8_t* marks, RunningSums* sums) {
  KnownMarks known(marks);
  AddAll(of, n, &known, sums);
}

HWY_ATTR size_t MarkAndAdd(const BarTimes& times, const MarkLists& lists, const MarkedValues& of,
                           RunningSums* sums) {
  Marker marker(times, lists);
  AddAll(of, times.n, &marker, sums);
  return marker.found();
}

/// Calls finish(sum, row) for vectors of sums between marks, the last ones one
/// by one.
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
HWY_EXPORT(AddEach);
HWY_EXPORT(MarkAndAdd);
HWY_EXPORT(MarkedSums);
HWY_EXPORT(MarkedQuotients);

size_t MarkBars(const BarTimes& times, const MarkLists& lists) {
  return HWY_DYNAMIC_DISPATCH(MarkBars)(times, lists);
}
void AddMarked(const MarkedValues& of, size_t n, const uint8_t* marks, RunningSums* sums) {
  HWY_DYNAMIC_DISPATCH(AddMarked)(of, n, marks, sums);
}
void AddEach(const MarkedValues& of, size_t n, RunningSums* sums) {
  HWY_DYNAMIC_DISPATCH(AddEach)(of, n, sums);
}
size_t MarkAndAdd(const BarTimes& times, const MarkLists& lists, const MarkedValues& of,
                  RunningSums* sums) {
  return HWY_DYNAMIC_DISPATCH(MarkAndAdd)(times, lists, of, sums);
}
void MarkedSums(const SplitPrefix& sums, size_t n, double* out) {
  HWY_DYNAMIC_DISPATCH(MarkedSums)(sums, n, out);
}
bool MarkedQuotients(const SplitPrefix& sums, const int64_t* weights, size_t n, double* out) {
  return HWY_DYNAMIC_DISPATCH(MarkedQuotients)(sums, weights, n, out);
}

}  // namespace proxist::exec::internal
#endif
