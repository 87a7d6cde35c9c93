// Spread from exact sums, quantiles from a tree of counts over ranks, means over time.
#include "proxist/exec/statistics.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <numeric>
#include <string_view>
#include <unordered_map>

#include "proxist/exec/exact_sum.h"
#include "proxist/exec/internal/average.h"
#include "proxist/exec/internal/numbers.h"
#include "proxist/exec/internal/slide.h"

namespace proxist::exec {
namespace {

using column::Type;
using column::TypeKind;
using internal::Numbers;
using internal::Slide;

__extension__ using Quad = __float128;

Column Outputs(TypeKind kind, size_t n) {
  Column out(Type{kind, 0});
  out.Extend(n);
  return out;
}

/// A sum of squares of 65-bit integers in 192 bits.
class SquareSum {
 public:
  void Change(Int128 value, int sign) {
    const auto magnitude = static_cast<Uint128>(value < 0 ? -value : value);
    const Uint128 square = magnitude * magnitude;
    if (sign > 0) {
      low_ += square;
      high_ += static_cast<int64_t>(low_ < square);
    } else {
      high_ -= static_cast<int64_t>(low_ < square);
      low_ -= square;
    }
  }
  [[nodiscard]] Quad Value() const {
    constexpr double kTwoTo64 = 18446744073709551616.0;
    return static_cast<Quad>(high_) * kTwoTo64 * kTwoTo64 + static_cast<Quad>(low_);
  }

 private:
  Uint128 low_ = 0;
  int64_t high_ = 0;
};

/// The sum to more digits than a double has.
Quad Precise(const ExactSum& sum) {
  const double first = sum.Value();
  if (!std::isfinite(first)) return first;
  ExactSum rest = sum;
  rest.Subtract(first);
  return static_cast<Quad>(first) + rest.Value();
}

/// What a slice's values and their squares come to.
class Moments {
 public:
  explicit Moments(const Numbers& numbers)
      : numbers_(numbers), unit_(internal::PowerOfTen(numbers.scale())) {}
  void Change(uint32_t row, int sign) {
    if (!numbers_.IsValid(row)) return;
    count_ += sign;
    if (!numbers_.is_float()) {
      integer_ += sign * numbers_.Int(row);
      squares_.Change(numbers_.Int(row), sign);
      return;
    }
    const double value = numbers_.Float(row);
    const double square = value * value;
    Change(value, sign, &real_);
    Change(square, sign, &real_squares_);
    // What rounding took away; nothing when the square overflows or is NaN.
    if (std::isfinite(square)) Change(std::fma(value, value, -square), sign, &real_squares_);
  }
  [[nodiscard]] int64_t count() const { return count_; }
  [[nodiscard]] double Variance(bool sample) const {
    const Quad sum = numbers_.is_float() ? Precise(real_) : static_cast<Quad>(integer_);
    const Quad squares = numbers_.is_float() ? Precise(real_squares_) : squares_.Value();
    const auto n = static_cast<Quad>(count_);
    const Quad spread = (squares - sum * sum / n) / (sample ? n - 1 : n) / (unit_ * unit_);
    // Below 0 only by rounding; NaN stays.
    return spread < 0 ? 0.0 : static_cast<double>(spread);
  }

 private:
  static void Change(double value, int sign, ExactSum* sum) {
    if (sign > 0) {
      sum->Add(value);
    } else {
      sum->Subtract(value);
    }
  }

  const Numbers& numbers_;
  const Quad unit_;
  int64_t count_ = 0;
  Int128 integer_ = 0;
  SquareSum squares_;
  ExactSum real_;
  ExactSum real_squares_;
};

/// How many of the ranks 0..n-1 are in, and which is the k-th of them: a Fenwick tree.
class RankCounts {
 public:
  explicit RankCounts(size_t n) : counts_(n + 1), top_(std::bit_floor(std::max<size_t>(n, 1))) {}
  void Change(size_t rank, int32_t delta) {
    for (size_t at = rank + 1; at < counts_.size(); at += at & (~at + 1)) counts_[at] += delta;
  }
  /// The k-th (from 0) of the ranks that are in; there are more than k.
  [[nodiscard]] size_t Find(int64_t k) const {
    size_t at = 0;
    for (size_t step = top_; step > 0; step /= 2) {
      if (at + step >= counts_.size() || counts_[at + step] > k) continue;
      at += step;
      k -= counts_[at];
    }
    return at;
  }

 private:
  std::vector<int32_t> counts_;
  size_t top_;
};

/// Ids of equal values, dense.
class DistinctIds {
 public:
  uint32_t Of(const Column& values, uint32_t row) {
    if (values.type().kind == TypeKind::kString) {
      return Id(&texts_, values.data<std::string_view>()[row]);
    }
    return Id(&bits_, Bits(values, row));
  }

 private:
  template <typename Key>
  static uint32_t Id(std::unordered_map<Key, uint32_t>* ids, Key key) {
    return ids->try_emplace(key, static_cast<uint32_t>(ids->size())).first->second;
  }
  static uint64_t Bits(const Column& values, uint32_t row) {
    if (values.type().kind == TypeKind::kSymbol) return values.data<uint32_t>()[row];
    return internal::VisitFixed(values.type().kind, [&]<typename T>(T /*tag*/) {
      const T value = values.data<T>()[row];
      if constexpr (std::is_floating_point_v<T>) {
        if (std::isnan(value)) return UINT64_MAX;
        return std::bit_cast<uint64_t>(static_cast<double>(value) + 0.0);  // -0 becomes 0
      } else {
        return static_cast<uint64_t>(value);
      }
    });
  }
  std::unordered_map<uint64_t, uint32_t> bits_;
  std::unordered_map<std::string_view, uint32_t> texts_;
};

double Between(double low, double high, double share) {
  return share == 0 || low == high ? low : low + (high - low) * share;
}

/// The sum of values times how long they held, and the rows that are in.
class HeldValues {
 public:
  HeldValues(std::span<const int64_t> ts, const Numbers& numbers) : ts_(ts), numbers_(numbers) {}
  void Enter(uint32_t row) {
    if (!numbers_.IsValid(row)) return;
    if (head_ < rows_.size()) sum_.Add(Held(rows_.back(), ts_[row]));
    rows_.push_back(row);
  }
  void Leave(uint32_t row) {
    if (head_ == rows_.size() || rows_[head_] != row) return;
    ++head_;
    if (head_ < rows_.size()) sum_.Subtract(Held(row, ts_[rows_[head_]]));
  }
  [[nodiscard]] bool empty() const { return head_ == rows_.size(); }
  [[nodiscard]] double Mean(int64_t end) const {
    const uint32_t last = rows_.back();
    const double time = Span(ts_[rows_[head_]], end);
    if (time <= 0) return numbers_.Real(last);
    ExactSum sum = sum_;
    sum.Add(Held(last, end));
    return sum.Value() / time;
  }

 private:
  static double Span(int64_t from, int64_t to) {
    return static_cast<double>(static_cast<Int128>(to) - from);
  }
  [[nodiscard]] double Held(uint32_t row, int64_t until) const {
    const double time = Span(ts_[row], until);
    return time <= 0 ? 0 : numbers_.Real(row) * time;
  }

  std::span<const int64_t> ts_;
  const Numbers& numbers_;
  std::vector<uint32_t> rows_;  // with a value; those before head_ have left
  size_t head_ = 0;
  ExactSum sum_;
};

}  // namespace

Column CountValues(const Slices& slices, const Column& values) {
  Column out = Outputs(TypeKind::kInt64, slices.size());
  int64_t count = 0;
  Slide(
      slices, [&](uint32_t row) { count += values.IsValid(row) ? 1 : 0; },
      [&](uint32_t row) { count -= values.IsValid(row) ? 1 : 0; },
      [&](size_t k) { out.data<int64_t>()[k] = count; });
  return out;
}

Column CountDistinct(const Slices& slices, const Column& values) {
  Column out = Outputs(TypeKind::kInt64, slices.size());
  DistinctIds ids;
  std::vector<uint32_t> id_of(values.rows());
  std::vector<uint32_t> count(values.rows());
  for (const uint32_t row : slices.order) {
    if (values.IsValid(row)) id_of[row] = ids.Of(values, row);
  }
  int64_t distinct = 0;
  Slide(
      slices,
      [&](uint32_t row) {
        if (values.IsValid(row) && count[id_of[row]]++ == 0) ++distinct;
      },
      [&](uint32_t row) {
        if (values.IsValid(row) && --count[id_of[row]] == 0) --distinct;
      },
      [&](size_t k) { out.data<int64_t>()[k] = distinct; });
  return out;
}

Column SpreadOf(const Slices& slices, const Column& values, Spread spread, bool sample) {
  const Numbers numbers(values);
  Column out = Outputs(TypeKind::kFloat64, slices.size());
  Moments moments(numbers);
  Slide(
      slices, [&](uint32_t row) { moments.Change(row, 1); },
      [&](uint32_t row) { moments.Change(row, -1); },
      [&](size_t k) {
        if (moments.count() < (sample ? 2 : 1)) {
          out.SetNull(k);
          return;
        }
        const double variance = moments.Variance(sample);
        out.data<double>()[k] = spread == Spread::kVariance ? variance : std::sqrt(variance);
      });
  return out;
}

Column Quantile(const Slices& slices, const Column& values, double p) {
  const Numbers numbers(values);
  Column out = Outputs(TypeKind::kFloat64, slices.size());
  std::vector<uint32_t> sorted;  // rows with a value that is a number, by value
  for (const uint32_t row : slices.order) {
    if (values.IsValid(row) && !std::isnan(numbers.Real(row))) sorted.push_back(row);
  }
  std::sort(sorted.begin(), sorted.end(), [&](uint32_t a, uint32_t b) {
    return internal::BelowReal(numbers.Real(a), numbers.Real(b));
  });
  constexpr uint32_t kNoRank = UINT32_MAX;
  std::vector<uint32_t> rank(values.rows(), kNoRank);
  for (uint32_t i = 0; i < sorted.size(); ++i) rank[sorted[i]] = i;
  RankCounts counts(sorted.size());
  int64_t in = 0;
  int64_t nans = 0;
  const auto change = [&](uint32_t row, int32_t delta) {
    if (!values.IsValid(row)) return;
    if (rank[row] == kNoRank) {
      nans += delta;
      return;
    }
    counts.Change(rank[row], delta);
    in += delta;
  };
  Slide(
      slices, [&](uint32_t row) { change(row, 1); }, [&](uint32_t row) { change(row, -1); },
      [&](size_t k) {
        if (in == 0) {
          if (nans == 0) out.SetNull(k);
          out.data<double>()[k] = std::nan("");
          return;
        }
        const double at = static_cast<double>(in - 1) * p;
        const auto low = std::min(static_cast<int64_t>(at), in - 1);
        const auto high = std::min(low + 1, in - 1);
        out.data<double>()[k] =
            Between(numbers.Real(sorted[counts.Find(low)]), numbers.Real(sorted[counts.Find(high)]),
                    at - static_cast<double>(low));
      });
  return out;
}

Column TimeWeightedMean(const Slices& slices, std::span<const int64_t> ts, const Column& values,
                        std::span<const int64_t> ends) {
  const Numbers numbers(values);
  Column out = Outputs(TypeKind::kFloat64, slices.size());
  HeldValues held(ts, numbers);
  Slide(
      slices, [&](uint32_t row) { held.Enter(row); }, [&](uint32_t row) { held.Leave(row); },
      [&](size_t k) {
        if (held.empty()) {
          out.SetNull(k);
        } else {
          out.data<double>()[k] = held.Mean(ends[k]);
        }
      });
  return out;
}

Column TimeEma(const Slices& slices, std::span<const int64_t> ts, const Column& values,
               std::span<const uint32_t> group, size_t first_row, Duration half_life) {
  return internal::MovingAverage(
      slices, values, group, first_row,
      [&](double average, double value, uint32_t row, uint32_t before) {
        const double passed = static_cast<double>(static_cast<Int128>(ts[row]) - ts[before]);
        const double weight = std::exp2(-passed / static_cast<double>(half_life.ns()));
        return weight * average + (1 - weight) * value;
      });
}

}  // namespace proxist::exec
