// As-of match: for each left row the prevailing, or the next, right row of its group.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "proxist/base/time.h"

namespace proxist::exec {

struct AsofRule {
  bool forward = false;  // false: the last right row at or before; true: the first at or after
  bool strict = false;   // an equal ts does not match
  std::optional<Duration> tolerance;  // greatest distance, included
};

/// True when a right row at `right` may answer a left row at `left`: side, strictness, tolerance.
bool AsofAdmits(const AsofRule& rule, Timestamp left, Timestamp right);

/// Both sides sorted by ts, right rows of equal ts in their order; times in ns, group ids below
/// `groups`. For each left row the index of its right row, or -1. Among equal ts the last right row
/// wins backward, the first forward.
std::vector<int64_t> AsofMatch(std::span<const int64_t> left_ts,
                               std::span<const uint32_t> left_group,
                               std::span<const int64_t> right_ts,
                               std::span<const uint32_t> right_group, size_t groups,
                               const AsofRule& rule);

}  // namespace proxist::exec
