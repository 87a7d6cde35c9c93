#include "proxist/shard/snapshot_job.h"

#include <algorithm>
#include <utility>

#include "proxist/base/check.h"

namespace proxist::shard {
namespace {

constexpr uint64_t kStepBytes = uint64_t{1} << 20;
constexpr uint64_t kSectionBytes = uint64_t{1} << 20;
// A chunk file is rewritten when less than 1 / kDeadFactor of it is in use, up to so much a job.
constexpr uint64_t kDeadFactor = 2;
constexpr uint64_t kMaxRewriteBytes = uint64_t{256} << 20;

}  // namespace

void SnapshotIndex::Use(uint64_t chunk, const hot::ChunkPlace& place) {
  chunks.emplace(chunk, place);
  FileUse& use = files[place.file];
  use.file = place.file;
  use.live_bytes += place.bytes;
  ++use.live_chunks;
}

uint64_t SnapshotIndex::bytes() const {
  uint64_t sum = manifest_bytes;
  for (const auto& [file, use] : files) sum += use.live_bytes;
  return sum;
}

SnapshotJob::SnapshotJob(const hot::Store* store, Source source)
    : image_(store), source_(std::move(source)) {
  PX_CHECK(image_.cut() == source_.header.cut && source_.previous != nullptr);
  index_->cut = source_.header.cut;
  index_->taken = source_.header.taken;
  ChooseRewrites();
}

void SnapshotJob::ChooseRewrites() {
  std::vector<FileUse> dying;
  for (const auto& [file, use] : source_.previous->files) {
    if (use.live_bytes * kDeadFactor < use.bytes) dying.push_back(use);
  }
  std::ranges::sort(dying, {}, &FileUse::live_bytes);
  uint64_t bytes = 0;
  for (const FileUse& use : dying) {
    bytes += use.live_bytes;
    if (bytes > kMaxRewriteBytes) return;
    rewrite_.insert(use.file);
  }
}

Status SnapshotJob::status() const {
  if (phase_ == Phase::kFailed) return failure_;
  if (phase_ == Phase::kDone) return OkStatus();
  return FailedPrecondition("the snapshot at LSN {} is not finished", cut().value());
}

Status SnapshotJob::Run() {
  while (true) {
    PX_ASSIGN_OR_RETURN(const bool more, Step());
    if (!more) return OkStatus();
  }
}

StatusOr<bool> SnapshotJob::Step() {
  if (phase_ == Phase::kDone) return false;
  if (phase_ == Phase::kFailed) return failure_;
  const auto next = Advance();
  if (next.ok()) {
    phase_ = *next;
    return phase_ != Phase::kDone;
  }
  failure_ = Annotate(next.status(), fmt::format("snapshot at LSN {}", cut().value()));
  // Once it may have its name, what it refers to has to stay.
  if (phase_ != Phase::kPublish) Abandon();
  phase_ = Phase::kFailed;
  image_.Close();
  return failure_;
}

StatusOr<SnapshotJob::Phase> SnapshotJob::Advance() {
  switch (phase_) {
    case Phase::kPrepare:
      PX_RETURN_IF_ERROR(Prepare());
      return Phase::kSeries;
    case Phase::kSeries: {
      PX_ASSIGN_OR_RETURN(const bool more, AddSeries());
      return more ? Phase::kSeries : Phase::kChunks;
    }
    case Phase::kChunks:
      PX_RETURN_IF_ERROR(EndChunks());
      return Phase::kManifest;
    case Phase::kManifest:
      PX_RETURN_IF_ERROR(EndManifest());
      return Phase::kPublish;
    case Phase::kPublish:
      PX_RETURN_IF_ERROR(manifest_->Publish());
      return Phase::kClean;
    case Phase::kClean:
      return RemoveOne() ? Phase::kClean : Phase::kDone;
    case Phase::kDone:
    case Phase::kFailed:
      break;
  }
  return phase_;
}

Status SnapshotJob::Prepare() {
  image_.Load();
  env::FileSystem* files = source_.files;
  PX_RETURN_IF_ERROR(files->CreateDirectories(source_.directory));
  PX_ASSIGN_OR_RETURN(const auto names, files->List(source_.directory));
  file_ = source_.previous->next_file;
  for (const std::string& name : names) {
    if (const auto known = hot::ParseChunkFileName(name)) file_ = std::max(file_, *known + 1);
  }
  index_->next_file = file_ + 1;
  PX_ASSIGN_OR_RETURN(manifest_, SnapshotFileWriter::Create(files, source_.directory,
                                                            source_.header, source_.keys));
  SnapshotState state = source_.state;
  state.next_chunk = image_.next_chunk();
  state.next_file = index_->next_file;
  EncodeState(state, &section_);
  PX_RETURN_IF_ERROR(Emit(SectionKind::kState, true));
  PX_RETURN_IF_ERROR(AddStrings());
  for (const hot::StoreImage::Table& table : image_.tables()) {
    const auto persisted = source_.persisted_ts.find(table.schema->id);
    EncodeTable({*table.schema, table.max_ts,
                 persisted == source_.persisted_ts.end() ? Timestamp::Min() : persisted->second},
                &section_);
    PX_RETURN_IF_ERROR(Emit(SectionKind::kTable, true));
  }
  return OkStatus();
}

Status SnapshotJob::AddStrings() {
  ByteWriter out(&section_);
  for (uint32_t code = 0; code < image_.strings(); ++code) {
    out.PutString(image_.TextOf(code));
    PX_RETURN_IF_ERROR(Emit(SectionKind::kStrings, false));
  }
  return Emit(SectionKind::kStrings, true);
}

Status SnapshotJob::Emit(SectionKind kind, bool end) {
  if (section_.empty() || (!end && section_.size() < kSectionBytes)) return OkStatus();
  PX_RETURN_IF_ERROR(manifest_->Add(kind, section_));
  section_.clear();
  return OkStatus();
}

StatusOr<bool> SnapshotJob::AddSeries() {
  const uint64_t start = (chunks_ == nullptr ? 0 : chunks_->bytes()) + manifest_->bytes();
  while (true) {
    if (series_ == nullptr) {
      series_ = image_.Next();
      next_chunk_ = 0;
      if (series_ == nullptr) {
        PX_RETURN_IF_ERROR(Emit(SectionKind::kSeries, true));
        return false;
      }
    }
    for (; next_chunk_ < series_->chunks.size(); ++next_chunk_) {
      const uint64_t bytes = (chunks_ == nullptr ? 0 : chunks_->bytes()) + manifest_->bytes();
      if (bytes - start >= kStepBytes) return true;
      PX_RETURN_IF_ERROR(PlaceChunk(&series_->chunks[next_chunk_], next_chunk_));
    }
    hot::EncodeStoredSeries(*series_, &section_);
    series_ = nullptr;
    PX_RETURN_IF_ERROR(Emit(SectionKind::kSeries, false));
    if (section_.empty()) return true;
  }
}

Status SnapshotJob::PlaceChunk(hot::StoredChunk* chunk, size_t index) {
  if (index_->chunks.contains(chunk->id)) {
    return Internal("two chunks of the store have the id {}", chunk->id);
  }
  const auto known = source_.previous->chunks.find(chunk->id);
  if (known != source_.previous->chunks.end() && !rewrite_.contains(known->second.file)) {
    chunk->place = known->second;
    index_->files[chunk->place.file].bytes = source_.previous->files.at(chunk->place.file).bytes;
  } else {
    if (chunks_ == nullptr) {
      PX_ASSIGN_OR_RETURN(
          chunks_, hot::ChunkFileWriter::Create(source_.files, source_.directory, file_,
                                                source_.header.epoch, source_.header.identity,
                                                source_.keys));
    }
    PX_ASSIGN_OR_RETURN(chunk->place, chunks_->Add([&](std::vector<std::byte>* out) {
      return image_.EncodeChunk(index, out);
    }));
  }
  index_->Use(chunk->id, chunk->place);
  return OkStatus();
}

Status SnapshotJob::EndChunks() {
  if (chunks_ == nullptr) return OkStatus();
  PX_RETURN_IF_ERROR(chunks_->Finish());
  // The file's name has to be durable before a manifest that refers to it has its own.
  PX_RETURN_IF_ERROR(source_.files->SyncDirectory(source_.directory));
  index_->files[file_].bytes = chunks_->bytes();
  written_bytes_ += chunks_->bytes();
  return OkStatus();
}

Status SnapshotJob::EndManifest() {
  for (const auto& [name, state] : source_.producers) {
    if (state.last == BatchNumber(0)) continue;  // its only batch was refused
    EncodeProducer({name, state.last, state.first_lsn, state.last_lsn}, &section_);
    PX_RETURN_IF_ERROR(Emit(SectionKind::kProducers, false));
  }
  PX_RETURN_IF_ERROR(Emit(SectionKind::kProducers, true));
  for (const SnapshotBatch& batch : source_.batches) {
    EncodeBatchMark(batch, &section_);
    PX_RETURN_IF_ERROR(Emit(SectionKind::kBacklog, false));
  }
  PX_RETURN_IF_ERROR(Emit(SectionKind::kBacklog, true));
  for (const auto& [file, use] : index_->files) EncodeFileUse(use, &section_);
  PX_RETURN_IF_ERROR(Emit(SectionKind::kFiles, true));
  PX_RETURN_IF_ERROR(manifest_->Finish());
  index_->manifest_bytes = manifest_->bytes();
  written_bytes_ += manifest_->bytes();
  return OkStatus();
}

bool SnapshotJob::RemoveOne() {
  if (!std::exchange(removals_known_, true)) {
    // What cannot be listed or removed now is found again by the next snapshot.
    const auto names = source_.files->List(source_.directory);
    for (const std::string& name : names.ok() ? *names : std::vector<std::string>()) {
      if (const auto at = ParseSnapshotFileName(name)) {
        if (*at != cut() && *at != source_.previous->cut) removals_.push_back(name);
      } else if (const auto file = hot::ParseChunkFileName(name)) {
        if (!index_->files.contains(*file) && !source_.previous->files.contains(*file)) {
          removals_.push_back(name);
        }
      } else if (name.starts_with("snapshot-") && name.ends_with(".tmp")) {
        removals_.push_back(name);
      }
    }
    // Manifests first, the newest last: a file goes only after what referred to it.
    std::ranges::stable_partition(removals_, [](const std::string& name) {
      return !ParseSnapshotFileName(name).has_value();
    });
  }
  if (removals_.empty()) return false;
  source_.files->Remove(source_.directory + "/" + removals_.back()).IgnoreError();
  removals_.pop_back();
  return !removals_.empty();
}

void SnapshotJob::Abandon() {
  const std::string& directory = source_.directory;
  if (chunks_ != nullptr) {
    source_.files->Remove(directory + "/" + hot::ChunkFileName(file_)).IgnoreError();
  }
  if (manifest_ != nullptr) {
    source_.files->Remove(directory + "/" + SnapshotFileName(cut()) + ".tmp").IgnoreError();
  }
}

}  // namespace proxist::shard
