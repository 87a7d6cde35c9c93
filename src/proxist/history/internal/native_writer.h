// ClickHouse's Native format, written: FORMAT.md has the bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "proxist/base/bytes.h"

namespace proxist::history {

/// The parts of LowCardinality's header.
inline constexpr uint64_t kLowCardinalityVersion = 1;
inline constexpr uint64_t kIndexTypeMask = 0xff;           // log2 of an index's width in bytes
inline constexpr uint64_t kNeedGlobalDictionary = 1 << 8;  // never used on the wire
inline constexpr uint64_t kHasAdditionalKeys = 1 << 9;     // the dictionary follows

/// Writes one block into `out`, which it does not own, from `at` on: what stands there is
/// overwritten, so that a vector of a block's size is not filled with zeros before. Finish comes
/// last. One thread.
class NativeWriter {
 public:
  NativeWriter(std::vector<std::byte>* out, size_t at) : out_(out), at_(at) {}

  void BeginBlock(size_t columns, size_t rows);
  void BeginColumn(std::string_view name, std::string_view type);
  /// `bytes` of any content for values of fixed width or a null map; valid until the next call.
  std::byte* AppendFixed(size_t bytes);
  void AppendString(std::string_view text);
  /// A whole LowCardinality column: `codes` index `dictionary`. In a nullable column entry 0 of
  /// `dictionary` is the null, whatever its text.
  void AppendLowCardinality(std::span<const std::string_view> dictionary,
                            std::span<const uint32_t> codes);
  /// Cuts `out` where the block ends.
  void Finish() { out_->resize(at_); }

 private:
  void AppendByte(std::byte byte) { *AppendFixed(1) = byte; }
  void AppendUint64(uint64_t value);
  void AppendVarint(uint64_t value);
  template <typename T>
  void AppendIndexes(std::span<const uint32_t> codes);
  std::vector<std::byte>* out_;
  size_t at_;
};

}  // namespace proxist::history
