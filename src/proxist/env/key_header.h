// What a file's header says of its key: the same 32 bytes in every encrypted format.
#pragma once

#include <array>
#include <cstddef>

#include "proxist/base/field.h"
#include "proxist/base/status.h"
#include "proxist/env/cipher.h"

namespace proxist::env {

/// The fields of a header's key, which stand at `at`, behind everything else.
constexpr std::array<Field, 4> KeyFields(size_t at) {
  return {Field{"key", at, 4}, Field{"key_zero", at + 4, 4}, Field{"salt", at + 8, kSaltBytes},
          Field{"key_checksum", at + 8 + kSaltBytes, 8}};
}

/// Writes `key` into the zeroed fields at `at`; returns the checksum of the header up to it.
uint64_t StoreFileKey(const FileKey& key, size_t at, std::byte* header);
/// DATA_LOSS: the checksum does not match, or there is no key.
StatusOr<FileKey> LoadFileKey(const std::byte* header, size_t at);

}  // namespace proxist::env
