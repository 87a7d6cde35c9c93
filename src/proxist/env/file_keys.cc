#include "proxist/env/file_keys.h"

#include <algorithm>
#include <vector>

#include "proxist/env/key_header.h"

namespace proxist::env {

StatusOr<KeyId> ReadKeyId(FileSystem* files, const std::string& path, const KeyedFormat& format) {
  constexpr Field kMagic{"magic", 0, 8};
  constexpr Field kVersion{"version", 8, 4};
  const Field last = KeyFields(format.key_offset).back();
  const auto file = files->Open(path, FileSystem::Mode::kRead);
  if (absl::IsNotFound(file.status())) return KeyId(0);
  PX_RETURN_IF_ERROR(file.status());
  std::vector<std::byte> header(last.offset + last.size);
  PX_ASSIGN_OR_RETURN(const size_t got, (*file)->ReadAt(0, header));
  const bool zeros = std::ranges::all_of(header, [](std::byte b) { return b == std::byte{0}; });
  if (zeros || got < kVersion.offset + kVersion.size) return KeyId(0);
  if (LoadField<uint64_t>(header.data(), kMagic) != format.magic) {
    return DataLoss("{}: it does not start as a file of its name does", path);
  }
  const auto version = LoadField<uint32_t>(header.data(), kVersion);
  if (version > format.encrypted_version) {
    return FailedPrecondition("{}: it has format version {}, this program reads up to {}", path,
                              version, format.encrypted_version);
  }
  if (version < format.encrypted_version || got < header.size()) return KeyId(0);
  const auto key = LoadFileKey(header.data(), format.key_offset);
  if (!key.ok()) return Annotate(key.status(), path);
  return key->id;
}

}  // namespace proxist::env
