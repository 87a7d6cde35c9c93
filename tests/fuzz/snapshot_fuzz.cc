// Any bytes as a snapshot: reading and loading never crash, and write nothing.
#include <cstdlib>

#include "proxist/base/check.h"
#include "proxist/hot/store.h"
#include "proxist/shard/internal/restore.h"
#include "proxist/shard/internal/snapshot_format.h"
#include "proxist/shard/snapshot_file.h"
#include "tests/unit/wal/memory_file_system.h"

namespace proxist::shard {
namespace {

/// Byte 0 says whether checksums are put right, so that the fuzzer gets behind them.
std::vector<std::byte> Repaired(ByteSpan input) {
  const auto control = static_cast<uint8_t>(input[0]);
  std::vector<std::byte> bytes(input.begin() + 1, input.end());
  if ((control & 1) == 0 || bytes.size() < kSnapshotHeaderBytes) return bytes;
  const auto put = [&](size_t at, uint64_t value) {
    std::memcpy(bytes.data() + at, &value, sizeof value);
  };
  const size_t header_end = internal::snapshot_field::kChecksum.offset;
  uint64_t chain = Checksum(ByteSpan(bytes).first(header_end));
  put(header_end, chain);
  for (size_t at = kSnapshotHeaderBytes; at + kSectionHeaderBytes <= bytes.size();) {
    namespace f = internal::section_field;
    const auto length = LoadAt<uint64_t>(bytes.data() + at + f::kLength.offset, 0);
    if (length > bytes.size() - at - kSectionHeaderBytes) break;
    const uint64_t seed = Checksum(ByteSpan(bytes).subspan(at, f::kChecksum.offset), chain);
    chain = Checksum(ByteSpan(bytes).subspan(at + kSectionHeaderBytes, length), seed);
    put(at + f::kChecksum.offset, chain);
    at += kSectionHeaderBytes + (length + 7) / 8 * 8;
  }
  return bytes;
}

}  // namespace
}  // namespace proxist::shard

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace proxist;
  using namespace proxist::shard;
  if (size == 0 || size > (1u << 18)) return 0;
  const auto bytes = Repaired({reinterpret_cast<const std::byte*>(data), size});
  env::MemoryFileSystem files;
  SnapshotHeader header;
  hot::Store store({.huge_pages = false});
  SnapshotVisitor visitor;
  visitor.header = [&](const SnapshotHeader& found) {
    header = found;
    return OkStatus();
  };
  visitor.table = [&](const SnapshotTable& table) {
    if (column::Validate(table.schema).ok()) {
      store.SetSchema(std::make_shared<const column::TableSchema>(table.schema));
    }
    return OkStatus();
  };
  files.Put("snap/any", bytes);
  if (!ReadSnapshot(&files, "snap/any", std::nullopt, visitor).ok()) return 0;
  files.Put("snap/" + SnapshotFileName(header.cut), bytes);
  const auto before = files.contents();
  internal::Producers producers;
  internal::Backlog backlog;
  const internal::RestoreTarget target{
      &store, &producers, &backlog, Lsn(~0u), nullptr, [] { return OkStatus(); }, {}};
  const auto restored =
      internal::RestoreSnapshot(&files, "snap", header.cut, header.identity, target);
  if (restored.ok()) PX_CHECK(restored->cut == header.cut);
  PX_CHECK(files.contents() == before);
  return 0;
}
