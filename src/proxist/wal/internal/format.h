// The bytes of segments, frames and records. FORMAT.md is the page that describes them.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "proxist/base/bytes.h"
#include "proxist/base/field.h"
#include "proxist/base/ids.h"
#include "proxist/base/status.h"
#include "proxist/env/cipher.h"
#include "proxist/env/file_system.h"
#include "proxist/env/key_header.h"

namespace proxist::wal {

inline constexpr uint64_t kSegmentMagic = 0x4745534c41575850;  // "PXWALSEG"
inline constexpr uint64_t kFrameMagic = 0x4d52464c41575850;    // "PXWALFRM"
/// What is written without and with encryption; kOldestVersion and up are read. A segment's frames
/// have the segment's version.
inline constexpr uint32_t kFormatVersion = 2;
inline constexpr uint32_t kEncryptedVersion = 3;
inline constexpr uint32_t kOldestVersion = 1;
inline constexpr size_t kSegmentHeaderBytes = env::kBlockBytes;
inline constexpr size_t kFrameHeaderBytes = 104;
inline constexpr size_t kFrameHeaderBytesV1 = 88;
inline constexpr size_t kRecordHeaderBytes = 24;
inline constexpr size_t kRecordAlignment = 8;
/// Set in a segment whose file held an earlier segment: stale bytes may follow its last frame.
inline constexpr uint16_t kRecycledFlag = 1;

namespace segment_field {
inline constexpr Field kMagic{"magic", 0, 8};
inline constexpr Field kVersion{"version", 8, 4};
inline constexpr Field kEpoch{"epoch", 12, 4};
inline constexpr Field kIncarnation{"incarnation", 16, 8};
inline constexpr Field kNumber{"number", 24, 8};
inline constexpr Field kBytes{"segment_bytes", 32, 8};
inline constexpr Field kShard{"shard", 40, 2};
inline constexpr Field kFlags{"flags", 42, 2};
inline constexpr Field kZero{"zero", 44, 4};
inline constexpr Field kPrevious{"previous", 48, 8};
inline constexpr Field kLastLsn{"last_lsn", 56, 8};
inline constexpr Field kChecksum{"checksum", 64, 8};
/// In version 3.
inline constexpr size_t kKeyOffset = 72;
inline constexpr std::array kKey = env::KeyFields(kKeyOffset);
inline constexpr std::array kAll{kMagic,  kVersion, kEpoch,  kIncarnation, kNumber,  kBytes,
                                 kShard,  kFlags,   kZero,   kPrevious,    kLastLsn, kChecksum,
                                 kKey[0], kKey[1],  kKey[2], kKey[3]};
}  // namespace segment_field

namespace frame_field {
inline constexpr Field kMagic{"magic", 0, 8};
inline constexpr Field kVersion{"version", 8, 4};
inline constexpr Field kRecords{"records", 12, 4};
inline constexpr Field kIncarnation{"incarnation", 16, 8};
inline constexpr Field kSegment{"segment", 24, 8};
inline constexpr Field kOffset{"offset", 32, 8};
inline constexpr Field kLength{"length", 40, 4};
inline constexpr Field kEpoch{"epoch", 44, 4};
inline constexpr Field kShard{"shard", 48, 2};
inline constexpr Field kZero{"zero", 50, 6};
inline constexpr Field kFirst{"first_lsn", 56, 8};
inline constexpr Field kLast{"last_lsn", 64, 8};
inline constexpr Field kPrevious{"previous", 72, 8};
inline constexpr Field kDurable{"durable", 80, 8};
inline constexpr Field kHeaderChecksum{"header_checksum", 88, 8};
inline constexpr Field kChecksum{"checksum", 96, 8};
/// Version 1 has it right behind `previous`, and neither of the two before.
inline constexpr Field kChecksumV1{"checksum", 80, 8};
inline constexpr std::array kAll{
    kMagic, kVersion, kRecords, kIncarnation, kSegment,  kOffset,  kLength,         kEpoch,
    kShard, kZero,    kFirst,   kLast,        kPrevious, kDurable, kHeaderChecksum, kChecksum};
}  // namespace frame_field

namespace record_field {
inline constexpr Field kLength{"length", 0, 4};
inline constexpr Field kZero{"zero", 4, 4};
inline constexpr Field kFirst{"first_lsn", 8, 8};
inline constexpr Field kLast{"last_lsn", 16, 8};
inline constexpr std::array kAll{kLength, kZero, kFirst, kLast};
}  // namespace record_field

struct SegmentHeader {
  uint32_t version = kFormatVersion;
  uint64_t incarnation = 0;
  uint64_t number = 0;
  uint64_t segment_bytes = 0;
  ShardId shard;
  Epoch epoch;
  bool recycled = false;
  uint64_t previous = 0;  // chain value of the segment before; 0 for a log's first
  Lsn last_lsn;           // highest LSN before this segment
  uint64_t checksum = 0;  // chain value that the first frame continues
  env::FileKey key;       // in kEncryptedVersion
};

struct FrameHeader {
  uint32_t version = kFormatVersion;
  uint32_t records = 0;
  uint64_t incarnation = 0;
  uint64_t segment = 0;
  uint64_t offset = 0;  // of this frame in its segment
  uint32_t length = 0;  // header, records and tag, without the padding to a block
  Epoch epoch;
  ShardId shard;
  Lsn first;
  Lsn last;
  uint64_t previous = 0;
  /// Everything of the segment below this offset was durable when the frame was written; its own
  /// offset in version 1.
  uint64_t durable = 0;
  uint64_t checksum = 0;
  bool whole = true;  // the header's own checksum fits; version 1 has none

  [[nodiscard]] size_t HeaderBytes() const {
    return version == 1 ? kFrameHeaderBytesV1 : kFrameHeaderBytes;
  }
  /// Its epoch is that of one opening, and an opening writes each place once.
  [[nodiscard]] env::Nonce nonce() const;
};

/// `bytes` rounded up to whole blocks.
constexpr uint64_t PaddedToBlock(uint64_t bytes) {
  return (bytes + env::kBlockBytes - 1) / env::kBlockBytes * env::kBlockBytes;
}
/// What a record with `payload` bytes takes in a frame.
constexpr uint64_t RecordBytes(uint64_t payload) {
  return kRecordHeaderBytes +
         (payload + kRecordAlignment - 1) / kRecordAlignment * kRecordAlignment;
}

/// Writes `header` into a zeroed block, and its checksum both there and into `header`.
void EncodeSegmentHeader(SegmentHeader* header, std::byte* block);
/// `block` has kSegmentHeaderBytes. DATA_LOSS for bytes that are no segment header or a damaged
/// one, FAILED_PRECONDITION for a format version that this program does not read.
StatusOr<SegmentHeader> DecodeSegmentHeader(ByteSpan block);

/// Writes `header` over the first kFrameHeaderBytes of `frame` (header, records and, with a
/// `cipher`, room for the tag: `length` bytes), encrypts the records, and adds the checksums of the
/// header and of all; returns the latter.
uint64_t SealFrame(const FrameHeader& header, std::span<std::byte> frame,
                   env::FileCipher* cipher = nullptr);
/// Decrypts the records of a frame whose checksums fit, in place. DATA_LOSS: they are not what was
/// sealed.
Status OpenFrame(const FrameHeader& header, std::span<std::byte> frame, env::FileCipher* cipher);
/// True when `block` starts with the magic of a frame and a version that is read; only then is
/// `out` filled. Nothing in it may be believed yet, with `whole` set only the header.
bool DecodeFrameHeader(ByteSpan block, FrameHeader* out);
/// Of the header without its checksum, then the records. `frame` is one that DecodeFrameHeader
/// takes, with all of its header.
uint64_t FrameChecksum(ByteSpan frame);

/// Writes the header and padding of a record to `out`, which has RecordBytes(payload_bytes);
/// returns where its payload belongs.
std::span<std::byte> EncodeRecord(size_t payload_bytes, Lsn first, Lsn last, std::byte* out);

/// "%016x.wal" and "free-%016x.wal".
std::string SegmentFileName(uint64_t number);
std::string FreeFileName(uint64_t number);
/// The number in such a name; false for any other name.
bool ParseSegmentFileName(std::string_view name, uint64_t* number);
bool ParseFreeFileName(std::string_view name, uint64_t* number);

}  // namespace proxist::wal
