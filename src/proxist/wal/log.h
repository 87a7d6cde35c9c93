// A shard's write-ahead log: opaque records in checksummed frames in preallocated segments.
// FORMAT.md has the bytes.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "proxist/base/bytes.h"
#include "proxist/base/ids.h"
#include "proxist/base/status.h"
#include "proxist/env/cipher.h"
#include "proxist/env/file_system.h"

namespace proxist::wal {

struct LogOptions {
  std::string directory;
  uint64_t segment_bytes = 64ull << 20;    // a multiple of env::kBlockBytes, at least two of them
  uint64_t max_frame_bytes = 32ull << 20;  // one device write; at most what a segment can hold
  uint64_t max_free_segments = 8;          // kept for reuse; further ones are removed
  bool prepare_next = true;                // zero-fill the next new file on a thread of its own
  bool read_ahead = true;    // replay reads and checks on a thread of its own, `apply` on Open's
  uint64_t incarnation = 0;  // of the data directory; a segment of another one is refused
  ShardId shard;
  Epoch epoch;  // of this opening, and of no other one
  /// Encrypts new segments, which take the current key each; nullptr: they are not encrypted. A log
  /// with encrypted segments needs their keys to be read.
  env::Keyring* keys = nullptr;
};

/// One record as replay sees it.
struct LogRecord {
  ByteSpan payload;  // valid while `owner` lives
  std::shared_ptr<const void> owner;
  Epoch epoch;
  Lsn first;
  Lsn last;  // first - 1 when the record holds no rows
  uint64_t segment = 0;
  uint64_t frame_offset = 0;  // of the frame in its segment
};

/// What recovery found at the end of the log.
struct ReplayReport {
  uint64_t records = 0;
  uint64_t frames = 0;
  uint64_t bytes = 0;
  Lsn before;              // highest LSN before the first live segment
  Lsn last;                // highest LSN replayed, or that recycled segments held
  bool torn_tail = false;  // writes at the end that nobody was told to be durable were cut off
  uint64_t torn_segment = 0;
  uint64_t torn_offset = 0;
  bool unsynced_lost = false;  // of the torn tail: power loss took an unsynced frame before others
  std::string torn_why;
  uint64_t durable_segment = 0;  // what the watermark says; 0: there is none
  uint64_t durable_offset = 0;
};

/// What a frame survives once Wait has returned: power loss, or only the end of the process.
enum class FrameLevel : uint8_t { kSynced, kUnsynced };

/// The writer's half. One thread. States: open, then poisoned after the first failed write or sync
/// (all later Submits are FAILED_PRECONDITION; reads of memory go on).
class Log {
 public:
  /// Replays every record in order through `apply` (an error from it stops and is returned), cuts a
  /// torn tail, makes durable what it replayed, and is then ready to append after the last frame,
  /// in the same segment; a missing directory is created. Damage before the tail is DATA_LOSS
  /// naming segment file and offset; nothing is changed. FAILED_PRECONDITION: the log belongs to
  /// another data directory or shard, was written under a higher epoch, has a format version that
  /// is not read, or is encrypted under a key that is not given. INVALID_ARGUMENT: options.
  /// A last frame behind the watermark that is damaged cannot be told from an unfinished write and
  /// is cut; an end before the watermark is DATA_LOSS.
  static StatusOr<std::unique_ptr<Log>> Open(env::FileSystem* files, const LogOptions& options,
                                             const std::function<Status(const LogRecord&)>& apply,
                                             ReplayReport* report);
  ~Log();
  Log(const Log&) = delete;
  Log& operator=(const Log&) = delete;

  /// Copies `payload` into the frame being built, also while a write is in flight. Records of one
  /// frame become durable together. RESOURCE_EXHAUSTED when the frame would pass max_frame_bytes:
  /// submit first. INVALID_ARGUMENT for a record that fits no frame, or whose LSNs do not ascend
  /// (`first` above every LSN before, `last` at least `first` - 1).
  Status AddRecord(ByteSpan payload, Lsn first, Lsn last);
  /// AddRecord of a payload of `bytes` bytes, which the caller writes into the memory that this
  /// returns, all of them, before it calls the log again.
  StatusOr<std::span<std::byte>> AddRecord(size_t bytes, Lsn first, Lsn last);
  /// Bytes that the frame being built would write; 0 when it is empty.
  [[nodiscard]] uint64_t pending_bytes() const;
  /// Closes the frame, gives it its place (opens the next segment first when it does not fit),
  /// seals it and starts its one write; nothing to do for an empty frame. A synced frame after
  /// unsynced ones, and the next segment, first Sync. No frame may be in flight. RESOURCE_EXHAUSTED
  /// means that there is no room for the next segment: the frame is dropped, nothing else changed.
  /// Any other error poisons.
  Status Submit(FrameLevel level = FrameLevel::kSynced);
  /// Ends the write of the frame that was submitted, if any; what the caller did since Submit it
  /// did beside the device. OK: every record added before Submit survives power loss, or the
  /// process's end when the frame is unsynced. Any error poisons.
  Status Wait();
  /// Makes every frame submitted survive power loss. No write may be in flight. Any error poisons.
  Status Sync();
  /// Frames were submitted that power loss may still take.
  [[nodiscard]] bool unsynced() const;

  /// Records durably how far the log is durable, if that moved, so that the next Open misses no end
  /// before it. Open does it too. No write may be in flight. RESOURCE_EXHAUSTED: no room for the
  /// file yet, nothing changed; any other error poisons.
  Status RecordWatermark();
  /// A segment was opened since the watermark was recorded.
  [[nodiscard]] bool watermark_is_old() const;
  /// Sync and RecordWatermark: a clean end.
  Status Close();

  /// Segments whose records all have last <= `lsn` and that are not the open one move to the free
  /// list and are overwritten later. Returns how many moved. No write may be in flight.
  StatusOr<uint64_t> Recycle(Lsn lsn);
  [[nodiscard]] bool direct() const;          // false: the fdatasync fallback is in use
  [[nodiscard]] uint64_t live_bytes() const;  // of segments that are not free
  /// The greatest LSN in the segments that Recycle(lsn) would give back; 0 when there is none.
  [[nodiscard]] Lsn RecyclableThrough(Lsn lsn) const;
  /// Bytes of the segments, but the open one, that hold an LSN above `lsn`.
  [[nodiscard]] uint64_t ClosedBytesAbove(Lsn lsn) const;

 private:
  struct Impl;
  explicit Log(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

/// Reads a log without writing anything (pxinspect): `visit` sees every record in order. Any
/// thread. `keys`: as in LogOptions.
Status ReadLog(env::FileSystem* files, const std::string& directory,
               const std::function<Status(const LogRecord&)>& visit, ReplayReport* report,
               env::Keyring* keys = nullptr);

}  // namespace proxist::wal
