// A store as a snapshot holds it: read at a cut while the writer goes on, and brought back.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "proxist/base/bytes.h"
#include "proxist/base/ids.h"
#include "proxist/base/status.h"
#include "proxist/env/file_system.h"
#include "proxist/hot/store.h"

namespace proxist::hot {

/// Where an encoded chunk lies: bytes [offset, offset + bytes) of chunk file `file`.
struct ChunkPlace {
  uint64_t file = 0;
  uint64_t offset = 0;
  uint64_t bytes = 0;
  uint64_t checksum = 0;  // as the chunk's header has it
  bool operator==(const ChunkPlace&) const = default;
};

/// A chunk that does not change any more, as a snapshot refers to it.
struct StoredChunk {
  uint64_t id = 0;
  uint32_t rows = 0;
  Timestamp first;
  Timestamp last;
  Lsn max_lsn;
  ChunkPlace place;
};

/// One series in a snapshot. The spans are encoded blocks (FORMAT.md), empty when there is none.
struct StoredSeries {
  enum class Boundary : uint8_t { kNone = 0, kKnown = 1, kUnknown = 2 };
  TableId table;
  std::array<uint32_t, 1 + column::kMaxSeriesColumns> codes{};  // symbol, then series values
  Timestamp floor = Timestamp::Min();
  Timestamp watch = Timestamp::Min();
  Timestamp dropped_low = Timestamp::Max();
  Timestamp dropped_high = Timestamp::Min();
  Boundary boundary = Boundary::kNone;
  Lsn boundary_as_of;
  std::vector<StoredChunk> chunks;  // in key order
  ByteSpan tail;                    // the last chunk, to which rows may be appended
  ByteSpan overlay;
  ByteSpan boundary_rows;
};

/// Appends the encoding (FORMAT.md), a multiple of 8 bytes; `out` has such a multiple.
void EncodeStoredSeries(const StoredSeries& series, std::vector<std::byte>* out);
/// Views into the reader's bytes. DATA_LOSS says what does not fit.
StatusOr<StoredSeries> DecodeStoredSeries(ByteReader* in);

/// Rows of an encoded block, for showing it; DATA_LOSS when it is damaged.
struct BlockSummary {
  uint64_t id = 0;  // 0: an overlay
  uint32_t rows = 0;
  uint32_t columns = 0;
  Timestamp first;
  Timestamp last;
  Lsn min_lsn;
  Lsn max_lsn;
};
StatusOr<BlockSummary> DescribeBlock(ByteSpan block);

/// Every version that a store holds at one cut, series by series: what stands in chunks and
/// overlays, not what they resolve to. Made on the writer's thread, between batches; then one
/// thread at a time, while the writer goes on. Series come in an order that the same log gives
/// again. What is evicted before they are loaded may be missing: metadata has its floors.
class StoreImage {
 public:
  explicit StoreImage(const Store* store);
  ~StoreImage();
  StoreImage(const StoreImage&) = delete;
  StoreImage& operator=(const StoreImage&) = delete;

  struct Table {
    column::SchemaPtr schema;
    Timestamp max_ts;
  };
  [[nodiscard]] Lsn cut() const;
  [[nodiscard]] uint32_t strings() const;  // dictionary codes below it may occur
  [[nodiscard]] std::string_view TextOf(uint32_t code) const;
  [[nodiscard]] uint64_t next_chunk() const;
  [[nodiscard]] const std::vector<Table>& tables() const;

  /// Loads what there is of every series, so that what is made later need not wait for the image;
  /// before what takes long. The first Next does it else.
  void Load();
  /// Moves to the next series that has something to tell; nullptr at the end, which lets the
  /// store's readers' pin go. Valid until the next call. The places of its chunks are not set.
  StoredSeries* Next();
  /// Appends chunk `index` of the current series, encoded for a chunk file; `out` has a multiple of
  /// 64 bytes. Returns its checksum.
  uint64_t EncodeChunk(size_t index, std::vector<std::byte>* out) const;
  /// Lets the pin go before the end; there are no more series.
  void Close();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

using MappedFilePtr = std::shared_ptr<const env::MappedFile>;

/// A stored chunk's encoded bytes.
struct ChunkBytes {
  ChunkBytes(ByteSpan span) : bytes(span) {}  // NOLINT: read, they are copied to memory
  ChunkBytes(ByteSpan span, MappedFilePtr file) : bytes(span), mapping(std::move(file)) {}
  ByteSpan bytes;
  /// Whose bytes these are, if the chunk's rows are to be read there and not to be in memory.
  MappedFilePtr mapping;
};

/// Fills a store that has no rows yet from a snapshot. The writer's thread. After an error the
/// store must not be used.
class ImageLoader {
 public:
  explicit ImageLoader(Store* store) : store_(store) {}
  /// The encoded bytes of a chunk, valid until the next call, or as long as their mapping.
  using ReadChunk = std::function<StatusOr<ChunkBytes>(const StoredChunk&)>;

  /// The dictionary's strings by code; before anything that adds strings.
  Status AddStrings(std::span<const std::string_view> strings);
  /// The store has the table, its schema the stored columns or more.
  Status AddTable(const column::TableSchema& stored, Timestamp max_ts);
  /// A series whose floor the store knows to be higher keeps that floor, and only what lies above
  /// it or is not persisted yet. `cut`: of the snapshot.
  Status AddSeries(const StoredSeries& series, Lsn cut, const ReadChunk& read);
  /// Chunks made from now on have this id and higher ones.
  void SetNextChunk(uint64_t id);
  [[nodiscard]] uint64_t rows() const { return rows_; }

 private:
  Store* store_;
  uint64_t rows_ = 0;
};

}  // namespace proxist::hot
