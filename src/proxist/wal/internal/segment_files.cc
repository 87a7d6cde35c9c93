// The live and the free files of one log: opening the next segment, cutting the tail, recycling.
#include "proxist/wal/internal/segment_files.h"

#include <algorithm>
#include <utility>

#include "proxist/base/planted.h"

namespace proxist::wal {
namespace {

constexpr uint64_t kChunkBytes = uint64_t{1} << 20;

Status WriteDurably(env::DurableFile* file, uint64_t offset, ByteSpan bytes) {
  PX_RETURN_IF_ERROR(file->Submit(offset, bytes));
  return file->Wait();
}

}  // namespace

Status Unsettled(const Status& status) {
  if (!absl::IsResourceExhausted(status)) return status;
  return Unavailable("{}", Message(status));
}

StatusOr<OpenSegment> SegmentFiles::OpenLast() {
  if (state_.segments.empty()) return OpenNext(state_.chain, state_.last);
  const LiveSegment& last = state_.segments.back();
  const SegmentEnd& end = state_.end;
  const std::string path = Path(SegmentFileName(last.number));
  PX_ASSIGN_OR_RETURN(std::unique_ptr<env::File> file,
                      files_->Open(path, env::FileSystem::Mode::kReadWrite));
  PX_ASSIGN_OR_RETURN(const uint64_t size, file->Size());
  if (size < last.bytes) return LeaveShort(file.get());
  OpenSegment open{.version = WrittenVersion(),
                   .number = last.number,
                   .bytes = last.bytes,
                   .offset = end.offset,
                   .durable = end.offset,
                   .chain = state_.chain};
  PX_ASSIGN_OR_RETURN(open.cipher, env::CipherOf(options_.keys, last.key, path));
  PX_ASSIGN_OR_RETURN(open.file, files_->OpenDurable(path, last.bytes));
  PX_RETURN_IF_ERROR(Harden(*file, [&](uint64_t offset, ByteSpan bytes) {
    return WriteDurably(open.file.get(), offset, bytes);
  }));
  if (end.kind == SegmentEnd::Kind::kTorn) PX_RETURN_IF_ERROR(ZeroTail(open.file.get()));
  if (Planted(PlantedBug::kTornTailOffByOne) && open.offset > kSegmentHeaderBytes) {
    open.offset -= env::kBlockBytes;
  }
  // A program that reads only the older format must not take newer frames for a torn tail.
  if (state_.version != open.version) return OpenNext(state_.chain, state_.last);
  return open;
}

// Such a file takes no durable overwrites: it stays as it is up to its last frame.
StatusOr<OpenSegment> SegmentFiles::LeaveShort(env::File* file) {
  PX_RETURN_IF_ERROR(
      Harden(*file, [&](uint64_t offset, ByteSpan bytes) { return file->WriteAt(offset, bytes); }));
  PX_RETURN_IF_ERROR(file->Truncate(state_.end.offset));
  PX_RETURN_IF_ERROR(file->Sync());
  return OpenNext(state_.chain, state_.last);
}

// What was read may stand in the page cache alone: the process that wrote it unsynced was killed,
// or its sync failed, after which a later sync tells nothing. So it is written, not synced.
Status SegmentFiles::Harden(const env::File& file,
                            const std::function<Status(uint64_t, ByteSpan)>& write) const {
  const uint64_t end = state_.end.offset;
  uint64_t at = state_.durable / env::kBlockBytes * env::kBlockBytes;
  if (state_.watermark.has_value() && state_.watermark->segment == state_.segments.back().number) {
    at = std::max(at, state_.watermark->offset);
  }
  if (at >= end) return OkStatus();
  const AlignedBytes buffer =
      AllocateAligned(PaddedToBlock(std::min(kChunkBytes, end - at)), env::kBlockBytes);
  while (at < end) {
    const uint64_t count = std::min(kChunkBytes, end - at);
    PX_ASSIGN_OR_RETURN(const size_t got, file.ReadAt(at, {buffer.get(), count}));
    PX_RETURN_IF_ERROR(write(at, {buffer.get(), got}));
    at += count;
  }
  return OkStatus();
}

// Back to front, so that the torn frame's header goes last: until then it is still seen as torn.
Status SegmentFiles::ZeroTail(env::DurableFile* file) const {
  const uint64_t begin = state_.end.offset;
  uint64_t left = state_.end.torn_bytes;
  const uint64_t chunk = std::min(left, kChunkBytes);
  const AlignedBytes zeros = AllocateAligned(chunk, env::kBlockBytes);
  while (left > 0) {
    const uint64_t count = std::min(left, chunk);
    left -= count;
    PX_RETURN_IF_ERROR(WriteDurably(file, begin + left, {zeros.get(), count}));
  }
  return OkStatus();
}

StatusOr<uint64_t> SegmentFiles::TakeFree() {
  while (!state_.free_numbers.empty()) {
    const uint64_t number = state_.free_numbers.front();
    const std::string path = Path(FreeFileName(number));
    PX_ASSIGN_OR_RETURN(std::unique_ptr<env::File> file,
                        files_->Open(path, env::FileSystem::Mode::kRead));
    PX_ASSIGN_OR_RETURN(const uint64_t size, file->Size());
    state_.free_numbers.erase(state_.free_numbers.begin());
    if (size == options_.segment_bytes) return number;
    PX_RETURN_IF_ERROR(files_->Remove(path));
  }
  return 0;
}

StatusOr<OpenSegment> SegmentFiles::OpenNext(uint64_t chain, Lsn last) {
  FinishPreparing();
  const uint64_t number = state_.next_number;
  PX_ASSIGN_OR_RETURN(uint64_t source, TakeFree());
  const bool recycled = source != 0 && source != fresh_number_;
  if (source == 0) source = state_.next_free_number++;
  fresh_number_ = 0;
  const std::string free_path = Path(FreeFileName(source));
  const std::string path = Path(SegmentFileName(number));
  SegmentHeader header{.version = WrittenVersion(),
                       .incarnation = options_.incarnation,
                       .number = number,
                       .segment_bytes = options_.segment_bytes,
                       .shard = options_.shard,
                       .epoch = options_.epoch,
                       .recycled = recycled,
                       .previous = chain,
                       .last_lsn = last,
                       .key = env::NewFileKey(options_.keys)};
  PX_ASSIGN_OR_RETURN(std::unique_ptr<env::FileCipher> cipher,
                      env::CipherOf(options_.keys, header.key, path));
  const AlignedBytes block = AllocateAligned(kSegmentHeaderBytes, env::kBlockBytes);
  EncodeSegmentHeader(&header, block.get());
  {
    PX_ASSIGN_OR_RETURN(const std::unique_ptr<env::DurableFile> file,
                        files_->OpenDurable(free_path, options_.segment_bytes));
    PX_RETURN_IF_ERROR(WriteDurably(file.get(), 0, {block.get(), kSegmentHeaderBytes}));
  }
  PX_RETURN_IF_ERROR(Unsettled(files_->Rename(free_path, path)));
  if (!Planted(PlantedBug::kSkippedDirectorySync)) {
    PX_RETURN_IF_ERROR(Unsettled(files_->SyncDirectory(options_.directory)));
  }
  state_.next_number = number + 1;
  state_.segments.push_back(
      {.number = number, .bytes = options_.segment_bytes, .last = last, .key = header.key});
  OpenSegment open{.version = header.version,
                   .number = number,
                   .bytes = options_.segment_bytes,
                   .offset = kSegmentHeaderBytes,
                   .durable = kSegmentHeaderBytes,
                   .chain = header.checksum,
                   .cipher = std::move(cipher)};
  StatusOr<std::unique_ptr<env::DurableFile>> file =
      files_->OpenDurable(path, options_.segment_bytes);
  if (!file.ok()) return Unsettled(file.status());
  open.file = std::move(*file);
  return open;
}

void SegmentFiles::PrepareNext() {
  if (preparing_.valid() || !state_.free_numbers.empty()) return;
  preparing_number_ = state_.next_free_number++;
  preparing_ = std::async(
      std::launch::async,
      [files = files_, path = Path(FreeFileName(preparing_number_)),
       bytes = options_.segment_bytes] { return files->OpenDurable(path, bytes).status(); });
}

void SegmentFiles::FinishPreparing() {
  if (!preparing_.valid()) return;
  // After a failure the file is made in the foreground, which reports what is wrong.
  if (!preparing_.get().ok()) return;
  fresh_number_ = preparing_number_;
  state_.free_numbers.insert(state_.free_numbers.begin(), preparing_number_);
}

StatusOr<uint64_t> SegmentFiles::Recycle(Lsn lsn) {
  uint64_t moved = 0;
  // Oldest first and each made durable by itself: a crash never leaves a gap.
  while (state_.segments.size() > 1 && state_.segments.front().last <= lsn) {
    const std::string path = Path(SegmentFileName(state_.segments.front().number));
    const bool keep = state_.free_numbers.size() < options_.max_free_segments;
    const uint64_t free_number = state_.next_free_number++;
    PX_RETURN_IF_ERROR(keep ? files_->Rename(path, Path(FreeFileName(free_number)))
                            : files_->Remove(path));
    state_.segments.erase(state_.segments.begin());
    // Only when the new name is durable may the file be overwritten.
    PX_RETURN_IF_ERROR(files_->SyncDirectory(options_.directory));
    if (keep) state_.free_numbers.push_back(free_number);
    ++moved;
  }
  return moved;
}

Lsn SegmentFiles::RecyclableThrough(Lsn lsn) const {
  Lsn through;
  for (size_t i = 0; i + 1 < state_.segments.size() && state_.segments[i].last <= lsn; ++i) {
    through = state_.segments[i].last;
  }
  return through;
}

uint64_t SegmentFiles::ClosedBytesAbove(Lsn lsn) const {
  uint64_t bytes = 0;
  if (state_.segments.empty()) return bytes;
  for (size_t i = state_.segments.size() - 1; i > 0 && state_.segments[i - 1].last > lsn; --i) {
    bytes += state_.segments[i - 1].bytes;
  }
  return bytes;
}

uint64_t SegmentFiles::live_bytes() const {
  uint64_t bytes = 0;
  for (const LiveSegment& segment : state_.segments) bytes += segment.bytes;
  return bytes;
}

}  // namespace proxist::wal
