// Looking at a log without writing to it: segments, frames and records as they stand in the files.
#pragma once

#include <cstdint>
#include <functional>
#include <set>
#include <string>

#include "proxist/wal/log.h"

namespace proxist::wal {

struct SegmentInfo {
  std::string path;
  uint64_t number = 0;
  uint32_t version = 0;  // of the format
  uint64_t incarnation = 0;
  ShardId shard;
  Epoch epoch;                 // of the opening that made it
  uint64_t segment_bytes = 0;  // as its header says
  bool recycled = false;       // its file held an earlier segment
  KeyId key;                   // that its records are encrypted under; 0: none
};

struct FrameInfo {
  uint64_t segment = 0;
  uint64_t offset = 0;  // in the segment
  uint64_t bytes = 0;   // header and records, without padding
  uint64_t records = 0;
  Epoch epoch;
  Lsn first;  // first - 1 == last when no record holds rows
  Lsn last;
  uint64_t durable = 0;  // all of the segment below this offset was durable when it was written
};

/// Called in the log's order; an empty member is skipped, an error stops and is returned.
struct LogVisitor {
  std::function<Status(const SegmentInfo&)> segment;
  std::function<Status(const FrameInfo&)> frame;
  std::function<Status(const LogRecord&)> record;
};

/// The keys that the headers of a log's segments name, also of those that a repair cut off; not of
/// free files, which nobody reads again. Removals are durable before anything is read, so that no
/// other segment comes back after power loss. DATA_LOSS: a header is damaged.
StatusOr<std::set<KeyId>> KeysOfSegments(env::FileSystem* files, const std::string& directory);

/// Like ReadLog, with segments and frames as well: each is visited before what it holds.
Status InspectLog(env::FileSystem* files, const std::string& directory, const LogVisitor& visitor,
                  ReplayReport* report, env::Keyring* keys = nullptr);

}  // namespace proxist::wal
