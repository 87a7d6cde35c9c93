#include "proxist/server/data_directory.h"

#include <random>

#include "proxist/base/bytes.h"
#include "proxist/env/clock.h"

namespace proxist::server {
namespace {

constexpr std::string_view kLayoutKey = "node/layout";
constexpr std::string_view kIncarnationKey = "node/incarnation";
constexpr std::string_view kShardsKey = "node/shards";
constexpr std::string_view kSlotMapKey = "node/slot_map";
constexpr std::string_view kLiveTokenKey = "node/live_token";

uint64_t RandomBits() {
  std::random_device device;
  return (uint64_t{device()} << 32) | device();
}

std::string EncodeSlotMap(const shard::SlotMap& map) {
  std::vector<std::byte> bytes;
  ByteWriter out(&bytes);
  out.Put(map.version);
  for (const ShardId shard : map.shard_of) out.Put(shard.value());
  return std::string(AsText(bytes));
}

StatusOr<shard::SlotMap> DecodeSlotMap(std::string_view value, uint32_t shards) {
  ByteReader in(AsBytes(value), "slot map");
  shard::SlotMap map;
  PX_ASSIGN_OR_RETURN(map.version, in.Get<uint32_t>());
  for (uint32_t slot = 0; slot < kSlotCount; ++slot) {
    PX_ASSIGN_OR_RETURN(const auto shard, in.Get<uint16_t>());
    if (shard >= shards) {
      return DataLoss("slot map: slot {} belongs to shard {}, there are {}", slot, shard, shards);
    }
    map.shard_of.emplace_back(shard);
  }
  return map;
}

StatusOr<uint64_t> ReadNumber(meta::MetadataStore* metadata, std::string_view key, int base) {
  PX_ASSIGN_OR_RETURN(const meta::Entry entry, metadata->Get(key));
  char* end = nullptr;
  const uint64_t number = std::strtoull(entry.value.c_str(), &end, base);
  if (entry.value.empty() || *end != '\0') {
    return DataLoss("metadata key '{}': a number expected, got '{}'", key, entry.value);
  }
  return number;
}

Status Create(DataDirectory* directory, uint32_t shards) {
  directory->fresh = true;
  directory->incarnation = RandomBits();
  directory->shards = shards;
  directory->slots = shard::SpreadSlots(shards);
  const Revision absent(0);
  const meta::Mutation mutations[] = {
      {std::string(kLayoutKey), fmt::format("{}", kDirectoryLayout), absent},
      {std::string(kIncarnationKey), directory->IncarnationText(), absent},
      {std::string(kShardsKey), fmt::format("{}", shards), absent},
      {std::string(kSlotMapKey), EncodeSlotMap(directory->slots), absent},
  };
  return directory->metadata->Apply(mutations, "proxistd", "a data directory is created").status();
}

Status Load(DataDirectory* directory, uint64_t layout, uint32_t shards) {
  if (layout != kDirectoryLayout) {
    return FailedPrecondition("data directory '{}' has layout {}, this program reads layout {}",
                              directory->path, layout, kDirectoryLayout);
  }
  meta::MetadataStore* metadata = directory->metadata.get();
  PX_ASSIGN_OR_RETURN(directory->incarnation, ReadNumber(metadata, kIncarnationKey, 16));
  PX_ASSIGN_OR_RETURN(const uint64_t stored, ReadNumber(metadata, kShardsKey, 10));
  directory->shards = static_cast<uint32_t>(stored);
  if (shards != 0 && shards != stored) {
    return FailedPrecondition("data directory '{}' was created with {} shards, not {}",
                              directory->path, stored, shards);
  }
  PX_ASSIGN_OR_RETURN(const meta::Entry slots, metadata->Get(kSlotMapKey));
  PX_ASSIGN_OR_RETURN(directory->slots, DecodeSlotMap(slots.value, directory->shards));
  return OkStatus();
}

Status OpenKeys(DataDirectory* directory, const MasterKeys& masters) {
  meta::MetadataStore* metadata = directory->metadata.get();
  if (!masters.current.has_value()) {
    PX_ASSIGN_OR_RETURN(const bool encrypted, security::HasDataKeys(metadata));
    if (!encrypted) return OkStatus();
    return FailedPrecondition(
        "data directory '{}' is encrypted: start with the --master-key that it was written with",
        directory->path);
  }
  auto keys = security::DataKeys::Open(metadata, *masters.current, masters.previous);
  if (!keys.ok()) {
    return Annotate(keys.status(), fmt::format("data directory '{}'", directory->path));
  }
  if ((*keys)->List().empty()) {
    PX_RETURN_IF_ERROR((*keys)->Rotate(env::SystemClock().Now(), "proxistd").status());
  }
  directory->keys = std::move(*keys);
  return OkStatus();
}

}  // namespace

std::string DataDirectory::WalOf(ShardId shard) const {
  return fmt::format("{}/wal/{}", path, shard.value());
}

std::string DataDirectory::SnapshotsOf(ShardId shard) const {
  return fmt::format("{}/snapshots/{}", path, shard.value());
}

std::string DataDirectory::IncarnationText() const { return fmt::format("{:016x}", incarnation); }

StatusOr<std::string> LiveToken(meta::MetadataStore* metadata) {
  const auto stored = metadata->Get(kLiveTokenKey);
  if (stored.ok()) return stored->value;
  if (!absl::IsNotFound(stored.status())) return stored.status();
  const meta::Mutation fresh{std::string(kLiveTokenKey),
                             fmt::format("{:016x}{:016x}", RandomBits(), RandomBits()),
                             Revision(0)};
  PX_RETURN_IF_ERROR(
      metadata->Apply({&fresh, 1}, "proxistd", "the token of live views is made").status());
  return *fresh.value;
}

StatusOr<DataDirectory> OpenDataDirectory(env::FileSystem* files, const std::string& path,
                                          uint32_t shards, uint32_t default_shards,
                                          const MasterKeys& masters) {
  DataDirectory directory;
  directory.path = path;
  PX_RETURN_IF_ERROR(files->CreateDirectories(path));
  const std::string database = path + "/meta.db";
  PX_ASSIGN_OR_RETURN(const bool known, files->Exists(database));
  if (!known) {
    PX_ASSIGN_OR_RETURN(const auto names, files->List(path));
    for (const std::string& name : names) {
      // A file system of its own begins with the latter.
      if (name == "LOCK" || name == "lost+found") continue;
      return FailedPrecondition(
          "directory '{}' holds '{}' and no Proxist data: give an empty or a new one", path, name);
    }
  }
  PX_ASSIGN_OR_RETURN(directory.lock, files->Lock(path + "/LOCK"));
  PX_ASSIGN_OR_RETURN(directory.metadata, meta::OpenSqliteStore(database));
  const auto layout = ReadNumber(directory.metadata.get(), kLayoutKey, 10);
  if (absl::IsNotFound(layout.status())) {
    PX_RETURN_IF_ERROR(Create(&directory, shards != 0 ? shards : default_shards));
  } else {
    PX_RETURN_IF_ERROR(layout.status());
    PX_RETURN_IF_ERROR(Load(&directory, *layout, shards));
  }
  PX_RETURN_IF_ERROR(OpenKeys(&directory, masters));
  PX_ASSIGN_OR_RETURN(directory.catalog, meta::Catalog::Open(directory.metadata.get()));
  return directory;
}

}  // namespace proxist::server
