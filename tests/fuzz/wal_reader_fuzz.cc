// Any bytes as a log's files: reading never crashes, opening agrees with reading and leaves a log
// that reads clean.
#include <cstdlib>

#include "proxist/base/check.h"
#include "proxist/wal/inspect.h"
#include "proxist/wal/internal/format.h"
#include "tests/unit/wal/memory_file_system.h"

namespace proxist::wal {
namespace {

constexpr size_t kBlock = env::kBlockBytes;

/// Byte 0 says how the rest is cut into two segments and whether checksums are put right, so that
/// the fuzzer gets behind them.
void Fill(env::MemoryFileSystem* files, ByteSpan input) {
  const auto control = static_cast<uint8_t>(input[0]);
  input = input.subspan(1);
  const size_t first = std::min<size_t>(input.size(), (control >> 2) % 16 * kBlock);
  std::vector<std::byte> parts[2];
  parts[0].assign(input.begin(), input.begin() + static_cast<ptrdiff_t>(first));
  parts[1].assign(input.begin() + static_cast<ptrdiff_t>(first), input.end());
  uint64_t number = 1;
  for (std::vector<std::byte>& bytes : parts) {
    if (bytes.empty()) continue;
    if ((control & 1) != 0 && bytes.size() >= kBlock) {
      const uint64_t checksum = Checksum(ByteSpan(bytes).first(segment_field::kChecksum.offset));
      std::memcpy(bytes.data() + segment_field::kChecksum.offset, &checksum, sizeof checksum);
      uint64_t chain = checksum;
      for (size_t at = kBlock; at + kBlock <= bytes.size();) {
        FrameHeader frame;
        if (!DecodeFrameHeader(ByteSpan(bytes).subspan(at), &frame)) break;
        const size_t length = std::min<size_t>(frame.length, bytes.size() - at);
        if (length < kFrameHeaderBytes) break;
        std::byte* header = bytes.data() + at;
        if ((control & 2) != 0) std::memcpy(header + frame_field::kPrevious.offset, &chain, 8);
        const bool old = frame.version == 1;
        const size_t own = frame_field::kHeaderChecksum.offset;
        const uint64_t of_header = Checksum(ByteSpan(bytes).subspan(at, own));
        if (!old) std::memcpy(header + own, &of_header, 8);
        chain = FrameChecksum(ByteSpan(bytes).subspan(at, length));
        const Field& place = old ? frame_field::kChecksumV1 : frame_field::kChecksum;
        std::memcpy(header + place.offset, &chain, 8);
        at += PaddedToBlock(length);
      }
    }
    files->Put("log/" + SegmentFileName(number++), std::move(bytes));
  }
}

}  // namespace
}  // namespace proxist::wal

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace proxist;
  using namespace proxist::wal;
  if (size == 0 || size > (1u << 18)) return 0;
  env::MemoryFileSystem files;
  Fill(&files, {reinterpret_cast<const std::byte*>(data), size});
  LogOptions options{.directory = "log", .segment_bytes = 64 << 10, .prepare_next = false};
  options.epoch = Epoch(~0u);
  uint64_t bytes = 0;
  LogVisitor visitor;
  visitor.segment = [&](const SegmentInfo& segment) {
    options.incarnation = segment.incarnation;
    options.shard = segment.shard;
    return OkStatus();
  };
  visitor.record = [&](const LogRecord& record) {
    for (const std::byte b : record.payload) bytes += static_cast<uint8_t>(b);
    return OkStatus();
  };
  ReplayReport read;
  const auto before = files.contents();
  const Status status = InspectLog(&files, "log", visitor, &read);
  PX_CHECK(files.contents() == before);
  ReplayReport replayed;
  uint64_t records = 0;
  auto log = Log::Open(
      &files, options,
      [&](const LogRecord&) {
        ++records;
        return OkStatus();
      },
      &replayed);
  if (!status.ok()) {
    PX_CHECK(!log.ok() && files.contents() == before);
    return 0;
  }
  if (!log.ok()) return 0;  // A header may give a size that its file does not have.
  PX_CHECK(records == read.records && replayed.last == read.last);
  if (read.last.value() < ~uint64_t{0} - 1) {
    PX_CHECK_OK((*log)->AddRecord(AsBytes("tick"), read.last.Next(), read.last.Next()));
    PX_CHECK_OK((*log)->Submit());
    PX_CHECK_OK((*log)->Wait());
    ReplayReport again;
    PX_CHECK_OK(InspectLog(&files, "log", {}, &again));
    PX_CHECK(again.records == records + 1 && !again.torn_tail);
  }
  return 0;
}
