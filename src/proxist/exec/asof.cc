// One pass over both sides, keeping the candidate of each group.
#include "proxist/exec/asof.h"

#include "proxist/base/check.h"

namespace proxist::exec {

bool AsofAdmits(const AsofRule& rule, Timestamp left, Timestamp right) {
  const Timestamp earlier = rule.forward ? left : right;
  const Timestamp later = rule.forward ? right : left;
  if (earlier > later || (rule.strict && earlier == later)) return false;
  return !rule.tolerance.has_value() || earlier.Plus(*rule.tolerance) >= later;
}

std::vector<int64_t> AsofMatch(std::span<const int64_t> left_ts,
                               std::span<const uint32_t> left_group,
                               std::span<const int64_t> right_ts,
                               std::span<const uint32_t> right_group, size_t groups,
                               const AsofRule& rule) {
  PX_CHECK(left_ts.size() == left_group.size() && right_ts.size() == right_group.size());
  std::vector<int64_t> match(left_ts.size(), -1);
  std::vector<int64_t> candidate(groups, -1);
  const auto decide = [&](size_t i) {
    const int64_t found = candidate[left_group[i]];
    if (found < 0) return;
    if (AsofAdmits(rule, Timestamp(left_ts[i]), Timestamp(right_ts[static_cast<size_t>(found)]))) {
      match[i] = found;
    }
  };
  if (!rule.forward) {
    size_t next = 0;
    for (size_t i = 0; i < left_ts.size(); ++i) {
      while (next < right_ts.size() &&
             (right_ts[next] < left_ts[i] || (!rule.strict && right_ts[next] == left_ts[i]))) {
        candidate[right_group[next]] = static_cast<int64_t>(next);
        ++next;
      }
      decide(i);
    }
    return match;
  }
  size_t next = right_ts.size();
  for (size_t i = left_ts.size(); i-- > 0;) {
    while (next > 0 && (right_ts[next - 1] > left_ts[i] ||
                        (!rule.strict && right_ts[next - 1] == left_ts[i]))) {
      --next;
      candidate[right_group[next]] = static_cast<int64_t>(next);
    }
    decide(i);
  }
  return match;
}

}  // namespace proxist::exec
