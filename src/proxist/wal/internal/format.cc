// Encoding and decoding of segment headers, frames and records.
#include "proxist/wal/internal/format.h"

#include <cstring>

#include "proxist/base/check.h"
#include "proxist/base/planted.h"

namespace proxist::wal {
namespace {

bool ParseHex16(std::string_view text, uint64_t* number) {
  if (text.size() != 16) return false;
  uint64_t value = 0;
  for (const char c : text) {
    const bool digit = c >= '0' && c <= '9';
    if (!digit && !(c >= 'a' && c <= 'f')) return false;
    value = value << 4 | static_cast<uint64_t>(digit ? c - '0' : c - 'a' + 10);
  }
  *number = value;
  return true;
}

/// A frame's header up to its last checksum: what its tag proves beside the records.
ByteSpan SealedHeader(ByteSpan frame) { return frame.first(frame_field::kChecksum.offset); }

constexpr std::string_view kSuffix = ".wal";
constexpr std::string_view kFreePrefix = "free-";

}  // namespace

void EncodeSegmentHeader(SegmentHeader* header, std::byte* block) {
  namespace f = segment_field;
  StoreField(block, f::kMagic, kSegmentMagic);
  StoreField(block, f::kVersion, header->version);
  StoreField(block, f::kEpoch, header->epoch.value());
  StoreField(block, f::kIncarnation, header->incarnation);
  StoreField(block, f::kNumber, header->number);
  StoreField(block, f::kBytes, header->segment_bytes);
  StoreField(block, f::kShard, header->shard.value());
  StoreField(block, f::kFlags, header->recycled ? kRecycledFlag : uint16_t{0});
  StoreField(block, f::kPrevious, header->previous);
  StoreField(block, f::kLastLsn, header->last_lsn.value());
  header->checksum = Checksum({block, f::kChecksum.offset});
  StoreField(block, f::kChecksum, header->checksum);
  if (header->version != kEncryptedVersion) return;
  env::StoreFileKey(header->key, f::kKeyOffset, block);
}

StatusOr<SegmentHeader> DecodeSegmentHeader(ByteSpan block) {
  namespace f = segment_field;
  PX_CHECK(block.size() >= kSegmentHeaderBytes);
  const std::byte* base = block.data();
  if (LoadField<uint64_t>(base, f::kMagic) != kSegmentMagic) {
    return DataLoss("it does not start with a segment header");
  }
  SegmentHeader header;
  header.checksum = LoadField<uint64_t>(base, f::kChecksum);
  if (header.checksum != Checksum({base, f::kChecksum.offset})) {
    return DataLoss("the checksum of its segment header does not match");
  }
  header.version = LoadField<uint32_t>(base, f::kVersion);
  if (header.version < kOldestVersion || header.version > kEncryptedVersion) {
    return FailedPrecondition("it has log format version {}, this program reads versions {} to {}",
                              header.version, kOldestVersion, kEncryptedVersion);
  }
  header.epoch = Epoch(LoadField<uint32_t>(base, f::kEpoch));
  header.incarnation = LoadField<uint64_t>(base, f::kIncarnation);
  header.number = LoadField<uint64_t>(base, f::kNumber);
  header.segment_bytes = LoadField<uint64_t>(base, f::kBytes);
  if (header.segment_bytes < kSegmentHeaderBytes || header.segment_bytes % env::kBlockBytes != 0) {
    return DataLoss("its segment header gives an impossible size of {} bytes",
                    header.segment_bytes);
  }
  header.shard = ShardId(LoadField<uint16_t>(base, f::kShard));
  header.recycled = (LoadField<uint16_t>(base, f::kFlags) & kRecycledFlag) != 0;
  header.previous = LoadField<uint64_t>(base, f::kPrevious);
  header.last_lsn = Lsn(LoadField<uint64_t>(base, f::kLastLsn));
  if (header.version != kEncryptedVersion) return header;
  PX_ASSIGN_OR_RETURN(header.key, env::LoadFileKey(base, f::kKeyOffset));
  return header;
}

env::Nonce FrameHeader::nonce() const {
  return {Planted(PlantedBug::kReusedNonce) ? 0 : epoch.value(), offset};
}

uint64_t FrameChecksum(ByteSpan frame) {
  namespace f = frame_field;
  const bool old = LoadField<uint32_t>(frame.data(), f::kVersion) == 1;
  const uint64_t seed = Checksum(frame.first(old ? f::kChecksumV1.offset : f::kChecksum.offset));
  return Checksum(frame.subspan(old ? kFrameHeaderBytesV1 : kFrameHeaderBytes), seed);
}

uint64_t SealFrame(const FrameHeader& header, std::span<std::byte> frame, env::FileCipher* cipher) {
  namespace f = frame_field;
  PX_CHECK(frame.size() == header.length && frame.size() >= kFrameHeaderBytes);
  std::byte* base = frame.data();
  std::memset(base, 0, kFrameHeaderBytes);
  StoreField(base, f::kMagic, kFrameMagic);
  StoreField(base, f::kVersion, header.version);
  StoreField(base, f::kRecords, header.records);
  StoreField(base, f::kIncarnation, header.incarnation);
  StoreField(base, f::kSegment, header.segment);
  StoreField(base, f::kOffset, header.offset);
  StoreField(base, f::kLength, header.length);
  StoreField(base, f::kEpoch, header.epoch.value());
  StoreField(base, f::kShard, header.shard.value());
  StoreField(base, f::kFirst, header.first.value());
  StoreField(base, f::kLast, header.last.value());
  StoreField(base, f::kPrevious, header.previous);
  StoreField(base, f::kDurable, header.durable);
  StoreField(base, f::kHeaderChecksum, Checksum(frame.first(f::kHeaderChecksum.offset)));
  if (cipher != nullptr) {
    PX_CHECK(frame.size() >= kFrameHeaderBytes + env::kTagBytes);
    cipher->Seal(
        header.nonce(), SealedHeader(frame),
        frame.subspan(kFrameHeaderBytes, frame.size() - kFrameHeaderBytes - env::kTagBytes),
        frame.last<env::kTagBytes>());
  }
  const uint64_t checksum = FrameChecksum(frame);
  StoreField(base, f::kChecksum, checksum);
  return checksum;
}

Status OpenFrame(const FrameHeader& header, std::span<std::byte> frame, env::FileCipher* cipher) {
  if (frame.size() < kFrameHeaderBytes + env::kTagBytes) {
    return DataLoss("it is too short for an encrypted frame");
  }
  return cipher->Open(
      header.nonce(), SealedHeader(frame),
      frame.subspan(kFrameHeaderBytes, frame.size() - kFrameHeaderBytes - env::kTagBytes),
      frame.last<env::kTagBytes>());
}

bool DecodeFrameHeader(ByteSpan block, FrameHeader* out) {
  namespace f = frame_field;
  PX_CHECK(block.size() >= kFrameHeaderBytes);
  const std::byte* base = block.data();
  if (LoadField<uint64_t>(base, f::kMagic) != kFrameMagic) return false;
  out->version = LoadField<uint32_t>(base, f::kVersion);
  if (out->version < kOldestVersion || out->version > kEncryptedVersion) return false;
  out->records = LoadField<uint32_t>(base, f::kRecords);
  out->incarnation = LoadField<uint64_t>(base, f::kIncarnation);
  out->segment = LoadField<uint64_t>(base, f::kSegment);
  out->offset = LoadField<uint64_t>(base, f::kOffset);
  out->length = LoadField<uint32_t>(base, f::kLength);
  out->epoch = Epoch(LoadField<uint32_t>(base, f::kEpoch));
  out->shard = ShardId(LoadField<uint16_t>(base, f::kShard));
  out->first = Lsn(LoadField<uint64_t>(base, f::kFirst));
  out->last = Lsn(LoadField<uint64_t>(base, f::kLast));
  out->previous = LoadField<uint64_t>(base, f::kPrevious);
  if (out->version == 1) {
    out->durable = out->offset;
    out->checksum = LoadField<uint64_t>(base, f::kChecksumV1);
    out->whole = true;
    return true;
  }
  out->durable = LoadField<uint64_t>(base, f::kDurable);
  out->checksum = LoadField<uint64_t>(base, f::kChecksum);
  out->whole = LoadField<uint64_t>(base, f::kHeaderChecksum) ==
               Checksum(block.first(f::kHeaderChecksum.offset));
  return true;
}

std::span<std::byte> EncodeRecord(size_t payload_bytes, Lsn first, Lsn last, std::byte* out) {
  namespace f = record_field;
  StoreField(out, f::kLength, static_cast<uint32_t>(payload_bytes));
  StoreField(out, f::kZero, uint32_t{0});
  StoreField(out, f::kFirst, first.value());
  StoreField(out, f::kLast, last.value());
  const size_t end = kRecordHeaderBytes + payload_bytes;
  std::memset(out + end, 0, RecordBytes(payload_bytes) - end);
  return {out + kRecordHeaderBytes, payload_bytes};
}

std::string SegmentFileName(uint64_t number) { return fmt::format("{:016x}{}", number, kSuffix); }

std::string FreeFileName(uint64_t number) {
  return fmt::format("{}{:016x}{}", kFreePrefix, number, kSuffix);
}

bool ParseSegmentFileName(std::string_view name, uint64_t* number) {
  if (!name.ends_with(kSuffix)) return false;
  name.remove_suffix(kSuffix.size());
  return ParseHex16(name, number);
}

bool ParseFreeFileName(std::string_view name, uint64_t* number) {
  if (!name.starts_with(kFreePrefix)) return false;
  name.remove_prefix(kFreePrefix.size());
  return ParseSegmentFileName(name, number);
}

}  // namespace proxist::wal
