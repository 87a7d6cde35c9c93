// Sums are differences of prefix sums where these are exact. Else kernels slide: integers add and
// subtract in 128 bits, floats in a PairSum while it is exact, else in an ExactSum.
#include "proxist/exec/aggregate.h"

#include <cmath>
#include <deque>
#include <limits>

#include "proxist/base/check.h"
#include "proxist/exec/exact_sum.h"
#include "proxist/exec/internal/average.h"
#include "proxist/exec/internal/numbers.h"
#include "proxist/exec/internal/slice_sums.h"
#include "proxist/exec/internal/slide.h"
#include "proxist/exec/internal/visit.h"
#include "proxist/exec/pair_sum.h"

namespace proxist::exec {
namespace {

using column::Type;
using column::TypeKind;
using internal::Numbers;
using internal::Slide;

Column Outputs(Type type, size_t n) {
  Column out(type);
  out.Extend(n);
  return out;
}

Column PickValue(const Slices& slices, const Column& values, bool first) {
  std::vector<int64_t> rows(slices.size(), -1);
  for (size_t k = 0; k < slices.size(); ++k) {
    const uint32_t n = slices.end[k] - slices.begin[k];
    for (uint32_t i = 0; i < n; ++i) {
      const uint32_t row = slices.order[first ? slices.begin[k] + i : slices.end[k] - 1 - i];
      if (!values.IsValid(row)) continue;
      rows[k] = row;
      break;
    }
  }
  Column out(values.type());
  out.AppendGather(values, rows.data(), rows.size());
  return out;
}

/// Takes the bases' extremes into an output of extremes.
void AddExtremes(std::span<const Base> bases, bool greatest, Column* out) {
  if (bases.empty()) return;
  internal::VisitFixed(out->type().kind, [&]<typename T>(T /*tag*/) {
    T* values = out->data<T>();
    for (size_t k = 0; k < bases.size(); ++k) {
      const ColumnTotals* total = bases[k].column;
      if (total == nullptr || total->count() == 0) continue;
      T value;
      bool better = !out->IsValid(k);
      if constexpr (std::is_floating_point_v<T>) {
        value = static_cast<T>(greatest ? total->GreatestReal() : total->LeastReal());
        better = better || std::isnan(values[k]) ||
                 (greatest ? internal::BelowReal(values[k], value)
                           : internal::BelowReal(value, values[k]));
      } else {
        value = static_cast<T>(greatest ? total->GreatestInteger() : total->LeastInteger());
        better = better || (greatest ? value > values[k] : value < values[k]);
      }
      if (!better) continue;
      values[k] = value;
      out->SetValid(k);
    }
  });
}

/// Extremes through a queue of candidates: its front is the extreme, each next
/// one the extreme of the rows after the one before.
Column Extreme(const Slices& slices, const Column& values, bool greatest,
               std::span<const Base> bases) {
  const Numbers numbers(values);
  const auto better = [&](uint32_t a, uint32_t b) {
    if (greatest) std::swap(a, b);
    return numbers.is_float() ? internal::BelowReal(numbers.Float(a), numbers.Float(b))
                              : numbers.Int(a) < numbers.Int(b);
  };
  std::deque<uint32_t> candidates;
  std::deque<uint32_t> nans;
  std::vector<int64_t> rows(slices.size(), -1);
  Slide(
      slices,
      [&](uint32_t row) {
        if (!values.IsValid(row)) return;
        if (numbers.is_float() && std::isnan(numbers.Float(row))) {
          nans.push_back(row);
          return;
        }
        while (!candidates.empty() && better(row, candidates.back())) candidates.pop_back();
        candidates.push_back(row);
      },
      [&](uint32_t row) {
        if (!candidates.empty() && candidates.front() == row) candidates.pop_front();
        if (!nans.empty() && nans.front() == row) nans.pop_front();
      },
      [&](size_t k) {
        if (!candidates.empty()) {
          rows[k] = candidates.front();
        } else if (!nans.empty()) {
          rows[k] = nans.front();
        }
      });
  Column out(values.type());
  out.AppendGather(values, rows.data(), rows.size());
  AddExtremes(bases, greatest, &out);
  return out;
}

Status DoesNotFit(std::string_view name, Type type) {
  return OutOfRange("{} does not fit {}", name, column::FormatType(type));
}

bool Fits(Int128 sum, Type type) {
  if (type.kind == TypeKind::kDecimal) {
    return sum > -column::kDecimalLimit && sum < column::kDecimalLimit;
  }
  return sum >= std::numeric_limits<int64_t>::min() && sum <= std::numeric_limits<int64_t>::max();
}

/// What sums keep while they slide; one of the two totals is used.
struct Total {
  Int128 integer = 0;
  ExactSum real;
  int64_t count = 0;
  void Change(const Numbers& numbers, uint32_t row, int sign) {
    if (!numbers.IsValid(row)) return;
    count += sign;
    if (!numbers.is_float()) {
      integer += sign * numbers.Int(row);
    } else if (sign > 0) {
      real.Add(numbers.Float(row));
    } else {
      real.Subtract(numbers.Float(row));
    }
  }
};

/// What slides, and with the slice's base: copied only where there is one.
class BasedTotal {
 public:
  explicit BasedTotal(std::span<const Base> bases) : bases_(bases) {}
  const Total& At(size_t k, const Total& sliding) {
    const ColumnTotals* base = bases_.empty() ? nullptr : bases_[k].column;
    if (base == nullptr) return sliding;
    sum_ = sliding;
    sum_.count += base->count();
    sum_.integer += base->integer();
    sum_.real.Add(base->real());
    return sum_;
  }

 private:
  std::span<const Base> bases_;
  Total sum_;
};

/// Calls done(k, values, sum) for each slice of a float column. False when the
/// sums may be rounded: everything is to be done again, more slowly.
template <typename Done>
bool SlidePairs(const Slices& slices, const Numbers& numbers, Done done) {
  PairSum sum;
  int64_t count = 0;
  Slide(
      slices,
      [&](uint32_t row) {
        if (!numbers.IsValid(row)) return;
        ++count;
        sum.Add(numbers.Float(row));
      },
      [&](uint32_t row) {
        if (!numbers.IsValid(row)) return;
        --count;
        sum.Subtract(numbers.Float(row));
      },
      [&](size_t k) { done(k, count, sum.Value()); });
  return sum.exact();
}

/// Sets `out` to average(values, sum) of each slice of a float column where it
/// can be done fast.
template <typename Average>
bool FillFromPairs(const Slices& slices, const Numbers& numbers, Average average, Column* out) {
  Column fast = Outputs(out->type(), slices.size());
  const bool exact = SlidePairs(slices, numbers, [&](size_t k, int64_t count, double sum) {
    if (count == 0) {
      fast.SetNull(k);
    } else {
      fast.data<double>()[k] = average(count, sum);
    }
  });
  if (exact) *out = std::move(fast);
  return exact;
}

}  // namespace

Type SumType(Type input) {
  if (input.kind == TypeKind::kDecimal) return input;
  return {column::IsFloat(input.kind) ? TypeKind::kFloat64 : TypeKind::kInt64, 0};
}

Column CountRows(const Slices& slices, std::span<const Base> bases) {
  Column out = Outputs({TypeKind::kInt64, 0}, slices.size());
  for (size_t k = 0; k < slices.size(); ++k) {
    out.data<int64_t>()[k] = int64_t{slices.end[k]} - int64_t{slices.begin[k]};
    if (!bases.empty()) out.data<int64_t>()[k] += bases[k].rows;
  }
  return out;
}

Column FirstValue(const Slices& slices, const Column& values) {
  return PickValue(slices, values, true);
}
Column LastValue(const Slices& slices, const Column& values) {
  return PickValue(slices, values, false);
}
Column MinValue(const Slices& slices, const Column& values, std::span<const Base> bases) {
  return Extreme(slices, values, false, bases);
}
Column MaxValue(const Slices& slices, const Column& values, std::span<const Base> bases) {
  return Extreme(slices, values, true, bases);
}

StatusOr<Column> Sum(const Slices& slices, const Column& values, std::string_view name,
                     std::span<const Base> bases) {
  const internal::NumberColumn column(values);
  const Numbers& numbers = column.numbers;
  const Type type = SumType(values.type());
  Column out = Outputs(type, slices.size());
  if (bases.empty() && internal::SumSlices(slices, column, &out)) return out;
  if (numbers.is_float() && bases.empty() &&
      FillFromPairs(
          slices, numbers, [](int64_t, double sum) { return sum; }, &out)) {
    return out;
  }
  Total total;
  BasedTotal based(bases);
  bool fits = true;
  Slide(
      slices, [&](uint32_t row) { total.Change(numbers, row, 1); },
      [&](uint32_t row) { total.Change(numbers, row, -1); },
      [&](size_t k) {
        const Total& sum = based.At(k, total);
        if (sum.count == 0) {
          out.SetNull(k);
        } else if (numbers.is_float()) {
          out.data<double>()[k] = sum.real.Value();
        } else {
          fits = fits && Fits(sum.integer, type);
          out.data<int64_t>()[k] = static_cast<int64_t>(sum.integer);
        }
      });
  if (!fits) return DoesNotFit(name, type);
  return out;
}

StatusOr<Column> Mean(const Slices& slices, const Column& values, std::string_view /*name*/,
                      std::span<const Base> bases) {
  const internal::NumberColumn column(values);
  const Numbers& numbers = column.numbers;
  Column out = Outputs({TypeKind::kFloat64, 0}, slices.size());
  if (bases.empty() && internal::MeanSlices(slices, column, &out)) return out;
  const auto average = [](int64_t count, double sum) { return sum / static_cast<double>(count); };
  if (numbers.is_float() && bases.empty() && FillFromPairs(slices, numbers, average, &out)) {
    return out;
  }
  Total total;
  BasedTotal based(bases);
  Slide(
      slices, [&](uint32_t row) { total.Change(numbers, row, 1); },
      [&](uint32_t row) { total.Change(numbers, row, -1); },
      [&](size_t k) {
        const Total& sum = based.At(k, total);
        if (sum.count == 0) {
          out.SetNull(k);
        } else if (numbers.is_float()) {
          out.data<double>()[k] = sum.real.Value() / static_cast<double>(sum.count);
        } else {
          out.data<double>()[k] = internal::Quotient(sum.integer, sum.count, numbers.scale());
        }
      });
  return out;
}

namespace {

StatusOr<Column> IntegerVwap(const Slices& slices, const Numbers& price, const Numbers& size,
                             std::string_view name, std::span<const Base> bases) {
  Column out = Outputs({TypeKind::kFloat64, 0}, slices.size());
  Int128 products = 0;
  Int128 sizes = 0;
  bool fits = true;
  const auto change = [&](uint32_t row, bool add) {
    if (!price.IsValid(row) || !size.IsValid(row)) return;
    Int128 product = 0;
    fits = fits && !__builtin_mul_overflow(price.Int(row), size.Int(row), &product);
    fits = fits && !(add ? __builtin_add_overflow(products, product, &products)
                         : __builtin_sub_overflow(products, product, &products));
    sizes += add ? size.Int(row) : -size.Int(row);
  };
  Slide(
      slices, [&](uint32_t row) { change(row, true); }, [&](uint32_t row) { change(row, false); },
      [&](size_t k) {
        Int128 product_sum = products;
        Int128 size_sum = sizes;
        if (const WeightedTotals* base = bases.empty() ? nullptr : bases[k].weighted) {
          fits = fits && base->fits();
          fits = fits && !__builtin_add_overflow(products, base->products(), &product_sum);
          size_sum += base->weights();
        }
        if (size_sum == 0) {
          out.SetNull(k);
        } else {
          out.data<double>()[k] = internal::Quotient(product_sum, size_sum, price.scale());
        }
      });
  if (!fits) return OutOfRange("{}: the sum of price times size does not fit 128 bits", name);
  return out;
}

}  // namespace

namespace {

/// Price times size and size of each row that has both.
struct Weighted {
  Weighted(const Numbers& price, const Numbers& size, size_t rows)
      : products(rows), weights(rows), valid(rows) {
    for (size_t row = 0; row < rows; ++row) {
      valid[row] = static_cast<uint8_t>(price.IsValid(row) && size.IsValid(row));
      if (valid[row] == 0) continue;
      weights[row] = size.Real(row);
      products[row] = price.Real(row) * weights[row];
    }
  }
  std::vector<double> products;
  std::vector<double> weights;
  std::vector<uint8_t> valid;
};

/// What slides over Weighted; `Total` is PairSum or ExactSum.
template <typename Total>
struct WeightedSum {
  explicit WeightedSum(const Weighted& of) : rows(of) {}
  void Add(uint32_t row) {
    if (rows.valid[row] == 0) return;
    ++count;
    products.Add(rows.products[row]);
    weights.Add(rows.weights[row]);
  }
  void Subtract(uint32_t row) {
    if (rows.valid[row] == 0) return;
    --count;
    products.Subtract(rows.products[row]);
    weights.Subtract(rows.weights[row]);
  }
  const Weighted& rows;
  Total products;
  Total weights;
  int64_t count = 0;
};

void SetQuotient(int64_t count, double products, double weights, size_t k, Column* out) {
  if (count == 0 || weights == 0) {
    out->SetNull(k);
  } else {
    out->data<double>()[k] = products / weights;
  }
}

}  // namespace

StatusOr<Column> Vwap(const Slices& slices, const Column& price_column, const Column& size_column,
                      std::string_view name, std::span<const Base> bases) {
  const internal::NumberColumn prices(price_column);
  const internal::NumberColumn sizes(size_column);
  const Numbers& price = prices.numbers;
  const Numbers& size = sizes.numbers;
  if (bases.empty()) {
    Column fast = Outputs({TypeKind::kFloat64, 0}, slices.size());
    if (internal::VwapSlices(slices, prices, sizes, &fast)) return fast;
  }
  if (!price.is_float() && !size.is_float()) return IntegerVwap(slices, price, size, name, bases);
  const Weighted rows(price, size, price_column.rows());
  Column out = Outputs({TypeKind::kFloat64, 0}, slices.size());
  if (bases.empty()) {
    WeightedSum<PairSum> sum(rows);
    Slide(
        slices, [&](uint32_t row) { sum.Add(row); }, [&](uint32_t row) { sum.Subtract(row); },
        [&](size_t k) {
          SetQuotient(sum.count, sum.products.Value(), sum.weights.Value(), k, &out);
        });
    if (sum.products.exact() && sum.weights.exact()) return out;
    out = Outputs({TypeKind::kFloat64, 0}, slices.size());
  }
  WeightedSum<ExactSum> sum(rows);
  Slide(
      slices, [&](uint32_t row) { sum.Add(row); }, [&](uint32_t row) { sum.Subtract(row); },
      [&](size_t k) {
        const WeightedTotals* base = bases.empty() ? nullptr : bases[k].weighted;
        if (base == nullptr) {
          SetQuotient(sum.count, sum.products.Value(), sum.weights.Value(), k, &out);
          return;
        }
        if (sum.count == 0) {
          SetQuotient(base->count(), base->real_products().Value(), base->real_weights().Value(), k,
                      &out);
          return;
        }
        ExactSum products = sum.products;
        ExactSum weights = sum.weights;
        products.Add(base->real_products());
        weights.Add(base->real_weights());
        SetQuotient(sum.count + base->count(), products.Value(), weights.Value(), k, &out);
      });
  return out;
}

Column Ema(const Slices& slices, const Column& values, std::span<const uint32_t> group,
           size_t first_row, double alpha) {
  return internal::MovingAverage(
      slices, values, group, first_row,
      [alpha](double average, double value, uint32_t /*row*/, uint32_t /*before*/) {
        return alpha * value + (1 - alpha) * average;
      });
}

}  // namespace proxist::exec
