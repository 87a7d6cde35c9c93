// Chunks that leave memory for a mapping of the file that holds them: chosen and checked beside the
// writer, put in place by it.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "proxist/base/ids.h"
#include "proxist/base/status.h"
#include "proxist/base/time.h"
#include "proxist/env/file_system.h"
#include "proxist/hot/chunk_file.h"
#include "proxist/hot/image.h"

namespace proxist::hot {

class Store;
namespace internal {
struct SpillItem;
}

/// Maps a chunk file whose header is as ChunkFileReader::Open wants it; its errors. The one place
/// that says whether chunks of a file can be read where they lie: FAILED_PRECONDITION when they
/// cannot, because reading them takes more than looking at the bytes.
StatusOr<MappedFilePtr> MapChunkFile(env::FileSystem* files, const std::string& path,
                                     const FileIdentity& identity);

/// The encoded bytes that `place` names in a mapped file. DATA_LOSS: another chunk stands there.
StatusOr<ByteSpan> BytesAt(const env::MappedFile& file, const ChunkPlace& place);

/// A chunk that gets no more rows, as Store::SealedChunks found it.
struct SealedChunk {
  TableId table;
  uint64_t id = 0;
  Timestamp first;               // of its rows
  Timestamp published;           // when its youngest row was
  Lsn max_lsn;                   // of its rows
  uint64_t bytes = 0;            // of memory
  uint64_t file = 0;             // that its rows are read from; 0: from memory
  const void* series = nullptr;  // the store's own
};

/// Chunks that were checked in their files and can take the place of those in memory. One thread;
/// then it goes to Store::Spill.
class SpillBatch {
 public:
  SpillBatch();
  ~SpillBatch();
  SpillBatch(SpillBatch&&) noexcept;
  SpillBatch& operator=(SpillBatch&&) noexcept;

  /// Reads `chunk` at `place` in `file`'s bytes and checks all of it. DATA_LOSS: it is not there,
  /// or damaged; the batch is as before.
  Status Add(const Store& store, const SealedChunk& chunk, const ChunkPlace& place,
             const MappedFilePtr& file);
  [[nodiscard]] size_t chunks() const;

 private:
  friend class Store;
  std::vector<internal::SpillItem> items_;
};

struct SpillResult {
  uint64_t chunks = 0;
  uint64_t bytes = 0;  // of memory that goes as soon as no reader needs it
};

}  // namespace proxist::hot
