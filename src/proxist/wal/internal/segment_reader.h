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
  std::shared_ptr<const std::vector<std::byte>> bytes;  // header and records, `length` bytes
};

/// What stands behind the last whole frame of a segment.
struct SegmentEnd {
  enum class Kind {
    kClean,    // zeros, bytes of an earlier life, or no room for a frame
    kShort,    // the file is shorter than its header says
    kTorn,     // an unfinished frame, or bytes that no finished write leaves
    kDamaged,  // a frame that was whole once: later frames of this segment were written after it
  };
  Kind kind = Kind::kClean;
  uint64_t offset = 0;      // where the next frame would stand
  uint64_t torn_bytes = 0;  // of kTorn, whole blocks from `offset` on
  std::string why;
};

/// One thread.
class SegmentReader {
 public:
  /// Believes the segment header or returns DATA_LOSS (damaged), FAILED_PRECONDITION (another
  /// format version), each with `path`.
  static StatusOr<std::unique_ptr<SegmentReader>> Open(env::FileSystem* files,
                                                       const std::string& path, uint64_t number);

  [[nodiscard]] const SegmentHeader& header() const { return header_; }
  [[nodiscard]] const std::string& path() const { return path_; }
  /// Chain value after the frames read so far.
  [[nodiscard]] uint64_t chain() const { return chain_; }

  /// The next frame, or nothing at the end; then end() says what stands there.
  StatusOr<std::optional<Frame>> Next();
  [[nodiscard]] const SegmentEnd& end() const { return end_; }

 private:
  SegmentReader(std::unique_ptr<env::File> file, std::string path)
      : file_(std::move(file)), path_(std::move(path)) {}
  Status ReadBlocks(uint64_t offset, std::span<std::byte> out) const;
  [[nodiscard]] bool IsOurs(const FrameHeader& frame, uint64_t offset) const;
  Status JudgeEnd(std::string why, uint64_t torn_bytes);
  StatusOr<std::optional<uint64_t>> FindLaterFrame() const;

  const std::unique_ptr<env::File> file_;
  const std::string path_;
  SegmentHeader header_;
  uint64_t limit_ = 0;  // bytes that can hold frames: of the file, at most of the segment
  uint64_t at_ = kSegmentHeaderBytes;
  uint64_t chain_ = 0;
  SegmentEnd end_;
};

}  // namespace proxist::wal
