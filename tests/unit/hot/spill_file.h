// Spills a store's chunks into a file that is a piece of memory.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "proxist/env/copied_file.h"
#include "proxist/hot/image.h"
#include "proxist/hot/spill.h"
#include "proxist/hot/store.h"

namespace proxist::hot {

/// Chunks as snapshots place them, by id; never encoded twice.
class SpillFiles {
 public:
  /// Writes the chunks that no file holds yet into the next one.
  void Place(const Store* store) {
    std::vector<std::byte> bytes(64);  // a header
    std::map<uint64_t, ChunkPlace> fresh;
    ++number_;
    StoreImage image(store);
    while (const StoredSeries* series = image.Next()) {
      for (size_t i = 0; i < series->chunks.size(); ++i) {
        const uint64_t id = series->chunks[i].id;
        if (places_.contains(id)) continue;
        ChunkPlace place{number_, bytes.size(), 0, 0};
        place.checksum = image.EncodeChunk(i, &bytes);
        place.bytes = bytes.size() - place.offset;
        fresh.emplace(id, place);
      }
    }
    const auto file = std::make_shared<const env::CopiedFile>(bytes);
    for (const auto& [id, place] : fresh) places_[id] = {place, file};
  }

  /// Spills the placed chunks that `choose` wants.
  SpillResult Spill(Store* store, const std::function<bool(const SealedChunk&)>& choose) const {
    std::vector<SealedChunk> chunks;
    store->SealedChunks(&chunks);
    SpillBatch batch;
    for (const SealedChunk& chunk : chunks) {
      const auto at = places_.find(chunk.id);
      if (at == places_.end() || !choose(chunk)) continue;
      const Status added = batch.Add(*store, chunk, at->second.first, at->second.second);
      EXPECT_TRUE(added.ok()) << added;
    }
    return store->Spill(std::move(batch));
  }
  [[nodiscard]] const std::map<uint64_t, std::pair<ChunkPlace, MappedFilePtr>>& places() const {
    return places_;
  }
  /// Every chunk moves to a file of another number.
  void Move() {
    ++number_;
    for (auto& [id, place] : places_) {
      place.first.file = number_;
      place.second = std::make_shared<const env::CopiedFile>(place.second->bytes());
    }
  }

 private:
  uint64_t number_ = 0;
  std::map<uint64_t, std::pair<ChunkPlace, MappedFilePtr>> places_;
};

}  // namespace proxist::hot
