// The writer's half of the log: builds frames and writes them one at a time.
#include "proxist/wal/log.h"

#include <algorithm>
#include <optional>

#include "proxist/base/check.h"
#include "proxist/wal/internal/format.h"
#include "proxist/wal/internal/replay.h"
#include "proxist/wal/internal/replay_ahead.h"
#include "proxist/wal/internal/segment_files.h"
#include "proxist/wal/internal/watermark.h"

namespace proxist::wal {
namespace {

constexpr uint64_t kLargestFrameBytes = uint64_t{1} << 30;  // what one durable write takes

/// A frame in block-aligned memory that grows.
struct FrameBuffer {
  AlignedBytes bytes;
  uint64_t capacity = 0;
  uint64_t size = 0;  // header and records; 0: empty
  uint32_t records = 0;
  Lsn first;
  Lsn last;

  /// Room for `wanted` bytes, a multiple of a block at most `limit`.
  void Reserve(uint64_t wanted, uint64_t limit) {
    if (wanted <= capacity) return;
    uint64_t grown = std::max<uint64_t>(capacity, kHugePageBytes);
    while (grown < wanted) grown *= 2;
    grown = std::min(grown, limit);
    AlignedBytes moved = grown < kHugePageBytes ? AllocateAligned(grown, env::kBlockBytes)
                                                : AllocateInHugePages(grown);
    std::copy_n(bytes.get(), size, moved.get());
    bytes = std::move(moved);
    capacity = grown;
  }
  void Clear() {
    size = 0;
    records = 0;
  }
};

Status CheckOptions(const LogOptions& options) {
  if (options.segment_bytes % env::kBlockBytes != 0 ||
      options.segment_bytes < 2 * env::kBlockBytes) {
    return InvalidArgument("log {}: segment_bytes {} is not a multiple of {} of at least twice it",
                           options.directory, options.segment_bytes, env::kBlockBytes);
  }
  if (options.max_frame_bytes < env::kBlockBytes) {
    return InvalidArgument("log {}: max_frame_bytes {} is less than one block of {}",
                           options.directory, options.max_frame_bytes, env::kBlockBytes);
  }
  return OkStatus();
}

/// Files that a crash left half filled have no name that counts yet.
Status RemoveUnfinishedFiles(env::FileSystem* files, const std::string& directory) {
  PX_ASSIGN_OR_RETURN(const std::vector<std::string> names, files->List(directory));
  constexpr std::string_view kUnfinished = ".tmp";
  for (const std::string& name : names) {
    std::string_view stem = name;
    uint64_t number = 0;
    if (!stem.ends_with(kUnfinished)) continue;
    stem.remove_suffix(kUnfinished.size());
    if (!ParseFreeFileName(stem, &number)) continue;
    PX_RETURN_IF_ERROR(files->Remove(directory + "/" + name));
  }
  return OkStatus();
}

}  // namespace

struct Log::Impl {
  Impl(env::FileSystem* file_system, const LogOptions& log_options, LogState state)
      : options(log_options),
        max_frame_bytes(
            std::min({log_options.max_frame_bytes, log_options.segment_bytes - kSegmentHeaderBytes,
                      kLargestFrameBytes}) /
            env::kBlockBytes * env::kBlockBytes),
        tag_bytes(log_options.keys == nullptr ? 0 : env::kTagBytes),
        last(state.last),
        watermark(file_system, log_options.directory,
                  LogIdentity{log_options.incarnation, log_options.shard}, state.watermark),
        files(file_system, log_options, std::move(state)) {}

  Status Poison(const Status& status) {
    poison = status;
    building.Clear();
    return status;
  }
  [[nodiscard]] Status CheckWritable() const {
    if (poison.ok()) return OkStatus();
    return FailedPrecondition(
        "log {} takes no more writes since one failed; restart after the cause is gone: {}",
        options.directory, Message(poison));
  }
  /// Everything submitted is durable.
  void NoteDurable() {
    open.durable = open.offset;
    durable = {open.number, open.offset, open.chain, last_submitted};
  }
  Status RecordWatermark();
  Status SubmitFrame(FrameLevel level);
  Status StartWriting();
  Status Sync();

  const LogOptions options;
  const uint64_t max_frame_bytes;
  const uint64_t tag_bytes;  // that a frame needs behind its records
  Lsn last;                  // highest of all records added
  Lsn last_submitted;
  WatermarkFile watermark;
  FrameBuffer building;
  FrameBuffer flying;  // the frame in flight, sealed; outlives the file that is written from it
  SegmentFiles files;
  OpenSegment open;
  Watermark durable;
  FrameHeader flying_header;
  FrameLevel flying_level = FrameLevel::kSynced;
  bool in_flight = false;
  bool unsynced = false;  // the open segment has frames that only the page cache may have
  Status poison;
};

Log::Log(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Log::~Log() = default;

StatusOr<std::unique_ptr<Log>> Log::Open(env::FileSystem* files, const LogOptions& options,
                                         const std::function<Status(const LogRecord&)>& apply,
                                         ReplayReport* report) {
  PX_RETURN_IF_ERROR(CheckOptions(options));
  PX_RETURN_IF_ERROR(files->CreateDirectories(options.directory));
  PX_ASSIGN_OR_RETURN(const std::vector<std::string> names, files->List(options.directory));
  for (const std::string& name : names) {
    PX_RETURN_IF_ERROR(files->AwaitWrites(options.directory + "/" + name));
  }
  const LogIdentity identity{options.incarnation, options.shard};
  PX_ASSIGN_OR_RETURN(
      LogState state,
      options.read_ahead
          ? ReplayAhead(files, options.directory, identity, options.keys, apply, report)
          : ReplayLog(files, options.directory, identity, options.keys, {.record = apply}, report));
  if (options.epoch < state.epoch) {
    return FailedPrecondition(
        "log {} was written under epoch {}, this opening has {}: another "
        "writer took over",
        options.directory, state.epoch.value(), options.epoch.value());
  }
  // A name that a killed process gave may not be durable yet, and is about to be trusted.
  PX_RETURN_IF_ERROR(files->SyncDirectory(options.directory));
  PX_RETURN_IF_ERROR(RemoveUnfinishedFiles(files, options.directory));
  auto impl = std::make_unique<Impl>(files, options, std::move(state));
  impl->last_submitted = impl->last;
  PX_ASSIGN_OR_RETURN(impl->open, impl->files.OpenLast());
  impl->NoteDurable();
  // On a full disk it is made later.
  if (const Status status = impl->RecordWatermark();
      !status.ok() && !absl::IsResourceExhausted(status)) {
    return status;
  }
  return std::unique_ptr<Log>(new Log(std::move(impl)));
}

Status Log::AddRecord(ByteSpan payload, Lsn first, Lsn last) {
  PX_ASSIGN_OR_RETURN(const std::span<std::byte> room, AddRecord(payload.size(), first, last));
  std::copy(payload.begin(), payload.end(), room.begin());
  return OkStatus();
}

StatusOr<std::span<std::byte>> Log::AddRecord(size_t bytes, Lsn first, Lsn last) {
  Impl& log = *impl_;
  PX_RETURN_IF_ERROR(log.CheckWritable());
  if (first <= log.last || last.value() < first.value() - 1) {
    return InvalidArgument("log {}: record with LSNs {} to {} does not follow LSN {}",
                           log.options.directory, first.value(), last.value(), log.last.value());
  }
  FrameBuffer& frame = log.building;
  const uint64_t room = log.max_frame_bytes - kFrameHeaderBytes - log.tag_bytes;
  if (bytes > room || RecordBytes(bytes) > room) {
    return InvalidArgument("log {}: a record of {} bytes fits no frame of at most {}",
                           log.options.directory, bytes, log.max_frame_bytes);
  }
  const uint64_t begin = frame.size == 0 ? kFrameHeaderBytes : frame.size;
  const uint64_t end = begin + RecordBytes(bytes);
  if (end + log.tag_bytes > log.max_frame_bytes) {
    return ResourceExhausted("log {}: the frame holds {} bytes and takes at most {}: submit first",
                             log.options.directory, frame.size, log.max_frame_bytes);
  }
  frame.Reserve(PaddedToBlock(end + log.tag_bytes), log.max_frame_bytes);
  if (frame.records == 0) {
    frame.first = first;
    frame.last = last;
  }
  frame.last = std::max(frame.last, last);
  frame.size = end;
  ++frame.records;
  log.last = std::max(log.last, last);
  return EncodeRecord(bytes, first, last, frame.bytes.get() + begin);
}

uint64_t Log::pending_bytes() const {
  if (impl_->building.size == 0) return 0;
  return PaddedToBlock(impl_->building.size + impl_->tag_bytes);
}

Status Log::Impl::Sync() {
  if (!unsynced) return OkStatus();
  // A full disk that shows only now has lost rows already told to be there: it is no refusal.
  PX_RETURN_IF_ERROR(Unsettled(open.file->Sync()));
  unsynced = false;
  NoteDurable();
  return OkStatus();
}

Status Log::Impl::SubmitFrame(FrameLevel level) {
  FrameBuffer& frame = building;
  const uint64_t length = frame.size + tag_bytes;
  const uint64_t padded = PaddedToBlock(length);
  const bool next_segment = open.offset + padded > open.bytes;
  if (next_segment || level == FrameLevel::kSynced) PX_RETURN_IF_ERROR(Sync());
  if (next_segment) {
    PX_ASSIGN_OR_RETURN(open, files.OpenNext(open.chain, last_submitted));
    NoteDurable();
  }
  flying_header = {.version = open.version,
                   .records = frame.records,
                   .incarnation = options.incarnation,
                   .segment = open.number,
                   .offset = open.offset,
                   .length = static_cast<uint32_t>(length),
                   .epoch = options.epoch,
                   .shard = options.shard,
                   .first = frame.first,
                   .last = frame.last,
                   .previous = open.chain,
                   .durable = open.durable};
  flying_level = level;
  open.offset += padded;
  last_submitted = std::max(last_submitted, frame.last);
  files.SetLast(last_submitted);
  std::swap(building, flying);
  building.Clear();
  return OkStatus();
}

Status Log::Impl::StartWriting() {
  const uint64_t length = flying_header.length;
  const uint64_t padded = PaddedToBlock(length);
  PX_CHECK((open.cipher != nullptr) == (tag_bytes != 0));
  std::byte* bytes = flying.bytes.get();
  open.chain = SealFrame(flying_header, {bytes, length}, open.cipher.get());
  std::fill(bytes + length, bytes + padded, std::byte{0});
  if (flying_level == FrameLevel::kSynced) {
    return Unsettled(open.file->Submit(flying_header.offset, {bytes, padded}));
  }
  PX_RETURN_IF_ERROR(Unsettled(open.file->WriteUnsynced(flying_header.offset, {bytes, padded})));
  unsynced = true;
  return OkStatus();
}

Status Log::Submit(FrameLevel level) {
  PX_CHECK(!impl_->in_flight);
  PX_RETURN_IF_ERROR(impl_->CheckWritable());
  if (impl_->building.size == 0) return OkStatus();
  if (Status status = impl_->SubmitFrame(level); !status.ok()) {
    if (!absl::IsResourceExhausted(status)) return impl_->Poison(status);
    // No room for the next segment, and nothing was written: the frame is dropped as if never
    // built.
    impl_->building.Clear();
    impl_->last = impl_->last_submitted;
    return status;
  }
  if (Status status = impl_->StartWriting(); !status.ok()) return impl_->Poison(status);
  impl_->in_flight = true;
  // The next file's zeros are written while this segment's second half fills.
  if (impl_->options.prepare_next && impl_->open.offset > impl_->open.bytes / 2) {
    impl_->files.PrepareNext();
  }
  return OkStatus();
}

Status Log::Wait() {
  PX_RETURN_IF_ERROR(impl_->CheckWritable());
  if (!impl_->in_flight) return OkStatus();
  impl_->in_flight = false;
  if (impl_->flying_level == FrameLevel::kUnsynced) return OkStatus();
  if (Status status = impl_->open.file->Wait(); !status.ok()) return impl_->Poison(status);
  impl_->NoteDurable();
  return OkStatus();
}

Status Log::Sync() {
  PX_CHECK(!impl_->in_flight);
  PX_RETURN_IF_ERROR(impl_->CheckWritable());
  if (Status status = impl_->Sync(); !status.ok()) return impl_->Poison(status);
  return OkStatus();
}

bool Log::unsynced() const { return impl_->unsynced; }

Status Log::Impl::RecordWatermark() {
  return durable == watermark.recorded() ? OkStatus() : watermark.Write(durable);
}

Status Log::RecordWatermark() {
  PX_CHECK(!impl_->in_flight);
  PX_RETURN_IF_ERROR(impl_->CheckWritable());
  Status status = impl_->RecordWatermark();
  if (status.ok() || absl::IsResourceExhausted(status)) return status;
  return impl_->Poison(status);
}

bool Log::watermark_is_old() const {
  return impl_->durable.segment != impl_->watermark.recorded().segment;
}

Status Log::Close() {
  PX_RETURN_IF_ERROR(Sync());
  return RecordWatermark();
}

StatusOr<uint64_t> Log::Recycle(Lsn lsn) {
  PX_CHECK(!impl_->in_flight);
  PX_RETURN_IF_ERROR(impl_->CheckWritable());
  return impl_->files.Recycle(lsn);
}

bool Log::direct() const { return impl_->open.file != nullptr && impl_->open.file->direct(); }

uint64_t Log::live_bytes() const { return impl_->files.live_bytes(); }

Lsn Log::RecyclableThrough(Lsn lsn) const { return impl_->files.RecyclableThrough(lsn); }

uint64_t Log::ClosedBytesAbove(Lsn lsn) const { return impl_->files.ClosedBytesAbove(lsn); }

}  // namespace proxist::wal
