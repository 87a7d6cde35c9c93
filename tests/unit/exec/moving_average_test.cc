// Moving averages of rows that come a piece at a time, and the copies made beside them.
#include "proxist/exec/moving_average.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <optional>
#include <random>
#include <vector>

#include <gtest/gtest.h>

namespace proxist::exec {
namespace {

TEST(MovingAverageTest, PiecesGiveWhatOneStepAfterAnotherGives) {
  std::mt19937_64 random(3);
  for (int round = 0; round < 200; ++round) {
    std::vector<double> values(random() % 60);
    for (double& value : values) value = static_cast<double>(random() % 1000) * 0.01;
    if (round % 9 == 0 && !values.empty()) values[random() % values.size()] = NAN;
    std::vector<uint64_t> words(values.size());
    for (uint64_t& word : words) word = random();
    std::vector<double> out(values.size());
    std::vector<uint64_t> copied(values.size());
    std::vector<double> again(values.size());
    std::optional<double> average;
    for (size_t at = 0; at < values.size();) {
      const size_t n = std::min(values.size() - at, random() % 25);
      const WordCopy copies[] = {{reinterpret_cast<const std::byte*>(words.data() + at),
                                  reinterpret_cast<std::byte*>(copied.data() + at)},
                                 {reinterpret_cast<const std::byte*>(values.data() + at),
                                  reinterpret_cast<std::byte*>(again.data() + at),
                                  reinterpret_cast<const std::byte*>(values.data() + at + n)}};
      MovingAverages(std::span(values).subspan(at, n), 0.3, &average,
                     std::span(copies).first(random() % 3 == 0 ? 1 : 2), out.data() + at,
                     random() % 2 == 0 ? values.data() + at + n : nullptr);
      at += n;
    }
    ASSERT_EQ(copied, words);
    double now = 0;
    for (size_t i = 0; i < values.size(); ++i) {
      now = i == 0 ? values[0] : 0.3 * values[i] + (1 - 0.3) * now;
      const bool same = std::bit_cast<uint64_t>(out[i]) == std::bit_cast<uint64_t>(now);
      ASSERT_TRUE(same || (std::isnan(out[i]) && std::isnan(now))) << i;
    }
    ASSERT_EQ(average.has_value(), !values.empty());
  }
}

}  // namespace
}  // namespace proxist::exec
