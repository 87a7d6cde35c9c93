// Where the fields of a manifest's headers lie. FORMAT.md is the page that describes them.
#pragma once

#include <array>

#include "proxist/base/field.h"
#include "proxist/env/key_header.h"

namespace proxist::shard::internal {

namespace snapshot_field {
inline constexpr Field kMagic{"magic", 0, 8};
inline constexpr Field kVersion{"version", 8, 4};
inline constexpr Field kEpoch{"epoch", 12, 4};
inline constexpr Field kIncarnation{"incarnation", 16, 8};
inline constexpr Field kCut{"cut", 24, 8};
inline constexpr Field kTaken{"taken", 32, 8};
inline constexpr Field kShard{"shard", 40, 2};
inline constexpr Field kZero{"zero", 42, 14};
inline constexpr Field kChecksum{"checksum", 56, 8};
inline constexpr std::array kAll{kMagic, kVersion, kEpoch, kIncarnation, kCut,
                                 kTaken, kShard,   kZero,  kChecksum};
/// Behind them in an encrypted manifest.
inline constexpr size_t kKeyOffset = 64;
inline constexpr std::array kEncrypted = env::KeyFields(kKeyOffset);
}  // namespace snapshot_field

namespace section_field {
inline constexpr Field kKind{"kind", 0, 4};
inline constexpr Field kZero{"zero", 4, 4};
inline constexpr Field kIndex{"index", 8, 8};
inline constexpr Field kLength{"length", 16, 8};
inline constexpr Field kChecksum{"checksum", 24, 8};
inline constexpr std::array kAll{kKind, kZero, kIndex, kLength, kChecksum};
}  // namespace section_field

}  // namespace proxist::shard::internal
