// Bugs on purpose: the simulator proves its oracles by finding them. Builds without
// PROXIST_PLANTED_BUGS, as users run them, have none.
#pragma once

#include <cstdint>
#include <string_view>

namespace proxist {

enum class PlantedBug : uint8_t {
  kNone,
  kAckBeforeSync,
  kSkippedDirectorySync,
  kTornTailOffByOne,
  kEvictBeforePersist,
  kWatermarkAheadOfRows,
  kDedupLostAtRestart,
  kUnsortedLateMerge,
  kReusedNonce,
};

#ifdef PROXIST_PLANTED_BUGS
inline PlantedBug planted_bug = PlantedBug::kNone;  // set before any thread starts
constexpr bool kBugsCanBePlanted = true;
#else
constexpr PlantedBug planted_bug = PlantedBug::kNone;
constexpr bool kBugsCanBePlanted = false;
#endif

/// True in a test build that was asked for this bug.
inline bool Planted(PlantedBug bug) {
  if constexpr (!kBugsCanBePlanted) return false;
  return planted_bug == bug;
}

struct PlantedBugName {
  std::string_view name;
  PlantedBug bug;
};
inline constexpr PlantedBugName kPlantedBugNames[] = {
    {"none", PlantedBug::kNone},
    {"ack-before-sync", PlantedBug::kAckBeforeSync},
    {"skipped-directory-sync", PlantedBug::kSkippedDirectorySync},
    {"torn-tail-off-by-one", PlantedBug::kTornTailOffByOne},
    {"evict-before-persist", PlantedBug::kEvictBeforePersist},
    {"watermark-ahead-of-rows", PlantedBug::kWatermarkAheadOfRows},
    {"dedup-lost-at-restart", PlantedBug::kDedupLostAtRestart},
    {"unsorted-late-merge", PlantedBug::kUnsortedLateMerge},
    {"reused-nonce", PlantedBug::kReusedNonce},
};

#ifdef PROXIST_PLANTED_BUGS
/// False for a name that is not listed.
inline bool PlantBug(std::string_view name) {
  for (const PlantedBugName& one : kPlantedBugNames) {
    if (one.name != name) continue;
    planted_bug = one.bug;
    return true;
  }
  return false;
}
#endif

}  // namespace proxist
