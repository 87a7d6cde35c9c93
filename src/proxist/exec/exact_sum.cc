// A superaccumulator; the idea: U. Kulisch, "Computer Arithmetic and Validity".
#include "proxist/exec/exact_sum.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <optional>

#include "proxist/base/check.h"
#include "proxist/exec/int128.h"
#include "proxist/exec/internal/grid.h"

namespace proxist::exec {
namespace {

constexpr int kLimbBits = 32;
constexpr int64_t kLimbMask = 0xffffffff;
// Each change adds less than 2^32 to a limb, so this many stay far from 2^63.
constexpr uint32_t kSettleEvery = 1u << 28;
constexpr int kLeastExponent = -1074;
// Sums of so many values on a grid fit 64 bits.
constexpr size_t kBlock = 512;
constexpr int kGridSumBits = 62;

/// mantissa * 2^exponent, of a mantissa that is a float64 and has the bits that fit the result.
double TimesPowerOfTwo(uint64_t mantissa, int exponent) {
  constexpr int kLeastNormal = -1022;
  constexpr int kGreatest = 1023;
  const auto whole = static_cast<double>(mantissa);
  if (exponent < kLeastNormal || exponent > kGreatest) return std::ldexp(whole, exponent);
  return whole * std::bit_cast<double>(static_cast<uint64_t>(exponent + kGreatest) << 52);
}

uint32_t ExponentOf(uint64_t bits) { return static_cast<uint32_t>((bits >> 52) & 0x7ff); }

}  // namespace

void ExactSum::Change(double value, int sign) {
  const auto bits = std::bit_cast<uint64_t>(value);
  const uint32_t exponent = ExponentOf(bits);
  uint64_t mantissa = bits & ((uint64_t{1} << 52) - 1);
  if (exponent == 0x7ff) {
    if (mantissa != 0) {
      nans_ += sign;
    } else if ((bits >> 63) != 0) {
      negative_infinities_ += sign;
    } else {
      infinities_ += sign;
    }
    return;
  }
  if (exponent != 0) mantissa |= uint64_t{1} << 52;
  if (mantissa == 0) return;
  if ((bits >> 63) != 0) sign = -sign;
  const uint32_t position = exponent == 0 ? 0 : exponent - 1;
  const size_t limb = position / kLimbBits;
  const auto wide = static_cast<Uint128>(mantissa) << (position % kLimbBits);
  limbs_[limb] += sign * static_cast<int64_t>(wide & kLimbMask);
  limbs_[limb + 1] += sign * static_cast<int64_t>((wide >> 32) & kLimbMask);
  limbs_[limb + 2] += sign * static_cast<int64_t>((wide >> 64) & kLimbMask);
  low_ = std::min(low_, limb);
  high_ = std::max(high_, limb + 2);
  if (++unsettled_ == kSettleEvery) Settle();
}

void ExactSum::Add(std::span<const double> values) {
  for (; values.size() > kBlock; values = values.subspan(kBlock)) Add(values.first(kBlock));
  Add(values, internal::ExtentOf(values.data(), values.size()));
}

void ExactSum::Add(std::span<const double> values, const internal::Extent& extent) {
  const size_t longest = std::min(values.size(), kBlock);
  const std::optional<internal::Grid> grid = internal::GridFor(extent, longest, kGridSumBits);
  if (!grid.has_value()) {
    for (const double value : values) Add(value);
    return;
  }
  for (; !values.empty(); values = values.subspan(std::min(values.size(), kBlock))) {
    const size_t block = std::min(values.size(), kBlock);
    const internal::SplitSum sum = internal::SumOnGrid(values.data(), block, *grid);
    AddWhole(sum.high, grid->high_unit);
    AddWhole(sum.low, grid->low_unit);
  }
}

void ExactSum::AddWhole(int64_t whole, double unit) {
  constexpr double kUpperUnit = 4294967296.0;
  Add(static_cast<double>(whole & kLimbMask) * unit);
  Add(static_cast<double>(whole >> kLimbBits) * (unit * kUpperUnit));
}

void ExactSum::Settle() {
  unsettled_ = 0;
  if (low_ > high_) return;
  int64_t carry = 0;
  for (size_t i = low_; i < kLimbs; ++i) {
    const int64_t total = limbs_[i] + carry;
    if (i > high_ && total == 0) break;
    high_ = std::max(high_, i);
    if (i + 1 == kLimbs) {
      limbs_[i] = total;
      break;
    }
    carry = total >> kLimbBits;  // floors, so what stays is in [0, 2^32)
    limbs_[i] = total & kLimbMask;
  }
}

void ExactSum::Add(const ExactSum& other) {
  nans_ += other.nans_;
  infinities_ += other.infinities_;
  negative_infinities_ += other.negative_infinities_;
  if (other.low_ > other.high_) return;
  ExactSum settled = other;
  settled.Settle();
  for (size_t i = settled.low_; i <= settled.high_; ++i) limbs_[i] += settled.limbs_[i];
  low_ = std::min(low_, settled.low_);
  high_ = std::max(high_, settled.high_);
  if (++unsettled_ == kSettleEvery) Settle();
}

bool ExactSum::Split(std::array<double, 3>* terms) const {
  *terms = {Value(), 0, 0};
  if (!std::isfinite((*terms)[0])) {
    return nans_ > 0 || infinities_ > 0 || negative_infinities_ > 0;
  }
  ExactSum rest = *this;
  for (double& term : *terms) {
    term = rest.Value();
    rest.Subtract(term);
  }
  return rest.Value() == 0;
}

double ExactSum::Value() const {
  if (nans_ > 0 || (infinities_ > 0 && negative_infinities_ > 0)) {
    return std::numeric_limits<double>::quiet_NaN();
  }
  if (infinities_ > 0) return std::numeric_limits<double>::infinity();
  if (negative_infinities_ > 0) return -std::numeric_limits<double>::infinity();
  if (low_ > high_) return 0.0;
  // The limbs with carries settled, as a magnitude and a sign.
  std::array<int64_t, kLimbs> digits;
  const size_t end = std::min(kLimbs, high_ + 3);  // the carry is 0 or -1 from there on
  bool negative = false;
  for (int pass = 0; pass < 2; ++pass) {
    int64_t carry = 0;
    for (size_t i = low_; i < end; ++i) {
      const int64_t limb = i <= high_ ? limbs_[i] : 0;
      const int64_t total = (negative ? -limb : limb) + carry;
      digits[i] = total & kLimbMask;
      carry = total >> kLimbBits;
    }
    if (carry == 0) break;
    PX_CHECK(pass == 0);
    negative = true;
  }
  size_t top = end;
  while (top > low_ && digits[top - 1] == 0) --top;
  if (top == low_) return 0.0;
  --top;
  // The upper 128 bits (less when there are fewer), and whether anything lies below them.
  Uint128 head = 0;
  size_t taken = 0;
  for (size_t i = top + 1; i > low_ && taken < 4; ++taken) {
    head = (head << kLimbBits) | static_cast<uint64_t>(digits[--i]);
  }
  const size_t lowest = top + 1 - taken;
  bool rest = false;
  for (size_t i = low_; i < lowest; ++i) rest = rest || digits[i] != 0;
  // Round head to 53 bits, or fewer where the result is subnormal (its bit 0 is 2^-1074 or above,
  // so nothing lies below a subnormal's last bit).
  const auto upper = static_cast<uint64_t>(head >> 64);
  const auto lower = static_cast<uint64_t>(head);
  const int width = upper != 0 ? 128 - std::countl_zero(upper) : 64 - std::countl_zero(lower);
  int shift = std::max(width - 53, 0);
  uint64_t mantissa = static_cast<uint64_t>(head >> shift);
  if (shift > 0) {
    const Uint128 half = static_cast<Uint128>(1) << (shift - 1);
    const Uint128 tail = head & ((half << 1) - 1);
    if (tail > half || (tail == half && (rest || (mantissa & 1) != 0))) ++mantissa;
  }
  const int exponent = shift + static_cast<int>(lowest) * kLimbBits + kLeastExponent;
  const double magnitude = TimesPowerOfTwo(mantissa, exponent);
  return negative ? -magnitude : magnitude;
}

}  // namespace proxist::exec
