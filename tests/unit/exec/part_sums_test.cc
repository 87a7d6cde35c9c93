// Sums of parts of blocks against the superaccumulator, on every instruction set of this machine.
#include "proxist/exec/part_sums.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include <gtest/gtest.h>

#include "proxist/exec/exact_sum.h"
#include "proxist/exec/int128.h"
#include "proxist/exec/slices.h"
#include "tests/unit/exec/each_target.h"

namespace proxist::exec {
namespace {

uint64_t Bits(double value) { return std::bit_cast<uint64_t>(std::isnan(value) ? NAN : value); }

class PartSumsTest : public ::testing::Test {
 protected:
  /// Calls `check` once for each instruction set, on the same random values.
  template <typename Check>
  void OnEachTarget(const Check& check) {
    exec::OnEachTarget([&] {
      random_.seed(7);
      check();
    });
  }

  size_t Below(size_t n) { return random_() % n; }
  /// Values within 2^spread of each other, some of them 0 or -0.
  std::vector<double> Values(size_t n, int spread) {
    std::vector<double> out(n);
    const int base = static_cast<int>(Below(200)) - 100;
    for (double& value : out) {
      const auto mantissa = static_cast<double>(static_cast<int64_t>(random_()) >> Below(3));
      value = std::ldexp(mantissa, base + static_cast<int>(Below(static_cast<size_t>(spread) + 1)));
      if (Below(20) == 0) value = Below(2) == 0 ? 0.0 : -0.0;
    }
    return out;
  }
  /// Parts of at most `longest` rows of `n`; as windows or side by side.
  void MakeParts(size_t n, size_t longest, bool side_by_side) {
    begin_.clear();
    end_.clear();
    uint32_t begin = 0;
    uint32_t end = 0;
    while (end < n && begin_.size() < 400) {
      if (side_by_side) begin = end;
      const size_t most = std::min(n - end, longest);
      end += static_cast<uint32_t>(Below(most + 1));
      if (end - begin > longest) begin = end - static_cast<uint32_t>(longest);
      if (!side_by_side) begin += static_cast<uint32_t>(Below(end - begin + 1) / 3);
      begin_.push_back(begin);
      end_.push_back(end);
    }
  }
  [[nodiscard]] Parts parts() const { return {begin_, end_}; }
  [[nodiscard]] double SumOf(const std::vector<double>& values, size_t part) const {
    ExactSum sum;
    for (uint32_t row = begin_[part]; row < end_[part]; ++row) sum.Add(values[row]);
    return sum.Value();
  }
  void ExpectSums(const std::vector<double>& values, const RealPrefix& prefix) {
    std::vector<double> out(begin_.size());
    prefix.Sums(parts(), out.data());
    for (size_t i = 0; i < out.size(); ++i) {
      ASSERT_EQ(Bits(out[i]), Bits(SumOf(values, i))) << begin_[i] << ".." << end_[i];
    }
    prefix.Means(parts(), out.data());
    for (size_t i = 0; i < out.size(); ++i) {
      const double rows = end_[i] - begin_[i];
      ASSERT_EQ(Bits(out[i]), Bits(SumOf(values, i) / rows)) << begin_[i] << ".." << end_[i];
    }
  }

  std::mt19937_64 random_;
  std::vector<uint32_t> begin_;
  std::vector<uint32_t> end_;
};

TEST_F(PartSumsTest, SumsOfRealsAreExact) {
  OnEachTarget([&] {
    RealPrefix prefix;
    size_t on_grid = 0;
    for (int round = 0; round < 150; ++round) {
      const size_t n = Below(round % 10 == 0 ? 700 : 40);
      const std::vector<double> values = Values(n, static_cast<int>(Below(45)));
      MakeParts(n, 1 + Below(30), Below(2) == 0);
      prefix.Assign(values, parts().Longest());
      on_grid += prefix.on_grid() ? 1 : 0;
      ExpectSums(values, prefix);
    }
    EXPECT_GT(on_grid, 75U);
  });
}

TEST_F(PartSumsTest, WhatLiesFarApartOrIsNotFiniteIsExactToo) {
  constexpr double kOdd[] = {NAN,    HUGE_VAL, -HUGE_VAL, 1e300, -1e300, 5e-324,
                             1e-310, -0.0,     1,         -1,    0x1p53, 0x1p-1022};
  OnEachTarget([&] {
    RealPrefix prefix;
    for (int round = 0; round < 150; ++round) {
      std::vector<double> values(Below(30));
      for (double& value : values) value = kOdd[Below(std::size(kOdd))];
      MakeParts(values.size(), 1 + Below(10), Below(2) == 0);
      prefix.Assign(values, parts().Longest());
      ExpectSums(values, prefix);
    }
  });
}

TEST_F(PartSumsTest, ABlockAddsUpAsItsValuesDo) {
  OnEachTarget([&] {
    for (int round = 0; round < 60; ++round) {
      std::vector<double> values = Values(Below(1200), static_cast<int>(Below(70)));
      if (!values.empty() && round % 10 == 0) values[Below(values.size())] = NAN;
      ExactSum one_by_one;
      for (const double value : values) one_by_one.Add(value);
      ExactSum together;
      together.Add(values);
      ASSERT_EQ(Bits(together.Value()), Bits(one_by_one.Value()));
    }
  });
}

TEST_F(PartSumsTest, AllZeroesSumToZero) {
  OnEachTarget([&] {
    const std::vector<double> values(19, -0.0);
    MakeParts(values.size(), 5, true);
    RealPrefix prefix;
    prefix.Assign(values, 5);
    EXPECT_TRUE(prefix.on_grid());
    ExpectSums(values, prefix);
  });
}

TEST_F(PartSumsTest, ProductsAreRoundedOneByOne) {
  OnEachTarget([&] {
    RealPrefix prefix;
    RealPrefix real_weights;
    WholePrefix whole_weights;
    std::vector<double> room;
    for (int round = 0; round < 100; ++round) {
      const size_t n = Below(50);
      const std::vector<double> values = Values(n, 8);
      std::vector<int64_t> weights(n);
      const int shift = round % 5 == 0 ? 11 : 44;
      for (int64_t& weight : weights) weight = static_cast<int64_t>(random_()) >> shift;
      if (round % 7 == 0) std::ranges::fill(weights, 0);
      const std::vector<double> reals(weights.begin(), weights.end());
      std::vector<double> products(n);
      for (size_t i = 0; i < n; ++i) products[i] = values[i] * reals[i];
      MakeParts(n, 1 + Below(12), Below(2) == 0);
      const size_t longest = parts().Longest();
      prefix.AssignProducts(values, weights, longest);
      ExpectSums(products, prefix);
      ASSERT_TRUE(whole_weights.Assign(weights, longest));
      std::vector<double> out(begin_.size());
      const bool zero = prefix.Quotients(whole_weights, parts(), out.data());
      prefix.AssignProducts(values, reals, longest);
      ExpectSums(products, prefix);
      real_weights.Assign(reals, longest);
      std::vector<double> again(begin_.size());
      EXPECT_EQ(prefix.Quotients(real_weights, parts(), &room, again.data()), zero);
      bool any_zero = false;
      for (size_t i = 0; i < out.size(); ++i) {
        const double weight = SumOf(reals, i);
        any_zero = any_zero || weight == 0;
        if (weight == 0) continue;
        ASSERT_EQ(Bits(out[i]), Bits(SumOf(products, i) / weight));
        ASSERT_EQ(Bits(again[i]), Bits(out[i]));
      }
      EXPECT_EQ(zero, any_zero);
    }
  });
}

TEST_F(PartSumsTest, WholeNumbersFitOrAreRefused) {
  WholePrefix prefix;
  WholePrefix weights;
  for (int round = 0; round < 300; ++round) {
    const size_t n = Below(40);
    std::vector<int64_t> values(n);
    const size_t shift = Below(64);
    for (int64_t& value : values) value = static_cast<int64_t>(random_()) >> shift;
    if (n > 0 && round % 9 == 0) values[Below(n)] = std::numeric_limits<int64_t>::min();
    MakeParts(n, 1 + Below(12), Below(2) == 0);
    const size_t longest = parts().Longest();
    if (prefix.Assign(values, longest)) {
      for (size_t i = 0; i < begin_.size(); ++i) {
        Int128 sum = 0;
        for (uint32_t row = begin_[i]; row < end_[i]; ++row) sum += values[row];
        ASSERT_EQ(prefix.Sum(begin_[i], end_[i]), static_cast<int64_t>(sum));
        ASSERT_TRUE(sum == static_cast<int64_t>(sum));
      }
    } else {
      EXPECT_TRUE(shift < 6 || round % 9 == 0) << shift;
    }
    std::vector<int64_t> sizes(n);
    for (int64_t& size : sizes) size = static_cast<int64_t>(random_()) >> 50;
    if (!prefix.AssignProducts(values, sizes, longest)) continue;
    ASSERT_TRUE(weights.Assign(sizes, longest));
    std::vector<double> out(begin_.size());
    prefix.Quotients(weights, parts(), 2, out.data());
    for (size_t i = 0; i < begin_.size(); ++i) {
      Int128 sum = 0;
      for (uint32_t row = begin_[i]; row < end_[i]; ++row) sum += Int128{values[row]} * sizes[row];
      ASSERT_TRUE(sum == prefix.Sum(begin_[i], end_[i]));
      const int64_t weight = weights.Sum(begin_[i], end_[i]);
      if (weight == 0) continue;
      const long double exact = static_cast<long double>(sum) / (100.0L * weight);
      ASSERT_EQ(out[i], static_cast<double>(exact));
    }
  }
}

TEST_F(PartSumsTest, ExtremesKnowNanAndTheSignOfZero) {
  constexpr double kValues[] = {NAN, 0.0, -0.0, 1.5, -2.5, HUGE_VAL};
  for (int round = 0; round < 300; ++round) {
    std::vector<double> values(1 + Below(9));
    for (double& value : values) value = kValues[Below(std::size(kValues))];
    begin_ = {0};
    end_ = {static_cast<uint32_t>(values.size())};
    const auto below = [](double a, double b) {
      return a < b || (a == b && std::signbit(a) && !std::signbit(b));
    };
    std::vector<double> numbers;
    std::ranges::copy_if(values, std::back_inserter(numbers), [](double v) { return v == v; });
    double least = NAN;
    double greatest = NAN;
    PartExtremes(values, parts(), false, &least);
    PartExtremes(values, parts(), true, &greatest);
    if (numbers.empty()) {
      EXPECT_TRUE(std::isnan(least) && std::isnan(greatest));
      continue;
    }
    EXPECT_EQ(Bits(least), Bits(*std::ranges::min_element(numbers, below)));
    EXPECT_EQ(Bits(greatest), Bits(*std::ranges::max_element(numbers, below)));
  }
}

TEST_F(PartSumsTest, BarsBeginWhereTheGridSays) {
  OnEachTarget([&] {
    for (int round = 0; round < 200; ++round) {
      const auto interval = static_cast<int64_t>(1 + (random_() >> (10 + Below(52))));
      const BarGrid grid(Duration(interval), Timestamp(static_cast<int64_t>(Below(1000))));
      std::vector<int64_t> ts(Below(60));
      auto now = static_cast<int64_t>(random_() >> (2 + Below(30)));
      const int64_t step = std::max<int64_t>(1, interval >> Below(6));
      for (int64_t& time : ts) {
        time = now;
        if (Below(3) != 0) now += static_cast<int64_t>(Below(static_cast<size_t>(step) + 1));
        // Often the first or the last moment of a bar.
        if (Below(4) == 0) now = grid.At(Timestamp(now)).end.ns() - static_cast<int64_t>(Below(2));
        now = std::min(std::max(now, time), Timestamp::Max().ns() - 1);
      }
      BarCutter cutter(&grid);
      std::vector<uint32_t> rows;
      std::vector<int64_t> starts;
      for (size_t at = 0; at < ts.size();) {
        const size_t n = std::min(ts.size() - at, Below(25) + 1);
        cutter.Cut(std::span(ts).subspan(at, n), static_cast<uint32_t>(at), &rows, &starts);
        at += n;
      }
      const std::vector<uint32_t> one_group(ts.size(), 0);
      const BarSlices expected = MakeBarSlices(ts, one_group, 1, grid);
      ASSERT_EQ(starts, expected.start) << interval;
      ASSERT_EQ(rows, expected.slices.begin) << interval;
    }
  });
}

TEST_F(PartSumsTest, WindowsBeginAtTheFirstRowThatIsNotTooEarly) {
  OnEachTarget([&] {
    for (int round = 0; round < 200; ++round) {
      std::vector<int64_t> ts(Below(round % 10 == 0 ? 700 : 80));
      int64_t now = 0;
      // Some steps are so long that many rows leave a window at once.
      for (int64_t& time : ts) {
        now += static_cast<int64_t>(Below(4) * Below(20) + (Below(30) == 0 ? 300 : 0));
        time = now;
      }
      const auto span = static_cast<int64_t>(Below(3) == 0 ? Below(3) : Below(400));
      const auto first = static_cast<uint32_t>(Below(ts.size() + 1));
      std::vector<uint32_t> begin(ts.size() - first);
      TrailingWindows(ts, first, Duration(span), begin.data());
      for (size_t i = 0; i < begin.size(); ++i) {
        const auto from = std::lower_bound(ts.begin(), ts.end(), ts[first + i] - span);
        ASSERT_EQ(begin[i], static_cast<uint32_t>(from - ts.begin())) << first + i;
      }
    }
  });
}

}  // namespace
}  // namespace proxist::exec
