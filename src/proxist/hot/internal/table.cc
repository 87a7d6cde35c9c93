// Adds series to the index and swaps their states.
#include "proxist/hot/internal/table.h"

#include <algorithm>
#include <bit>
#include <string_view>

#include "proxist/base/bytes.h"
#include "proxist/hot/internal/wide_blocks.h"
#include "proxist/hot/store.h"

namespace proxist::hot::internal {
namespace {

template <typename T>
void Delete(void*, void* pointer) {
  delete static_cast<T*>(pointer);
}

// Of what does not note it: held as if it had always been there.
constexpr uint64_t kUnknownEpoch = 0;

template <typename T>
void Retire(const T* pointer, Epochs* epochs, uint64_t made) {
  epochs->Retire(&Delete<T>, nullptr, const_cast<T*>(pointer), made);
}

}  // namespace

void RetireBlock(RowBlock* block, Epochs* epochs, Blocks* blocks) {
  Blocks::Retired(block);
  epochs->Retire(
      [](void* context, void* pointer) {
        static_cast<Blocks*>(context)->FreeRetired(static_cast<RowBlock*>(pointer));
      },
      blocks, block, Blocks::EpochOf(*block));
}

Table::Table(TableId table_id, Account* total)
    : id(table_id), by_symbol(new SymbolIndex(64)), symbols(new SymbolList(16)) {
  account.total = total;
}

Table::~Table() {
  const SymbolIndex* index = by_symbol.load();
  for (size_t code = 0; code < index->size; ++code) delete index->lists[code].load();
  delete index;
  delete symbols.load();
}

void Table::MayBeNarrower() {
  narrower.store(true, std::memory_order_release);
  if (layout != nullptr) layout->widened = true;
}

void Table::SetSchema(const column::SchemaPtr& next) {
  schemas.push_back(std::make_unique<const column::SchemaPtr>(next));
  layout = std::make_unique<Layout>(*next);
  // What a snapshot brings back may be older than the first version that is taken here.
  const auto changed = [&](const auto& before) { return !SameKinds(**before, *next); };
  if (std::any_of(schemas.begin(), schemas.end(), changed)) MayBeNarrower();
  layout->widened = narrower.load(std::memory_order_relaxed);
  schema.store(schemas.back().get(), std::memory_order_release);
}

Series* SeriesIndex::Find(const SeriesKey& key) const {
  if (slots_.empty()) return nullptr;
  for (size_t at = HashOf(key);; ++at) {
    const Slot& slot = slots_[at & (slots_.size() - 1)];
    if (slot.series == nullptr) return nullptr;
    if (slot.key == key) return slot.series;
  }
}

void SeriesIndex::Place(const Slot& slot) {
  size_t at = HashOf(slot.key);
  while (slots_[at & (slots_.size() - 1)].series != nullptr) ++at;
  slots_[at & (slots_.size() - 1)] = slot;
}

void SeriesIndex::Add(Series* series) {
  if (2 * (size_ + 1) > slots_.size()) {
    std::vector<Slot> before(std::max<size_t>(64, slots_.size() * 2));
    slots_.swap(before);
    for (const Slot& slot : before) {
      if (slot.series != nullptr) Place(slot);
    }
  }
  Place({series->key, series});
  ++size_;
}

Series* Table::Add(const SeriesKey& key, int64_t floor, const column::Dictionary& dictionary,
                   Epochs* epochs) {
  auto fresh = std::make_unique<Series>();
  Series* series = fresh.get();
  series->key = key;
  series->table = this;
  auto* state = new SeriesState;
  state->floor = floor;
  state->made = epochs->current();
  series->floor = floor;
  if (floor != INT64_MIN) state->boundary.kind = Boundary::Kind::kUnknown;
  series->state.store(state);
  by_key.Add(series);
  owned.push_back(std::move(fresh));
  all.push_back(series);
  Index(series, dictionary, epochs);
  series_count.store(all.size(), std::memory_order_relaxed);
  return series;
}

void Table::Index(Series* series, const column::Dictionary& dictionary, Epochs* epochs) {
  const uint32_t symbol = series->key[0];
  const SymbolIndex* index = by_symbol.load(std::memory_order_relaxed);
  if (symbol >= index->size) {
    auto* larger = new SymbolIndex(std::bit_ceil(size_t{symbol} + 1));
    for (size_t code = 0; code < index->size; ++code) {
      larger->lists[code].store(index->lists[code].load(std::memory_order_relaxed));
    }
    by_symbol.store(larger);
    Retire(index, epochs, kUnknownEpoch);
    index = larger;
  }
  const SymbolSeries* before = index->lists[symbol].load(std::memory_order_relaxed);
  auto* after = before == nullptr ? new SymbolSeries : new SymbolSeries(*before);
  const auto place =
      std::upper_bound(after->begin(), after->end(), series, [&](const Series* a, const Series* b) {
        for (size_t i = 1; i < a->key.size(); ++i) {
          if (a->key[i] != b->key[i]) return dictionary.At(a->key[i]) < dictionary.At(b->key[i]);
        }
        return false;
      });
  after->insert(place, series);
  index->lists[symbol].store(after);
  if (before != nullptr) {
    Retire(before, epochs, kUnknownEpoch);
    return;
  }
  const SymbolList* list = symbols.load(std::memory_order_relaxed);
  const uint32_t count = list->count.load(std::memory_order_relaxed);
  if (count == list->capacity) {
    auto* larger = new SymbolList(count * 2);
    std::copy_n(list->codes.get(), count, larger->codes.get());
    larger->count.store(count);
    symbols.store(larger);
    Retire(list, epochs, kUnknownEpoch);
    list = larger;
  }
  list->codes[count] = symbol;
  const_cast<SymbolList*>(list)->count.store(count + 1, std::memory_order_release);
}

void Table::Swap(Series* series, const SeriesState& next, Epochs* epochs, Blocks* blocks) {
  const SeriesState* before = series->state.load(std::memory_order_relaxed);
  auto* after = new SeriesState(next);
  after->made = epochs->current();
  const bool new_list = before->chunks != next.chunks;
  if (new_list && next.chunks != nullptr) next.chunks->made = after->made;
  series->state.store(after);
  series->floor = next.floor;
  if (new_list && before->chunks != nullptr) {
    Retire(before->chunks, epochs, before->chunks->made);
  }
  const auto drop = [&](RowBlock* old, const RowBlock* kept) {
    if (old != nullptr && old != kept) RetireBlock(old, epochs, blocks);
  };
  drop(before->overlay, next.overlay);
  drop(before->boundary.block, next.boundary.block);
  Retire(before, epochs, before->made);
}

std::span<std::byte* const> Table::SeriesValues(Series* series, uint32_t rows) {
  const size_t columns = current().series.size();
  if (columns > 0 && series->values_capacity < rows) {
    for (size_t i = 0; i < columns; ++i) {
      auto values = std::make_unique_for_overwrite<uint32_t[]>(rows);
      std::fill_n(values.get(), rows, series->key[i + 1]);
      series->values[i] = reinterpret_cast<std::byte*>(values.get());
      series->values_owned.push_back(std::move(values));
    }
    account.Add(static_cast<int64_t>(columns * rows * sizeof(uint32_t)));
    series->values_capacity = rows;
  }
  return {series->values.data(), columns};
}

}  // namespace proxist::hot::internal
