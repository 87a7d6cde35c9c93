// What a chunk needs beside its header when its rows are read from a mapped file.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "proxist/base/bytes.h"
#include "proxist/base/time.h"
#include "proxist/hot/internal/block_codec.h"
#include "proxist/hot/internal/blocks.h"

namespace proxist::hot::internal {

struct Series;

/// A string column of a mapped chunk. Immutable.
class MappedStrings {
 public:
  MappedStrings() = default;
  /// Views as an encoded column has them.
  MappedStrings(ByteSpan lengths, ByteSpan text, uint32_t rows);
  [[nodiscard]] ByteSpan At(uint32_t row) const;
  [[nodiscard]] size_t HeapBytes() const { return starts_.capacity() * sizeof(uint64_t); }

 private:
  /// Of so many rows one start is kept; the lengths in between are added up.
  static constexpr uint32_t kStride = 16;
  ByteSpan lengths_;
  ByteSpan text_;
  std::vector<uint64_t> starts_;
};

/// Immutable once readers see its chunk.
struct MappedPart {
  NumberedFile file;
  uint64_t bytes = 0;                  // of the chunk in the file
  std::vector<MappedStrings> strings;  // by column, up to the last string column
};

/// A chunk to be spilled.
struct SpillItem {
  Series* series = nullptr;
  Timestamp first;  // its first row's
  NumberedFile file;
  EncodedBlock block;  // views into it
};

}  // namespace proxist::hot::internal
