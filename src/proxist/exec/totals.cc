// Totals are made a chunk at a time, so the loops over values are kept simple enough to vectorise.
#include "proxist/exec/totals.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <type_traits>

#include "proxist/exec/internal/block_kernels.h"
#include "proxist/exec/internal/numbers.h"
#include "proxist/exec/internal/visit.h"

namespace proxist::exec {
namespace {

using column::TypeKind;

// Values widened at once; sums of their 32-bit halves stay far from 2^63.
constexpr size_t kBlock = 512;
constexpr int kMantissaBits = 53;

bool IsUnsigned(TypeKind kind) { return kind == TypeKind::kUint64; }

struct RealExtremes {
  double least;
  double greatest;
};
RealExtremes ExtremesOf(std::span<const double> values) {
  RealExtremes out{values[0], values[0]};
  bool plain = true;  // neither NaN nor zero, which need care
  for (const double value : values) plain &= value < 0 || value > 0;
  if (plain) {
    for (const double value : values) {
      out.least = std::min(out.least, value);
      out.greatest = std::max(out.greatest, value);
    }
    return out;
  }
  for (const double value : values) {
    if (std::isnan(out.least) || internal::BelowReal(value, out.least)) out.least = value;
    if (std::isnan(out.greatest) || internal::BelowReal(out.greatest, value)) out.greatest = value;
  }
  return out;
}

template <typename T>
Int128 SumOf(const T* values, size_t n) {
  if constexpr (sizeof(T) < 8) {
    int64_t sum = 0;
    for (size_t i = 0; i < n; ++i) sum += values[i];
    return sum;
  } else {
    using Half = std::conditional_t<std::is_signed_v<T>, int64_t, uint64_t>;
    uint64_t low = 0;
    Half high = 0;
    for (size_t i = 0; i < n; ++i) {
      low += static_cast<uint32_t>(values[i]);
      high += values[i] >> 32;
    }
    return static_cast<Int128>(high) * (Int128{1} << 32) + static_cast<Int128>(low);
  }
}

/// The values in 64 bits: where they are, or copied to `room`.
const int64_t* Widen(TypeKind kind, const std::byte* values, size_t n, int64_t* room) {
  if (column::WidthOf(kind) == sizeof(int64_t)) return reinterpret_cast<const int64_t*>(values);
  internal::VisitFixed(kind, [&]<typename T>(T /*tag*/) {
    const T* from = reinterpret_cast<const T*>(values);
    for (size_t i = 0; i < n; ++i) room[i] = static_cast<int64_t>(from[i]);
  });
  return room;
}

/// Values in their own units.
void ToReals(column::Type type, const std::byte* values, size_t n, double* out) {
  if (!column::IsFloat(type.kind)) {
    int64_t room[kBlock];
    const int64_t* wide = Widen(type.kind, values, n, room);
    if (type.kind != TypeKind::kDecimal && !IsUnsigned(type.kind)) {
      std::copy_n(wide, n, out);
      return;
    }
    for (size_t i = 0; i < n; ++i) {
      const Int128 value =
          IsUnsigned(type.kind) ? Int128{static_cast<uint64_t>(wide[i])} : Int128{wide[i]};
      out[i] = internal::Quotient(value, 1, type.kind == TypeKind::kDecimal ? type.scale : 0);
    }
    return;
  }
  internal::VisitFixed(type.kind, [&]<typename T>(T /*tag*/) {
    std::copy_n(reinterpret_cast<const T*>(values), n, out);
  });
}

/// Values in their own units: where they are, or in `room`.
const double* Reals(column::Type type, const std::byte* values, size_t n, double* room) {
  if (type.kind == TypeKind::kFloat64) return reinterpret_cast<const double*>(values);
  ToReals(type, values, n, room);
  return room;
}

}  // namespace

PackedSum::PackedSum(Int128 integer)
    : words_{static_cast<uint64_t>(integer), static_cast<uint64_t>(integer >> 64), 0} {}

std::optional<PackedSum> PackedSum::Of(const ExactSum& real) {
  std::array<double, 3> terms;
  if (!real.Split(&terms)) return std::nullopt;
  PackedSum out;
  for (size_t i = 0; i < terms.size(); ++i) out.words_[i] = std::bit_cast<uint64_t>(terms[i]);
  return out;
}

Int128 PackedSum::integer() const {
  return static_cast<Int128>((static_cast<Uint128>(words_[1]) << 64) | words_[0]);
}

void PackedSum::AddTo(ExactSum* real) const {
  for (const uint64_t word : words_) real->Add(std::bit_cast<double>(word));
}

ColumnTotals::ColumnTotals(column::Type type) : type_(type) {}

Int128 ColumnTotals::Integer(uint64_t bits) const {
  return IsUnsigned(type_.kind) ? Int128{bits} : Int128{static_cast<int64_t>(bits)};
}
double ColumnTotals::LeastReal() const { return std::bit_cast<double>(least_); }
double ColumnTotals::GreatestReal() const { return std::bit_cast<double>(greatest_); }

void ColumnTotals::AddExtremes(uint64_t least, uint64_t greatest) {
  if (count_ == 0) {
    least_ = least;
    greatest_ = greatest;
  } else if (column::IsFloat(type_.kind)) {
    const auto low = std::bit_cast<double>(least);
    const auto high = std::bit_cast<double>(greatest);
    if (std::isnan(LeastReal()) || internal::BelowReal(low, LeastReal())) least_ = least;
    if (std::isnan(GreatestReal()) || internal::BelowReal(GreatestReal(), high))
      greatest_ = greatest;
  } else {
    if (Integer(least) < Integer(least_)) least_ = least;
    if (Integer(greatest) > Integer(greatest_)) greatest_ = greatest;
  }
}

void ColumnTotals::Add(const std::byte* values, size_t n) {
  internal::VisitFixed(type_.kind, [&]<typename T>(T /*tag*/) {
    const T* from = reinterpret_cast<const T*>(values);
    while (n > 0) {
      const size_t block = std::min(n, kBlock);
      if constexpr (std::is_floating_point_v<T>) {
        double wide[kBlock];
        std::copy_n(from, block, wide);
        const std::span<const double> reals(wide, block);
        real_.Add(reals);
        const RealExtremes extremes = ExtremesOf(reals);
        AddExtremes(std::bit_cast<uint64_t>(extremes.least),
                    std::bit_cast<uint64_t>(extremes.greatest));
      } else {
        integer_ += SumOf(from, block);
        T least = from[0];
        T greatest = from[0];
        for (size_t i = 0; i < block; ++i) {
          least = std::min(least, from[i]);
          greatest = std::max(greatest, from[i]);
        }
        AddExtremes(static_cast<uint64_t>(least), static_cast<uint64_t>(greatest));
      }
      count_ += static_cast<int64_t>(block);
      from += block;
      n -= block;
    }
  });
}

void ColumnTotals::Add(const ColumnTotals& other) {
  if (other.count_ == 0) return;
  AddExtremes(other.least_, other.greatest_);
  count_ += other.count_;
  integer_ += other.integer_;
  real_.Add(other.real_);
}

void ColumnTotals::Add(const PackedTotals& packed) {
  if (packed.count == 0) return;
  AddExtremes(packed.least, packed.greatest);
  count_ += static_cast<int64_t>(packed.count);
  if (column::IsFloat(type_.kind)) {
    packed.sum.AddTo(&real_);
  } else {
    integer_ += packed.sum.integer();
  }
}

PackedTotals ColumnTotals::Pack() const {
  PackedTotals out;
  out.count = static_cast<uint32_t>(count_);
  if (column::IsFloat(type_.kind)) {
    const std::optional<PackedSum> sum = PackedSum::Of(real_);
    out.exact = sum.has_value();
    out.sum = sum.value_or(PackedSum());
  } else {
    out.sum = PackedSum(integer_);
  }
  out.least = least_;
  out.greatest = greatest_;
  return out;
}

void WeightedTotals::AddIntegers(const std::byte* values, const std::byte* weights, size_t n) {
  int64_t value_room[kBlock];
  int64_t weight_room[kBlock];
  const int64_t* value = Widen(value_.kind, values, n, value_room);
  const int64_t* weight = Widen(weight_.kind, weights, n, weight_room);
  if (!IsUnsigned(value_.kind) && !IsUnsigned(weight_.kind)) {
    for (size_t i = 0; i < n; ++i) {
      const Int128 product = Int128{value[i]} * weight[i];
      if (__builtin_add_overflow(products_, product, &products_)) fits_ = false;
    }
    weights_ += SumOf(weight, n);
    return;
  }
  const auto wide = [](TypeKind kind, int64_t bits) {
    return IsUnsigned(kind) ? Int128{static_cast<uint64_t>(bits)} : Int128{bits};
  };
  for (size_t i = 0; i < n; ++i) {
    Int128 product = 0;
    if (__builtin_mul_overflow(wide(value_.kind, value[i]), wide(weight_.kind, weight[i]),
                               &product) ||
        __builtin_add_overflow(products_, product, &products_)) {
      fits_ = false;
    }
    weights_ += wide(weight_.kind, weight[i]);
  }
}

void WeightedTotals::AddReals(const std::byte* values, const std::byte* weights, size_t n) {
  double value_room[kBlock];
  double weight_room[kBlock];
  double products[kBlock];
  const double* value = Reals(value_, values, n, value_room);
  if (weight_.kind == TypeKind::kInt64) {
    internal::WeightSum weight;
    const internal::Extent extent = internal::MultiplyAndSum(
        value, reinterpret_cast<const int64_t*>(weights), n, products, &weight);
    if ((weight.reach >> kMantissaBits) == 0) {  // each is a float64, and their sum did not wrap
      real_products_.Add(std::span(products, n), extent);
      real_weights_.AddWhole(weight.sum, 1);
      return;
    }
  }
  const double* weight = Reals(weight_, weights, n, weight_room);
  const internal::Extent extent = internal::Multiply(value, weight, n, products);
  real_products_.Add(std::span(products, n), extent);
  real_weights_.Add(std::span(weight, n));
}

void WeightedTotals::Add(const std::byte* values, const std::byte* weights, size_t n) {
  const bool real = is_float();
  count_ += static_cast<int64_t>(n);
  for (size_t at = 0; at < n; at += kBlock) {
    const size_t block = std::min(n - at, kBlock);
    const std::byte* value = values + at * column::WidthOf(value_.kind);
    const std::byte* weight = weights + at * column::WidthOf(weight_.kind);
    if (real) {
      AddReals(value, weight, block);
    } else {
      AddIntegers(value, weight, block);
    }
  }
}

void WeightedTotals::Add(const WeightedTotals& other) {
  count_ += other.count_;
  fits_ = fits_ && other.fits_ && !__builtin_add_overflow(products_, other.products_, &products_);
  weights_ += other.weights_;
  real_products_.Add(other.real_products_);
  real_weights_.Add(other.real_weights_);
}

void WeightedTotals::Add(const PackedWeighted& packed) {
  if (packed.count == 0) return;
  count_ += static_cast<int64_t>(packed.count);
  if (is_float()) {
    packed.products.AddTo(&real_products_);
    packed.weights.AddTo(&real_weights_);
    return;
  }
  fits_ = fits_ && !__builtin_add_overflow(products_, packed.products.integer(), &products_);
  weights_ += packed.weights.integer();
}

PackedWeighted WeightedTotals::Pack() const {
  PackedWeighted out;
  out.count = static_cast<uint32_t>(count_);
  if (!is_float()) {
    out.exact = fits_;
    out.products = PackedSum(products_);
    out.weights = PackedSum(weights_);
    return out;
  }
  const std::optional<PackedSum> products = PackedSum::Of(real_products_);
  const std::optional<PackedSum> weights = PackedSum::Of(real_weights_);
  out.exact = products.has_value() && weights.has_value();
  out.products = products.value_or(PackedSum());
  out.weights = weights.value_or(PackedSum());
  return out;
}

}  // namespace proxist::exec
