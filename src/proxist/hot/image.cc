// Walks a store's series under one pin and encodes what changes of them.
#include "proxist/hot/image.h"

#include <algorithm>
#include <utility>

#include "proxist/base/check.h"
#include "proxist/hot/internal/block_codec.h"
#include "proxist/hot/internal/reading.h"
#include "proxist/hot/internal/store_state.h"

namespace proxist::hot {

using internal::BlockCodec;
using internal::Boundary;
using internal::ChunkView;
using internal::Series;
using internal::SeriesState;

struct StoreImage::Impl {
  explicit Impl(const Store* s) : store(s), guard(s->Read()) {}

  const Store* store;
  std::optional<ReadGuard> guard;
  Lsn cut = guard->cut();
  uint32_t strings = 0;
  uint64_t next_chunk = 0;
  std::vector<Table> tables;
  std::vector<internal::Layout> layouts;
  std::vector<const internal::Table*> sources;

  /// What there was of a series when it was loaded.
  struct Loaded {
    const Series* series;
    const SeriesState* state;
    uint32_t chunk_count;  // of its list
    uint32_t table;
  };
  bool is_loaded = false;
  std::vector<Loaded> loaded;

  // Where the walk is.
  size_t next = 0;
  uint32_t table = 0;

  // The current series.
  StoredSeries stored;
  std::vector<const RowBlock*> chunks;
  std::vector<std::byte> tail, overlay, boundary;
  std::vector<uint32_t> chosen;

  void LoadAll();
  bool Describe(const Loaded& from);
  void DescribeChunks(const Loaded& from);
  void DescribeOverlay(const SeriesState& state);
};

StoreImage::StoreImage(const Store* store) : impl_(std::make_unique<Impl>(store)) {
  const Store::Impl& source = *store->impl_;
  impl_->strings = source.dictionary.size();
  impl_->next_chunk = source.blocks.next_id();
  for (const internal::Table* table : *source.tables.load()) {
    const column::SchemaPtr schema = *table->schema.load(std::memory_order_acquire);
    impl_->tables.push_back({schema, Timestamp(table->max_ts.load(std::memory_order_relaxed))});
    impl_->layouts.emplace_back(*schema);
    impl_->sources.push_back(table);
  }
}
StoreImage::~StoreImage() = default;

Lsn StoreImage::cut() const { return impl_->cut; }
uint32_t StoreImage::strings() const { return impl_->strings; }
std::string_view StoreImage::TextOf(uint32_t code) const {
  return impl_->store->dictionary().At(code);
}
uint64_t StoreImage::next_chunk() const { return impl_->next_chunk; }
const std::vector<StoreImage::Table>& StoreImage::tables() const { return impl_->tables; }
void StoreImage::Close() {
  impl_->guard.reset();
  impl_->loaded = {};
}

// Loads of pointers that may be retired are sequentially consistent: see internal::Epochs.

void StoreImage::Impl::LoadAll() {
  std::vector<uint32_t> symbols;
  for (uint32_t t = 0; t < tables.size(); ++t) {
    symbols.clear();
    guard->SymbolsOf(tables[t].schema->id, &symbols);
    const internal::SymbolIndex* index = sources[t]->by_symbol.load();
    for (const uint32_t symbol : symbols) {
      const internal::SymbolSeries* list = index->lists[symbol].load();
      for (const Series* series : *list) {
        const SeriesState* state = series->state.load();
        loaded.push_back({series, state, ChunkView::CountOf(*state), t});
      }
    }
  }
  guard->Settle();
}

void StoreImage::Load() {
  if (!impl_->guard || impl_->is_loaded) return;
  impl_->LoadAll();
  impl_->is_loaded = true;
}

StoredSeries* StoreImage::Next() {
  Load();
  Impl& self = *impl_;
  if (!self.guard) return nullptr;
  while (self.next < self.loaded.size()) {
    if (self.Describe(self.loaded[self.next++])) return &self.stored;
  }
  Close();
  return nullptr;
}

bool StoreImage::Impl::Describe(const Loaded& from) {
  const Series& series = *from.series;
  const SeriesState& state = *from.state;
  table = from.table;
  // A series that came after the cut may have strings that the snapshot does not list.
  if (std::ranges::any_of(series.key, [this](uint32_t code) { return code >= strings; })) {
    return false;
  }
  stored = StoredSeries();
  stored.table = tables[table].schema->id;
  stored.codes = series.key;
  stored.floor = Timestamp(state.floor);
  stored.watch = Timestamp(series.watch_ts.load(std::memory_order_relaxed));
  stored.dropped_low = Timestamp(series.dropped_low.load(std::memory_order_relaxed));
  stored.dropped_high = Timestamp(series.dropped_high.load(std::memory_order_relaxed));
  DescribeChunks(from);
  DescribeOverlay(state);
  const Boundary& known = state.boundary;
  boundary.clear();
  stored.boundary_as_of = Lsn(known.as_of);
  if (known.kind == Boundary::Kind::kUnknown || known.as_of > cut.value()) {
    stored.boundary = StoredSeries::Boundary::kUnknown;
    stored.boundary_as_of = Lsn(0);
  } else if (known.kind == Boundary::Kind::kKnown) {
    stored.boundary = StoredSeries::Boundary::kKnown;
    PX_CHECK(known.run.begin == 0);
    BlockCodec::Encode(*known.block, layouts[table], known.run.end, {}, internal::kInlineAlignment,
                       &boundary);
    stored.boundary_rows = boundary;
  }
  return !chunks.empty() || !stored.tail.empty() || !stored.overlay.empty() ||
         stored.floor != Timestamp::Min() || stored.watch != Timestamp::Min() ||
         stored.dropped_low != Timestamp::Max();
}

void StoreImage::Impl::DescribeChunks(const Loaded& from) {
  chunks.clear();
  tail.clear();
  const ChunkView view(*from.state, from.chunk_count, cut.value());
  for (uint32_t c = view.first(); c < view.last(); ++c) {
    const RowBlock& block = view.Block(c);
    const uint32_t rows = view.Rows(c);
    // A chunk that another one follows is never appended to, and the rows past the cut are the
    // chunks' end: so all its rows are at or below the cut.
    if (c + 1 == view.last() && rows < block.capacity()) {
      BlockCodec::Encode(block, layouts[table], rows, {}, internal::kInlineAlignment, &tail);
      stored.tail = tail;
      return;
    }
    StoredChunk& chunk = stored.chunks.emplace_back();
    chunk.id = block.id();
    chunk.rows = rows;
    chunk.first = Timestamp(block.ts()[0]);
    chunk.last = Timestamp(block.ts()[rows - 1]);
    chunk.max_lsn = Lsn(internal::Blocks::MaxLsn(block));
    chunks.push_back(&block);
  }
}

void StoreImage::Impl::DescribeOverlay(const SeriesState& state) {
  overlay.clear();
  chosen.clear();
  if (state.overlay == nullptr) return;
  const RowBlock& rows = *state.overlay;
  for (uint32_t row = 0; row < rows.rows(); ++row) {
    if (LsnOf(rows, row) <= cut) chosen.push_back(row);
  }
  if (chosen.empty()) return;
  BlockCodec::Encode(rows, layouts[table], static_cast<uint32_t>(chosen.size()), chosen,
                     internal::kInlineAlignment, &overlay);
  stored.overlay = overlay;
}

uint64_t StoreImage::EncodeChunk(size_t index, std::vector<std::byte>* out) const {
  const size_t start = out->size();
  const RowBlock& block = *impl_->chunks[index];
  BlockCodec::Encode(block, impl_->layouts[impl_->table], impl_->stored.chunks[index].rows, {},
                     internal::kFileAlignment, out);
  return BlockCodec::ChecksumOf(ByteSpan(*out).subspan(start));
}

}  // namespace proxist::hot
