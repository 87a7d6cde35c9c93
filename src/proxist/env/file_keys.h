// The key that a file is encrypted under, without having the key.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "proxist/base/ids.h"
#include "proxist/base/status.h"
#include "proxist/env/file_system.h"

namespace proxist::env {

/// How the header of an encrypted format starts: a magic number, then its version, 4 bytes.
struct KeyedFormat {
  uint64_t magic = 0;
  uint32_t encrypted_version = 0;  // that an encrypted file has; plain ones have lower versions
  size_t key_offset = 0;           // of KeyFields
};

/// What the file's header names; 0: it is not encrypted, is not there, or has no header: it is too
/// short for one, or zeros stand there, since power went before the header was on the disk.
/// DATA_LOSS: it is no file of `format`, or its header is damaged. FAILED_PRECONDITION: its version
/// is not known.
StatusOr<KeyId> ReadKeyId(FileSystem* files, const std::string& path, const KeyedFormat& format);

}  // namespace proxist::env
