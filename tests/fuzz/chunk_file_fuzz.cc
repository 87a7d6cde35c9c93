// Any bytes as a chunk file: reading never crashes or writes, and what decodes can be put into a
// store and encoded again.
#include <cstdlib>

#include "proxist/base/check.h"
#include "proxist/hot/block_rows.h"
#include "proxist/hot/chunk_file.h"
#include "proxist/hot/internal/chunk_file_format.h"
#include "tests/unit/hot/rows.h"
#include "tests/unit/wal/memory_file_system.h"

namespace proxist::hot {
namespace {

namespace f = internal::block_field;

/// Byte 0 says whether checksums are put right, so that the fuzzer gets behind them.
std::vector<std::byte> Repaired(ByteSpan input) {
  const auto control = static_cast<uint8_t>(input[0]);
  std::vector<std::byte> bytes(input.begin() + 1, input.end());
  if ((control & 1) == 0 || bytes.size() < kChunkFileHeaderBytes) return bytes;
  namespace h = internal::chunk_file_field;
  StoreField(bytes.data(), h::kChecksum, Checksum(ByteSpan(bytes).first(h::kChecksum.offset)));
  for (size_t at = kChunkFileHeaderBytes; at + internal::kBlockHeaderBytes <= bytes.size();) {
    const auto length = internal::BlockCodec::LengthOf(ByteSpan(bytes).subspan(at));
    if (!length.ok() || *length > bytes.size() - at) break;
    const ByteSpan block = ByteSpan(bytes).subspan(at, *length);
    const uint64_t seed = Checksum(block.first(f::kChecksum.offset));
    StoreField(bytes.data() + at, f::kChecksum,
               Checksum(block.subspan(internal::kBlockHeaderBytes), seed));
    at += *length;
  }
  return bytes;
}

/// Puts the block into a store of its own, as the only chunk or as the overlay of a series.
void LoadAndEncode(ByteSpan block, const BlockSummary& summary) {
  Store store({.huge_pages = false});
  store.SetSchema(EveryType());
  ImageLoader loader(&store);
  const std::string_view strings[] = {"A", "x", "s0", "s1"};
  PX_CHECK_OK(loader.AddStrings(strings));
  StoredSeries series;
  series.table = kTable;
  series.codes = {0, 1, 0, 0};
  if (summary.id == 0) {
    series.overlay = block;
  } else {
    series.chunks.push_back({summary.id, summary.rows, summary.first, summary.last, summary.max_lsn,
                             ChunkPlace{.file = 1, .bytes = block.size()}});
  }
  store.Publish(summary.max_lsn);
  const Status loaded = loader.AddSeries(
      series, summary.max_lsn, [&](const StoredChunk&) -> StatusOr<ByteSpan> { return block; });
  if (!loaded.ok()) return;
  StoreImage image(&store);
  while (StoredSeries* stored = image.Next()) {
    std::vector<std::byte> bytes;
    for (size_t i = 0; i < stored->chunks.size(); ++i) image.EncodeChunk(i, &bytes);
  }
}

/// Rows of a block that decodes are a batch that can be encoded.
void ReadRows(ByteSpan block, const BlockSummary& summary) {
  static const column::SchemaPtr schema = EveryType();
  const std::string strings[] = {"A", "x", "s0", "s1"};
  const uint32_t codes[] = {0, 1};
  const auto rows = ReadBlockRows(block, {schema, strings, codes});
  if (!rows.ok()) return;
  PX_CHECK(rows->id == summary.id && rows->lsns.size() == summary.rows);
  PX_CHECK(rows->batch.rows == summary.rows);
  std::vector<std::byte> encoded;
  ByteWriter out(&encoded);
  column::EncodeBatch(rows->batch, &out);
}

}  // namespace
}  // namespace proxist::hot

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace proxist;
  using namespace proxist::hot;
  if (size == 0 || size > (1u << 18)) return 0;
  env::MemoryFileSystem files;
  const std::string path = "snap/" + ChunkFileName(1);
  files.Put(path, Repaired({reinterpret_cast<const std::byte*>(data), size}));
  const auto before = files.contents();
  auto reader = ChunkFileReader::Open(&files, path, std::nullopt);
  if (!reader.ok()) return 0;
  (void)(*reader)->Visit([&](uint64_t offset, uint64_t bytes, const BlockSummary& summary) {
    const auto& content = files.Content(path);
    LoadAndEncode(ByteSpan(content).subspan(offset, bytes), summary);
    ReadRows(ByteSpan(content).subspan(offset, bytes), summary);
    return OkStatus();
  });
  PX_CHECK(files.contents() == before);
  return 0;
}
