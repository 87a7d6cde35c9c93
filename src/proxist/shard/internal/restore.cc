#include "proxist/shard/internal/restore.h"

#include <utility>

#include "proxist/hot/spill.h"

namespace proxist::shard::internal {
namespace {

/// Chunk files read side by side; a store has one for each snapshot of its hot retention.
constexpr size_t kMaxOpenFiles = 512;

/// One loading, as the manifest's visitor.
class Restorer {
 public:
  Restorer(env::FileSystem* files, std::string directory, hot::FileIdentity identity,
           const RestoreTarget& target)
      : files_(files),
        directory_(std::move(directory)),
        identity_(identity),
        target_(target),
        loader_(target.store) {}

  StatusOr<Restored> Run(Lsn cut) {
    const std::string path = directory_ + "/" + SnapshotFileName(cut);
    SnapshotVisitor visitor;
    visitor.header = [&](const SnapshotHeader& header) {
      out_.cut = out_.index->cut = header.cut;
      out_.index->taken = header.taken;
      return header.cut == cut ? OkStatus() : DataLoss("it is the one of {}", header.cut.value());
    };
    visitor.state = [this](const SnapshotState& state) { return TakeState(state); };
    visitor.strings = [this](auto strings) { return loader_.AddStrings(strings); };
    visitor.table = [this](const SnapshotTable& table) { return AddTable(table); };
    visitor.series = [this](const hot::StoredSeries& series) { return AddSeries(series); };
    visitor.producer = [this](const SnapshotProducer& producer) {
      (*target_.producers)[std::string(producer.name)] = {producer.last, producer.first_lsn,
                                                          producer.last_lsn};
      return OkStatus();
    };
    visitor.batch = [this](const SnapshotBatch& batch) {
      if (batch.last <= target_.persisted) {
        target_.backlog->AddPersisted(batch.table, batch.max_ts);
      } else {
        out_.unpersisted.emplace(batch.first, batch);
      }
      return OkStatus();
    };
    visitor.file = [this](const FileUse& use) { return CheckFile(use); };
    PX_RETURN_IF_ERROR(ReadSnapshot(files_, path, identity_, visitor, target_.keys));
    PX_RETURN_IF_ERROR(RestoreSeries());
    PX_ASSIGN_OR_RETURN(const auto file, files_->Open(path, env::FileSystem::Mode::kRead));
    PX_ASSIGN_OR_RETURN(out_.index->manifest_bytes, file->Size());
    out_.rows = loader_.rows();
    for (const auto& [number, mapping] : mappings_) {
      if (mapping != nullptr) mapping->Release();
    }
    return std::move(out_);
  }

 private:
  Status TakeState(const SnapshotState& state) {
    if (state.persisted > target_.persisted) {
      return FailedPrecondition(
          "it was taken when LSN {} was persisted, metadata knows of {} alone: metadata is older "
          "than this data directory",
          state.persisted.value(), target_.persisted.value());
    }
    loader_.SetNextChunk(state.next_chunk);
    out_.index->next_file = state.next_file;
    return OkStatus();
  }

  Status RestoreSeries() {
    return std::exchange(series_restored_, true) ? OkStatus() : target_.restore_series();
  }

  Status AddTable(const SnapshotTable& table) {
    // Codes of the snapshot's strings come before those of metadata's series.
    PX_RETURN_IF_ERROR(RestoreSeries());
    if (table.persisted_ts != Timestamp::Min()) {
      target_.backlog->AddPersisted(table.schema.id, table.persisted_ts);
    }
    return loader_.AddTable(table.schema, table.max_ts);
  }

  Status AddSeries(const hot::StoredSeries& series) {
    PX_RETURN_IF_ERROR(loader_.AddSeries(
        series, out_.cut, [this](const hot::StoredChunk& chunk) { return BytesOf(chunk); }));
    for (const hot::StoredChunk& chunk : series.chunks) {
      if (out_.index->chunks.contains(chunk.id)) {
        return DataLoss("chunk {} comes twice", chunk.id);
      }
      out_.index->Use(chunk.id, chunk.place);
    }
    if (target_.progress) target_.progress(loader_.rows());
    return OkStatus();
  }

  /// Where memory has no room for the chunk, and its file can be mapped: the bytes there.
  StatusOr<hot::ChunkBytes> BytesOf(const hot::StoredChunk& chunk) {
    const bool stays = target_.memory_bytes > 0 && target_.store->bytes() >= target_.memory_bytes;
    if (!stays) return ReadChunk(chunk);
    auto known = mappings_.find(chunk.place.file);
    if (known == mappings_.end()) {
      const std::string path = directory_ + "/" + hot::ChunkFileName(chunk.place.file);
      auto mapped = hot::MapChunkFile(files_, path, identity_);
      // What cannot be mapped has to be in memory.
      if (absl::IsFailedPrecondition(mapped.status())) mapped = hot::MappedFilePtr();
      PX_RETURN_IF_ERROR(mapped.status());
      known = mappings_.emplace(chunk.place.file, *mapped).first;
    }
    if (known->second == nullptr) return ReadChunk(chunk);
    PX_ASSIGN_OR_RETURN(const ByteSpan bytes, hot::BytesAt(*known->second, chunk.place));
    return hot::ChunkBytes(bytes, known->second);
  }

  StatusOr<ByteSpan> ReadChunk(const hot::StoredChunk& chunk) {
    if (readers_.size() == kMaxOpenFiles && !readers_.contains(chunk.place.file)) readers_.clear();
    auto& reader = readers_[chunk.place.file];
    if (reader == nullptr) {
      const std::string path = directory_ + "/" + hot::ChunkFileName(chunk.place.file);
      PX_ASSIGN_OR_RETURN(reader,
                          hot::ChunkFileReader::Open(files_, path, identity_, target_.keys));
    }
    return reader->Read(chunk.place);
  }

  /// The list of files agrees with what the series refer to.
  Status CheckFile(const FileUse& use) {
    FileUse& known = out_.index->files[use.file];
    known.bytes = use.bytes;
    if (known.live_chunks != use.live_chunks || known.live_bytes != use.live_bytes ||
        use.file >= out_.index->next_file) {
      return DataLoss("chunk file {:016x}: {} chunks are listed, series refer to {}", use.file,
                      use.live_chunks, known.live_chunks);
    }
    return OkStatus();
  }

  env::FileSystem* const files_;
  const std::string directory_;
  const hot::FileIdentity identity_;
  const RestoreTarget& target_;
  hot::ImageLoader loader_;
  Restored out_;
  bool series_restored_ = false;
  std::map<uint64_t, std::unique_ptr<hot::ChunkFileReader>> readers_;
  std::map<uint64_t, hot::MappedFilePtr> mappings_;  // of files that chunks are left in
};

}  // namespace

StatusOr<Restored> RestoreSnapshot(env::FileSystem* files, const std::string& directory, Lsn cut,
                                   const hot::FileIdentity& identity, const RestoreTarget& target) {
  return Restorer(files, directory, identity, target).Run(cut);
}

}  // namespace proxist::shard::internal
