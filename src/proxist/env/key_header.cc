#include "proxist/env/key_header.h"

namespace proxist::env {

uint64_t StoreFileKey(const FileKey& key, size_t at, std::byte* header) {
  const auto [id, zero, salt, checksum] = KeyFields(at);
  StoreField(header, id, key.id.value());
  StoreField(header, salt, key.salt);
  const uint64_t sum = Checksum({header, checksum.offset});
  StoreField(header, checksum, sum);
  return sum;
}

StatusOr<FileKey> LoadFileKey(const std::byte* header, size_t at) {
  const auto [id, zero, salt, checksum] = KeyFields(at);
  if (LoadField<uint64_t>(header, checksum) != Checksum({header, checksum.offset})) {
    return DataLoss("the checksum of its header's key does not match");
  }
  FileKey key{.id = KeyId(LoadField<uint32_t>(header, id)),
              .salt = LoadField<decltype(FileKey::salt)>(header, salt)};
  if (key.id == KeyId(0)) return DataLoss("its header names no key");
  return key;
}

}  // namespace proxist::env
