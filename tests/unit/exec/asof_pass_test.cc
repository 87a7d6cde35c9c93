// A pass over runs of right rows finds what the match over whole sides finds.
#include <algorithm>
#include <random>
#include <vector>

#include <gtest/gtest.h>

#include "proxist/exec/asof.h"

namespace proxist::exec {
namespace {

class Sides {
 public:
  explicit Sides(uint64_t seed) : random_(seed) {
    const int64_t spread = Below(3) == 0 ? 5 : 400;  // many ties, or few
    left_ = Times(Below(60), spread);
    right_ = Times(Below(300), spread);
    for (size_t row = 0; row < right_.size();) {
      const size_t rows = std::min<size_t>(right_.size() - row, 1 + Below(Below(2) == 0 ? 3 : 90));
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
    std::vector<RunRow> found(left_.size());
    for (size_t row = 0; row < left_.size();) {
      const size_t rows = std::min<size_t>(left_.size() - row, 1 + Below(20));
      pass.Match({left_.data() + row, rows}, found.data() + row);
      row += rows;
    }
    for (size_t i = 0; i < left_.size(); ++i) {
      const int64_t row =
          found[i].found() ? static_cast<int64_t>(starts_[found[i].run] + found[i].row) : -1;
      ASSERT_EQ(row, expected[i]) << "left row " << i << " at " << left_[i];
    }
  }

 private:
  uint64_t Below(uint64_t n) { return random_() % n; }
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

TEST(AsofPassTest, AgreesWithTheMatchOverWholeSides) {
  for (uint64_t seed = 0; seed < 3000; ++seed) {
    SCOPED_TRACE(seed);
    Sides(seed).Check();
    if (HasFatalFailure()) return;
  }
}

}  // namespace
}  // namespace proxist::exec
