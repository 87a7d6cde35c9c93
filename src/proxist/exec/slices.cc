// Rows brought together by group (a counting sort), then cut into windows or bars.
#include "proxist/exec/slices.h"

#include "proxist/base/check.h"

namespace proxist::exec {
namespace {

/// Row indices by group, each group's in row order; first[g] is where group g starts.
std::vector<uint32_t> OrderByGroup(std::span<const uint32_t> group, size_t groups,
                                   std::vector<uint32_t>* first) {
  first->assign(groups + 1, 0);
  for (const uint32_t g : group) ++(*first)[g + 1];
  for (size_t g = 0; g < groups; ++g) (*first)[g + 1] += (*first)[g];
  std::vector<uint32_t> next(first->begin(), first->end());
  std::vector<uint32_t> order(group.size());
  for (size_t row = 0; row < group.size(); ++row) {
    order[next[group[row]]++] = static_cast<uint32_t>(row);
  }
  return order;
}

}  // namespace

Slices RollingSlices(std::span<const int64_t> ts, std::span<const uint32_t> group, size_t groups,
                     const Window& window) {
  PX_CHECK(ts.size() == group.size());
  Slices out;
  std::vector<uint32_t> first;
  out.order = OrderByGroup(group, groups, &first);
  out.begin.resize(ts.size());
  out.end.resize(ts.size());
  for (size_t g = 0; g < groups; ++g) {
    uint32_t begin = first[g];
    for (uint32_t k = first[g]; k < first[g + 1]; ++k) {
      if (window.span.has_value()) {
        const Timestamp least = Timestamp(ts[out.order[k]]).Minus(*window.span);
        while (Timestamp(ts[out.order[begin]]) < least) ++begin;
      } else if (k - begin >= window.rows) {
        ++begin;
      }
      out.begin[k] = begin;
      out.end[k] = k + 1;
    }
  }
  return out;
}

int64_t BarStart(int64_t ts, Duration interval) {
  const int64_t past = ts % interval.ns();
  return ts - (past < 0 ? past + interval.ns() : past);
}

BarSlices MakeBarSlices(std::span<const int64_t> ts, std::span<const uint32_t> group, size_t groups,
                        Duration interval) {
  PX_CHECK(ts.size() == group.size() && interval.ns() > 0);
  BarSlices out;
  std::vector<uint32_t> first;
  out.slices.order = OrderByGroup(group, groups, &first);
  for (size_t g = 0; g < groups; ++g) {
    for (uint32_t k = first[g]; k < first[g + 1]; ++k) {
      const int64_t start = BarStart(ts[out.slices.order[k]], interval);
      if (k == first[g] || start != out.start.back()) {
        out.start.push_back(start);
        out.group.push_back(static_cast<uint32_t>(g));
        out.slices.begin.push_back(k);
        out.slices.end.push_back(k);
      }
      ++out.slices.end.back();
    }
  }
  return out;
}

}  // namespace proxist::exec
