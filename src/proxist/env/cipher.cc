#include "proxist/env/cipher.h"

namespace proxist::env {

FileKey NewFileKey(Keyring* keys) { return keys == nullptr ? FileKey() : keys->NewFileKey(); }

StatusOr<std::unique_ptr<FileCipher>> CipherOf(Keyring* keys, const FileKey& key,
                                               std::string_view path) {
  if (key.id == KeyId(0)) return nullptr;
  if (keys == nullptr) {
    return FailedPrecondition(
        "{}: it is encrypted under key {}, and no master key was given: start with the "
        "--master-key "
        "that the data directory was written with",
        path, key.id.value());
  }
  StatusOr<std::unique_ptr<FileCipher>> cipher = keys->CipherFor(key);
  if (!cipher.ok()) return Annotate(cipher.status(), path);
  return cipher;
}

}  // namespace proxist::env
