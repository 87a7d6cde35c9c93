// What readers ask: series by symbol, and one series' rows at a cut.
#include <algorithm>

#include "proxist/base/check.h"
#include "proxist/hot/internal/last_rows.h"
#include "proxist/hot/internal/reading.h"
#include "proxist/hot/internal/store_state.h"
#include "proxist/hot/internal/wide_blocks.h"
#include "proxist/hot/store.h"

namespace proxist::hot {

using internal::Boundary;
using internal::Series;
using internal::SeriesState;

namespace {

const SeriesState& StateOf(const void* state) { return *static_cast<const SeriesState*>(state); }

/// All blocks of the table, those that a reader may have seen included, have the types of `schema`.
bool IsPlain(const internal::Table& table, const column::TableSchema& schema) {
  if (table.narrower.load(std::memory_order_acquire)) return false;
  const column::TableSchema& has = **table.schema.load(std::memory_order_acquire);
  return has.version == schema.version || internal::SameKinds(has, schema);
}

void ShowAs(internal::WideBlocks* wide, const column::TableSchema& schema, std::span<RowRun> runs) {
  for (RowRun& run : runs) run.block = wide->As(schema, run.block);
}

}  // namespace

ReadGuard::ReadGuard(const Store* store, size_t slot, Lsn cut)
    : store_(store), slot_(slot), cut_(cut) {}

ReadGuard::~ReadGuard() {
  if (store_ != nullptr && slot_ != kLent) store_->impl_->epochs.Unpin(slot_);
}

ReadGuard::ReadGuard(ReadGuard&& other) noexcept
    : store_(std::exchange(other.store_, nullptr)),
      slot_(other.slot_),
      cut_(other.cut_),
      wide_(std::move(other.wide_)) {}

bool ReadGuard::ReadAs(const column::TableSchema& schema) {
  const internal::Table* table = store_->impl_->Find(schema.id);
  if (table != nullptr) {
    const column::TableSchema& has = **table->schema.load(std::memory_order_acquire);
    if (has.version > schema.version && !internal::SameKinds(has, schema)) return false;
  }
  if (wide_ == nullptr) wide_ = std::make_unique<internal::WideBlocks>();
  wide_->Use(schema);
  return true;
}

bool ReadGuard::ShowsPlainly(const column::TableSchema& schema) const {
  const internal::Table* table = store_->impl_->Find(schema.id);
  return table == nullptr || IsPlain(*table, schema);
}

void ReadGuard::Settle() {
  PX_CHECK(slot_ != kLent);
  store_->impl_->epochs.Settle(slot_);
}

Lsn ReadGuard::persisted() const { return store_->persisted(); }

// Loads of pointers that may be retired are sequentially consistent: see internal::Epochs.

void ReadGuard::SeriesOf(TableId id, uint32_t symbol, std::vector<SeriesSnapshot>* out) const {
  const internal::Table* table = store_->impl_->Find(id);
  if (table == nullptr) return;
  const internal::SymbolIndex* index = table->by_symbol.load();
  if (symbol >= index->size) return;
  const internal::SymbolSeries* list = index->lists[symbol].load();
  if (list == nullptr) return;
  const auto columns = (*table->schema.load(std::memory_order_acquire))->series.size();
  const column::TableSchema* read_as = wide_ == nullptr ? nullptr : wide_->SchemaOf(id);
  for (const Series* series : *list) {
    const SeriesState* state = series->state.load();
    SeriesSnapshot& snapshot = out->emplace_back();
    snapshot.state_ = state;
    snapshot.cut_ = cut_;
    snapshot.floor_ = Timestamp(state->floor);
    std::copy(series->key.begin(), series->key.end(), snapshot.key_);
    snapshot.key_count_ = static_cast<uint32_t>(columns);
    snapshot.schema_ = read_as;
    // Asked after the state: whoever made a block of another version said so before.
    if (read_as != nullptr && !IsPlain(*table, *read_as)) snapshot.wide_ = wide_.get();
  }
}

void ReadGuard::Prefetch(TableId id, std::span<const uint32_t> symbols) const {
  const internal::Table* table = store_->impl_->Find(id);
  if (table != nullptr) internal::PrefetchSymbols(*table->by_symbol.load(), symbols);
}

void ReadGuard::LastRows(TableId id, std::span<const uint32_t> symbols, Timestamp at,
                         LastRow* out) const {
  const internal::Table* table = store_->impl_->Find(id);
  if (table == nullptr) {
    std::fill_n(out, symbols.size(), LastRow());
  } else {
    internal::LastRowsOf(*table->by_symbol.load(), symbols, cut_.value(), at.ns(), out);
  }
}

void ReadGuard::SymbolsOf(TableId id, std::vector<uint32_t>* out) const {
  const internal::Table* table = store_->impl_->Find(id);
  if (table == nullptr) return;
  const internal::SymbolList* list = table->symbols.load();
  const uint32_t count = list->count.load(std::memory_order_acquire);
  out->insert(out->end(), list->codes.get(), list->codes.get() + count);
}

void SeriesSnapshot::Runs(Timestamp from, Timestamp to, std::vector<RowRun>* out) const {
  if (to == Timestamp::Min()) return;
  const int64_t high = to == Timestamp::Max() ? to.ns() : to.ns() - 1;
  const size_t first = out->size();
  internal::AppendRuns(StateOf(state_), cut_.value(), from.ns(), high, out);
  if (wide_ != nullptr) ShowAs(wide_, *schema_, std::span(*out).subspan(first));
}

void SeriesSnapshot::Totals(Timestamp from, Timestamp to, SpanTotals* out) const {
  if (to == Timestamp::Min()) return;
  const int64_t high = to == Timestamp::Max() ? to.ns() : to.ns() - 1;
  const size_t first = out->runs.size();
  internal::AppendTotals(StateOf(state_), cut_.value(), from.ns(), high, out);
  if (wide_ != nullptr) ShowAs(wide_, *schema_, std::span(out->runs).subspan(first));
}

std::optional<Timestamp> SeriesSnapshot::StepBack(Timestamp at, size_t rows) const {
  const auto ts = internal::StepBack(StateOf(state_), cut_.value(), at.ns(), rows);
  return ts ? std::optional(Timestamp(*ts)) : std::nullopt;
}

std::optional<Timestamp> SeriesSnapshot::StepForward(Timestamp at, size_t rows) const {
  const auto ts = internal::StepForward(StateOf(state_), cut_.value(), at.ns(), rows);
  return ts ? std::optional(Timestamp(*ts)) : std::nullopt;
}

uint64_t SeriesSnapshot::MostRows() const {
  const SeriesState& state = StateOf(state_);
  uint64_t rows = state.overlay == nullptr ? 0 : state.overlay->rows();
  if (state.chunks != nullptr) {
    const uint32_t count = state.chunks->count.load(std::memory_order_acquire);
    rows += uint64_t{count - state.first} * kChunkRows;
  }
  return rows;
}

std::optional<std::span<const RowRun>> SeriesSnapshot::Boundary() const {
  const internal::Boundary& boundary = StateOf(state_).boundary;
  if (boundary.kind == internal::Boundary::Kind::kUnknown || cut_.value() < boundary.as_of) {
    return std::nullopt;
  }
  if (boundary.kind == internal::Boundary::Kind::kNone) return std::span<const RowRun>();
  if (wide_ == nullptr) return std::span(&boundary.run, 1);
  RowRun run = boundary.run;
  run.block = wide_->As(*schema_, run.block);
  return wide_->Keep(run);
}

void SeriesSnapshot::LateRows(Timestamp from, Timestamp to, Lsn persisted,
                              std::vector<LateRow>* out) const {
  const SeriesState& state = StateOf(state_);
  if (state.overlay == nullptr) return;
  const RowBlock& overlay = *state.overlay;
  const int64_t high = std::min(to.ns(), state.floor);
  for (uint32_t row = internal::OverlayLowerBound(overlay, {from.ns(), 0}); row < overlay.rows();
       ++row) {
    if (overlay.ts()[row] > high) return;
    const uint64_t lsn = overlay.lsn(row);
    if (lsn <= persisted.value() || lsn > cut_.value()) continue;
    out->push_back({wide_ == nullptr ? &overlay : wide_->As(*schema_, &overlay), row});
  }
}

}  // namespace proxist::hot
