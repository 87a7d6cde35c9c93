// Walks a log's segments in order, believes what is whole and says where appending goes on.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "proxist/env/file_system.h"
#include "proxist/wal/inspect.h"
#include "proxist/wal/internal/segment_reader.h"
#include "proxist/wal/log.h"

namespace proxist::wal {

/// A segment that holds records still needed, or is the open one.
struct LiveSegment {
  uint64_t number = 0;
  uint64_t bytes = 0;
  Lsn last;  // highest LSN in it or before it
  env::FileKey key;
};

/// A place in a log that everything before it was durable at.
struct Watermark {
  uint64_t segment = 0;
  uint64_t offset = 0;  // in the segment
  uint64_t chain = 0;   // chain value there
  Lsn last;             // highest LSN before it

  bool operator==(const Watermark&) const = default;
  [[nodiscard]] bool Before(const Watermark& other) const {
    return std::pair(segment, offset) < std::pair(other.segment, other.offset);
  }
};

/// The log's files and its end, as replay found them.
struct LogState {
  std::vector<LiveSegment> segments;   // ascending, without gaps
  std::vector<uint64_t> free_numbers;  // of free files, ascending
  uint64_t next_number = 1;            // of the segment after the last
  uint64_t next_free_number = 1;       // above every free file's
  SegmentEnd end;                      // of the last segment
  uint32_t version = 0;                // of the last segment
  uint64_t durable = 0;                // of the last segment: below it all was durable once
  uint64_t chain = 0;                  // chain value at the end
  Lsn last;                            // highest LSN known
  Epoch epoch;                         // of the last frame or segment
  std::optional<Watermark> watermark;  // as its file says
};

/// What the log must belong to; nothing: whatever its first segment says.
struct LogIdentity {
  uint64_t incarnation = 0;
  ShardId shard;
};

/// Reads every record through `visitor`. Writes nothing. Errors as Log::Open.
StatusOr<LogState> ReplayLog(env::FileSystem* files, const std::string& directory,
                             std::optional<LogIdentity> identity, env::Keyring* keys,
                             const LogVisitor& visitor, ReplayReport* report);

}  // namespace proxist::wal
