// Names of manifests, and writing them.
#include "proxist/shard/snapshot_file.h"

#include <algorithm>
#include <charconv>

#include "proxist/shard/internal/snapshot_format.h"

namespace proxist::shard {
namespace {

constexpr uint64_t kWriteBytes = uint64_t{1} << 20;
constexpr std::string_view kPrefix = "snapshot-";
constexpr size_t kNameDigits = 16;

}  // namespace

std::string SnapshotFileName(Lsn cut) { return fmt::format("{}{:016x}", kPrefix, cut.value()); }

std::optional<Lsn> ParseSnapshotFileName(std::string_view name) {
  if (name.size() != kPrefix.size() + kNameDigits || !name.starts_with(kPrefix)) {
    return std::nullopt;
  }
  uint64_t cut = 0;
  const char* end = name.data() + name.size();
  const auto [rest, error] = std::from_chars(name.data() + kPrefix.size(), end, cut, 16);
  if (error != std::errc() || rest != end || SnapshotFileName(Lsn(cut)) != name) {
    return std::nullopt;
  }
  return Lsn(cut);
}

StatusOr<std::vector<Lsn>> ListSnapshots(env::FileSystem* files, const std::string& directory) {
  std::vector<Lsn> cuts;
  const auto names = files->List(directory);
  if (absl::IsNotFound(names.status())) return cuts;
  PX_RETURN_IF_ERROR(names.status());
  for (const std::string& name : *names) {
    if (const auto cut = ParseSnapshotFileName(name)) cuts.push_back(*cut);
  }
  std::ranges::sort(cuts, std::greater<>());
  return cuts;
}

StatusOr<std::unique_ptr<SnapshotFileWriter>> SnapshotFileWriter::Create(
    env::FileSystem* files, const std::string& directory, const SnapshotHeader& header,
    env::Keyring* keys) {
  std::unique_ptr<SnapshotFileWriter> writer(
      new SnapshotFileWriter(files, directory, SnapshotFileName(header.cut)));
  const std::string growing = directory + "/" + writer->name_ + ".tmp";
  // A crash may have left one.
  const Status removed = files->Remove(growing);
  if (!removed.ok() && !absl::IsNotFound(removed)) return removed;
  const env::FileKey key = env::NewFileKey(keys);
  PX_ASSIGN_OR_RETURN(writer->cipher_, env::CipherOf(keys, key, growing));
  PX_ASSIGN_OR_RETURN(writer->out_, files->Open(growing, env::FileSystem::Mode::kCreateNew));
  writer->PutHeader(header, key);
  return writer;
}

void SnapshotFileWriter::PutHeader(const SnapshotHeader& header, const env::FileKey& key) {
  namespace f = internal::snapshot_field;
  ByteWriter out(&buffer_);
  out.Put(kSnapshotMagic);
  out.Put(cipher_ == nullptr ? kSnapshotVersion : kEncryptedSnapshotVersion);
  out.Put(header.epoch.value());
  out.Put(header.identity.incarnation);
  out.Put(header.cut.value());
  out.Put(header.taken.ns());
  out.Put(header.identity.shard.value());
  out.PadTo(f::kChecksum.offset);
  chain_ = Checksum(buffer_);
  out.Put(chain_);
  if (cipher_ == nullptr) return;
  buffer_.resize(kEncryptedSnapshotHeaderBytes);
  chain_ = env::StoreFileKey(key, f::kKeyOffset, buffer_.data());
}

Status SnapshotFileWriter::Add(SectionKind kind, ByteSpan payload) {
  namespace f = internal::section_field;
  const size_t start = buffer_.size();
  const size_t length = payload.size() + (cipher_ == nullptr ? 0 : env::kTagBytes);
  ByteWriter out(&buffer_);
  out.Put(static_cast<uint32_t>(kind));
  out.Put(uint32_t{0});
  out.Put(sections_++);
  out.Put(uint64_t{length});
  out.Put(uint64_t{0});
  out.PutBytes(payload);
  buffer_.resize(start + kSectionHeaderBytes + length);
  const std::span<std::byte> section = std::span(buffer_).subspan(start);
  const ByteSpan header = section.first(f::kChecksum.offset);
  const std::span<std::byte> text = section.subspan(kSectionHeaderBytes);
  if (cipher_ != nullptr) {
    cipher_->Seal({.position = sections_ - 1}, header, text.first(payload.size()),
                  text.last<env::kTagBytes>());
  }
  chain_ = Checksum(text, Checksum(header, chain_));
  StoreField(section.data(), f::kChecksum, chain_);
  out.PadTo(8);
  return buffer_.size() >= kWriteBytes ? WriteBuffer() : OkStatus();
}

Status SnapshotFileWriter::WriteBuffer() {
  PX_RETURN_IF_ERROR(out_->WriteAt(written_, buffer_));
  written_ += buffer_.size();
  buffer_.clear();
  return OkStatus();
}

Status SnapshotFileWriter::Finish() {
  PX_RETURN_IF_ERROR(Add(SectionKind::kEnd, {}));
  PX_RETURN_IF_ERROR(WriteBuffer());
  return out_->Sync();
}

Status SnapshotFileWriter::Publish() {
  out_ = nullptr;
  const std::string path = directory_ + "/" + name_;
  PX_RETURN_IF_ERROR(files_->Rename(path + ".tmp", path));
  return files_->SyncDirectory(directory_);
}

}  // namespace proxist::shard
