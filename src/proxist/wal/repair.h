// Cutting a damaged log off by hand, when what stands behind the damage is given up.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "proxist/base/ids.h"
#include "proxist/base/status.h"
#include "proxist/env/file_system.h"

namespace proxist::wal {

/// What a cut keeps and what it gives up.
struct CutPlan {
  std::string directory;
  uint64_t segment = 0;
  uint64_t offset = 0;       // where the next frame will stand
  uint64_t chain = 0;        // chain value there
  Lsn last;                  // highest LSN kept
  uint64_t frames_kept = 0;  // of the log up to there
  uint64_t clear_bytes = 0;  // of the segment, from `offset` on
  uint64_t incarnation = 0;
  ShardId shard;
  std::vector<uint64_t> aside;  // numbers of the later segments, ascending
};

/// The cut of the log in `directory` at `offset` of segment `segment`; reads only. Everything
/// before that place has to be whole: the error that says why it is not, or INVALID_ARGUMENT when a
/// frame goes over the place or none stands right before it. The watermark is not asked.
StatusOr<CutPlan> PlanCut(env::FileSystem* files, const std::string& directory, uint64_t segment,
                          uint64_t offset);

/// Does it: later segments are renamed to `*.wal.cut`, latest first, the rest of the segment is
/// overwritten with zeros, and the watermark is set to the place. No server may run on the log. May
/// be repeated after a crash. ALREADY_EXISTS: an earlier cut left a file of that name.
Status Cut(env::FileSystem* files, const CutPlan& plan);

}  // namespace proxist::wal
