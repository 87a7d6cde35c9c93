// Kernels against loops that look at every row of every slice.
#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <optional>
#include <random>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "proxist/exec/aggregate.h"
#include "proxist/exec/asof.h"
#include "proxist/exec/exact_sum.h"
#include "proxist/exec/group.h"
#include "proxist/exec/pair_sum.h"
#include "proxist/exec/slices.h"
#include "proxist/exec/totals.h"
#include "tests/unit/exec/each_target.h"

namespace proxist::exec {
namespace {

using column::Type;
using column::TypeKind;
using ::testing::ElementsAre;

constexpr Type kInt{TypeKind::kInt64, 0};
constexpr Type kFloat{TypeKind::kFloat64, 0};

/// Exact sum by keeping partial sums that do not overlap (Shewchuk), rounded once.
double SlowSum(const std::vector<double>& values) {
  std::vector<double> partials;
  for (double x : values) {
    size_t kept = 0;
    for (double y : partials) {
      if (std::abs(x) < std::abs(y)) std::swap(x, y);
      const double high = x + y;
      const double low = y - (high - x);
      if (low != 0) partials[kept++] = low;
      x = high;
    }
    partials.resize(kept);
    partials.push_back(x);
  }
  if (partials.empty()) return 0;
  size_t n = partials.size();
  double high = partials[--n];
  double low = 0;
  while (n > 0) {
    const double x = high;
    const double y = partials[--n];
    high = x + y;
    low = y - (high - x);
    if (low != 0) break;
  }
  if (n > 0 && ((low < 0 && partials[n - 1] < 0) || (low > 0 && partials[n - 1] > 0))) {
    const double y = low * 2;
    const double x = high + y;
    if (y == x - high) high = x;
  }
  return high + 0.0;
}

TEST(ExactSumTest, RoundsOnceAndForgetsOrder) {
  std::mt19937_64 random(1);
  for (int round = 0; round < 2000; ++round) {
    std::vector<double> values(random() % 20);
    for (double& v : values) {
      v = std::ldexp(static_cast<double>(static_cast<int64_t>(random())),
                     static_cast<int>(random() % 120) - 60);
    }
    ExactSum sum;
    std::vector<double> gone(random() % 5);
    for (double& v : gone) v = std::ldexp(static_cast<double>(random()), 200);
    for (const double v : gone) sum.Add(v);
    for (const double v : values) sum.Add(v);
    for (const double v : gone) sum.Subtract(v);
    EXPECT_EQ(std::bit_cast<uint64_t>(sum.Value()), std::bit_cast<uint64_t>(SlowSum(values)));
  }
}

TEST(ExactSumTest, SplitsAndAddsWithoutLoss) {
  std::mt19937_64 random(8);
  for (int round = 0; round < 300; ++round) {
    std::vector<double> values;
    ExactSum one;
    ExactSum other;
    for (int i = 0; i < 60; ++i) {
      values.push_back(std::ldexp(static_cast<double>(static_cast<int64_t>(random()) >> 11),
                                  static_cast<int>(random() % 50)));
      (i % 3 == 0 ? one : other).Add(values.back());
    }
    std::array<double, 3> terms;
    ASSERT_TRUE(other.Split(&terms));
    ExactSum again;
    for (const double term : terms) again.Add(term);
    one.Add(again);
    EXPECT_EQ(one.Value(), SlowSum(values));
  }
}

TEST(ExactSumTest, AddsManyAsOneByOne) {
  std::mt19937_64 random(9);
  for (int round = 0; round < 400; ++round) {
    // Spreads on both sides of what fits 128 bits, exponents at both ends, zeros and NaN.
    const int spread = 1 + static_cast<int>(random() % 90);
    const int shift = round % 3 == 0 ? -1074 : (round % 3 == 1 ? 900 : -30);
    std::vector<double> values;
    for (size_t n = random() % 1200; n > 0; --n) {
      const double mantissa = static_cast<double>(static_cast<int64_t>(random()) >> 10);
      values.push_back(random() % 9 == 0
                           ? (random() % 2 == 0 ? 0.0 : -0.0)
                           : std::ldexp(mantissa, shift + static_cast<int>(random() % spread)));
    }
    if (round % 50 == 49) values.push_back(std::nan(""));
    ExactSum one_by_one;
    ExactSum together;
    for (const double value : values) one_by_one.Add(value);
    together.Add(values);
    const double want = one_by_one.Value();
    const double got = together.Value();
    EXPECT_TRUE(std::isnan(want) ? std::isnan(got)
                                 : std::bit_cast<uint64_t>(want) == std::bit_cast<uint64_t>(got));
    ExactSum none = together;
    for (const double value : values) none.Subtract(value);
    if (!std::isnan(want)) {
      EXPECT_EQ(none.Value(), 0);
    }
  }
}

TEST(ExactSumTest, WhatThreeDoublesDoNotHoldIsNotSplit) {
  std::array<double, 3> terms;
  ExactSum sum;
  for (const double value : {1e300, 1.0, 1e-100, 1e-300}) sum.Add(value);
  EXPECT_FALSE(sum.Split(&terms));
  ExactSum beyond;  // finite values whose sum is not
  beyond.Add(1.7e308);
  beyond.Add(1.7e308);
  EXPECT_FALSE(beyond.Split(&terms));
  ExactSum infinite;
  infinite.Add(-std::numeric_limits<double>::infinity());
  infinite.Add(4);
  ASSERT_TRUE(infinite.Split(&terms));
  EXPECT_EQ(terms[0], -std::numeric_limits<double>::infinity());
}

TEST(ExactSumTest, KeepsExtremes) {
  constexpr double kMax = std::numeric_limits<double>::max();
  constexpr double kTiny = std::numeric_limits<double>::denorm_min();
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  ExactSum sum;
  EXPECT_EQ(sum.Value(), 0.0);
  sum.Add(kMax);
  sum.Add(kMax);
  EXPECT_EQ(sum.Value(), kInfinity);
  sum.Subtract(kMax);
  EXPECT_EQ(sum.Value(), kMax);
  sum.Add(-kMax);
  sum.Add(kTiny);
  EXPECT_EQ(sum.Value(), kTiny);
  sum.Add(-2 * kTiny);
  EXPECT_EQ(sum.Value(), -kTiny);
  sum.Add(kInfinity);
  EXPECT_EQ(sum.Value(), kInfinity);
  sum.Add(-kInfinity);
  EXPECT_TRUE(std::isnan(sum.Value()));
  sum.Subtract(kInfinity);
  EXPECT_EQ(sum.Value(), -kInfinity);
  sum.Subtract(-kInfinity);
  EXPECT_EQ(sum.Value(), -kTiny);
  sum.Add(std::nan(""));
  EXPECT_TRUE(std::isnan(sum.Value()));
}

TEST(WeightedTotalsTest, TakesWholeWeightsAsOneByOne) {
  std::mt19937_64 random(12);
  const std::vector<int64_t> edges = {0,
                                      -1,
                                      (int64_t{1} << 53) - 1,
                                      int64_t{1} << 53,
                                      (int64_t{1} << 53) + 1,
                                      -(int64_t{1} << 53) - 1,
                                      std::numeric_limits<int64_t>::max(),
                                      std::numeric_limits<int64_t>::min()};
  for (int round = 0; round < 300; ++round) {
    std::vector<double> values;
    std::vector<int64_t> weights;
    ExactSum products;
    ExactSum sum;
    for (size_t n = random() % 1200; n > 0; --n) {
      values.push_back(std::ldexp(static_cast<double>(static_cast<int64_t>(random())), -40));
      const bool edge = round % 3 == 0 && random() % 50 == 0;
      weights.push_back(edge ? edges[random() % edges.size()]
                             : static_cast<int64_t>(random()) >> (11 + random() % 50));
      const auto weight = static_cast<double>(weights.back());
      products.Add(values.back() * weight);
      sum.Add(weight);
    }
    OnEachTarget([&] {
      WeightedTotals totals({column::TypeKind::kFloat64, 0}, {column::TypeKind::kInt64, 0});
      totals.Add(reinterpret_cast<const std::byte*>(values.data()),
                 reinterpret_cast<const std::byte*>(weights.data()), values.size());
      EXPECT_EQ(totals.count(), static_cast<int64_t>(values.size()));
      EXPECT_EQ(totals.real_products().Value(), products.Value());
      EXPECT_EQ(totals.real_weights().Value(), sum.Value());
    });
  }
}

TEST(AsofTest, AgreesWithEveryPair) {
  std::mt19937_64 random(2);
  for (int round = 0; round < 3000; ++round) {
    const auto side = [&](std::vector<int64_t>* ts, std::vector<uint32_t>* group) {
      ts->resize(random() % 12);
      for (int64_t& t : *ts) t = static_cast<int64_t>(random() % 10);
      std::sort(ts->begin(), ts->end());
      for (size_t i = 0; i < ts->size(); ++i) group->push_back(random() % 3);
    };
    std::vector<int64_t> lts, rts;
    std::vector<uint32_t> lg, rg;
    side(&lts, &lg);
    side(&rts, &rg);
    AsofRule rule;
    rule.forward = random() % 2 == 0;
    rule.strict = random() % 2 == 0;
    if (random() % 2 == 0) rule.tolerance = Duration(static_cast<int64_t>(random() % 5));
    std::vector<int64_t> expected;
    for (size_t i = 0; i < lts.size(); ++i) {
      int64_t best = -1;
      for (size_t j = 0; j < rts.size(); ++j) {
        if (rg[j] != lg[i]) continue;
        const int64_t distance = rule.forward ? rts[j] - lts[i] : lts[i] - rts[j];
        if (distance < 0 || (rule.strict && distance == 0)) continue;
        if (rule.tolerance.has_value() && distance > rule.tolerance->ns()) continue;
        if (!rule.forward || best < 0) best = static_cast<int64_t>(j);
      }
      expected.push_back(best);
    }
    EXPECT_EQ(AsofMatch(lts, lg, rts, rg, 3, rule), expected);
  }
}

TEST(SlicesTest, WindowsHoldBothEnds) {
  const std::vector<int64_t> ts = {0, 5, 5, 10, 11};
  const std::vector<uint32_t> group(5, 0);
  const Slices slices = RollingSlices(ts, group, 1, {.span = Duration(5)});
  EXPECT_THAT(slices.begin, ElementsAre(0, 0, 0, 1, 3));
  EXPECT_THAT(slices.end, ElementsAre(1, 2, 3, 4, 5));
  const Slices rows = RollingSlices(ts, group, 1, {.rows = 2});
  EXPECT_THAT(rows.begin, ElementsAre(0, 0, 1, 2, 3));
}

TEST(SlicesTest, BarsStartAtMultiplesOfTheInterval) {
  const std::vector<int64_t> ts = {0, 59, 60, 200};
  const std::vector<uint32_t> group = {0, 1, 0, 0};
  const BarSlices bars = MakeBarSlices(ts, group, 2, BarGrid(Duration(60)));
  EXPECT_THAT(bars.start, ElementsAre(0, 60, 180, 0));
  EXPECT_THAT(bars.group, ElementsAre(0, 0, 0, 1));
  EXPECT_THAT(bars.slices.order, ElementsAre(0, 2, 3, 1));
}

/// Random slices over random values of one type, with nulls and NaN, checked value by value.
class AggregateTest : public ::testing::TestWithParam<Type> {};

bool SameCell(const Column& a, size_t i, const std::optional<double>& b) {
  if (a.IsValid(i) != b.has_value()) return false;
  if (!b.has_value()) return true;
  const double x = a.type().kind == TypeKind::kFloat64 ? a.data<double>()[i]
                   : a.type().kind == TypeKind::kFloat32
                       ? double{a.data<float>()[i]}
                       : static_cast<double>(a.data<int64_t>()[i]);
  return std::isnan(x) ? std::isnan(*b) : std::bit_cast<uint64_t>(x) == std::bit_cast<uint64_t>(*b);
}

/// Random rows, as columns for the kernels and as plain values for the loops.
struct RandomRows {
  RandomRows(Type type, std::mt19937_64& random) : values(type) {
    const size_t n = random() % 30;
    for (size_t i = 0; i < n; ++i) {
      ts.push_back((ts.empty() ? 0 : ts.back()) + static_cast<int64_t>(random() % 3));
      group.push_back(random() % 2);
      AddValue(random);
      AddSize(random);
    }
  }

  void AddValue(std::mt19937_64& random) {
    const TypeKind kind = values.type().kind;
    std::optional<double>& v = plain_values.emplace_back();
    if (random() % 4 == 0) {
      values.AppendNull();
    } else if (kind == TypeKind::kFloat64) {
      v = random() % 8 == 0 ? std::nan("")
                            : static_cast<double>(static_cast<int64_t>(random())) / 1e15;
      values.Append(*v);
    } else if (kind == TypeKind::kFloat32) {
      v = static_cast<float>(static_cast<int32_t>(random())) / 3.0F;
      v = static_cast<float>(*v);
      values.Append(static_cast<float>(*v));
    } else {
      v = static_cast<double>(static_cast<int64_t>(random() % 2001) - 1000);
      values.Append(static_cast<int64_t>(*v));
    }
  }

  void AddSize(std::mt19937_64& random) {
    std::optional<int64_t>& s = plain_sizes.emplace_back();
    if (random() % 5 == 0) {
      sizes.AppendNull();
    } else {
      s = static_cast<int64_t>(random() % 5) - 1;
      sizes.Append(*s);
    }
  }

  std::vector<int64_t> ts;
  std::vector<uint32_t> group;
  Column values, sizes{kInt};
  std::vector<std::optional<double>> plain_values;
  std::vector<std::optional<int64_t>> plain_sizes;
};

/// Rolling by time, rolling by rows, and bars take turns.
Slices SlicesOfRound(int round, const RandomRows& rows) {
  if (round % 3 == 2) return MakeBarSlices(rows.ts, rows.group, 2, BarGrid(Duration(4))).slices;
  return RollingSlices(rows.ts, rows.group, 2,
                       round % 3 == 0 ? Window{.span = Duration(5)} : Window{.rows = 4});
}

/// One slice's aggregates, by looking at each of its rows.
struct NaiveSlice {
  NaiveSlice(const RandomRows& rows, const Slices& slices, size_t k) {
    for (uint32_t at = slices.begin[k]; at < slices.end[k]; ++at) {
      const uint32_t row = slices.order[at];
      if (rows.plain_values[row].has_value()) {
        Add(*rows.plain_values[row], rows.plain_sizes[row]);
      }
    }
  }

  void Add(double x, std::optional<int64_t> size) {
    values.push_back(x);
    if (!first.has_value()) first = x;
    last = x;
    if (std::isnan(x)) {
      nan = x;
    } else {
      if (!least.has_value() || x < *least) least = x;
      if (!most.has_value() || x > *most) most = x;
    }
    if (size.has_value()) {
      products.push_back(x * static_cast<double>(*size));
      weights.push_back(static_cast<double>(*size));
    }
  }

  std::optional<double> Low() const { return least.has_value() ? least : nan; }
  std::optional<double> High() const { return most.has_value() ? most : nan; }
  std::optional<double> Sum() const {
    return values.empty() ? std::nullopt : std::optional(SlowSum(values));
  }
  std::optional<double> Mean(Type type) const {
    if (values.empty()) return std::nullopt;
    return Quotient(SlowSum(values), static_cast<double>(values.size()), type);
  }
  std::optional<double> Vwap(Type type) const {
    const double weight = SlowSum(weights);
    if (weight == 0) return std::nullopt;
    return Quotient(SlowSum(products), weight, type);
  }

  static double Quotient(double a, double b, Type type) {
    if (column::IsFloat(type.kind)) return a / b;
    const double unit = type.kind == TypeKind::kDecimal ? std::pow(10.0, type.scale) : 1;
    return static_cast<double>(static_cast<long double>(a) /
                               (static_cast<long double>(b) * static_cast<long double>(unit)));
  }

  std::vector<double> values, products, weights;
  std::optional<double> least, most, nan, first, last;
};

TEST_P(AggregateTest, AgreesWithLoops) {
  const Type type = GetParam();
  std::mt19937_64 random(3);
  for (int round = 0; round < 400; ++round) {
    const RandomRows rows(type, random);
    const Slices slices = SlicesOfRound(round, rows);
    const Column sum = *Sum(slices, rows.values, "sum");
    const Column mean = *Mean(slices, rows.values, "mean");
    const Column vwap = *Vwap(slices, rows.values, rows.sizes, "vwap");
    const Column low = MinValue(slices, rows.values);
    const Column high = MaxValue(slices, rows.values);
    const Column first = FirstValue(slices, rows.values);
    const Column last = LastValue(slices, rows.values);
    const Column count = CountRows(slices);
    for (size_t k = 0; k < slices.size(); ++k) {
      const NaiveSlice naive(rows, slices, k);
      EXPECT_EQ(count.data<int64_t>()[k], slices.end[k] - slices.begin[k]);
      EXPECT_TRUE(SameCell(first, k, naive.first));
      EXPECT_TRUE(SameCell(last, k, naive.last));
      EXPECT_TRUE(SameCell(low, k, naive.Low()));
      EXPECT_TRUE(SameCell(high, k, naive.High()));
      EXPECT_TRUE(SameCell(sum, k, naive.Sum()));
      EXPECT_TRUE(SameCell(mean, k, naive.Mean(type)));
      EXPECT_TRUE(SameCell(vwap, k, naive.Vwap(type)));
    }
  }
}

/// Some rows of each bar in totals instead of in its slice.
struct SplitBars {
  SplitBars(const RandomRows& rows, const Slices& whole, std::mt19937_64& random) {
    for (size_t k = 0; k < whole.size(); ++k) {
      ColumnTotals& column = columns.emplace_back(rows.values.type());
      WeightedTotals& both = weighted.emplace_back(rows.values.type(), rows.sizes.type());
      int64_t taken = 0;
      listed.begin.push_back(static_cast<uint32_t>(listed.order.size()));
      for (uint32_t at = whole.begin[k]; at < whole.end[k]; ++at) {
        const uint32_t row = whole.order[at];
        if (random() % 2 == 0) {
          listed.order.push_back(row);
          continue;
        }
        ++taken;
        Take(rows, row, &column, &both);
      }
      listed.end.push_back(static_cast<uint32_t>(listed.order.size()));
      bases.push_back({taken, nullptr, nullptr});
    }
    for (size_t k = 0; k < whole.size(); ++k) {
      bases[k].column = &columns[k];
      bases[k].weighted = &weighted[k];
    }
  }
  /// Through the packed form, as the store keeps totals.
  static void Take(const RandomRows& rows, uint32_t row, ColumnTotals* column,
                   WeightedTotals* both) {
    if (!rows.values.IsValid(row)) return;
    const auto* value =
        rows.values.data<std::byte>() + row * column::WidthOf(rows.values.type().kind);
    ColumnTotals one(rows.values.type());
    one.Add(value, 1);
    column->Add(one.Pack());
    if (!rows.sizes.IsValid(row)) return;
    WeightedTotals pair(rows.values.type(), rows.sizes.type());
    pair.Add(value, rows.sizes.data<std::byte>() + row * sizeof(int64_t), 1);
    both->Add(pair.Pack());
  }

  Slices listed;
  std::vector<Base> bases;
  std::vector<ColumnTotals> columns;
  std::vector<WeightedTotals> weighted;
};

TEST_P(AggregateTest, TotalsStandForRows) {
  const Type type = GetParam();
  std::mt19937_64 random(5);
  for (int round = 0; round < 400; ++round) {
    const RandomRows rows(type, random);
    const Slices whole = MakeBarSlices(rows.ts, rows.group, 2, BarGrid(Duration(9))).slices;
    const SplitBars split(rows, whole, random);
    const Column sum = *Sum(split.listed, rows.values, "sum", split.bases);
    const Column mean = *Mean(split.listed, rows.values, "mean", split.bases);
    const Column vwap = *Vwap(split.listed, rows.values, rows.sizes, "vwap", split.bases);
    const Column low = MinValue(split.listed, rows.values, split.bases);
    const Column high = MaxValue(split.listed, rows.values, split.bases);
    const Column count = CountRows(split.listed, split.bases);
    for (size_t k = 0; k < whole.size(); ++k) {
      const NaiveSlice naive(rows, whole, k);
      EXPECT_EQ(count.data<int64_t>()[k], whole.end[k] - whole.begin[k]);
      EXPECT_TRUE(SameCell(low, k, naive.Low()));
      EXPECT_TRUE(SameCell(high, k, naive.High()));
      EXPECT_TRUE(SameCell(sum, k, naive.Sum()));
      EXPECT_TRUE(SameCell(mean, k, naive.Mean(type)));
      EXPECT_TRUE(SameCell(vwap, k, naive.Vwap(type)));
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Types, AggregateTest,
                         ::testing::Values(kInt, kFloat, Type{TypeKind::kDecimal, 4},
                                           Type{TypeKind::kFloat32, 0}));

TEST(AggregateRangeTest, SumsThatDoNotFitAreErrors) {
  Column values(kInt);
  values.Append(std::numeric_limits<int64_t>::max());
  values.Append(int64_t{1});
  values.Append(int64_t{-1});
  const Slices two{{0, 1, 2}, {0}, {2}};
  const Slices three{{0, 1, 2}, {0}, {3}};
  EXPECT_EQ(Sum(two, values, "volume").status().code(), absl::StatusCode::kOutOfRange);
  EXPECT_THAT(std::string(Message(Sum(two, values, "volume").status())),
              ::testing::HasSubstr("volume"));
  EXPECT_EQ(Sum(three, values, "volume")->data<int64_t>()[0], std::numeric_limits<int64_t>::max());
  Column decimals(Type{TypeKind::kDecimal, 2});
  decimals.Append(column::kDecimalLimit - 1);
  decimals.Append(int64_t{1});
  EXPECT_EQ(Sum({{0, 1}, {0}, {2}}, decimals, "sum").status().code(),
            absl::StatusCode::kOutOfRange);
  Column unsigned_values(Type{TypeKind::kUint64, 0});
  unsigned_values.Append(std::numeric_limits<uint64_t>::max());
  EXPECT_EQ(Sum({{0}, {0}, {1}}, unsigned_values, "sum").status().code(),
            absl::StatusCode::kOutOfRange);
  EXPECT_EQ(Mean({{0}, {0}, {1}}, unsigned_values, "mean")->data<double>()[0],
            18446744073709551615.0);
}

TEST(EmaTest, SeedsSkipsAndStartsAnew) {
  Column values(kInt);
  for (const int64_t v : {10, 20, 30, 40}) values.Append(v);
  values.AppendNull();
  values.Append(int64_t{50});
  const std::vector<uint32_t> group = {0, 0, 1, 0, 0, 0};
  const std::vector<int64_t> ts = {0, 1, 2, 3, 4, 5};
  const Slices slices = RollingSlices(ts, group, 2, {.rows = 1});
  const Column out = Ema(slices, values, group, 1, 0.5);
  // In the order of the slices: rows 0 1 3 4 5 of group 0, then row 2.
  EXPECT_FALSE(out.IsValid(0));
  EXPECT_EQ(out.data<double>()[1], 20);
  EXPECT_EQ(out.data<double>()[2], 30);
  EXPECT_EQ(out.data<double>()[3], 30);
  EXPECT_EQ(out.data<double>()[4], 40);
  EXPECT_EQ(out.data<double>()[5], 30);
}

TEST(GroupingTest, NullEqualsNullAndTextEqualsText) {
  Symbols symbols(nullptr);
  Column venue(Type{TypeKind::kSymbol, 0});
  Column note(Type{TypeKind::kString, 0});
  for (int i = 0; i < 2; ++i) {
    venue.Append(symbols.Code("P"));
    note.Append(std::string_view("a"));
    venue.AppendNull();
    note.AppendNull();
    venue.Append(symbols.Code("Q"));
    note.Append(std::string_view(""));
  }
  const std::vector<uint32_t> rows = {0, 1, 2, 3, 4, 5};
  const Column* one[] = {&venue};
  const Column* two[] = {&note, &venue};
  EXPECT_THAT(Grouping().Assign(one, rows), ElementsAre(0, 1, 2, 0, 1, 2));
  EXPECT_THAT(Grouping().Assign(two, rows), ElementsAre(0, 1, 2, 0, 1, 2));
  EXPECT_THAT(Grouping().Assign({}, rows), ElementsAre(0, 0, 0, 0, 0, 0));
  EXPECT_LT(CompareValues(venue, 1, venue, 0, symbols), 0);
  EXPECT_LT(CompareValues(venue, 0, venue, 2, symbols), 0);
  EXPECT_EQ(CompareValues(note, 0, note, 3, symbols), 0);
}

TEST(ColumnTest, KeepsNullsThroughGatherAndRange) {
  Column a(kInt);
  for (int64_t i = 0; i < 200; ++i) {
    if (i % 3 == 0) {
      a.AppendNull();
    } else {
      a.Append(i);
    }
  }
  Column b(kInt);
  b.Append(int64_t{7});
  b.AppendRange(a, 50, 150);
  const std::vector<int64_t> rows = {1, -1, 3, 199};
  b.AppendGather(a, rows.data(), rows.size());
  b.Extend(70);
  ASSERT_EQ(b.rows(), 175U);
  EXPECT_TRUE(b.IsValid(0));
  for (size_t i = 0; i < 100; ++i) {
    ASSERT_EQ(b.IsValid(1 + i), (50 + i) % 3 != 0);
    if (b.IsValid(1 + i)) {
      ASSERT_EQ(b.data<int64_t>()[1 + i], static_cast<int64_t>(50 + i));
    }
  }
  EXPECT_TRUE(b.IsValid(101) && !b.IsValid(102) && !b.IsValid(103) && b.IsValid(104));
  for (size_t i = 105; i < 175; ++i) ASSERT_TRUE(b.IsValid(i) && b.data<int64_t>()[i] == 0);
}

TEST(PairSumTest, IsTheExactSumOrSaysThatItMayNotBe) {
  std::mt19937_64 random(11);
  int exact = 0;
  int inexact = 0;
  for (int round = 0; round < 2000; ++round) {
    PairSum pair;
    ExactSum sum;
    std::vector<double> in;
    const int spread = static_cast<int>(random() % 200);
    for (int i = 0; i < 60; ++i) {
      if (!in.empty() && random() % 3 == 0) {
        pair.Subtract(in.back());
        sum.Subtract(in.back());
        in.pop_back();
        continue;
      }
      in.push_back(std::ldexp(static_cast<double>(random() % 200'000) - 100'000,
                              spread == 0 ? 0 : static_cast<int>(random() % spread) - 40));
      if (round % 97 == 0) in.back() = std::numeric_limits<double>::infinity();
      pair.Add(in.back());
      sum.Add(in.back());
      if (pair.exact()) {
        ASSERT_EQ(std::bit_cast<uint64_t>(pair.Value()), std::bit_cast<uint64_t>(sum.Value()));
      }
    }
    ++(pair.exact() ? exact : inexact);
  }
  EXPECT_GT(exact, 500);
  EXPECT_GT(inexact, 500);
}

}  // namespace
}  // namespace proxist::exec
