// Writes and reads chunk files.
#include "proxist/hot/chunk_file.h"

#include <algorithm>
#include <charconv>

#include "proxist/env/file_keys.h"
#include "proxist/hot/internal/chunk_file_format.h"

namespace proxist::hot {

namespace f = internal::chunk_file_field;
namespace envelope = internal::envelope_field;
using internal::BlockCodec;

namespace {

constexpr uint64_t kWriteBytes = uint64_t{128} << 10;
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

StatusOr<KeyId> KeyOfChunkFile(env::FileSystem* files, const std::string& path) {
  return env::ReadKeyId(files, path, {kChunkFileMagic, kEncryptedChunkFileVersion, f::kKeyOffset});
}

StatusOr<std::unique_ptr<ChunkFileWriter>> ChunkFileWriter::Create(env::FileSystem* files,
                                                                   const std::string& directory,
                                                                   uint64_t file, Epoch epoch,
                                                                   const FileIdentity& identity,
                                                                   env::Keyring* keys) {
  PX_ASSIGN_OR_RETURN(auto out, files->Open(directory + "/" + ChunkFileName(file),
                                            env::FileSystem::Mode::kCreateNew));
  std::unique_ptr<ChunkFileWriter> writer(new ChunkFileWriter(std::move(out), file));
  const env::FileKey key = env::NewFileKey(keys);
  PX_ASSIGN_OR_RETURN(writer->cipher_, env::CipherOf(keys, key, ChunkFileName(file)));
  writer->PutHeader(epoch, identity, key);
  return writer;
}

void ChunkFileWriter::PutHeader(Epoch epoch, const FileIdentity& identity,
                                const env::FileKey& key) {
  buffer_.resize(cipher_ == nullptr ? kChunkFileHeaderBytes : kEncryptedChunkFileHeaderBytes);
  std::byte* base = buffer_.data();
  StoreField(base, f::kMagic, kChunkFileMagic);
  StoreField(base, f::kVersion,
             cipher_ == nullptr ? kChunkFileVersion : kEncryptedChunkFileVersion);
  StoreField(base, f::kEpoch, epoch.value());
  StoreField(base, f::kIncarnation, identity.incarnation);
  StoreField(base, f::kFile, file_);
  StoreField(base, f::kShard, identity.shard.value());
  StoreField(base, f::kChecksum, Checksum({base, f::kChecksum.offset}));
  if (cipher_ == nullptr) return;
  env::StoreFileKey(key, f::kKeyOffset, base);
}

StatusOr<ChunkPlace> ChunkFileWriter::Add(
    const std::function<uint64_t(std::vector<std::byte>*)>& encode) {
  ChunkPlace place;
  place.file = file_;
  place.offset = bytes();
  const size_t start = buffer_.size();
  if (cipher_ != nullptr) buffer_.resize(start + envelope::kBytes);
  place.checksum = encode(&buffer_);
  if (cipher_ != nullptr) Seal(start);
  place.bytes = bytes() - place.offset;
  if (buffer_.size() >= kWriteBytes) PX_RETURN_IF_ERROR(WriteBuffer());
  return place;
}

void ChunkFileWriter::Seal(size_t start) {
  const std::span<std::byte> sealed = std::span(buffer_).subspan(start);
  const std::span<std::byte> text = sealed.subspan(envelope::kBytes);
  std::byte* base = sealed.data();
  StoreField(base, envelope::kMagic, kEnvelopeMagic);
  StoreField(base, envelope::kLength, uint64_t{text.size()});
  cipher_->Seal({.position = written_ + start}, sealed.first(envelope::kTag.offset), text,
                sealed.subspan<envelope::kTag.offset, env::kTagBytes>());
  const uint64_t seed = Checksum(sealed.first(envelope::kChecksum.offset));
  StoreField(base, envelope::kChecksum, Checksum(text, seed));
}

Status ChunkFileWriter::WriteBuffer() {
  PX_RETURN_IF_ERROR(out_->WriteAt(written_, buffer_));
  written_ += buffer_.size();
  buffer_.clear();
  return OkStatus();
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
    env::FileSystem* files, const std::string& path, const std::optional<FileIdentity>& identity,
    env::Keyring* keys) {
  std::unique_ptr<ChunkFileReader> reader(new ChunkFileReader(path));
  auto opened = files->Open(path, env::FileSystem::Mode::kRead);
  if (absl::IsNotFound(opened.status())) return reader->Damaged(0, "the file is missing");
  PX_RETURN_IF_ERROR(opened.status());
  reader->in_ = std::move(*opened);
  PX_ASSIGN_OR_RETURN(reader->bytes_, reader->in_->Size());
  PX_RETURN_IF_ERROR(reader->ReadHeader(identity));
  PX_RETURN_IF_ERROR(reader->ReadKey(keys));
  return reader;
}

Status ChunkFileReader::ReadHeader(const std::optional<FileIdentity>& identity) {
  if (bytes_ < kChunkFileHeaderBytes) return Damaged(0, "its header is cut off");
  PX_ASSIGN_OR_RETURN(const ByteSpan header, Fetch(0, kChunkFileHeaderBytes));
  const std::byte* base = header.data();
  if (LoadField<uint64_t>(base, f::kMagic) != kChunkFileMagic) {
    return Damaged(0, "it does not start with the header of a chunk file");
  }
  const auto version = LoadField<uint32_t>(base, f::kVersion);
  if (version != kChunkFileVersion && version != kEncryptedChunkFileVersion) {
    return FailedPrecondition("{}: it has chunk format version {}, this program reads {} and {}",
                              path_, version, kChunkFileVersion, kEncryptedChunkFileVersion);
  }
  header_bytes_ =
      version == kChunkFileVersion ? kChunkFileHeaderBytes : kEncryptedChunkFileHeaderBytes;
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

Status ChunkFileReader::ReadKey(env::Keyring* keys) {
  if (header_bytes_ == kChunkFileHeaderBytes) return OkStatus();
  PX_ASSIGN_OR_RETURN(const ByteSpan header, Fetch(0, header_bytes_));
  const auto key = env::LoadFileKey(header.data(), f::kKeyOffset);
  if (!key.ok()) return Damaged(0, Message(key.status()));
  key_ = *key;
  PX_ASSIGN_OR_RETURN(cipher_, env::CipherOf(keys, key_, path_));
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

StatusOr<uint64_t> ChunkFileReader::LengthAt(uint64_t offset) {
  if (cipher_ != nullptr) {
    if (bytes_ - offset < envelope::kBytes) {
      return Damaged(offset, "the envelope of a chunk is cut off");
    }
    PX_ASSIGN_OR_RETURN(const ByteSpan header, Fetch(offset, envelope::kBytes));
    const auto length = LoadField<uint64_t>(header.data(), envelope::kLength);
    if (LoadField<uint64_t>(header.data(), envelope::kMagic) != kEnvelopeMagic ||
        length > kMaxEncodedBlockBytes) {
      return Damaged(offset, "no encrypted chunk starts here");
    }
    return envelope::kBytes + length;
  }
  if (bytes_ - offset < internal::kBlockHeaderBytes) {
    return Damaged(offset, "the header of a chunk is cut off");
  }
  PX_ASSIGN_OR_RETURN(const ByteSpan header, Fetch(offset, internal::kBlockHeaderBytes));
  const auto length = BlockCodec::LengthOf(header);
  if (!length.ok()) return Damaged(offset, Message(length.status()));
  return length;
}

StatusOr<ByteSpan> ChunkFileReader::FetchBlock(uint64_t offset, uint64_t bytes) {
  if (cipher_ == nullptr) return Fetch(offset, bytes);
  if (bytes < envelope::kBytes + internal::kBlockHeaderBytes) {
    return Damaged(offset, fmt::format("{} bytes hold no encrypted chunk", bytes));
  }
  PX_ASSIGN_OR_RETURN(const ByteSpan sealed, Fetch(offset, bytes));
  const ByteSpan text = sealed.subspan(envelope::kBytes);
  const uint64_t seed = Checksum(sealed.first(envelope::kChecksum.offset));
  if (LoadField<uint64_t>(sealed.data(), envelope::kChecksum) != Checksum(text, seed) ||
      LoadField<uint64_t>(sealed.data(), envelope::kLength) != text.size()) {
    return Damaged(offset, "the checksum of an encrypted chunk does not match");
  }
  plain_.assign(text.begin(), text.end());
  const Status opened =
      cipher_->Open({.position = offset}, sealed.first(envelope::kTag.offset), plain_,
                    sealed.subspan<envelope::kTag.offset, env::kTagBytes>());
  if (!opened.ok()) return Damaged(offset, Message(opened));
  return plain_;
}

StatusOr<ByteSpan> ChunkFileReader::Read(const ChunkPlace& place) {
  PX_ASSIGN_OR_RETURN(const ByteSpan bytes, FetchBlock(place.offset, place.bytes));
  const auto length = BlockCodec::LengthOf(bytes);
  if (!length.ok()) return Damaged(place.offset, Message(length.status()));
  if (*length != bytes.size() || BlockCodec::ChecksumOf(bytes) != place.checksum) {
    return Damaged(place.offset, "another chunk stands here than the snapshot refers to");
  }
  return bytes;
}

Status ChunkFileReader::Visit(
    const std::function<Status(uint64_t, uint64_t, const BlockSummary&)>& visit) {
  for (uint64_t offset = header_bytes_; offset < bytes_;) {
    PX_ASSIGN_OR_RETURN(const uint64_t length, LengthAt(offset));
    PX_ASSIGN_OR_RETURN(const ByteSpan bytes, FetchBlock(offset, length));
    const auto summary = DescribeBlock(bytes);
    if (!summary.ok()) return Damaged(offset, Message(summary.status()));
    PX_RETURN_IF_ERROR(visit(offset, length, *summary));
    offset += length;
  }
  return OkStatus();
}

}  // namespace proxist::hot
