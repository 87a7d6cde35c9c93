// Cutting a damaged log off by hand.
#include "proxist/wal/repair.h"

#include <algorithm>

#include "proxist/wal/internal/format.h"
#include "proxist/wal/internal/segment_reader.h"
#include "proxist/wal/internal/watermark.h"

namespace proxist::wal {
namespace {

constexpr uint64_t kChunkBytes = uint64_t{1} << 20;

std::string PathOf(const std::string& directory, uint64_t segment) {
  return directory + "/" + SegmentFileName(segment);
}

/// Walks frames up to `offset` (or the end, when it is 0) and adds them to `plan`.
StatusOr<std::unique_ptr<SegmentReader>> Walk(env::FileSystem* files, uint64_t number,
                                              uint64_t offset, CutPlan* plan) {
  const std::string path = PathOf(plan->directory, number);
  PX_ASSIGN_OR_RETURN(std::unique_ptr<SegmentReader> reader,
                      SegmentReader::Open(files, path, number));
  while (offset == 0 || reader->offset() < offset) {
    PX_ASSIGN_OR_RETURN(const std::optional<Frame> frame, reader->Next());
    if (!frame.has_value()) break;
    ++plan->frames_kept;
    plan->last = std::max(plan->last, frame->header.last);
  }
  if (offset == 0 || reader->offset() == offset) return reader;
  if (reader->offset() > offset) {
    return InvalidArgument("{}: a frame goes over offset {}; it ends at {}", path, offset,
                           reader->offset());
  }
  return InvalidArgument("{}: the frames before offset {} end at {}{}{}: cut there", path, offset,
                         reader->offset(), reader->end().why.empty() ? "" : ": ",
                         reader->end().why);
}

Status Clear(env::FileSystem* files, const CutPlan& plan) {
  const std::string path = PathOf(plan.directory, plan.segment);
  PX_ASSIGN_OR_RETURN(const std::unique_ptr<env::File> file,
                      files->Open(path, env::FileSystem::Mode::kReadWrite));
  const std::vector<std::byte> zeros(std::min(plan.clear_bytes, kChunkBytes));
  // Back to front, so that a crash leaves the header that stands first, and the cut is repeated.
  for (uint64_t left = plan.clear_bytes; left > 0;) {
    const uint64_t count = std::min<uint64_t>(left, zeros.size());
    left -= count;
    PX_RETURN_IF_ERROR(file->WriteAt(plan.offset + left, ByteSpan(zeros).first(count)));
  }
  return file->Sync();
}

}  // namespace

StatusOr<CutPlan> PlanCut(env::FileSystem* files, const std::string& directory, uint64_t segment,
                          uint64_t offset) {
  if (offset < kSegmentHeaderBytes || offset % env::kBlockBytes != 0) {
    return InvalidArgument("offset {} is no multiple of {} of at least it: no frame starts there",
                           offset, env::kBlockBytes);
  }
  CutPlan plan{.directory = directory, .segment = segment, .offset = offset};
  PX_ASSIGN_OR_RETURN(const std::vector<std::string> names, files->List(directory));
  std::vector<uint64_t> numbers;
  for (const std::string& name : names) {
    uint64_t number = 0;
    if (!ParseSegmentFileName(name, &number)) continue;
    (number > segment ? plan.aside : numbers).push_back(number);
  }
  std::ranges::sort(numbers);
  std::ranges::sort(plan.aside);
  if (numbers.empty() || numbers.back() != segment) {
    return NotFound("{}: the log has no segment {:016x}", directory, segment);
  }
  for (const uint64_t number : numbers) {
    PX_ASSIGN_OR_RETURN(const auto reader,
                        Walk(files, number, number == segment ? offset : 0, &plan));
    const SegmentHeader& header = reader->header();
    if (number != numbers.front() && header.previous != plan.chain) {
      return DataLoss("{}: frames that segment {:016x} continues are missing: cut there first",
                      PathOf(directory, number - 1), number);
    }
    plan.last = std::max(plan.last, header.last_lsn);
    plan.chain = reader->chain();
    plan.incarnation = header.incarnation;
    plan.shard = header.shard;
  }
  PX_ASSIGN_OR_RETURN(const auto file,
                      files->Open(PathOf(directory, segment), env::FileSystem::Mode::kRead));
  PX_ASSIGN_OR_RETURN(const uint64_t size, file->Size());
  plan.clear_bytes = size > offset ? size - offset : 0;
  return plan;
}

Status Cut(env::FileSystem* files, const CutPlan& plan) {
  // Latest first and each made durable by itself: a crash leaves no gap.
  for (auto number = plan.aside.rbegin(); number != plan.aside.rend(); ++number) {
    const std::string path = PathOf(plan.directory, *number);
    const std::string to = path + ".cut";
    PX_ASSIGN_OR_RETURN(const bool exists, files->Exists(to));
    if (exists) return AlreadyExists("{}: an earlier cut left it: move it away first", to);
    PX_RETURN_IF_ERROR(files->Rename(path, to));
    PX_RETURN_IF_ERROR(files->SyncDirectory(plan.directory));
  }
  PX_RETURN_IF_ERROR(Clear(files, plan));
  std::vector<std::byte> bytes(kWatermarkFileBytes);
  EncodeWatermark(
      {plan.incarnation, plan.shard},
      {.segment = plan.segment, .offset = plan.offset, .chain = plan.chain, .last = plan.last},
      bytes.data());
  return files->WriteAtomically(fmt::format("{}/{}", plan.directory, kWatermarkFileName), bytes);
}

}  // namespace proxist::wal
