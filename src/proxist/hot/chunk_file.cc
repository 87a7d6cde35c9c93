// Writes and reads chunk files.
#include "proxist/hot/chunk_file.h"

#include <algorithm>
#include <charconv>

#include "proxist/hot/internal/chunk_file_format.h"

namespace proxist::hot {

namespace f = internal::chunk_file_field;
using internal::BlockCodec;

namespace {

constexpr uint64_t kWriteBytes = uint64_t{1} << 20;
constexpr uint64_t kSyncBytes = uint64_t{1} << 20;
constexpr uint64_t kReadAheadBytes = uint64_t{256} << 10;
constexpr std::string_view kSuffix = ".chunks";
constexpr size_t kNameDigits = 16;

}  // namespace

std::string ChunkFileName(uint64_t file) { return fmt::format("{:016x}{}", file, kSuffix); }

std::optional<uint64_t> ParseChunkFileName(std::string_view name) {
  if (name.size() != kNameDigits + kSuffix.size() || !name.ends_with(kSuffix)) return std::nullopt;
  uint64_t file = 0;
  const char* end = name.data() + kNameDigits;
  const auto [rest, error] = std::from_chars(name.data(), end, file, 16);
  if (error != std::errc() || rest != end || ChunkFileName(file) != name || file == 0) {
    return std::nullopt;
  }
  return file;
}

StatusOr<std::unique_ptr<ChunkFileWriter>> ChunkFileWriter::Create(env::FileSystem* files,
                                                                   const std::string& directory,
                                                                   uint64_t file, Epoch epoch,
                                                                   const FileIdentity& identity) {
  PX_ASSIGN_OR_RETURN(auto out, files->Open(directory + "/" + ChunkFileName(file),
                                            env::FileSystem::Mode::kCreateNew));
  std::unique_ptr<ChunkFileWriter> writer(new ChunkFileWriter(std::move(out), file));
  std::vector<std::byte>& header = writer->buffer_;
  header.resize(kChunkFileHeaderBytes);
  StoreField(header.data(), f::kMagic, kChunkFileMagic);
  StoreField(header.data(), f::kVersion, kChunkFileVersion);
  StoreField(header.data(), f::kEpoch, epoch.value());
  StoreField(header.data(), f::kIncarnation, identity.incarnation);
  StoreField(header.data(), f::kFile, file);
  StoreField(header.data(), f::kShard, identity.shard.value());
  StoreField(header.data(), f::kChecksum, Checksum({header.data(), f::kChecksum.offset}));
  return writer;
}

StatusOr<ChunkPlace> ChunkFileWriter::Add(
    const std::function<uint64_t(std::vector<std::byte>*)>& encode) {
  ChunkPlace place;
  place.file = file_;
  place.offset = bytes();
  place.checksum = encode(&buffer_);
  place.bytes = bytes() - place.offset;
  if (buffer_.size() >= kWriteBytes) PX_RETURN_IF_ERROR(WriteBuffer());
  return place;
}

Status ChunkFileWriter::WriteBuffer() {
  PX_RETURN_IF_ERROR(out_->WriteAt(written_, buffer_));
  written_ += buffer_.size();
  unsynced_ += buffer_.size();
  buffer_.clear();
  if (unsynced_ < kSyncBytes) return OkStatus();
  unsynced_ = 0;
  return out_->Sync();
}

Status ChunkFileWriter::Finish() {
  PX_RETURN_IF_ERROR(WriteBuffer());
  return out_->Sync();
}

Status ChunkFileReader::Damaged(uint64_t offset, std::string_view why) const {
  return DataLoss(
      "{}: damaged at offset {}: {}. Keep a copy of the data directory, then put this file back "
      "from a backup; 'pxinspect chunks' shows what is still readable",
      path_, offset, why);
}

StatusOr<std::unique_ptr<ChunkFileReader>> ChunkFileReader::Open(
    env::FileSystem* files, const std::string& path, const std::optional<FileIdentity>& identity) {
  std::unique_ptr<ChunkFileReader> reader(new ChunkFileReader(path));
  auto opened = files->Open(path, env::FileSystem::Mode::kRead);
  if (absl::IsNotFound(opened.status())) return reader->Damaged(0, "the file is missing");
  PX_RETURN_IF_ERROR(opened.status());
  reader->in_ = std::move(*opened);
  PX_ASSIGN_OR_RETURN(reader->bytes_, reader->in_->Size());
  PX_RETURN_IF_ERROR(reader->ReadHeader(identity));
  return reader;
}

Status ChunkFileReader::ReadHeader(const std::optional<FileIdentity>& identity) {
  if (bytes_ < kChunkFileHeaderBytes) return Damaged(0, "its header is cut off");
  PX_ASSIGN_OR_RETURN(const ByteSpan header, Fetch(0, kChunkFileHeaderBytes));
  const std::byte* base = header.data();
  if (LoadField<uint64_t>(base, f::kMagic) != kChunkFileMagic) {
    return Damaged(0, "it does not start with the header of a chunk file");
  }
  if (const auto version = LoadField<uint32_t>(base, f::kVersion); version != kChunkFileVersion) {
    return FailedPrecondition("{}: it has chunk format version {}, this program reads version {}",
                              path_, version, kChunkFileVersion);
  }
  if (LoadField<uint64_t>(base, f::kChecksum) != Checksum(header.first(f::kChecksum.offset))) {
    return Damaged(0, "the checksum of its header does not match");
  }
  file_ = LoadField<uint64_t>(base, f::kFile);
  epoch_ = Epoch(LoadField<uint32_t>(base, f::kEpoch));
  identity_.incarnation = LoadField<uint64_t>(base, f::kIncarnation);
  identity_.shard = ShardId(LoadField<uint16_t>(base, f::kShard));
  if (identity.has_value() && identity_ != *identity) {
    return FailedPrecondition(
        "{}: belongs to shard {} of data directory incarnation {:016x}, expected shard {} of "
        "{:016x}: the file comes from another data directory",
        path_, identity_.shard.value(), identity_.incarnation, identity->shard.value(),
        identity->incarnation);
  }
  return OkStatus();
}

StatusOr<ByteSpan> ChunkFileReader::Fetch(uint64_t offset, uint64_t bytes) {
  if (offset > bytes_ || bytes > bytes_ - offset || bytes > kMaxEncodedBlockBytes) {
    return Damaged(offset,
                   fmt::format("{} bytes are expected here, the file has {}", bytes, bytes_));
  }
  const bool there = offset >= buffered_ && offset + bytes <= buffered_ + buffer_.size();
  if (!there) {
    const uint64_t wanted = std::min(std::max(bytes, kReadAheadBytes), bytes_ - offset);
    buffer_.resize(wanted);
    buffered_ = offset;
    PX_ASSIGN_OR_RETURN(const size_t got, in_->ReadAt(offset, buffer_));
    buffer_.resize(got);
    if (got < bytes) return Damaged(offset + got, "the file ends here");
  }
  return ByteSpan(buffer_).subspan(offset - buffered_, bytes);
}

StatusOr<ByteSpan> ChunkFileReader::Read(const ChunkPlace& place) {
  PX_ASSIGN_OR_RETURN(const ByteSpan bytes, Fetch(place.offset, place.bytes));
  const auto length = BlockCodec::LengthOf(bytes);
  if (!length.ok()) return Damaged(place.offset, Message(length.status()));
  if (*length != bytes.size() || BlockCodec::ChecksumOf(bytes) != place.checksum) {
    return Damaged(place.offset, "another chunk stands here than the snapshot refers to");
  }
  return bytes;
}

Status ChunkFileReader::Visit(
    const std::function<Status(uint64_t, uint64_t, const BlockSummary&)>& visit) {
  for (uint64_t offset = kChunkFileHeaderBytes; offset < bytes_;) {
    if (bytes_ - offset < internal::kBlockHeaderBytes) {
      return Damaged(offset, "the header of a chunk is cut off");
    }
    PX_ASSIGN_OR_RETURN(const ByteSpan header, Fetch(offset, internal::kBlockHeaderBytes));
    const auto length = BlockCodec::LengthOf(header);
    if (!length.ok()) return Damaged(offset, Message(length.status()));
    PX_ASSIGN_OR_RETURN(const ByteSpan bytes, Fetch(offset, *length));
    const auto summary = DescribeBlock(bytes);
    if (!summary.ok()) return Damaged(offset, Message(summary.status()));
    PX_RETURN_IF_ERROR(visit(offset, *length, *summary));
    offset += *length;
  }
  return OkStatus();
}

}  // namespace proxist::hot
