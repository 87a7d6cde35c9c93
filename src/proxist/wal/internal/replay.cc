// Walks a log's segments in order, believes what is whole and says where appending goes on.
#include "proxist/wal/internal/replay.h"

#include <algorithm>

#include "proxist/wal/internal/watermark.h"

namespace proxist::wal {
namespace {

Status Damaged(const std::string& path, uint64_t offset, std::string_view why) {
  return DataLoss(
      "{}: damaged at offset {}: {}. Nothing was changed. Keep a copy of the log directory, then "
      "put this file back from a backup or another copy; 'pxinspect wal' shows what is still "
      "readable before it",
      path, offset, why);
}

/// `next` as DATA_LOSS text at a segment's start, other codes as they are.
Status AtStart(const std::string& path, const Status& status) {
  if (status.code() != absl::StatusCode::kDataLoss) return status;
  return Damaged(path, 0, Message(status));
}

class Replayer {
 public:
  Replayer(env::FileSystem* files, std::string directory, std::optional<LogIdentity> identity,
           env::Keyring* keys, const LogVisitor& visitor, ReplayReport* report)
      : files_(files),
        directory_(std::move(directory)),
        identity_(identity),
        keys_(keys),
        visitor_(visitor),
        report_(report) {}

  StatusOr<LogState> Run() {
    // Before the files, which a running server may lengthen meanwhile.
    PX_ASSIGN_OR_RETURN(state_.watermark, ReadWatermark(files_, directory_, identity_));
    PX_RETURN_IF_ERROR(FindFiles());
    PX_RETURN_IF_ERROR(CheckNoneMissing());
    for (size_t i = 0; i < state_.segments.size(); ++i) {
      PX_RETURN_IF_ERROR(ReplaySegment(i));
    }
    report_->last = state_.last;
    if (state_.watermark.has_value()) {
      report_->durable_segment = state_.watermark->segment;
      report_->durable_offset = state_.watermark->offset;
    }
    return std::move(state_);
  }

 private:
  Status FindFiles();
  Status CheckNoneMissing() const;
  Status CheckWatermark(const SegmentReader& reader, bool at_end);
  Status ReplaySegment(size_t index);
  Status CheckStart(size_t index, const SegmentReader& reader);
  Status CheckEnd(size_t index, const SegmentReader& reader);
  Status ReplayFrame(const SegmentReader& reader, const Frame& frame);
  Status ReplayRecords(const SegmentReader& reader, const Frame& frame, ByteSpan records);

  env::FileSystem* const files_;
  const std::string directory_;
  std::optional<LogIdentity> identity_;
  env::Keyring* const keys_;
  std::unique_ptr<env::FileCipher> cipher_;  // of the current segment; nullptr: not encrypted
  const LogVisitor& visitor_;
  ReplayReport* const report_;
  LogState state_;
  bool watermark_passed_ = false;
  std::string last_path_;  // of the segment before the current one
};

Status Replayer::FindFiles() {
  PX_ASSIGN_OR_RETURN(const std::vector<std::string> names, files_->List(directory_));
  for (const std::string& name : names) {
    uint64_t number = 0;
    if (ParseSegmentFileName(name, &number)) {
      state_.segments.push_back({.number = number});
      state_.next_number = std::max(state_.next_number, number + 1);
    } else if (ParseFreeFileName(name, &number)) {
      state_.free_numbers.push_back(number);
      state_.next_free_number = std::max(state_.next_free_number, number + 1);
    } else {
      continue;
    }
    if (number == 0 || number == ~uint64_t{0}) {
      return DataLoss("{}/{}: no file of a log has this number", directory_, name);
    }
  }
  std::ranges::sort(state_.segments, {}, &LiveSegment::number);
  std::ranges::sort(state_.free_numbers);
  for (size_t i = 1; i < state_.segments.size(); ++i) {
    const uint64_t expected = state_.segments[i - 1].number + 1;
    if (state_.segments[i].number == expected) continue;
    return Damaged(directory_ + "/" + SegmentFileName(expected), 0,
                   "the file is missing between its neighbours");
  }
  return OkStatus();
}

Status Replayer::CheckNoneMissing() const {
  if (!state_.watermark.has_value()) return OkStatus();
  const uint64_t last = state_.segments.empty() ? 0 : state_.segments.back().number;
  const uint64_t durable = state_.watermark->segment;
  if (last >= durable) return OkStatus();
  // The segment that takes appends is never recycled.
  return Damaged(directory_ + "/" + SegmentFileName(last == 0 ? durable : last + 1), 0,
                 fmt::format("the file is missing: the log was durable up to offset {} of segment "
                             "{:016x}, LSN {}",
                             state_.watermark->offset, durable, state_.watermark->last.value()));
}

// Called at each place where a frame may start, and at the segment's end.
Status Replayer::CheckWatermark(const SegmentReader& reader, bool at_end) {
  if (!state_.watermark.has_value() || watermark_passed_) return OkStatus();
  const Watermark& mark = *state_.watermark;
  if (reader.header().number != mark.segment) return OkStatus();
  const uint64_t at = PaddedToBlock(reader.offset());
  if (at < mark.offset && !at_end) return OkStatus();
  watermark_passed_ = true;
  if (at < mark.offset) {
    const std::string& why = reader.end().why;
    return Damaged(reader.path(), at,
                   fmt::format("the log ends here{}{}, but it was durable up to offset {}, LSN {}",
                               why.empty() ? "" : ": ", why, mark.offset, mark.last.value()));
  }
  if (at == mark.offset && reader.chain() == mark.chain) return OkStatus();
  return Damaged(reader.path(), mark.offset,
                 fmt::format("what stands before it is not what was durable there at LSN {}: the "
                             "file or a part of it is another one's",
                             mark.last.value()));
}

Status Replayer::ReplaySegment(size_t index) {
  LiveSegment& segment = state_.segments[index];
  const std::string path = directory_ + "/" + SegmentFileName(segment.number);
  StatusOr<std::unique_ptr<SegmentReader>> opened =
      SegmentReader::Open(files_, path, segment.number);
  if (!opened.ok()) return AtStart(path, opened.status());
  SegmentReader& reader = **opened;
  PX_RETURN_IF_ERROR(CheckStart(index, reader));
  const SegmentHeader& header = reader.header();
  segment.bytes = header.segment_bytes;
  segment.key = header.key;
  PX_ASSIGN_OR_RETURN(cipher_, env::CipherOf(keys_, header.key, path));
  state_.epoch = std::max(state_.epoch, header.epoch);
  if (visitor_.segment) {
    PX_RETURN_IF_ERROR(visitor_.segment({.path = path,
                                         .number = header.number,
                                         .version = header.version,
                                         .incarnation = header.incarnation,
                                         .shard = header.shard,
                                         .epoch = header.epoch,
                                         .segment_bytes = header.segment_bytes,
                                         .recycled = header.recycled,
                                         .key = header.key.id}));
  }
  while (true) {
    PX_RETURN_IF_ERROR(CheckWatermark(reader, /*at_end=*/false));
    PX_ASSIGN_OR_RETURN(const std::optional<Frame> frame, reader.Next());
    if (!frame.has_value()) break;
    PX_RETURN_IF_ERROR(ReplayFrame(reader, *frame));
  }
  segment.last = state_.last;
  PX_RETURN_IF_ERROR(CheckEnd(index, reader));
  state_.end = reader.end();
  state_.chain = reader.chain();
  state_.version = header.version;
  state_.durable = reader.durable();
  last_path_ = path;
  return OkStatus();
}

Status Replayer::CheckStart(size_t index, const SegmentReader& reader) {
  const SegmentHeader& header = reader.header();
  if (!identity_.has_value()) identity_ = LogIdentity{header.incarnation, header.shard};
  if (header.incarnation != identity_->incarnation || header.shard != identity_->shard) {
    return FailedPrecondition(
        "{}: belongs to shard {} of data directory incarnation {:016x}, expected shard {} of "
        "{:016x}: the file comes from another data directory",
        reader.path(), header.shard.value(), header.incarnation, identity_->shard.value(),
        identity_->incarnation);
  }
  if (index == 0) {
    state_.last = header.last_lsn;
    report_->before = header.last_lsn;
    return OkStatus();
  }
  if (header.previous != state_.chain || header.last_lsn != state_.last) {
    return Damaged(
        last_path_, state_.end.offset,
        fmt::format("frames that segment {:016x} continues are missing here", header.number));
  }
  return OkStatus();
}

Status Replayer::CheckEnd(size_t index, const SegmentReader& reader) {
  const SegmentEnd& end = reader.end();
  const bool is_last = index + 1 == state_.segments.size();
  using Kind = SegmentEnd::Kind;
  if (end.kind == Kind::kDamaged || (end.kind == Kind::kTorn && !is_last)) {
    return Damaged(reader.path(), end.offset, end.why);
  }
  PX_RETURN_IF_ERROR(CheckWatermark(reader, /*at_end=*/true));
  // A short file before the last one is judged by the chain value of the next.
  if (is_last && (end.kind == Kind::kTorn || end.kind == Kind::kShort)) {
    report_->torn_tail = true;
    report_->torn_segment = reader.header().number;
    report_->torn_offset = end.offset;
    report_->unsynced_lost = end.unsynced_lost;
    report_->torn_why = end.why;
  }
  return OkStatus();
}

Status Replayer::ReplayFrame(const SegmentReader& reader, const Frame& frame) {
  const FrameHeader& header = frame.header;
  const auto damaged = [&](std::string_view why) {
    return Damaged(reader.path(), header.offset, why);
  };
  if (header.epoch < state_.epoch) return damaged("its epoch is lower than one before it");
  state_.epoch = header.epoch;
  if (visitor_.frame) {
    PX_RETURN_IF_ERROR(visitor_.frame({.segment = header.segment,
                                       .offset = header.offset,
                                       .bytes = header.length,
                                       .records = header.records,
                                       .epoch = header.epoch,
                                       .first = header.first,
                                       .last = header.last,
                                       .durable = header.durable}));
  }
  std::span<std::byte> bytes = *frame.bytes;
  if (cipher_ != nullptr) {
    if (const Status opened = OpenFrame(header, bytes, cipher_.get()); !opened.ok()) {
      return damaged(Message(opened));
    }
    bytes = bytes.first(bytes.size() - env::kTagBytes);
  }
  PX_RETURN_IF_ERROR(ReplayRecords(reader, frame, bytes.subspan(header.HeaderBytes())));
  ++report_->frames;
  report_->bytes += header.length;
  return OkStatus();
}

Status Replayer::ReplayRecords(const SegmentReader& reader, const Frame& frame, ByteSpan records) {
  const FrameHeader& header = frame.header;
  const auto damaged = [&](std::string_view why) {
    return Damaged(reader.path(), header.offset, why);
  };
  ByteReader in(records, "frame");
  LogRecord record{.owner = frame.bytes,
                   .epoch = header.epoch,
                   .segment = header.segment,
                   .frame_offset = header.offset};
  for (uint32_t i = 0; i < header.records; ++i) {
    if (in.remaining() < kRecordHeaderBytes) return damaged("a record passes the frame's end");
    const uint32_t length = in.Get<uint32_t>().value();
    if (in.Get<uint32_t>().value() != 0) return damaged("a record's zero field is not zero");
    record.first = Lsn(in.Get<uint64_t>().value());
    record.last = Lsn(in.Get<uint64_t>().value());
    const StatusOr<ByteSpan> payload = in.GetBytes(length);
    if (!payload.ok() || !in.SkipTo(kRecordAlignment).ok()) {
      return damaged("a record passes the frame's end");
    }
    record.payload = *payload;
    if (record.first <= state_.last || record.last.value() < record.first.value() - 1) {
      return damaged(fmt::format("a record's LSNs {} to {} do not follow {}", record.first.value(),
                                 record.last.value(), state_.last.value()));
    }
    state_.last = std::max(state_.last, record.last);
    if (visitor_.record) PX_RETURN_IF_ERROR(visitor_.record(record));
    ++report_->records;
  }
  if (in.remaining() != 0) return damaged("bytes stand behind its last record");
  return OkStatus();
}

}  // namespace

StatusOr<LogState> ReplayLog(env::FileSystem* files, const std::string& directory,
                             std::optional<LogIdentity> identity, env::Keyring* keys,
                             const LogVisitor& visitor, ReplayReport* report) {
  *report = ReplayReport();
  return Replayer(files, directory, identity, keys, visitor, report).Run();
}

}  // namespace proxist::wal
