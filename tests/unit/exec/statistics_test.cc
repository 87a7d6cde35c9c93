// Spread, quantiles, distinct counts and means over time, where random queries do not look.
#include "proxist/exec/statistics.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "proxist/base/time_zone.h"

namespace proxist::exec {
namespace {

using column::Type;
using column::TypeKind;

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kInf = std::numeric_limits<double>::infinity();

Column Floats(const std::vector<double>& values) {
  Column out(Type{TypeKind::kFloat64, 0});
  for (const double value : values) out.Append(value);
  return out;
}

/// One slice of all rows.
Slices Whole(size_t rows) {
  Slices out;
  for (uint32_t row = 0; row < rows; ++row) out.order.push_back(row);
  out.begin = {0};
  out.end = {static_cast<uint32_t>(rows)};
  return out;
}

double Variance(const std::vector<double>& values) {
  const Column out =
      SpreadOf(Whole(values.size()), Floats(values), Spread::kVariance, /*sample=*/true);
  return out.IsValid(0) ? out.data<double>()[0] : -1;
}

TEST(SpreadTest, LosesNoDigitsToCancellation) {
  EXPECT_EQ(Variance({1e15, 1e15 + 1, 1e15 + 2}), 1.0);
  EXPECT_EQ(Variance({1e150, 1e150}), 0.0);
  EXPECT_DOUBLE_EQ(Variance({1e9 + 0.25, 1e9 + 0.5, 1e9 + 0.75}), 0.0625);
  EXPECT_EQ(Variance({1e-160, -1e-160}), 2e-320);
}

TEST(SpreadTest, StrangeValuesMakeItStrange) {
  EXPECT_TRUE(std::isnan(Variance({1, kNan, 2})));
  EXPECT_TRUE(std::isnan(Variance({1, kInf})));
  EXPECT_EQ(Variance({1e200, -1e200}), kInf);
  EXPECT_EQ(Variance({3}), -1) << "null";
  EXPECT_EQ(Variance({}), -1) << "null";
}

TEST(SpreadTest, GreatestIntegersDoNotOverflow) {
  Column values(Type{TypeKind::kUint64, 0});
  std::vector<uint64_t> all;
  for (int i = 0; i < 5; ++i) {
    values.Append(std::numeric_limits<uint64_t>::max());
    values.Append(uint64_t{0});
  }
  const Column out = SpreadOf(Whole(10), values, Spread::kDeviation, /*sample=*/false);
  EXPECT_EQ(out.data<double>()[0], 9223372036854775808.0);
}

TEST(SpreadTest, AWindowForgetsWhatLeft) {
  std::vector<double> values = {1e300, kNan, kInf, 1, 2, 4};
  Slices slices;
  for (uint32_t row = 0; row < values.size(); ++row) {
    slices.order.push_back(row);
    slices.begin.push_back(row == 0 ? 0 : row - 1);
    slices.end.push_back(row + 1);
  }
  const Column out = SpreadOf(slices, Floats(values), Spread::kVariance, /*sample=*/true);
  EXPECT_FALSE(out.IsValid(0));
  EXPECT_TRUE(std::isnan(out.data<double>()[1]));
  EXPECT_TRUE(std::isnan(out.data<double>()[3]));
  EXPECT_EQ(out.data<double>()[4], 0.5);
  EXPECT_EQ(out.data<double>()[5], 2);
}

TEST(SpreadTest, RandomFloatsAgreeWithTwoPasses) {
  std::mt19937_64 random(5);
  for (int round = 0; round < 200; ++round) {
    std::vector<double> values(2 + random() % 50);
    for (double& v : values) {
      v = std::ldexp(static_cast<double>(random() % 1000) - 500,
                     static_cast<int>(random() % 40) - 20);
    }
    long double mean = 0;
    for (const double v : values) mean += v;
    mean /= static_cast<long double>(values.size());
    long double spread = 0;
    for (const double v : values) spread += (v - mean) * (v - mean);
    const auto expected = static_cast<double>(spread / static_cast<long double>(values.size() - 1));
    EXPECT_NEAR(Variance(values), expected, expected * 1e-14);
  }
}

TEST(QuantileTest, SlidesAsSortingAnewWould) {
  std::mt19937_64 random(7);
  for (int round = 0; round < 50; ++round) {
    std::vector<double> values(1 + random() % 60);
    Column column(Type{TypeKind::kFloat64, 0});
    std::vector<bool> null(values.size());
    for (size_t i = 0; i < values.size(); ++i) {
      const double odd[] = {kNan, kInf, -kInf, -0.0};
      values[i] = random() % 9 == 0 ? odd[random() % 4] : static_cast<double>(random() % 10);
      null[i] = random() % 6 == 0;
      if (null[i]) {
        column.AppendNull();
      } else {
        column.Append(values[i]);
      }
    }
    Slices slices;
    const uint32_t width = 1 + static_cast<uint32_t>(random() % 12);
    for (uint32_t row = 0; row < values.size(); ++row) {
      slices.order.push_back(row);
      slices.begin.push_back(row < width ? 0 : row - width);
      slices.end.push_back(row + 1);
    }
    const double p = static_cast<double>(random() % 5) / 4;
    const Column out = Quantile(slices, column, p);
    for (size_t k = 0; k < slices.size(); ++k) {
      std::vector<double> sorted;
      bool nan = false;
      for (uint32_t row = slices.begin[k]; row < slices.end[k]; ++row) {
        if (null[row]) continue;
        nan = nan || std::isnan(values[row]);
        if (!std::isnan(values[row])) sorted.push_back(values[row]);
      }
      ASSERT_EQ(out.IsValid(k), nan || !sorted.empty());
      if (!out.IsValid(k)) continue;
      const double got = out.data<double>()[k];
      ASSERT_EQ(std::isnan(got) && sorted.empty(), sorted.empty());
      if (sorted.empty()) continue;
      std::sort(sorted.begin(), sorted.end());
      const double at = static_cast<double>(sorted.size() - 1) * p;
      const auto low = static_cast<size_t>(at);
      const double a = sorted[low];
      const double b = sorted[std::min(low + 1, sorted.size() - 1)];
      const double share = at - static_cast<double>(low);
      const double expected = share == 0 || a == b ? a : a + (b - a) * share;
      if (std::isnan(expected)) {
        ASSERT_TRUE(std::isnan(got));
      } else {
        ASSERT_EQ(got, expected);
      }
    }
  }
}

TEST(DistinctTest, TakesEveryType) {
  const Column floats = Floats({0.0, -0.0, kNan, kNan, 1});
  EXPECT_EQ(CountDistinct(Whole(5), floats).data<int64_t>()[0], 3);
  EXPECT_EQ(CountValues(Whole(5), floats).data<int64_t>()[0], 5);
  Column texts(Type{TypeKind::kString, 0});
  for (const std::string_view text : {"", "a", "a"}) texts.Append(text);
  texts.AppendNull();
  EXPECT_EQ(CountDistinct(Whole(4), texts).data<int64_t>()[0], 2);
  EXPECT_EQ(CountValues(Whole(4), texts).data<int64_t>()[0], 3);
  EXPECT_EQ(CountDistinct(Whole(0), texts).data<int64_t>()[0], 0);
}

TEST(TimeWeightedMeanTest, StretchesOverTheWholeRangeOfTime) {
  const std::vector<int64_t> ts = {0, INT64_MAX - 1};
  const std::vector<int64_t> ends = {INT64_MAX - 1};
  EXPECT_EQ(TimeWeightedMean(Whole(2), ts, Floats({3, 5}), ends).data<double>()[0], 3);
}

TEST(BarGridTest, ALocalDayInUtcIsADay) {
  const TimeZone utc = TimeZone::Load("UTC").value();
  std::mt19937_64 random(3);
  for (const Duration interval : {Duration::Seconds(1), Duration::Hours(6), Duration::Days(1)}) {
    const BarGrid plain(interval);
    const BarGrid local(interval, utc, Timestamp(0));
    for (int i = 0; i < 1000; ++i) {
      const Timestamp ts(static_cast<int64_t>(random() % kMaxRowTimestamp.ns()));
      EXPECT_EQ(plain.At(ts).start, local.At(ts).start) << ts.ns();
      EXPECT_EQ(plain.At(ts).end, local.At(ts).end) << ts.ns();
    }
  }
}

TEST(BarGridTest, BarsOfAZoneMeetWithoutGapsOrOverlaps) {
  const TimeZone zone = TimeZone::Load("America/New_York").value();
  for (const Duration interval :
       {Duration::Hours(5), Duration::Seconds(1800), Duration::Days(1), Duration::Days(3)}) {
    const BarGrid grid(interval, zone, ParseTimestamp("2001-02-03T18:00:00-05:00").value());
    Timestamp at = ParseTimestamp("2013-02-27T00:00:00Z").value();
    const Timestamp stop = ParseTimestamp("2013-11-20T00:00:00Z").value();
    at = grid.At(at).start;
    while (at < stop) {
      const BarGrid::Bar bar = grid.At(at);
      ASSERT_EQ(bar.start, at);
      ASSERT_GT(bar.end, bar.start);
      ASSERT_EQ(grid.At(bar.end.Minus(Duration(1))).start, at);
      at = bar.end;
    }
  }
}

TEST(BarGridTest, ExtremeTimesSaturate) {
  const BarGrid grid(Duration::Days(1000), Timestamp::Min());
  EXPECT_EQ(grid.At(Timestamp::Max()).end, Timestamp::Max());
  EXPECT_EQ(BarGrid(Duration(10), Timestamp::Max()).At(Timestamp(0)).start, Timestamp(-3));
  EXPECT_EQ(BarGrid().At(Timestamp(5)).end, Timestamp::Max());
}

}  // namespace
}  // namespace proxist::exec
