// The store's tables, publication, readers' guards and figures.
#include "proxist/hot/store.h"

#include <utility>

#include "proxist/base/check.h"
#include "proxist/hot/internal/reading.h"
#include "proxist/hot/internal/store_state.h"

namespace proxist::hot {

using internal::ChunkView;
using internal::Series;
using internal::SeriesState;
using internal::Table;

Store::Impl::Impl(const StoreOptions& store_options)
    : options(store_options),
      epochs(store_options.max_readers),
      blocks(store_options.ready, store_options.huge_pages, &epochs) {
  PX_CHECK(options.chunk_rows > 0 && options.chunk_rows <= kChunkRows);
  owned_lists.push_back(std::make_unique<const Tables>());
  tables.store(owned_lists.back().get());
}

Store::Impl::~Impl() {
  epochs.ReclaimAll();
  for (const auto& table : owned_tables) {
    for (Series* series : table->all) {
      const SeriesState* state = series->state.load();
      const ChunkView view(*state, internal::kSeeAll);
      for (uint32_t c = view.first(); c < view.last(); ++c) blocks.Free(&view.Block(c));
      if (state->overlay != nullptr) blocks.Free(state->overlay);
      if (state->boundary.block != nullptr) blocks.Free(state->boundary.block);
      delete state->chunks;
      delete state;
    }
  }
}

Table* Store::Impl::Find(TableId id) const {
  for (Table* table : *tables.load(std::memory_order_acquire)) {
    if (table->id == id) return table;
  }
  return nullptr;
}

Table* Store::Impl::TakeSchema(const column::SchemaPtr& schema) {
  Table* table = Find(schema->id);
  if (table == nullptr) {
    owned_tables.push_back(std::make_unique<Table>(schema->id, &account));
    table = owned_tables.back().get();
    table->SetSchema(schema);
    Tables list = *tables.load(std::memory_order_relaxed);
    list.push_back(table);
    owned_lists.push_back(std::make_unique<const Tables>(std::move(list)));
    tables.store(owned_lists.back().get(), std::memory_order_release);
  } else if (table->current().version < schema->version) {
    table->SetSchema(schema);
  }
  return table;
}

Store::Store(const StoreOptions& options) : impl_(std::make_unique<Impl>(options)) {}
Store::~Store() = default;

void Store::SetSchema(const column::SchemaPtr& schema) { impl_->TakeSchema(schema); }

void Store::Publish(Lsn last) {
  if (last.value() > impl_->published.load(std::memory_order_relaxed)) {
    impl_->published.store(last.value());
  }
}

ReadGuard Store::Read() const {
  uint64_t cut = 0;
  const size_t slot = impl_->epochs.Pin(impl_->published, &cut);
  return {this, slot, Lsn(cut)};
}

Lsn Store::published() const { return Lsn(impl_->published.load()); }
Lsn Store::persisted() const { return Lsn(impl_->persisted.load()); }
const column::Dictionary& Store::dictionary() const { return impl_->dictionary; }

column::SchemaPtr Store::SchemaOf(TableId id) const {
  const Table* table = impl_->Find(id);
  return table == nullptr ? nullptr : *table->schema.load(std::memory_order_acquire);
}

TableStats Store::StatsOf(TableId id) const {
  TableStats stats;
  const Table* table = impl_->Find(id);
  if (table == nullptr) return stats;
  stats.rows = table->rows.load(std::memory_order_relaxed);
  stats.bytes = table->account.bytes.load(std::memory_order_relaxed);
  stats.retired_bytes = table->account.retired.load(std::memory_order_relaxed);
  stats.spilled_chunks = table->account.mapped_chunks.load(std::memory_order_relaxed);
  stats.spilled_bytes = table->account.mapped_bytes.load(std::memory_order_relaxed);
  stats.series = table->series_count.load(std::memory_order_relaxed);
  stats.overlay_rows = table->overlay_rows.load(std::memory_order_relaxed);
  stats.max_ts = Timestamp(table->max_ts.load(std::memory_order_relaxed));
  return stats;
}

SpilledStats Store::spilled() const {
  return {impl_->account.mapped_chunks.load(std::memory_order_relaxed),
          impl_->account.mapped_bytes.load(std::memory_order_relaxed)};
}

uint64_t Store::retired_bytes() const {
  return impl_->account.retired.load(std::memory_order_relaxed);
}

uint64_t Store::ready_bytes() const { return impl_->blocks.ready_bytes(); }

uint64_t Store::bytes() const {
  uint64_t bytes = impl_->account.bytes.load(std::memory_order_relaxed) +
                   impl_->dictionary_bytes.load(std::memory_order_relaxed);
  for (const Table* table : *impl_->tables.load(std::memory_order_acquire)) {
    bytes += table->series_count.load(std::memory_order_relaxed) *
             (sizeof(Series) + sizeof(SeriesState));
  }
  return bytes;
}

}  // namespace proxist::hot
