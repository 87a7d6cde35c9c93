// Bars over pieces of rows against slices and the superaccumulator, on every instruction set of
// this machine.
#include "proxist/exec/bar_sums.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <random>
#include <vector>

#include <gtest/gtest.h>

#include "proxist/exec/exact_sum.h"
#include "proxist/exec/slices.h"
#include "tests/unit/exec/each_target.h"

namespace proxist::exec {
namespace {

uint64_t Bits(double value) { return std::bit_cast<uint64_t>(std::isnan(value) ? NAN : value); }

class BarSumsTest : public ::testing::Test {
 protected:
  /// Calls `check` once for each instruction set, on the same random values.
  template <typename Check>
  void OnEachTarget(const Check& check) {
    exec::OnEachTarget([&] {
      random_.seed(11);
      check();
    });
  }

  size_t Below(size_t n) { return random_() % n; }
  /// Times that never fall, in bars of a few rows or of many.
  void MakeTimes(size_t n) {
    interval_ = static_cast<int64_t>(1 + (random_() >> (20 + Below(42))));
    grid_ = BarGrid(Duration(interval_), Timestamp(static_cast<int64_t>(Below(1000))));
    auto now = static_cast<int64_t>(random_() >> (2 + Below(30)));
    const int64_t step = std::max<int64_t>(1, interval_ >> Below(7));
    ts_.resize(n);
    for (int64_t& time : ts_) {
      if (Below(3) != 0) now += static_cast<int64_t>(Below(static_cast<size_t>(step) + 1));
      // Often the first or the last moment of a bar.
      if (Below(8) == 0) {
        const int64_t end = grid_.At(Timestamp(now)).end.ns();
        now = std::max(now, end - static_cast<int64_t>(Below(2)));
      }
      time = now;
    }
    const std::vector<uint32_t> one_group(n, 0);
    expected_ = MakeBarSlices(ts_, one_group, 1, grid_);
  }
  void MakeValues(int spread, int weight_bits) {
    values_.resize(ts_.size());
    weights_.resize(ts_.size());
    const int base = static_cast<int>(Below(200)) - 100;
    for (size_t i = 0; i < ts_.size(); ++i) {
      const auto whole = static_cast<double>((random_() >> 2) | (1ULL << 61));
      const double mantissa = Below(3) == 0 ? -whole : whole;
      const int shift = spread == 0 ? 0 : static_cast<int>(Below(static_cast<size_t>(spread)));
      values_[i] = Below(20) == 0 ? -0.0 : std::ldexp(mantissa, base + shift);
      weights_[i] = Below(6) == 0 ? 0 : static_cast<int64_t>(random_()) >> (64 - weight_bits);
    }
  }
  void Restart() {
    marks_.Restart(grid_.At(Timestamp(ts_[0])).start, Duration(interval_));
    sums_.Restart();
    products_.Restart();
  }
  void AddPiece(size_t begin, size_t end) {
    const size_t n = end - begin;
    const std::span<const int64_t> ts = std::span(ts_).subspan(begin, n);
    const double* values = values_.data() + begin;
    const int64_t* weights = weights_.data() + begin;
    internal::Ahead ahead;
    if (end < ts_.size() && Below(2) == 0) {
      ahead = {ts_.data() + end, values_.data() + end, weights_.data() + end};
    }
    // Marks and sums in one pass, or marks first.
    const size_t way = ++pieces_ % 3;
    if (way == 0) {
      marks_.Add(ts, ahead.times);
    } else if (way == 1) {
      marks_.AddWith(ts, values, nullptr, ahead, &sums_);
    } else {
      marks_.AddWith(ts, values, weights, ahead, &products_);
    }
    if (way != 1) sums_.Add(values, nullptr, n, marks_, ahead);
    if (way != 2) products_.Add(values, weights, n, marks_, ahead);
  }
  [[nodiscard]] bool Fit() const {
    return sums_.Fits(marks_.Longest()) && products_.Fits(marks_.Longest());
  }
  bool RestartWider() {
    marks_.Restart(grid_.At(Timestamp(ts_[0])).start, Duration(interval_));
    const bool sums = sums_.RestartWider();
    return products_.RestartWider() && sums;
  }
  void AddAgain(size_t begin, size_t end) {
    ASSERT_TRUE(RestartWider());
    AddPiece(begin, end);
    ASSERT_TRUE(Fit());
  }
  [[nodiscard]] std::pair<double, double> ExpectedSums(size_t bar, double* weight) const {
    ExactSum sum;
    ExactSum products;
    *weight = 0;
    for (uint32_t i = expected_.slices.begin[bar]; i < expected_.slices.end[bar]; ++i) {
      sum.Add(values_[i]);
      products.Add(values_[i] * static_cast<double>(weights_[i]));
      *weight += static_cast<double>(weights_[i]);
    }
    return {sum.Value(), products.Value()};
  }
  /// The bars that are known, of which the first is the `skipped`-th of all.
  void ExpectBars(size_t skipped, size_t n) {
    const uint32_t first_row = expected_.slices.begin[skipped];
    std::vector<double> sums(n);
    std::vector<double> quotients(n);
    sums_.Sums(0, n, sums.data());
    const bool zero = products_.Quotients(0, n, quotients.data());
    bool any_zero = false;
    for (size_t i = 0; i < n; ++i) {
      const size_t bar = skipped + i;
      ASSERT_EQ(marks_.rows()[i] + first_row, expected_.slices.begin[bar]) << interval_;
      ASSERT_EQ(marks_.starts()[i], expected_.start[bar]);
      double weight = 0;
      const auto [sum, products] = ExpectedSums(bar, &weight);
      ASSERT_EQ(Bits(sums[i]), Bits(sum)) << bar;
      ASSERT_EQ(products_.IsZero(i), weight == 0);
      any_zero = any_zero || weight == 0;
      if (weight == 0) continue;
      ASSERT_EQ(Bits(quotients[i]), Bits(products / weight)) << bar;
    }
    ASSERT_EQ(zero, any_zero);
  }

  std::mt19937_64 random_;
  int64_t interval_ = 1;
  BarGrid grid_;
  BarSlices expected_;
  std::vector<int64_t> ts_;
  std::vector<double> values_;
  std::vector<int64_t> weights_;
  BarMarks marks_;
  BarSums sums_{false};
  BarSums products_{true};
  size_t pieces_ = 0;
};

TEST_F(BarSumsTest, BarsOfPiecesAreThoseOfAllRows) {
  OnEachTarget([&] {
    size_t again = 0;
    for (int round = 0; round < 150; ++round) {
      MakeTimes(1 + Below(round % 10 == 0 ? 900 : 60));
      MakeValues(round % 3 == 0 ? 0 : 4, 12);
      Restart();
      size_t skipped = 0;
      for (size_t at = 0; at < ts_.size();) {
        const size_t n = std::min(ts_.size() - at, 1 + Below(Below(2) == 0 ? 9 : 200));
        AddPiece(at, at + n);
        at += n;
        if (Below(3) != 0 && at < ts_.size()) continue;
        if (!Fit()) {
          // From the bar that is still open.
          ++again;
          ASSERT_NO_FATAL_FAILURE(AddAgain(expected_.slices.begin[skipped], at));
        }
        const size_t bars = marks_.bars();
        ASSERT_NO_FATAL_FAILURE(ExpectBars(skipped, at == ts_.size() ? bars : bars - 1));
        ASSERT_TRUE(at < ts_.size() || skipped + bars == expected_.start.size());
        marks_.KeepLast();
        sums_.KeepLast();
        products_.KeepLast();
        skipped += bars - 1;
      }
    }
    EXPECT_GT(again, 0U);
    EXPECT_LT(again, 75U);
  });
}

TEST_F(BarSumsTest, WhatDoesNotFitIsKnown) {
  constexpr double kOdd[] = {NAN, HUGE_VAL, -HUGE_VAL, 0x1p-700, 0x1p60, 5e-324};
  OnEachTarget([&] {
    size_t wider = 0;
    for (const double odd : kOdd) {
      for (size_t row = 0; row < 20; ++row) {
        MakeTimes(20);
        MakeValues(1, 10);
        for (double& value : values_) value = 1.5;
        for (int64_t& weight : weights_) weight = 3;
        values_[row] = odd;
        Restart();
        AddPiece(0, 20);
        if (!Fit()) {
          const bool may_fit = RestartWider();
          ASSERT_TRUE(may_fit || !std::isfinite(odd));
          if (!may_fit) continue;
          AddPiece(0, 20);
          if (!Fit()) {
            ASSERT_FALSE(RestartWider());
            continue;
          }
          ++wider;
        }
        ASSERT_TRUE(odd == 0x1p60) << odd;
        ASSERT_NO_FATAL_FAILURE(ExpectBars(0, marks_.bars()));
      }
    }
    EXPECT_GT(wider, 0U);
  });
}

/// Adds rows [begin, end) as rows of which windows are asked.
class WindowSumsTest : public BarSumsTest {
 protected:
  void AddRows(size_t begin, size_t end) {
    internal::Ahead ahead;
    if (end < ts_.size() && begin % 2 == 0) {
      ahead = {ts_.data() + end, values_.data() + end, weights_.data() + end};
    }
    sums_.AddEach(values_.data() + begin, nullptr, end - begin, ahead);
    products_.AddEach(values_.data() + begin, weights_.data() + begin, end - begin, ahead);
  }
  /// Windows of at most so many rows, of the rows from the first one that was not dropped on.
  void ExpectWindows(size_t dropped, size_t end, uint32_t rows) {
    std::vector<uint32_t> begins;
    std::vector<uint32_t> ends;
    for (auto row = static_cast<uint32_t>(0); row < end - dropped; ++row) {
      ends.push_back(row + 1);
      begins.push_back(row + 1 < rows ? 0 : row + 1 - rows);
    }
    const Parts windows{begins, ends};
    std::vector<double> sums(windows.size());
    std::vector<double> means(windows.size());
    std::vector<double> quotients(windows.size());
    sums_.WindowSums(windows, sums.data());
    sums_.WindowMeans(windows, means.data());
    const bool zero = products_.WindowQuotients(windows, quotients.data());
    bool any_zero = false;
    for (size_t k = 0; k < windows.size(); ++k) {
      ExactSum sum;
      ExactSum products;
      int64_t weight = 0;
      for (size_t row = dropped + begins[k]; row < dropped + ends[k]; ++row) {
        sum.Add(values_[row]);
        products.Add(values_[row] * static_cast<double>(weights_[row]));
        weight += weights_[row];
      }
      ASSERT_EQ(Bits(sums[k]), Bits(sum.Value()));
      ASSERT_EQ(Bits(means[k]), Bits(sum.Value() / (ends[k] - begins[k])));
      ASSERT_EQ(products_.WindowIsZero(begins[k], ends[k]), weight == 0);
      any_zero = any_zero || weight == 0;
      if (weight == 0) continue;
      ASSERT_EQ(Bits(quotients[k]), Bits(products.Value() / static_cast<double>(weight)));
    }
    ASSERT_EQ(zero, any_zero);
  }
};

TEST_F(WindowSumsTest, WindowsOfPiecesAreThoseOfAllRows) {
  OnEachTarget([&] {
    size_t looked = 0;
    for (int round = 0; round < 120; ++round) {
      MakeTimes(1 + Below(150));
      MakeValues(round % 3 == 0 ? 0 : 4, 8);
      Restart();
      const auto rows = static_cast<uint32_t>(1 + Below(30));
      size_t dropped = 0;
      for (size_t at = 0; at < ts_.size();) {
        const size_t n = std::min(ts_.size() - at, 1 + Below(Below(2) == 0 ? 9 : 90));
        AddRows(at, at + n);
        at += n;
        if (!sums_.Fits(rows) || !products_.Fits(rows)) break;
        ++looked;
        ASSERT_NO_FATAL_FAILURE(ExpectWindows(dropped, at, rows));
        const size_t drop = Below(at - dropped + 1);
        sums_.DropFront(drop);
        products_.DropFront(drop);
        dropped += drop;
      }
    }
    EXPECT_GT(looked, 120U);
  });
}

TEST_F(BarSumsTest, LongBarsAndGreatWeightsDoNotFit) {
  OnEachTarget([&] {
    MakeTimes(9);
    MakeValues(1, 10);
    Restart();
    AddPiece(0, 9);
    EXPECT_TRUE(products_.Fits(9));
    EXPECT_FALSE(products_.Fits(BarSums::kLongest + 1));
    weights_[4] = int64_t{-1} << 48;
    Restart();
    AddPiece(0, 9);
    EXPECT_FALSE(products_.Fits(9));
    EXPECT_TRUE(sums_.Fits(9));
  });
}

}  // namespace
}  // namespace proxist::exec
