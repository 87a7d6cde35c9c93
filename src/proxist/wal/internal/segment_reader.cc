// Reads one segment frame by frame and judges what stands behind its last whole frame.
#include "proxist/wal/internal/segment_reader.h"

#include <algorithm>
#include <array>

namespace proxist::wal {
namespace {

constexpr size_t kScanBytes = size_t{1} << 20;

bool IsZero(ByteSpan bytes) {
  return std::ranges::all_of(bytes, [](std::byte b) { return b == std::byte{0}; });
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

bool SegmentReader::IsOurs(const FrameHeader& frame, uint64_t offset) const {
  return frame.incarnation == header_.incarnation && frame.shard == header_.shard &&
         frame.segment == header_.number && frame.offset == offset;
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
  if (!DecodeFrameHeader(block, &header) || !IsOurs(header, at_)) {
    // A new file is all zeros, so anything else is a write that did not finish. In a recycled one
    // these may be bytes of its earlier life.
    const bool stale = header_.recycled || IsZero(block);
    PX_RETURN_IF_ERROR(JudgeEnd(stale ? "" : "there are bytes that are no frame", limit_ - at_));
    return std::nullopt;
  }
  if (header.length < kFrameHeaderBytes || header.length > limit_ - at_) {
    PX_RETURN_IF_ERROR(
        JudgeEnd(fmt::format("the frame's length of {} bytes does not fit the file", header.length),
                 limit_ - at_));
    return std::nullopt;
  }
  auto bytes = std::make_shared<std::vector<std::byte>>(header.length);
  PX_RETURN_IF_ERROR(ReadBlocks(at_, *bytes));
  // The bytes may have been written since the header was read: only what is checked is believed.
  if (FrameChecksum(*bytes) != header.checksum || !DecodeFrameHeader(*bytes, &header)) {
    PX_RETURN_IF_ERROR(JudgeEnd("the frame's checksum does not match",
                                std::min(PaddedToBlock(header.length), limit_ - at_)));
    return std::nullopt;
  }
  if (header.previous != chain_) {
    end_.kind = SegmentEnd::Kind::kDamaged;
    end_.why = "the frame is whole but does not continue the frame before it";
    return std::nullopt;
  }
  frame.bytes = std::move(bytes);
  chain_ = header.checksum;
  // The padding of the very last frame may be missing in a file that was cut.
  at_ += std::min(PaddedToBlock(header.length), limit_ - at_);
  return frame;
}

Status SegmentReader::JudgeEnd(std::string why, uint64_t torn_bytes) {
  PX_ASSIGN_OR_RETURN(const std::optional<uint64_t> later, FindLaterFrame());
  if (later.has_value()) {
    end_.kind = SegmentEnd::Kind::kDamaged;
    end_.why = fmt::format("{}, yet a later frame stands at offset {}",
                           why.empty() ? "there is no frame" : why, *later);
  } else if (!why.empty()) {
    end_.kind = SegmentEnd::Kind::kTorn;
    end_.why = std::move(why);
    end_.torn_bytes = torn_bytes;
  }
  return OkStatus();
}

// A frame is written only when the one before it is durable, so a header of this life behind `at_`
// proves that what stands at `at_` was whole once. Only the header is looked at: that it may be
// damaged elsewhere changes nothing.
StatusOr<std::optional<uint64_t>> SegmentReader::FindLaterFrame() const {
  std::vector<std::byte> chunk;
  for (uint64_t at = at_ + env::kBlockBytes; at < limit_ && limit_ - at >= env::kBlockBytes;) {
    const uint64_t whole = (limit_ - at) / env::kBlockBytes * env::kBlockBytes;
    chunk.resize(static_cast<size_t>(std::min<uint64_t>(kScanBytes, whole)));
    PX_RETURN_IF_ERROR(ReadBlocks(at, chunk));
    for (size_t i = 0; i < chunk.size(); i += env::kBlockBytes) {
      FrameHeader header;
      if (DecodeFrameHeader(ByteSpan(chunk).subspan(i), &header) && IsOurs(header, at + i)) {
        return at + i;
      }
    }
    at += chunk.size();
  }
  return std::nullopt;
}

}  // namespace proxist::wal
