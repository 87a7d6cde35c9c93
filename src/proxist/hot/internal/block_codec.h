// A block as bytes: chunks in chunk files, tails, overlays and boundaries in snapshots. FORMAT.md
// has the bytes.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "proxist/base/bytes.h"
#include "proxist/base/field.h"
#include "proxist/base/status.h"
#include "proxist/hot/internal/blocks.h"
#include "proxist/hot/row_block.h"

namespace proxist::hot::internal {

inline constexpr uint32_t kBlockMagic = 0x4b425850;  // "PXBK"
inline constexpr size_t kBlockHeaderBytes = 64;
inline constexpr size_t kBlockColumnBytes = 16;
/// Alignment of a block's arrays: in chunk files, so that they can be mapped; in snapshots.
inline constexpr uint8_t kFileAlignment = 64;
inline constexpr uint8_t kInlineAlignment = 8;
/// No writer makes larger chunks.
inline constexpr uint32_t kMaxEncodedChunkRows = 1u << 16;

namespace block_field {
inline constexpr Field kMagic{"magic", 0, 4};
inline constexpr Field kKind{"kind", 4, 1};
inline constexpr Field kAlignment{"alignment", 5, 1};
inline constexpr Field kColumns{"columns", 6, 2};
inline constexpr Field kRows{"rows", 8, 4};
inline constexpr Field kCapacity{"capacity", 12, 4};
inline constexpr Field kId{"id", 16, 8};
inline constexpr Field kLsnBase{"lsn_base", 24, 8};
inline constexpr Field kPublished{"last_published", 32, 8};
inline constexpr Field kLength{"length", 40, 8};
inline constexpr Field kZero{"zero", 48, 8};
inline constexpr Field kChecksum{"checksum", 56, 8};
inline constexpr std::array kAll{kMagic, kKind,    kAlignment, kColumns, kRows, kCapacity,
                                 kId,    kLsnBase, kPublished, kLength,  kZero, kChecksum};
}  // namespace block_field

namespace column_field {
inline constexpr Field kKind{"kind", 0, 1};
inline constexpr Field kFlags{"flags", 1, 1};
inline constexpr Field kZero{"zero", 2, 6};
inline constexpr Field kTextBytes{"text_bytes", 8, 8};
inline constexpr std::array kAll{kKind, kFlags, kZero, kTextBytes};
}  // namespace column_field

inline constexpr uint8_t kOwnFlag = 1;    // values are there; else the series' code repeats
inline constexpr uint8_t kNullsFlag = 2;  // a bitmap of nulls is there

enum class BlockKind : uint8_t { kChunk = 1, kOverlay = 2 };

/// Views into the encoded bytes, which may be unaligned.
struct EncodedColumn {
  column::TypeKind kind = column::TypeKind::kInt64;
  bool own = false;
  ByteSpan values;  // strings: uint32 lengths
  ByteSpan nulls;   // uint64 words, a set bit is a null; empty: there is none
  ByteSpan text;
};
struct EncodedBlock {
  BlockKind kind = BlockKind::kChunk;
  uint8_t alignment = kInlineAlignment;
  uint32_t rows = 0;
  uint32_t capacity = 0;
  uint64_t id = 0;
  uint64_t lsn_base = 0;
  int64_t last_published = INT64_MIN;
  uint64_t bytes = 0;  // of the whole block
  ByteSpan ts, seq, lsn, op, published;
  std::vector<EncodedColumn> columns;

  /// Its arrays are aligned as readers of rows need them.
  [[nodiscard]] bool CanMap() const {
    return kind == BlockKind::kChunk &&
           reinterpret_cast<uintptr_t>(ts.data()) % kFileAlignment == 0 &&
           alignment == kFileAlignment;
  }
  [[nodiscard]] int64_t ts_at(uint32_t row) const { return LoadAt<int64_t>(ts.data(), row); }
  [[nodiscard]] uint64_t seq_at(uint32_t row) const { return LoadAt<uint64_t>(seq.data(), row); }
  [[nodiscard]] uint64_t lsn_at(uint32_t row) const {
    return kind == BlockKind::kChunk ? lsn_base + LoadAt<uint32_t>(lsn.data(), row)
                                     : LoadAt<uint64_t>(lsn.data(), row);
  }
};

/// Any thread; of a chunk that grows, only rows that the caller sees.
class BlockCodec {
 public:
  /// Appends the block's first `rows` rows, or those of `chosen` where it is not empty, with as
  /// many of its columns as `layout` has. `out` has a multiple of `alignment` bytes.
  static void Encode(const RowBlock& block, const Layout& layout, uint32_t rows,
                     std::span<const uint32_t> chosen, uint8_t alignment,
                     std::vector<std::byte>* out);
  /// The block that `bytes` start with, its checksum checked. DATA_LOSS says what does not fit.
  /// Rows are in the order of their kind; symbols below `strings`.
  static StatusOr<EncodedBlock> Decode(ByteSpan bytes, uint32_t strings);
  /// Bytes of the block whose header stands at the start of `bytes`; nothing may be believed yet.
  static StatusOr<uint64_t> LengthOf(ByteSpan bytes);
  /// The checksum in the header of an encoded block.
  static uint64_t ChecksumOf(ByteSpan bytes) {
    return LoadField<uint64_t>(bytes.data(), block_field::kChecksum);
  }
};

}  // namespace proxist::hot::internal
