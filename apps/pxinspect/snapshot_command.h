// pxinspect snapshot, pxinspect chunks: print and verify snapshots and chunk files.
#pragma once

#include <string>

#include "proxist/base/status.h"
#include "proxist/env/cipher.h"

namespace proxist::pxinspect {

struct SnapshotOptions {
  std::string directory;  // a data directory or one shard's snapshots
  bool details = false;   // also each series, or each chunk
  bool json = false;      // one JSON object a line
  env::Keyring* keys = nullptr;
};

/// Print to stdout. The first error in any file, after all files were looked at; NOT_FOUND when
/// there is none.
Status InspectSnapshots(const SnapshotOptions& options);
Status InspectChunks(const SnapshotOptions& options);

}  // namespace proxist::pxinspect
