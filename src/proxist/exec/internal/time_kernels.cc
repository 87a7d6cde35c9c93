// Eight times are looked at together, whatever the width of a vector is.
#include "proxist/exec/internal/time_kernels.h"

#include <algorithm>

// What SSSE3 adds is of no use here.
#define HWY_DISABLED_TARGETS (HWY_SSSE3 | HWY_BROKEN_TARGETS)
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "proxist/exec/internal/time_kernels.cc"
#include <hwy/foreach_target.h>  // IWYU pragma: keep
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace proxist::exec::internal {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

constexpr uint32_t kFan = 8;
using Times = hn::CappedTag<int64_t, kFan>;
using TimeVec = hn::Vec<Times>;

/// How many of eight times are before `at`, or with kEqual at it.
template <bool kEqual>
HWY_ATTR HWY_INLINE uint32_t CountOfEight(const int64_t* HWY_RESTRICT times, TimeVec at) {
  const Times d;
  size_t count = 0;
  for (size_t i = 0; i < kFan; i += hn::Lanes(d)) {
    const TimeVec some = hn::LoadU(d, times + i);
    count += hn::CountTrue(d, kEqual ? hn::Lt(at, some) : hn::Lt(some, at));
  }
  return static_cast<uint32_t>(kEqual ? kFan - count : count);
}

template <bool kEqual>
HWY_ATTR size_t CountFront(const int64_t* HWY_RESTRICT times, size_t n, int64_t at) {
  const TimeVec moment = hn::Set(Times(), at);
  size_t i = 0;
  for (; i + kFan <= n; i += kFan) {
    const uint32_t count = CountOfEight<kEqual>(times + i, moment);
    if (count < kFan) return i + count;
  }
  while (i < n && (kEqual ? times[i] <= at : times[i] < at)) ++i;
  return i;
}

HWY_ATTR size_t CountUpTo(const int64_t* times, size_t n, int64_t at, bool equal) {
  return equal ? CountFront<true>(times, n, at) : CountFront<false>(times, n, at);
}

/// Every eighth time, every eighth of these, and the times themselves: a search looks at eight of
/// each, and those of neighbouring moments do not wait for each other.
template <bool kEqual>
HWY_ATTR void CountsOf(const int64_t* HWY_RESTRICT times, uint32_t rows,
                       const int64_t* HWY_RESTRICT at, size_t n, uint32_t less,
                       uint32_t* HWY_RESTRICT out) {
  constexpr uint32_t kEighths = kSearchRows / kFan;
  HWY_ALIGN int64_t eighths[kEighths + kFan];
  HWY_ALIGN int64_t top[kFan];
  HWY_ALIGN int64_t last[kFan];
  const uint32_t whole = rows / kFan;
  for (uint32_t i = 0; i < whole; ++i) eighths[i] = times[i * kFan + kFan - 1];
  std::fill(eighths + whole, eighths + kEighths + kFan, INT64_MAX);
  for (uint32_t i = 0; i < kFan; ++i) top[i] = eighths[i * kFan + kFan - 1];
  std::fill(last, last + kFan, INT64_MAX);
  std::copy(times + whole * kFan, times + rows, last);
  for (size_t i = 0; i < n; ++i) {
    const TimeVec moment = hn::Set(Times(), at[i]);
    const uint32_t part = CountOfEight<kEqual>(top, moment) * kFan;
    const uint32_t group = std::min(part + CountOfEight<kEqual>(eighths + part, moment), whole);
    const int64_t* from = group < whole ? times + group * kFan : last;
    out[i] = std::min(group * kFan + CountOfEight<kEqual>(from, moment), rows) - less;
  }
}

HWY_ATTR void CountsUpTo(const int64_t* times, uint32_t rows, const int64_t* at, size_t n,
                         bool equal, uint32_t less, uint32_t* out) {
  if (equal) {
    CountsOf<true>(times, rows, at, n, less, out);
  } else {
    CountsOf<false>(times, rows, at, n, less, out);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace proxist::exec::internal
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace proxist::exec::internal {

HWY_EXPORT(CountUpTo);
HWY_EXPORT(CountsUpTo);

size_t CountUpTo(const int64_t* times, size_t n, int64_t at, bool equal) {
  return HWY_DYNAMIC_DISPATCH(CountUpTo)(times, n, at, equal);
}
void CountsUpTo(const int64_t* times, uint32_t rows, const int64_t* at, size_t n, bool equal,
                uint32_t less, uint32_t* out) {
  HWY_DYNAMIC_DISPATCH(CountsUpTo)(times, rows, at, n, equal, less, out);
}

}  // namespace proxist::exec::internal
#endif
