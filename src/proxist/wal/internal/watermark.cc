// The two copies of a log's watermark.
#include "proxist/wal/internal/watermark.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "proxist/wal/internal/segment_files.h"

namespace proxist::wal {
namespace {

struct Copy {
  enum class State { kNever, kWhole, kDamaged };
  State state = State::kNever;
  uint32_t version = 0;
  LogIdentity log;
  Watermark mark;
};

Copy DecodeCopy(ByteSpan block) {
  namespace f = watermark_field;
  Copy copy;
  const auto zero = [](std::byte b) { return b == std::byte{0}; };
  if (std::ranges::all_of(block, zero)) return copy;
  copy.state = Copy::State::kDamaged;
  const std::byte* base = block.data();
  if (LoadField<uint64_t>(base, f::kMagic) != kWatermarkMagic ||
      LoadField<uint64_t>(base, f::kChecksum) != Checksum(block.first(f::kChecksum.offset))) {
    return copy;
  }
  copy.state = Copy::State::kWhole;
  copy.version = LoadField<uint32_t>(base, f::kVersion);
  copy.log = {LoadField<uint64_t>(base, f::kIncarnation),
              ShardId(LoadField<uint16_t>(base, f::kShard))};
  copy.mark.segment = LoadField<uint64_t>(base, f::kSegment);
  copy.mark.offset = LoadField<uint64_t>(base, f::kOffset);
  copy.mark.chain = LoadField<uint64_t>(base, f::kChain);
  copy.mark.last = Lsn(LoadField<uint64_t>(base, f::kLastLsn));
  return copy;
}

Status CheckCopy(const std::string& path, const Copy& copy, std::optional<LogIdentity> identity) {
  if (copy.version != kWatermarkVersion) {
    return FailedPrecondition("{}: it has watermark version {}, this program reads version {}",
                              path, copy.version, kWatermarkVersion);
  }
  if (identity.has_value() &&
      (copy.log.incarnation != identity->incarnation || copy.log.shard != identity->shard)) {
    return FailedPrecondition(
        "{}: belongs to shard {} of data directory incarnation {:016x}, expected shard {} of "
        "{:016x}: the file comes from another data directory",
        path, copy.log.shard.value(), copy.log.incarnation, identity->shard.value(),
        identity->incarnation);
  }
  return OkStatus();
}

}  // namespace

void EncodeWatermark(const LogIdentity& log, const Watermark& mark, std::byte* block) {
  namespace f = watermark_field;
  StoreField(block, f::kMagic, kWatermarkMagic);
  StoreField(block, f::kVersion, kWatermarkVersion);
  StoreField(block, f::kShard, log.shard.value());
  StoreField(block, f::kZero, uint16_t{0});
  StoreField(block, f::kIncarnation, log.incarnation);
  StoreField(block, f::kSegment, mark.segment);
  StoreField(block, f::kOffset, mark.offset);
  StoreField(block, f::kChain, mark.chain);
  StoreField(block, f::kLastLsn, mark.last.value());
  StoreField(block, f::kChecksum, Checksum({block, f::kChecksum.offset}));
}

StatusOr<std::optional<Watermark>> ReadWatermark(env::FileSystem* files,
                                                 const std::string& directory,
                                                 std::optional<LogIdentity> identity) {
  const std::string path = fmt::format("{}/{}", directory, kWatermarkFileName);
  PX_ASSIGN_OR_RETURN(const bool exists, files->Exists(path));
  if (!exists) return std::nullopt;
  PX_ASSIGN_OR_RETURN(const std::unique_ptr<env::File> file,
                      files->Open(path, env::FileSystem::Mode::kRead));
  std::vector<std::byte> bytes(kWatermarkFileBytes);
  PX_ASSIGN_OR_RETURN(const size_t got, file->ReadAt(0, bytes));
  std::optional<Watermark> greatest;
  size_t damaged = got == bytes.size() ? 0 : kWatermarkCopies;
  for (size_t i = 0; i < kWatermarkCopies; ++i) {
    const Copy copy = DecodeCopy(ByteSpan(bytes).subspan(i * env::kBlockBytes, env::kBlockBytes));
    if (copy.state == Copy::State::kDamaged) ++damaged;
    if (copy.state != Copy::State::kWhole) continue;
    PX_RETURN_IF_ERROR(CheckCopy(path, copy, identity));
    if (!greatest.has_value() || greatest->Before(copy.mark)) greatest = copy.mark;
  }
  // One damaged copy beside one that was never written is a torn first write.
  if (!greatest.has_value() && damaged >= kWatermarkCopies) {
    return DataLoss(
        "{}: damaged at offset 0: no copy of the log's watermark is whole, so an end that is "
        "missing could not be noticed. Nothing was changed. Put this file back from a backup; or, "
        "when 'pxinspect wal' shows the log up to where it should end, remove this file and start "
        "again",
        path);
  }
  return greatest;
}

WatermarkFile::WatermarkFile(env::FileSystem* files, std::string directory, LogIdentity log,
                             const std::optional<Watermark>& last)
    : files_(files),
      path_(fmt::format("{}/{}", directory, kWatermarkFileName)),
      log_(log),
      recorded_(last.value_or(Watermark())) {}

Status WatermarkFile::Write(const Watermark& mark) {
  const AlignedBytes block = AllocateAligned(env::kBlockBytes, env::kBlockBytes);
  std::memset(block.get(), 0, env::kBlockBytes);
  if (file_ == nullptr) {
    PX_ASSIGN_OR_RETURN(file_, files_->OpenDurable(path_, kWatermarkFileBytes));
    // Over the copy that tells less, should this write be torn.
    PX_ASSIGN_OR_RETURN(const std::unique_ptr<env::File> file,
                        files_->Open(path_, env::FileSystem::Mode::kRead));
    PX_ASSIGN_OR_RETURN(const size_t got,
                        file->ReadAt(0, std::span(block.get(), env::kBlockBytes)));
    const Copy first = DecodeCopy({block.get(), got});
    next_copy_ = first.state == Copy::State::kWhole && first.mark == recorded_ ? 1 : 0;
    std::memset(block.get(), 0, env::kBlockBytes);
  }
  EncodeWatermark(log_, mark, block.get());
  PX_RETURN_IF_ERROR(
      Unsettled(file_->Submit(next_copy_ * env::kBlockBytes, {block.get(), env::kBlockBytes})));
  PX_RETURN_IF_ERROR(Unsettled(file_->Wait()));
  next_copy_ = (next_copy_ + 1) % kWatermarkCopies;
  recorded_ = mark;
  return OkStatus();
}

}  // namespace proxist::wal
