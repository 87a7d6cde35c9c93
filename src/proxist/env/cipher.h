// Encryption as files need it: AES-256-GCM stands behind it in production, the keys come from
// above.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "proxist/base/bytes.h"
#include "proxist/base/ids.h"
#include "proxist/base/status.h"

namespace proxist::env {

inline constexpr size_t kTagBytes = 16;
inline constexpr size_t kSaltBytes = 16;

/// What a file is encrypted with, as its header says.
struct FileKey {
  KeyId id;                                  // 0: it is not encrypted
  std::array<std::byte, kSaltBytes> salt{};  // random; the file's own key comes from it and the key
  bool operator==(const FileKey&) const = default;
};

/// Never used twice with one FileKey, but for the same text.
struct Nonce {
  uint32_t epoch = 0;     // of the opening that writes; 0 in a file that is written in one go
  uint64_t position = 0;  // in the file
  auto operator<=>(const Nonce&) const = default;
};

/// Encrypts and authenticates the parts of one file. One thread.
class FileCipher {
 public:
  virtual ~FileCipher() = default;
  /// Encrypts `text` in place; `header` stays readable. `tag` proves both.
  virtual void Seal(const Nonce& nonce, ByteSpan header, std::span<std::byte> text,
                    std::span<std::byte, kTagBytes> tag) = 0;
  /// Decrypts `text` in place. DATA_LOSS: something is not what was sealed here under this key;
  /// `text` means nothing then.
  virtual Status Open(const Nonce& nonce, ByteSpan header, std::span<std::byte> text,
                      std::span<const std::byte, kTagBytes> tag) = 0;
};

/// The data keys. Thread-safe.
class Keyring {
 public:
  virtual ~Keyring() = default;
  /// For a new file: the current key and a salt that no file had before.
  virtual FileKey NewFileKey() = 0;
  /// `key.id` is not 0. FAILED_PRECONDITION: there is no such key.
  virtual StatusOr<std::unique_ptr<FileCipher>> CipherFor(const FileKey& key) = 0;
};

/// That of a new file; id 0 without `keys`.
FileKey NewFileKey(Keyring* keys);
/// nullptr for a file that is not encrypted. FAILED_PRECONDITION, with `path`: it is, and `keys` is
/// nullptr or lacks its key.
StatusOr<std::unique_ptr<FileCipher>> CipherOf(Keyring* keys, const FileKey& key,
                                               std::string_view path);

}  // namespace proxist::env
