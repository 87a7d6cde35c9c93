#include "proxist/shard/spill.h"

#include <utility>

namespace proxist::shard {

void SpillReader::Use(SpillSource source) {
  source_ = std::move(source);
  std::erase_if(known_, [](const auto& known) { return known.second.expired(); });
}

bool SpillReader::Holds(const hot::SealedChunk& chunk) const {
  return source_.index != nullptr && source_.index->chunks.contains(chunk.id);
}

bool SpillReader::Moved(const hot::SealedChunk& chunk) const {
  if (chunk.file == 0 || source_.index == nullptr) return false;
  const auto place = source_.index->chunks.find(chunk.id);
  return place != source_.index->chunks.end() && place->second.file != chunk.file;
}

Status SpillReader::Add(const hot::SealedChunk& chunk, hot::SpillBatch* batch) {
  if (!Holds(chunk)) return NotFound("chunk {} is in no file", chunk.id);
  const hot::ChunkPlace& place = source_.index->chunks.at(chunk.id);
  hot::MappedFilePtr& file = files_[place.file];
  if (file == nullptr) file = known_[place.file].lock();
  if (file == nullptr) {
    const std::string path = source_.directory + "/" + hot::ChunkFileName(place.file);
    PX_ASSIGN_OR_RETURN(file, hot::MapChunkFile(source_.files, path, source_.identity));
    known_[place.file] = file;
  }
  return batch->Add(*store_, chunk, place, file);
}

void SpillReader::Release() {
  for (const auto& [number, file] : files_) {
    if (file != nullptr) file->Release();
  }
  files_.clear();
}

}  // namespace proxist::shard
