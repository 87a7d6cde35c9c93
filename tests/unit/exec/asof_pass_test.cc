// A pass over runs of right rows finds what the match over whole sides finds.
#include <algorithm>
#include <random>
#include <vector>

#include <gtest/gtest.h>

#include "proxist/exec/asof.h"
#include "tests/unit/exec/each_target.h"

namespace proxist::exec {
namespace {

class Sides {
 public:
  explicit Sides(uint64_t seed) : random_(seed) {
    const int64_t spread = Below(3) == 0 ? 5 : 400;  // many ties, or few
    left_ = Times(Below(OneIn(4) ? 900 : 60), spread);
    right_ = Times(Below(OneIn(4) ? 2'500 : 300), spread);
    constexpr size_t kRunRows[] = {3, 90, 513, 700};
    const size_t run_rows = kRunRows[Below(4)];
    for (size_t row = 0; row < right_.size();) {
      const size_t rows = std::min<size_t>(right_.size() - row, 1 + Below(run_rows));
      runs_.push_back({right_.data() + row, static_cast<uint32_t>(rows)});
      starts_.push_back(row);
      row += rows;
    }
    rule_ = {.forward = Below(2) == 0, .strict = Below(2) == 0, .tolerance = {}};
    if (Below(2) == 0) rule_.tolerance = Duration(static_cast<int64_t>(Below(20)));
  }

  void Check() {
    const std::vector<int64_t> expected =
        AsofMatch(left_, std::vector<uint32_t>(left_.size(), 0), right_,
                  std::vector<uint32_t>(right_.size(), 0), 1, rule_);
    AsofPass pass(runs_, rule_);
    std::vector<uint32_t> rows(left_.size());
    std::vector<RunMatches> runs;
    for (size_t row = 0; row < left_.size();) {
      const size_t n = std::min<size_t>(left_.size() - row, 1 + Below(OneIn(2) ? 20 : 700));
      pass.Match({left_.data() + row, n}, rows.data() + row, &runs);
      row += n;
    }
    size_t i = 0;
    for (const RunMatches& matches : runs) {
      bool all = matches.run != RunMatches::kNoRun;
      for (uint32_t k = 0; k < matches.rows; ++k, ++i) {
        const bool found = matches.run != RunMatches::kNoRun && rows[i] != AsofPass::kNoRow;
        all = all && found;
        const int64_t row = found ? static_cast<int64_t>(starts_[matches.run] + rows[i]) : -1;
        ASSERT_EQ(row, expected[i]) << "left row " << i << " at " << left_[i];
        ASSERT_TRUE(found || rows[i] == AsofPass::kNoRow);
      }
      ASSERT_EQ(matches.all, all);
    }
    ASSERT_EQ(i, left_.size());
  }

 private:
  uint64_t Below(uint64_t n) { return random_() % n; }
  bool OneIn(uint64_t n) { return Below(n) == 0; }
  std::vector<int64_t> Times(size_t n, int64_t spread) {
    std::vector<int64_t> ts(n);
    for (int64_t& one : ts) one = static_cast<int64_t>(Below(static_cast<uint64_t>(spread)));
    std::sort(ts.begin(), ts.end());
    return ts;
  }

  std::mt19937_64 random_;
  std::vector<int64_t> left_;
  std::vector<int64_t> right_;
  std::vector<TimeRun> runs_;
  std::vector<size_t> starts_;
  AsofRule rule_;
};

TEST(AsofPassTest, AgreesWithTheMatchOverWholeSidesOnEachInstructionSet) {
  OnEachTarget([] {
    for (uint64_t seed = 0; seed < 1000 && !::testing::Test::HasFatalFailure(); ++seed) {
      SCOPED_TRACE(seed);
      Sides(seed).Check();
    }
  });
}

TEST(AsofPassTest, ExtremeTimesAreOrdinary) {
  constexpr int64_t kMin = INT64_MIN;
  constexpr int64_t kMax = INT64_MAX;
  const std::vector<int64_t> right = {kMin, kMin, -1, 0, 0, 5, kMax, kMax};
  const std::vector<int64_t> left = {kMin, -1, 0, 1, kMax - 1, kMax};
  const std::vector<uint32_t> left_group(left.size(), 0);
  const std::vector<uint32_t> right_group(right.size(), 0);
  for (const bool forward : {false, true}) {
    for (const bool strict : {false, true}) {
      const AsofRule rule{forward, strict, {}};
      const TimeRun run{right.data(), static_cast<uint32_t>(right.size())};
      std::vector<uint32_t> rows(left.size());
      std::vector<RunMatches> runs;
      AsofPass({&run, 1}, rule).Match(left, rows.data(), &runs);
      const std::vector<int64_t> expected =
          AsofMatch(left, left_group, right, right_group, 1, rule);
      for (size_t i = 0; i < left.size(); ++i) {
        EXPECT_EQ(rows[i] == AsofPass::kNoRow ? -1 : int64_t{rows[i]}, expected[i])
            << forward << strict << left[i];
      }
    }
  }
}

}  // namespace
}  // namespace proxist::exec
