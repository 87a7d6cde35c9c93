// How far a log is known to be durable, kept beside its segments. FORMAT.md has the bytes.
#pragma once

#include <array>
#include <memory>
#include <optional>
#include <string>

#include "proxist/env/file_system.h"
#include "proxist/wal/internal/format.h"
#include "proxist/wal/internal/replay.h"

namespace proxist::wal {

inline constexpr std::string_view kWatermarkFileName = "watermark";
inline constexpr uint64_t kWatermarkMagic = 0x4b524d4c41575850;  // "PXWALMRK"
inline constexpr uint32_t kWatermarkVersion = 1;
inline constexpr size_t kWatermarkCopies = 2;
inline constexpr size_t kWatermarkFileBytes = kWatermarkCopies * env::kBlockBytes;

namespace watermark_field {
inline constexpr Field kMagic{"magic", 0, 8};
inline constexpr Field kVersion{"version", 8, 4};
inline constexpr Field kShard{"shard", 12, 2};
inline constexpr Field kZero{"zero", 14, 2};
inline constexpr Field kIncarnation{"incarnation", 16, 8};
inline constexpr Field kSegment{"segment", 24, 8};
inline constexpr Field kOffset{"offset", 32, 8};
inline constexpr Field kChain{"chain", 40, 8};
inline constexpr Field kLastLsn{"last_lsn", 48, 8};
inline constexpr Field kChecksum{"checksum", 56, 8};
inline constexpr std::array kAll{kMagic,   kVersion, kShard, kZero,    kIncarnation,
                                 kSegment, kOffset,  kChain, kLastLsn, kChecksum};
}  // namespace watermark_field

/// Writes a copy into a zeroed block.
void EncodeWatermark(const LogIdentity& log, const Watermark& mark, std::byte* block);

/// The greatest watermark in `directory`; nothing when none was ever written. DATA_LOSS: the file
/// has no whole copy. FAILED_PRECONDITION: it is of another log than `identity` (when that is
/// given), or of a version that is not read.
StatusOr<std::optional<Watermark>> ReadWatermark(env::FileSystem* files,
                                                 const std::string& directory,
                                                 std::optional<LogIdentity> identity);

/// Writes one log's watermark, in turn into one of its copies, so that a torn write leaves the
/// other. One thread.
class WatermarkFile {
 public:
  /// `last`: what ReadWatermark found.
  WatermarkFile(env::FileSystem* files, std::string directory, LogIdentity log,
                const std::optional<Watermark>& last);

  /// OK: `mark` survives power loss. RESOURCE_EXHAUSTED: there is no room to make the file, nothing
  /// changed. Any other error: what the file holds is unknown.
  Status Write(const Watermark& mark);
  /// The last one written or read; segment 0: none.
  [[nodiscard]] const Watermark& recorded() const { return recorded_; }

 private:
  env::FileSystem* const files_;
  const std::string path_;
  const LogIdentity log_;
  std::unique_ptr<env::DurableFile> file_;  // null until the first write
  Watermark recorded_;
  size_t next_copy_ = 0;
};

}  // namespace proxist::wal
