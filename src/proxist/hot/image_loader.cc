// Brings a snapshot's series back into a store.
#include <algorithm>

#include "proxist/base/check.h"
#include "proxist/hot/chunk_file.h"
#include "proxist/hot/image.h"
#include "proxist/hot/internal/block_codec.h"
#include "proxist/hot/internal/reading.h"
#include "proxist/hot/internal/store_state.h"

namespace proxist::hot {

using internal::BlockCodec;
using internal::BlockKind;
using internal::Blocks;
using internal::Boundary;
using internal::ChunkEntry;
using internal::ChunkList;
using internal::ChunkView;
using internal::EncodedBlock;
using internal::KeyOf;
using internal::Layout;
using internal::NumberedFile;
using internal::RowKey;
using internal::RowRef;
using internal::Series;
using internal::SeriesKey;
using internal::SeriesState;
using internal::Table;

namespace {

/// One series being brought back; what it made is freed unless it is put in place.
class SeriesBuilder {
 public:
  SeriesBuilder(const column::Dictionary& dictionary, Blocks* blocks, uint64_t persisted, Lsn cut)
      : strings_(dictionary.size()), blocks_(blocks), persisted_(persisted), cut_(cut) {}
  ~SeriesBuilder() {
    for (RowBlock* block : made_) blocks_->Free(block);
  }
  SeriesBuilder(const SeriesBuilder&) = delete;
  SeriesBuilder& operator=(const SeriesBuilder&) = delete;

  Status Build(const StoredSeries& stored, Series* series, const ImageLoader::ReadChunk& read);
  /// The state that holds all that was built; it owns it from now on.
  SeriesState Take();
  [[nodiscard]] RowBlock* last() const {
    return entries_.empty() ? nullptr : entries_.back().block;
  }
  [[nodiscard]] uint64_t overlay_rows() const {
    return state_.overlay == nullptr ? 0 : state_.overlay->rows();
  }

 private:
  StatusOr<EncodedBlock> Decode(ByteSpan bytes, BlockKind kind) const;
  Status AddStoredChunk(const StoredChunk& chunk, bool may_stay,
                        const ImageLoader::ReadChunk& read);
  Status AddChunk(const EncodedBlock& encoded, const NumberedFile& file);
  Status AddOverlay(ByteSpan bytes);
  Status AddBoundary(const StoredSeries& stored);
  /// `file`: that a chunk stays in, if it has a mapping.
  StatusOr<RowBlock*> Restore(const EncodedBlock& encoded, const NumberedFile& file = {});
  [[nodiscard]] Status CheckLeaving(uint64_t max_lsn) const;

  const uint32_t strings_;
  Blocks* const blocks_;
  const uint64_t persisted_;
  const Lsn cut_;
  Series* series_ = nullptr;
  SeriesState state_;
  std::vector<ChunkEntry> entries_;
  std::vector<RowBlock*> made_;
  bool any_chunk_ = false;
  RowKey last_key_;
};

StatusOr<EncodedBlock> SeriesBuilder::Decode(ByteSpan bytes, BlockKind kind) const {
  PX_ASSIGN_OR_RETURN(EncodedBlock block, BlockCodec::Decode(bytes, strings_));
  if (block.kind != kind) return DataLoss("a block is of another kind than expected");
  for (uint32_t row = 0; row < block.rows; ++row) {
    if (block.lsn_at(row) > cut_.value()) {
      return DataLoss("a row has LSN {}, above the cut {}", block.lsn_at(row), cut_.value());
    }
  }
  return block;
}

StatusOr<RowBlock*> SeriesBuilder::Restore(const EncodedBlock& encoded, const NumberedFile& file) {
  Table* table = series_->table;
  PX_ASSIGN_OR_RETURN(const Layout layout, internal::LayoutOf(encoded, *table->layout));
  if (layout.widened) table->MayBeNarrower();
  std::span<std::byte* const> values;
  if (encoded.kind == BlockKind::kChunk) values = table->SeriesValues(series_, encoded.capacity);
  const bool stays = file.mapping != nullptr && encoded.CanMap();
  RowBlock* block = stays ? blocks_->Map(encoded, file, layout, values, &table->account)
                          : blocks_->Restore(encoded, layout, values, &table->account);
  made_.push_back(block);
  for (uint32_t row = 0; row < encoded.rows; ++row) series_->Met(encoded.seq_at(row));
  return block;
}

Status SeriesBuilder::CheckLeaving(uint64_t max_lsn) const {
  if (max_lsn <= persisted_) return OkStatus();
  return DataLoss("rows up to LSN {} lie below the recorded hot floor {}, but only {} is persisted",
                  max_lsn, state_.floor, persisted_);
}

Status SeriesBuilder::AddStoredChunk(const StoredChunk& chunk, bool may_stay,
                                     const ImageLoader::ReadChunk& read) {
  if (chunk.last.ns() <= state_.floor) return CheckLeaving(chunk.max_lsn.value());
  PX_ASSIGN_OR_RETURN(const ChunkBytes read_bytes, read(chunk));
  const std::string where =
      fmt::format("{} at offset {}", ChunkFileName(chunk.place.file), chunk.place.offset);
  const auto decoded = Decode(read_bytes.bytes, BlockKind::kChunk);
  PX_RETURN_IF_ERROR(Annotate(decoded.status(), where));
  const EncodedBlock& block = *decoded;
  if (block.id != chunk.id || block.rows != chunk.rows || block.ts_at(0) != chunk.first.ns() ||
      block.ts_at(block.rows - 1) != chunk.last.ns()) {
    return DataLoss("{}: another chunk than {} stands there", where, chunk.id);
  }
  NumberedFile file;
  if (may_stay) file = {read_bytes.mapping, chunk.place.file};
  return Annotate(AddChunk(block, file), where);
}

Status SeriesBuilder::AddChunk(const EncodedBlock& encoded, const NumberedFile& file) {
  const RowKey first{encoded.ts_at(0), encoded.seq_at(0)};
  if (any_chunk_ && first <= last_key_) return DataLoss("chunk {} is out of order", encoded.id);
  any_chunk_ = true;
  last_key_ = {encoded.ts_at(encoded.rows - 1), encoded.seq_at(encoded.rows - 1)};
  for (uint32_t row = 0; row < encoded.rows && encoded.ts_at(row) <= state_.floor; ++row) {
    PX_RETURN_IF_ERROR(CheckLeaving(encoded.lsn_at(row)));
  }
  if (last_key_.ts <= state_.floor) return OkStatus();
  PX_ASSIGN_OR_RETURN(RowBlock * block, Restore(encoded, file));
  entries_.push_back({block, first.ts});
  return OkStatus();
}

Status SeriesBuilder::AddOverlay(ByteSpan bytes) {
  PX_ASSIGN_OR_RETURN(const EncodedBlock encoded, Decode(bytes, BlockKind::kOverlay));
  PX_ASSIGN_OR_RETURN(RowBlock * whole, Restore(encoded));
  std::vector<RowRef> kept;
  for (uint32_t row = 0; row < whole->rows(); ++row) {
    if (whole->ts()[row] > state_.floor || whole->lsn(row) > persisted_) {
      kept.push_back({whole, row});
    }
  }
  if (kept.size() == whole->rows()) {
    state_.overlay = whole;
    return OkStatus();
  }
  if (!kept.empty()) {
    PX_ASSIGN_OR_RETURN(const Layout layout, internal::LayoutOf(encoded, *series_->table->layout));
    state_.overlay =
        blocks_->NewOverlay(layout, static_cast<uint32_t>(kept.size()), &series_->table->account);
    made_.push_back(state_.overlay);
    blocks_->Append(state_.overlay, layout, kept);
  }
  std::erase(made_, whole);
  blocks_->Free(whole);
  return OkStatus();
}

Status SeriesBuilder::AddBoundary(const StoredSeries& stored) {
  Boundary& boundary = state_.boundary;
  if (state_.floor == INT64_MIN) return OkStatus();
  // What came between the snapshot and the raised floor may be the boundary now.
  boundary.kind = Boundary::Kind::kUnknown;
  if (state_.floor != stored.floor.ns() || stored.boundary == StoredSeries::Boundary::kUnknown) {
    return OkStatus();
  }
  if (stored.boundary_as_of > cut_)
    return DataLoss("a boundary is of LSN {}, above the cut {}", stored.boundary_as_of.value(),
                    cut_.value());
  boundary.as_of = stored.boundary_as_of.value();
  if (stored.boundary == StoredSeries::Boundary::kNone) {
    boundary.kind = Boundary::Kind::kNone;
    return OkStatus();
  }
  PX_ASSIGN_OR_RETURN(const EncodedBlock encoded,
                      Decode(stored.boundary_rows, BlockKind::kOverlay));
  if (encoded.ts_at(0) != encoded.ts_at(encoded.rows - 1) || encoded.ts_at(0) > state_.floor) {
    return DataLoss("a boundary's rows do not lie at one time at or below its floor");
  }
  PX_ASSIGN_OR_RETURN(boundary.block, Restore(encoded));
  boundary.kind = Boundary::Kind::kKnown;
  boundary.run = {boundary.block, 0, boundary.block->rows()};
  return OkStatus();
}

Status SeriesBuilder::Build(const StoredSeries& stored, Series* series,
                            const ImageLoader::ReadChunk& read) {
  series_ = series;
  state_ = series->current();
  state_.floor = std::max(state_.floor, stored.floor.ns());
  for (const StoredChunk& chunk : stored.chunks) {
    // Rows may be appended to the last chunk, if it has room.
    const bool may_stay = !stored.tail.empty() || &chunk != &stored.chunks.back();
    PX_RETURN_IF_ERROR(AddStoredChunk(chunk, may_stay, read));
  }
  if (!stored.tail.empty()) {
    PX_ASSIGN_OR_RETURN(const EncodedBlock tail, Decode(stored.tail, BlockKind::kChunk));
    PX_RETURN_IF_ERROR(AddChunk(tail, {}));
  }
  if (!stored.overlay.empty()) PX_RETURN_IF_ERROR(AddOverlay(stored.overlay));
  return AddBoundary(stored);
}

SeriesState SeriesBuilder::Take() {
  if (!entries_.empty()) {
    const auto count = static_cast<uint32_t>(entries_.size());
    Table* table = series_->table;
    state_.chunks = new ChunkList(count + std::max<uint32_t>(2, count / 4), &table->account);
    std::copy(entries_.begin(), entries_.end(), state_.chunks->entries.get());
    // The last chunk is open: it is sealed when another follows.
    for (uint32_t c = 0; c + 1 < count; ++c) Blocks::Seal(entries_[c].block, *table->layout);
    state_.chunks->totals.Build(state_.chunks->entries.get(), 0, count - 1, nullptr, 0, 0);
    state_.chunks->count.store(count, std::memory_order_release);
  }
  made_.clear();
  return state_;
}

}  // namespace

Status ImageLoader::AddStrings(std::span<const std::string_view> strings) {
  column::Dictionary& dictionary = store_->impl_->dictionary;
  for (const std::string_view text : strings) {
    const uint32_t code = dictionary.size();
    if (dictionary.Intern(text) != code)
      return DataLoss("string {} of the dictionary repeats", code);
  }
  store_->impl_->dictionary_bytes.store(dictionary.SizeBytes(), std::memory_order_relaxed);
  return OkStatus();
}

Status ImageLoader::AddTable(const column::TableSchema& stored, Timestamp max_ts) {
  Table* table = store_->impl_->Find(stored.id);
  if (table == nullptr) {
    return DataLoss("table {} ({}) is not in metadata", stored.id.value(), stored.name);
  }
  const column::TableSchema& known = table->current();
  if (stored.columns.size() > known.columns.size() || stored.series != known.series ||
      stored.seq != known.seq ||
      !std::equal(stored.columns.begin(), stored.columns.end(), known.columns.begin())) {
    return DataLoss("table {} ({}) has other columns in metadata", stored.id.value(), stored.name);
  }
  table->max_ts.store(std::max(max_ts.ns(), table->max_ts.load(std::memory_order_relaxed)),
                      std::memory_order_relaxed);
  return OkStatus();
}

Status ImageLoader::AddSeries(const StoredSeries& stored, Lsn cut, const ReadChunk& read) {
  Store::Impl& store = *store_->impl_;
  Table* table = store.Find(stored.table);
  if (table == nullptr)
    return DataLoss("a series is of table {}, which is not listed", stored.table.value());
  const size_t columns = table->current().series.size();
  SeriesKey key{};
  for (size_t i = 0; i < key.size(); ++i) {
    const bool used = i <= columns;
    if (used ? stored.codes[i] >= store.dictionary.size() : stored.codes[i] != 0) {
      return DataLoss("a series' string {} is not in the dictionary", stored.codes[i]);
    }
    key[i] = stored.codes[i];
  }
  Series* series = table->Find(key);
  if (series == nullptr) {
    series = table->Add(key, INT64_MIN, store.dictionary, &store.epochs);
  }
  if (series->current().chunks != nullptr || series->current().overlay != nullptr) {
    return DataLoss("series {} comes twice", store.dictionary.At(key[0]));
  }
  for (const StoredChunk& chunk : stored.chunks) {
    store.blocks.RaiseNextId(chunk.id + 1);
  }
  SeriesBuilder builder(store.dictionary, &store.blocks,
                        store.persisted.load(std::memory_order_relaxed), cut);
  PX_RETURN_IF_ERROR(builder.Build(stored, series, read));

  series->open = builder.last();
  if (series->open != nullptr) {
    series->last_capacity = series->open->capacity();
    series->has_last = true;
    series->last = KeyOf(*series->open, series->open->rows() - 1);
  }
  series->Watch(stored.watch.ns());
  series->MarkDropped(stored.dropped_low.ns(), stored.dropped_high.ns());
  const uint64_t overlay_rows = builder.overlay_rows();
  const SeriesState state = builder.Take();
  if (state.overlay != nullptr) {
    // A greater row than all in the overlay may have been cancelled and dropped: what is appended
    // must still stand behind the overlay's rows once they are merged.
    const RowKey last = KeyOf(*state.overlay, state.overlay->rows() - 1);
    series->last = series->has_last ? std::max(series->last, last) : last;
    series->has_last = true;
  }
  store.Swap(series, state);
  if (overlay_rows > store.options.overlay_compact_rows) {
    series->compaction_due = true;
    store.due.push_back(series);
  }
  if (overlay_rows > 0 && state.overlay->ts()[0] <= state.floor) {
    series->has_late = true;
    store.late.push_back(series);
  }
  const ChunkView view(state, internal::kSeeAll);
  size_t rows = SIZE_MAX;
  static_cast<void>(view.Back(view.End(), view.AfterTs(state.floor), &rows));
  table->rows.fetch_add(rows + overlay_rows, std::memory_order_relaxed);
  table->overlay_rows.fetch_add(overlay_rows, std::memory_order_relaxed);
  rows_ += rows + overlay_rows;
  return OkStatus();
}

void ImageLoader::SetNextChunk(uint64_t id) { store_->impl_->blocks.RaiseNextId(id); }

}  // namespace proxist::hot
