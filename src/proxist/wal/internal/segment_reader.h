// Reads one segment frame by frame and judges what stands behind its last whole frame.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "proxist/env/file_system.h"
#include "proxist/wal/internal/format.h"

namespace proxist::wal {

/// A whole, believed frame.
struct Frame {
  FrameHeader header;
  std::shared_ptr<std::vector<std::byte>> bytes;  // `length` bytes as they stand in the file
};

/// What stands behind the last whole frame of a segment.
struct SegmentEnd {
  enum class Kind {
    kClean,    // zeros, bytes of an earlier life, or no room for a frame
    kShort,    // the file is shorter than its header says
    kTorn,     // an unfinished frame, lost unsynced frames, or bytes that no finished write leaves
    kDamaged,  // something durable is not what was written, or stands elsewhere
  };
  Kind kind = Kind::kClean;
  uint64_t offset = 0;         // where the next frame would stand
  uint64_t torn_bytes = 0;     // of kTorn: whole blocks from `offset` on that have to be cleared
  bool unsynced_lost = false;  // of kTorn: later frames that were never synced stand behind it
  std::string why;
};

/// One thread.
class SegmentReader {
 public:
  /// Believes the segment header or returns DATA_LOSS (damaged), FAILED_PRECONDITION (a format
  /// version that is not read), each with `path`.
  static StatusOr<std::unique_ptr<SegmentReader>> Open(env::FileSystem* files,
                                                       const std::string& path, uint64_t number);

  [[nodiscard]] const SegmentHeader& header() const { return header_; }
  [[nodiscard]] const std::string& path() const { return path_; }
  /// Chain value after the frames read so far.
  [[nodiscard]] uint64_t chain() const { return chain_; }
  /// Where the next frame would stand.
  [[nodiscard]] uint64_t offset() const { return at_; }
  /// Everything of the segment below this offset was durable once: the frames read so far say so.
  [[nodiscard]] uint64_t durable() const { return durable_; }

  /// The next frame, or nothing at the end; then end() says what stands there.
  StatusOr<std::optional<Frame>> Next();
  [[nodiscard]] const SegmentEnd& end() const { return end_; }

 private:
  SegmentReader(std::unique_ptr<env::File> file, std::string path)
      : file_(std::move(file)), path_(std::move(path)) {}
  Status ReadBlocks(uint64_t offset, std::span<std::byte> out) const;
  /// Of this segment, for whatever place.
  [[nodiscard]] bool IsOurs(const FrameHeader& frame) const;
  /// A believed header that no write to this place and no earlier life of the file explains.
  [[nodiscard]] bool IsMisdirected(const FrameHeader& frame, uint64_t offset) const;
  /// What stands behind a place that holds no whole frame.
  struct Behind {
    std::optional<uint64_t> proof;  // a frame that was written when the place was durable
    std::optional<uint64_t> misdirected;
    std::optional<uint64_t> unsynced;  // a frame that proves nothing
    uint64_t end = 0;                  // behind the last block that a cut has to clear
  };
  StatusOr<Behind> LookBehind() const;
  void LookAt(ByteSpan block, uint64_t offset, Behind* behind) const;
  Status JudgeEnd(std::string why, uint64_t torn_bytes);
  void Damage(std::string why);

  const std::unique_ptr<env::File> file_;
  const std::string path_;
  SegmentHeader header_;
  uint64_t limit_ = 0;  // bytes that can hold frames: of the file, at most of the segment
  uint64_t at_ = kSegmentHeaderBytes;
  uint64_t chain_ = 0;
  uint64_t durable_ = kSegmentHeaderBytes;
  SegmentEnd end_;
};

}  // namespace proxist::wal
