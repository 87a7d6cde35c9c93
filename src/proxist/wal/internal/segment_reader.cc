// Reads one segment frame by frame and judges what stands behind its last whole frame.
#include "proxist/wal/internal/segment_reader.h"

#include <algorithm>
#include <array>
#include <cstring>

namespace proxist::wal {
namespace {

constexpr size_t kScanBytes = size_t{1} << 20;

bool IsZero(ByteSpan bytes) {
  return bytes[0] == std::byte{0} &&
         std::memcmp(bytes.data(), bytes.data() + 1, bytes.size() - 1) == 0;
}

}  // namespace

StatusOr<std::unique_ptr<SegmentReader>> SegmentReader::Open(env::FileSystem* files,
                                                             const std::string& path,
                                                             uint64_t number) {
  PX_ASSIGN_OR_RETURN(std::unique_ptr<env::File> file,
                      files->Open(path, env::FileSystem::Mode::kRead));
  std::unique_ptr<SegmentReader> reader(new SegmentReader(std::move(file), path));
  PX_ASSIGN_OR_RETURN(const uint64_t size, reader->file_->Size());
  if (size < kSegmentHeaderBytes) {
    return DataLoss("{}: it has {} bytes, fewer than a segment header", path, size);
  }
  std::array<std::byte, kSegmentHeaderBytes> block;
  PX_RETURN_IF_ERROR(reader->ReadBlocks(0, block));
  StatusOr<SegmentHeader> header = DecodeSegmentHeader(block);
  if (!header.ok()) return Annotate(header.status(), path);
  if (header->number != number) {
    return DataLoss("{}: its header says segment {:016x}; a file was renamed or copied over it",
                    path, header->number);
  }
  reader->header_ = *header;
  reader->chain_ = header->checksum;
  reader->limit_ = std::min(size, header->segment_bytes);
  return reader;
}

Status SegmentReader::ReadBlocks(uint64_t offset, std::span<std::byte> out) const {
  PX_ASSIGN_OR_RETURN(const size_t got, file_->ReadAt(offset, out));
  if (got == out.size()) return OkStatus();
  return Unavailable("{}: it became shorter while it was read, at offset {}", path_, offset + got);
}

bool SegmentReader::IsOurs(const FrameHeader& frame) const {
  return frame.version == header_.version && frame.incarnation == header_.incarnation &&
         frame.shard == header_.shard && frame.segment == header_.number;
}

bool SegmentReader::IsMisdirected(const FrameHeader& frame, uint64_t offset) const {
  if (!frame.whole) return false;
  if (IsOurs(frame)) return frame.offset != offset;
  // Version 1 headers can't be believed alone, and bytes of other logs may be a free file's.
  if (frame.version == 1 || frame.incarnation != header_.incarnation ||
      frame.shard != header_.shard) {
    return false;
  }
  return frame.segment > header_.number || (frame.segment < header_.number && !header_.recycled);
}

void SegmentReader::Damage(std::string why) {
  end_.kind = SegmentEnd::Kind::kDamaged;
  end_.why = std::move(why);
}

StatusOr<std::optional<Frame>> SegmentReader::Next() {
  end_ = SegmentEnd{.offset = at_};
  if (limit_ < header_.segment_bytes && limit_ - at_ < env::kBlockBytes) {
    end_.kind = SegmentEnd::Kind::kShort;
    end_.why =
        fmt::format("the file has {} bytes, its header says {}", limit_, header_.segment_bytes);
    return std::nullopt;
  }
  if (limit_ - at_ < env::kBlockBytes) return std::nullopt;
  std::array<std::byte, env::kBlockBytes> block;
  PX_RETURN_IF_ERROR(ReadBlocks(at_, block));
  Frame frame;
  FrameHeader& header = frame.header;
  const bool is_frame = DecodeFrameHeader(block, &header);
  const auto torn = [&](std::string why, uint64_t bytes) -> StatusOr<std::optional<Frame>> {
    PX_RETURN_IF_ERROR(JudgeEnd(std::move(why), bytes));
    return std::nullopt;
  };
  if (is_frame && IsMisdirected(header, at_)) {
    Damage(
        fmt::format("the frame that stands here was written for offset {} of segment {:016x}: "
                    "the disk put a write into the wrong place",
                    header.offset, header.segment));
    return std::nullopt;
  }
  if (!is_frame || !IsOurs(header) || header.offset != at_) {
    // A new file is all zeros, so anything else is a write that did not finish. In a recycled one
    // these may be bytes of its earlier life.
    const bool stale = header_.recycled || IsZero(block);
    return torn(stale ? "" : "there are bytes that are no frame", env::kBlockBytes);
  }
  if (!header.whole) return torn("the frame's header is damaged", env::kBlockBytes);
  if (header.length < header.HeaderBytes() || header.length > limit_ - at_) {
    return torn(fmt::format("the frame's length of {} bytes does not fit the file", header.length),
                env::kBlockBytes);
  }
  auto bytes = std::make_shared<std::vector<std::byte>>(header.length);
  PX_RETURN_IF_ERROR(ReadBlocks(at_, *bytes));
  // The bytes may have been written since the header was read: only what is checked is believed.
  if (std::memcmp(bytes->data(), block.data(), header.HeaderBytes()) != 0 ||
      FrameChecksum(*bytes) != header.checksum) {
    return torn("the frame's checksum does not match",
                std::min(PaddedToBlock(header.length), limit_ - at_));
  }
  if (header.previous != chain_) {
    Damage("the frame is whole but does not continue the frame before it");
    return std::nullopt;
  }
  if (header.durable < durable_ || header.durable > at_) {
    Damage(fmt::format("the frame says that all below offset {} was durable, after {}",
                       header.durable, durable_));
    return std::nullopt;
  }
  frame.bytes = std::move(bytes);
  chain_ = header.checksum;
  durable_ = header.durable;
  // The padding of the very last frame may be missing in a file that was cut.
  at_ += std::min(PaddedToBlock(header.length), limit_ - at_);
  return frame;
}

Status SegmentReader::JudgeEnd(std::string why, uint64_t torn_bytes) {
  PX_ASSIGN_OR_RETURN(const Behind behind, LookBehind());
  // Also bytes behind a gap: the first block of a torn write may be what is missing.
  if (why.empty() && behind.end > at_) why = "there is no frame, yet bytes stand behind";
  if (behind.misdirected) {
    Damage(
        fmt::format("{}, and a frame that stands at offset {} was written for another place: "
                    "the disk put a write into the wrong place",
                    why, *behind.misdirected));
    return OkStatus();
  }
  if (behind.proof) {
    Damage(fmt::format("{}, yet the frame at offset {} was written when it was durable", why,
                       *behind.proof));
    return OkStatus();
  }
  if (why.empty()) return OkStatus();
  end_.kind = SegmentEnd::Kind::kTorn;
  end_.unsynced_lost = behind.unsynced.has_value();
  end_.torn_bytes = std::max(torn_bytes, behind.end - at_);
  end_.why = std::move(why);
  return OkStatus();
}

StatusOr<SegmentReader::Behind> SegmentReader::LookBehind() const {
  Behind behind{.end = at_};
  std::vector<std::byte> chunk;
  for (uint64_t at = at_ + env::kBlockBytes; at < limit_ && limit_ - at >= env::kBlockBytes;) {
    const uint64_t whole = (limit_ - at) / env::kBlockBytes * env::kBlockBytes;
    chunk.resize(static_cast<size_t>(std::min<uint64_t>(kScanBytes, whole)));
    PX_RETURN_IF_ERROR(ReadBlocks(at, chunk));
    for (size_t i = 0; i < chunk.size(); i += env::kBlockBytes) {
      LookAt(ByteSpan(chunk).subspan(i, env::kBlockBytes), at + i, &behind);
    }
    at += chunk.size();
  }
  return behind;
}

// Frames that are written unsynced may reach the disk in any order, so a later frame proves only
// what it says was durable then. Its header alone is looked at: that it may be damaged elsewhere
// changes nothing, and one whose header is damaged is taken for a proof, as losing nothing silently
// comes before starting.
void SegmentReader::LookAt(ByteSpan block, uint64_t offset, Behind* behind) const {
  FrameHeader header;
  if (!DecodeFrameHeader(block, &header) || !IsOurs(header)) {
    // In a recycled file other bytes are of its earlier life and mean nothing.
    if (!header_.recycled && !IsZero(block)) behind->end = offset + env::kBlockBytes;
    return;
  }
  behind->end = offset + env::kBlockBytes;
  if (header.offset != offset) {
    if (header.whole && !behind->misdirected) behind->misdirected = offset;
  } else if (!header.whole || header.durable > at_) {
    if (!behind->proof) behind->proof = offset;
  } else if (!behind->unsynced) {
    behind->unsynced = offset;
  }
}

}  // namespace proxist::wal
