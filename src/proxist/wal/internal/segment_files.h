// The live and the free files of one log: opening the next segment, cutting the tail, recycling.
#pragma once

#include <functional>
#include <future>
#include <memory>
#include <string>
#include <vector>

#include "proxist/env/file_system.h"
#include "proxist/wal/internal/format.h"
#include "proxist/wal/internal/replay.h"

namespace proxist::wal {

/// `status` as an error that poisons, for a step that may have changed something: a full disk is
/// UNAVAILABLE then.
Status Unsettled(const Status& status);

/// The segment that takes appends.
struct OpenSegment {
  std::unique_ptr<env::DurableFile> file;
  uint32_t version = 0;  // of the format
  uint64_t number = 0;
  uint64_t bytes = 0;
  uint64_t offset = 0;                      // where the next frame goes
  uint64_t durable = 0;                     // all below it survives power loss
  uint64_t chain = 0;                       // what the next frame continues
  std::unique_ptr<env::FileCipher> cipher;  // nullptr: it is not encrypted
};

/// One thread; a new file may be zero-filled by a thread of its own meanwhile.
class SegmentFiles {
 public:
  SegmentFiles(env::FileSystem* files, const LogOptions& options, LogState state)
      : files_(files), options_(options), state_(std::move(state)) {}

  /// Cuts what replay found torn, makes the rest durable, and opens the last segment behind its
  /// last frame; the next one when there is none, its file is short, its format is an older one, or
  /// it is not encrypted and new ones are.
  StatusOr<OpenSegment> OpenLast();
  /// Makes the next segment, its header durable before its name: a free file, else a new one.
  /// `chain` and `last` are the log's so far. RESOURCE_EXHAUSTED: no room, the log is unchanged.
  StatusOr<OpenSegment> OpenNext(uint64_t chain, Lsn last);
  /// Starts filling the file of the segment after the open one, if none is free. Best effort.
  void PrepareNext();

  void SetLast(Lsn last) { state_.segments.back().last = last; }
  StatusOr<uint64_t> Recycle(Lsn lsn);
  [[nodiscard]] uint64_t live_bytes() const;
  [[nodiscard]] Lsn RecyclableThrough(Lsn lsn) const;
  [[nodiscard]] uint64_t ClosedBytesAbove(Lsn lsn) const;

 private:
  [[nodiscard]] std::string Path(const std::string& name) const {
    return options_.directory + "/" + name;
  }
  [[nodiscard]] uint32_t WrittenVersion() const {
    return options_.keys == nullptr ? kFormatVersion : kEncryptedVersion;
  }
  /// A free file of the right size, or 0.
  StatusOr<uint64_t> TakeFree();
  void FinishPreparing();
  Status ZeroTail(env::DurableFile* file) const;
  /// Writes again, through `write`, what replay read and nothing proves durable.
  Status Harden(const env::File& file,
                const std::function<Status(uint64_t, ByteSpan)>& write) const;
  StatusOr<OpenSegment> LeaveShort(env::File* file);

  env::FileSystem* const files_;
  const LogOptions options_;
  LogState state_;
  std::future<Status> preparing_;  // of the file preparing_number_ names; may be invalid
  uint64_t preparing_number_ = 0;
  uint64_t fresh_number_ = 0;  // a free file known to hold zeros alone; 0: none
};

}  // namespace proxist::wal
