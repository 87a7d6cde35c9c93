// Reads a manifest, section by section, believing nothing that its checksums do not cover.
#include <algorithm>
#include <utility>

#include "proxist/shard/internal/snapshot_format.h"
#include "proxist/shard/snapshot_file.h"

namespace proxist::shard {
namespace {

constexpr std::string_view kWhat = "a section";

Status GetLsn(ByteReader* in, Lsn* out) {
  PX_ASSIGN_OR_RETURN(const auto value, in->Get<uint64_t>());
  *out = Lsn(value);
  return OkStatus();
}

Status GetTime(ByteReader* in, Timestamp* out) {
  PX_ASSIGN_OR_RETURN(const auto ns, in->Get<int64_t>());
  *out = Timestamp(ns);
  return OkStatus();
}

StatusOr<SnapshotState> DecodeState(ByteReader* in) {
  SnapshotState state;
  PX_RETURN_IF_ERROR(GetLsn(in, &state.persisted));
  PX_ASSIGN_OR_RETURN(state.next_chunk, in->Get<uint64_t>());
  PX_ASSIGN_OR_RETURN(state.next_file, in->Get<uint64_t>());
  PX_ASSIGN_OR_RETURN(const auto kept, in->Get<uint64_t>());
  state.backlog_kept = kept != 0;
  return state;
}

StatusOr<SnapshotTable> DecodeTable(ByteReader* in) {
  SnapshotTable table;
  PX_RETURN_IF_ERROR(GetTime(in, &table.max_ts));
  PX_RETURN_IF_ERROR(GetTime(in, &table.persisted_ts));
  PX_ASSIGN_OR_RETURN(const ByteSpan schema, in->GetBytes(in->remaining()));
  PX_ASSIGN_OR_RETURN(table.schema, column::DecodeSchema(schema));
  return table;
}

StatusOr<SnapshotProducer> DecodeProducer(ByteReader* in) {
  SnapshotProducer producer;
  PX_ASSIGN_OR_RETURN(producer.name, in->GetString());
  PX_ASSIGN_OR_RETURN(const auto last, in->Get<uint64_t>());
  producer.last = BatchNumber(last);
  PX_RETURN_IF_ERROR(GetLsn(in, &producer.first_lsn));
  PX_RETURN_IF_ERROR(GetLsn(in, &producer.last_lsn));
  return producer;
}

StatusOr<SnapshotBatch> DecodeBatchMark(ByteReader* in) {
  SnapshotBatch batch;
  PX_RETURN_IF_ERROR(GetLsn(in, &batch.first));
  PX_RETURN_IF_ERROR(GetLsn(in, &batch.last));
  PX_ASSIGN_OR_RETURN(const auto table, in->Get<uint32_t>());
  batch.table = TableId(table);
  PX_RETURN_IF_ERROR(GetTime(in, &batch.max_ts));
  PX_ASSIGN_OR_RETURN(const auto days, in->Get<uint32_t>());
  for (uint32_t i = 0; i < days; ++i) {
    PX_ASSIGN_OR_RETURN(const auto day, in->Get<int32_t>());
    batch.rewritten_days.emplace_back(day);
  }
  return batch;
}

StatusOr<FileUse> DecodeFileUse(ByteReader* in) {
  FileUse use;
  PX_ASSIGN_OR_RETURN(use.file, in->Get<uint64_t>());
  PX_ASSIGN_OR_RETURN(use.bytes, in->Get<uint64_t>());
  PX_ASSIGN_OR_RETURN(use.live_bytes, in->Get<uint64_t>());
  PX_ASSIGN_OR_RETURN(use.live_chunks, in->Get<uint64_t>());
  return use;
}

/// Decodes one element after another until the payload ends, and shows each.
template <typename Decode, typename Show>
Status ForEach(ByteReader* in, Decode decode, const Show& show) {
  while (in->remaining() > 0) {
    const auto one = decode(in);
    PX_RETURN_IF_ERROR(one.status());
    if (show) PX_RETURN_IF_ERROR(show(*one));
  }
  return OkStatus();
}

Status ShowStrings(ByteReader* in, const SnapshotVisitor& visitor) {
  std::vector<std::string_view> strings;
  while (in->remaining() > 0) {
    PX_ASSIGN_OR_RETURN(const std::string_view text, in->GetString());
    strings.push_back(text);
  }
  return visitor.strings ? visitor.strings(strings) : OkStatus();
}

Status ShowSection(SectionKind kind, ByteSpan payload, const SnapshotVisitor& visitor) {
  ByteReader in(payload, kWhat);
  switch (kind) {
    case SectionKind::kState: {
      PX_ASSIGN_OR_RETURN(const SnapshotState state, DecodeState(&in));
      if (in.remaining() != 0) return DataLoss("bytes stand behind the state");
      return visitor.state ? visitor.state(state) : OkStatus();
    }
    case SectionKind::kStrings:
      return ShowStrings(&in, visitor);
    case SectionKind::kTable: {
      PX_ASSIGN_OR_RETURN(const SnapshotTable table, DecodeTable(&in));
      return visitor.table ? visitor.table(table) : OkStatus();
    }
    case SectionKind::kSeries:
      return ForEach(&in, hot::DecodeStoredSeries, visitor.series);
    case SectionKind::kProducers:
      return ForEach(&in, DecodeProducer, visitor.producer);
    case SectionKind::kBacklog:
      return ForEach(&in, DecodeBatchMark, visitor.batch);
    case SectionKind::kFiles:
      return ForEach(&in, DecodeFileUse, visitor.file);
    case SectionKind::kEnd:
      return payload.empty() ? OkStatus() : DataLoss("the end section is not empty");
  }
  return DataLoss("its kind {} is not known", static_cast<uint32_t>(kind));
}

class Reader {
 public:
  Reader(std::string path, const SnapshotVisitor& visitor, env::Keyring* keys)
      : path_(std::move(path)), visitor_(visitor), keys_(keys) {}

  Status Run(env::FileSystem* files, const std::optional<hot::FileIdentity>& identity) {
    PX_ASSIGN_OR_RETURN(in_, files->Open(path_, env::FileSystem::Mode::kRead));
    PX_ASSIGN_OR_RETURN(bytes_, in_->Size());
    PX_RETURN_IF_ERROR(ReadHeader(identity));
    bool ended = false;
    while (!ended) {
      PX_ASSIGN_OR_RETURN(ended, ReadSection());
    }
    return at_ == bytes_ ? OkStatus() : Damaged(at_, "bytes stand behind its end");
  }

 private:
  [[nodiscard]] Status Damaged(uint64_t offset, std::string_view why) const {
    return DataLoss("{}: damaged at offset {}: {}", path_, offset, why);
  }
  Status Fetch(uint64_t bytes, std::vector<std::byte>* out) {
    if (bytes > bytes_ - at_) return Damaged(at_, fmt::format("it ends before {} bytes", bytes));
    out->resize(bytes);
    if (bytes == 0) return OkStatus();
    PX_ASSIGN_OR_RETURN(const size_t got, in_->ReadAt(at_, *out));
    if (got < bytes) return Damaged(at_ + got, "the file ends here");
    return OkStatus();
  }
  Status ReadHeader(const std::optional<hot::FileIdentity>& identity);
  Status ReadKey(SnapshotHeader* header);
  /// Decrypts `payload_`, the payload of the section at `start`.
  Status OpenPayload(uint64_t start);
  /// True after the end section.
  StatusOr<bool> ReadSection();

  const std::string path_;
  const SnapshotVisitor& visitor_;
  env::Keyring* const keys_;
  std::unique_ptr<env::FileCipher> cipher_;
  std::unique_ptr<env::File> in_;
  uint64_t bytes_ = 0;
  uint64_t at_ = 0;
  uint64_t index_ = 0;
  uint64_t chain_ = 0;
  uint32_t last_kind_ = 0;
  std::vector<std::byte> header_;
  std::vector<std::byte> payload_;
};

Status Reader::ReadHeader(const std::optional<hot::FileIdentity>& identity) {
  PX_RETURN_IF_ERROR(Fetch(kSnapshotHeaderBytes, &header_));
  ByteReader in(header_, "the header");
  SnapshotHeader header;
  if (in.Get<uint64_t>().value() != kSnapshotMagic) {
    return Damaged(0, "it does not start with the header of a snapshot");
  }
  const auto version = in.Get<uint32_t>().value();
  if (version != kSnapshotVersion && version != kEncryptedSnapshotVersion) {
    return FailedPrecondition("{}: it has snapshot format version {}, this program reads {} and {}",
                              path_, version, kSnapshotVersion, kEncryptedSnapshotVersion);
  }
  chain_ = Checksum(ByteSpan(header_).first(internal::snapshot_field::kChecksum.offset));
  if (LoadAt<uint64_t>(header_.data() + internal::snapshot_field::kChecksum.offset, 0) != chain_) {
    return Damaged(0, "the checksum of its header does not match");
  }
  header.epoch = Epoch(in.Get<uint32_t>().value());
  header.identity.incarnation = in.Get<uint64_t>().value();
  header.cut = Lsn(in.Get<uint64_t>().value());
  header.taken = Timestamp(in.Get<int64_t>().value());
  header.identity.shard = ShardId(in.Get<uint16_t>().value());
  if (identity.has_value() && header.identity != *identity) {
    return FailedPrecondition(
        "{}: belongs to shard {} of data directory incarnation {:016x}, expected shard {} of "
        "{:016x}: the file comes from another data directory",
        path_, header.identity.shard.value(), header.identity.incarnation, identity->shard.value(),
        identity->incarnation);
  }
  at_ = kSnapshotHeaderBytes;
  if (version == kEncryptedSnapshotVersion) PX_RETURN_IF_ERROR(ReadKey(&header));
  return visitor_.header ? visitor_.header(header) : OkStatus();
}

Status Reader::ReadKey(SnapshotHeader* header) {
  namespace f = internal::snapshot_field;
  at_ = 0;
  PX_RETURN_IF_ERROR(Fetch(kEncryptedSnapshotHeaderBytes, &header_));
  at_ = kEncryptedSnapshotHeaderBytes;
  const auto key = env::LoadFileKey(header_.data(), f::kKeyOffset);
  if (!key.ok()) return Damaged(0, Message(key.status()));
  header->key = key->id;
  chain_ = LoadField<uint64_t>(header_.data(), f::kEncrypted.back());
  PX_ASSIGN_OR_RETURN(cipher_, env::CipherOf(keys_, *key, path_));
  return OkStatus();
}

Status Reader::OpenPayload(uint64_t start) {
  if (payload_.size() < env::kTagBytes) return Damaged(start, "an encrypted section is too short");
  const std::span<std::byte> sealed = payload_;
  const Status opened = cipher_->Open(
      {.position = index_}, ByteSpan(header_).first(internal::section_field::kChecksum.offset),
      sealed.first(sealed.size() - env::kTagBytes), sealed.last<env::kTagBytes>());
  if (!opened.ok()) return Damaged(start, Message(opened));
  payload_.resize(payload_.size() - env::kTagBytes);
  return OkStatus();
}

StatusOr<bool> Reader::ReadSection() {
  namespace f = internal::section_field;
  const uint64_t start = at_;
  PX_RETURN_IF_ERROR(Fetch(kSectionHeaderBytes, &header_));
  ByteReader in(header_, "a section's header");
  const auto kind = in.Get<uint32_t>().value();
  const auto zero = in.Get<uint32_t>().value();
  const auto index = in.Get<uint64_t>().value();
  const auto length = in.Get<uint64_t>().value();
  const auto checksum = in.Get<uint64_t>().value();
  if (zero != 0 || index != index_ || length > kMaxSectionBytes) {
    return Damaged(start, "no section starts here");
  }
  at_ += kSectionHeaderBytes;
  PX_RETURN_IF_ERROR(Fetch(length, &payload_));
  const uint64_t seed = Checksum(ByteSpan(header_).first(f::kChecksum.offset), chain_);
  chain_ = Checksum(payload_, seed);
  if (chain_ != checksum) return Damaged(start, "the checksum of a section does not match");
  if (cipher_ != nullptr) PX_RETURN_IF_ERROR(OpenPayload(start));
  at_ += (length + 7) / 8 * 8;
  ++index_;
  const bool repeats = kind == last_kind_ && kind != static_cast<uint32_t>(SectionKind::kState);
  const bool starts = last_kind_ != 0 || kind == static_cast<uint32_t>(SectionKind::kState);
  if (!starts || (kind <= last_kind_ && !repeats))
    return Damaged(start, "a section is out of order");
  last_kind_ = kind;
  // A visitor's error is not of the file, but only here is it known where it came up.
  const auto section = static_cast<SectionKind>(kind);
  PX_RETURN_IF_ERROR(Annotate(ShowSection(section, payload_, visitor_),
                              fmt::format("{} at offset {}", path_, start)));
  return section == SectionKind::kEnd;
}

}  // namespace

Status ReadSnapshot(env::FileSystem* files, const std::string& path,
                    const std::optional<hot::FileIdentity>& identity,
                    const SnapshotVisitor& visitor, env::Keyring* keys) {
  return Reader(path, visitor, keys).Run(files, identity);
}

void EncodeState(const SnapshotState& state, std::vector<std::byte>* bytes) {
  ByteWriter out(bytes);
  out.Put(state.persisted.value());
  out.Put(state.next_chunk);
  out.Put(state.next_file);
  out.Put(uint64_t{state.backlog_kept});
}

void EncodeTable(const SnapshotTable& table, std::vector<std::byte>* bytes) {
  ByteWriter out(bytes);
  out.Put(table.max_ts.ns());
  out.Put(table.persisted_ts.ns());
  out.PutBytes(column::EncodeSchema(table.schema));
}

void EncodeProducer(const SnapshotProducer& producer, std::vector<std::byte>* bytes) {
  ByteWriter out(bytes);
  out.PutString(producer.name);
  out.Put(producer.last.value());
  out.Put(producer.first_lsn.value());
  out.Put(producer.last_lsn.value());
}

void EncodeBatchMark(const SnapshotBatch& batch, std::vector<std::byte>* bytes) {
  ByteWriter out(bytes);
  out.Put(batch.first.value());
  out.Put(batch.last.value());
  out.Put(batch.table.value());
  out.Put(batch.max_ts.ns());
  out.Put(static_cast<uint32_t>(batch.rewritten_days.size()));
  for (const Day day : batch.rewritten_days) out.Put(day.value());
}

void EncodeFileUse(const FileUse& use, std::vector<std::byte>* bytes) {
  ByteWriter out(bytes);
  out.Put(use.file);
  out.Put(use.bytes);
  out.Put(use.live_bytes);
  out.Put(use.live_chunks);
}

}  // namespace proxist::shard
