// The header of a chunk file. FORMAT.md is the page that describes it.
#pragma once

#include "proxist/env/key_header.h"
#include "proxist/hot/internal/block_codec.h"

namespace proxist::hot::internal::chunk_file_field {

inline constexpr Field kMagic{"magic", 0, 8};
inline constexpr Field kVersion{"version", 8, 4};
inline constexpr Field kEpoch{"epoch", 12, 4};
inline constexpr Field kIncarnation{"incarnation", 16, 8};
inline constexpr Field kFile{"file", 24, 8};
inline constexpr Field kShard{"shard", 32, 2};
inline constexpr Field kZero{"zero", 34, 22};
inline constexpr Field kChecksum{"checksum", 56, 8};
inline constexpr std::array kAll{kMagic, kVersion, kEpoch, kIncarnation,
                                 kFile,  kShard,   kZero,  kChecksum};
/// Behind them in an encrypted file.
inline constexpr size_t kKeyOffset = 64;
inline constexpr std::array kEncrypted = env::KeyFields(kKeyOffset);

}  // namespace proxist::hot::internal::chunk_file_field

/// What stands before an encrypted block.
namespace proxist::hot::internal::envelope_field {

inline constexpr Field kMagic{"magic", 0, 8};
inline constexpr Field kLength{"length", 8, 8};
inline constexpr Field kTag{"tag", 16, env::kTagBytes};
inline constexpr Field kZero{"zero", 32, 24};
inline constexpr Field kChecksum{"checksum", 56, 8};
inline constexpr std::array kAll{kMagic, kLength, kTag, kZero, kChecksum};
inline constexpr size_t kBytes = 64;

}  // namespace proxist::hot::internal::envelope_field
