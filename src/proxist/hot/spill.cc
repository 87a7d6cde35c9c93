#include "proxist/hot/spill.h"

#include <algorithm>
#include <utility>

#include "proxist/hot/internal/block_codec.h"
#include "proxist/hot/internal/mapped.h"
#include "proxist/hot/internal/reading.h"
#include "proxist/hot/internal/store_state.h"
#include "proxist/hot/store.h"

namespace proxist::hot {

using internal::BlockCodec;
using internal::Blocks;
using internal::ChunkEntry;
using internal::ChunkList;
using internal::ChunkView;
using internal::Series;
using internal::SeriesState;
using internal::SpillItem;
using internal::Table;

namespace {

/// The place in the state's list of the sealed chunk with this id; the list's end when it left.
uint32_t PlaceOf(const ChunkView& view, int64_t first, uint64_t id) {
  const ChunkEntry* begin = view.Entries() + view.first();
  const ChunkEntry* end = view.Entries() + view.last();
  const ChunkEntry* entry =
      std::partition_point(begin, end, [first](const ChunkEntry& e) { return e.first_ts < first; });
  for (; entry != end && entry->first_ts == first; ++entry) {
    if (entry->block->id() == id) return static_cast<uint32_t>(entry - view.Entries());
  }
  return view.last();
}

std::string WhereOf(const ChunkPlace& place) {
  return fmt::format("{} at offset {}", ChunkFileName(place.file), place.offset);
}

}  // namespace

StatusOr<MappedFilePtr> MapChunkFile(env::FileSystem* files, const std::string& path,
                                     const FileIdentity& identity) {
  PX_RETURN_IF_ERROR(ChunkFileReader::Open(files, path, identity).status());
  return files->Map(path);
}

StatusOr<ByteSpan> BytesAt(const env::MappedFile& file, const ChunkPlace& place) {
  ByteSpan bytes = file.bytes();
  if (place.offset > bytes.size() || place.bytes > bytes.size() - place.offset) {
    return DataLoss("{}: {} bytes are expected there, the file has {}", WhereOf(place), place.bytes,
                    bytes.size());
  }
  bytes = bytes.subspan(place.offset, place.bytes);
  const auto length = BlockCodec::LengthOf(bytes);
  PX_RETURN_IF_ERROR(Annotate(length.status(), WhereOf(place)));
  if (*length != bytes.size() || BlockCodec::ChecksumOf(bytes) != place.checksum) {
    return DataLoss("{}: another chunk stands there than the snapshot refers to", WhereOf(place));
  }
  return bytes;
}

SpillBatch::SpillBatch() = default;
SpillBatch::~SpillBatch() = default;
SpillBatch::SpillBatch(SpillBatch&&) noexcept = default;
SpillBatch& SpillBatch::operator=(SpillBatch&&) noexcept = default;
size_t SpillBatch::chunks() const { return items_.size(); }

Status SpillBatch::Add(const Store& store, const SealedChunk& chunk, const ChunkPlace& place,
                       const MappedFilePtr& file) {
  PX_ASSIGN_OR_RETURN(const ByteSpan bytes, BytesAt(*file, place));
  auto decoded = BlockCodec::Decode(bytes, store.dictionary().size());
  PX_RETURN_IF_ERROR(Annotate(decoded.status(), WhereOf(place)));
  if (decoded->id != chunk.id || decoded->ts_at(0) != chunk.first.ns() || !decoded->CanMap()) {
    return DataLoss("{}: another chunk than {} stands there", WhereOf(place), chunk.id);
  }
  items_.push_back({static_cast<Series*>(const_cast<void*>(chunk.series)),
                    chunk.first,
                    {file, place.file},
                    std::move(*decoded)});
  return OkStatus();
}

void Store::SealedChunks(std::vector<SealedChunk>* out) const {
  const ReadGuard guard = Read();
  std::vector<uint32_t> symbols;
  for (const Table* table : *impl_->tables.load(std::memory_order_acquire)) {
    symbols.clear();
    guard.SymbolsOf(table->id, &symbols);
    for (const uint32_t symbol : symbols) {
      const internal::SymbolSeries* list = table->by_symbol.load()->lists[symbol].load();
      for (const Series* series : *list) {
        const SeriesState& state = *series->state.load();
        const ChunkView view(state, internal::kSeeAll);
        for (uint32_t c = view.first(); c + 1 < view.last(); ++c) {
          const RowBlock& block = view.Block(c);
          out->push_back({table->id, block.id(), Timestamp(view.Entry(c).first_ts),
                          Timestamp(Blocks::LastPublished(block)), Lsn(Blocks::MaxLsn(block)),
                          Blocks::BytesOf(block), Blocks::FileOf(block), series});
        }
      }
    }
  }
}

SpillResult Store::Spill(SpillBatch batch) {
  SpillResult result;
  auto& items = batch.items_;
  std::ranges::stable_sort(items, {}, &SpillItem::series);
  for (size_t begin = 0, end = 0; begin < items.size(); begin = end) {
    Series* series = items[begin].series;
    while (end < items.size() && items[end].series == series) ++end;
    impl_->SpillSeries(series, std::span(items).subspan(begin, end - begin), &result);
  }
  impl_->epochs.Reclaim(SIZE_MAX);
  return result;
}

void Store::Impl::SpillSeries(Series* series, std::span<const SpillItem> items,
                              SpillResult* result) {
  const SeriesState& state = series->current();
  const ChunkView view(state, internal::kSeeAll);
  Table* table = series->table;
  ChunkList* list = nullptr;
  std::vector<RowBlock*> leaving;
  for (const SpillItem& item : items) {
    const uint32_t c = PlaceOf(view, item.first.ns(), item.block.id);
    // Compaction or eviction may have replaced it meanwhile.
    if (c + 1 >= view.last()) continue;
    RowBlock* block = &view.Block(c);
    const auto layout = internal::LayoutOf(item.block, *table->layout);
    if (!layout.ok() || block->totals() == nullptr || block->rows() != item.block.rows ||
        Blocks::FileOf(*block) == item.file.number) {
      continue;
    }
    if (list == nullptr) {
      list = new ChunkList(state.chunks->capacity, &table->account);
      std::copy_n(view.Entries(), view.last(), list->entries.get());
      list->totals.Share(state.chunks->totals);
      list->count.store(view.last(), std::memory_order_release);
    }
    if (list->entries[c].block != block) continue;  // given twice
    list->entries[c].block = blocks.Remap(item.block, item.file, *layout,
                                          table->SeriesValues(series, item.block.capacity), block);
    leaving.push_back(block);
    ++result->chunks;
    const size_t now = Blocks::BytesOf(*list->entries[c].block);
    result->bytes += std::max(Blocks::BytesOf(*block), now) - now;
  }
  if (list == nullptr) return;
  SeriesState next = state;
  next.chunks = list;
  Swap(series, next);
  for (RowBlock* block : leaving) Retire(block);
}

}  // namespace proxist::hot
