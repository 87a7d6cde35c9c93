// The middle of what several rounds of a measurement gave.
#pragma once

#include <algorithm>
#include <functional>
#include <utility>
#include <vector>

namespace proxist::bench {

/// 0: there are none.
inline double Middle(std::vector<double> values) {
  std::ranges::sort(values);
  return values.empty() ? 0 : values[values.size() / 2];
}

/// Of `figure`, a function or a member, of each round.
template <typename Round, typename Figure>
double MiddleOf(const std::vector<Round>& rounds, const Figure& figure) {
  std::vector<double> values;
  for (const Round& round : rounds) values.push_back(std::invoke(figure, round));
  return Middle(std::move(values));
}

}  // namespace proxist::bench
