// Everything a store holds, and the writer's operations on it.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "proxist/column/dictionary.h"
#include "proxist/hot/internal/blocks.h"
#include "proxist/hot/internal/epochs.h"
#include "proxist/hot/internal/grouping.h"
#include "proxist/hot/internal/mapped.h"
#include "proxist/hot/internal/series.h"
#include "proxist/hot/internal/table.h"
#include "proxist/hot/store.h"

namespace proxist::hot {

struct Store::Impl {
  explicit Impl(const StoreOptions& store_options);
  ~Impl();

  using Tables = std::vector<internal::Table*>;  // few: searched one by one

  const StoreOptions options;
  column::Dictionary dictionary;
  internal::Epochs epochs;
  internal::Account account;
  internal::Blocks blocks;
  std::atomic<uint64_t> published{0};
  std::atomic<uint64_t> persisted{0};
  std::atomic<uint64_t> dictionary_bytes{0};
  std::atomic<const Tables*> tables;

  // The writer's alone.
  std::vector<std::unique_ptr<internal::Table>> owned_tables;
  std::vector<std::unique_ptr<const Tables>> owned_lists;  // all versions: tables are few
  std::deque<internal::Series*> due;                       // for compaction
  std::deque<internal::Series*> late;                      // that hold late rows
  /// Persisted LSNs and the epoch in which each was set, until no older reader is left.
  std::deque<std::pair<uint64_t, uint64_t>> persisted_history;
  uint64_t settled_persisted = 0;  // every reader there is loads at least this
  uint64_t late_checked = 0;       // settled_persisted of the pass over `late` begun last
  size_t late_left = 0;            // series that this pass has not looked at yet

  [[nodiscard]] internal::Table* Find(TableId id) const;
  internal::Table* TakeSchema(const column::SchemaPtr& schema);

  // Scatter (scatter.cc).
  internal::Grouping grouping;
  std::vector<uint32_t> in_order;  // rows of the series being scattered to: reused
  std::vector<uint32_t> others;
  std::vector<size_t> late_groups;  // of the batch: go last, and ask for their memory ahead
  void AppendInOrder(internal::Series* series, internal::BatchSource* source,
                     std::span<const uint32_t> rows, int64_t now);
  void ForgetBoundary(internal::Series* series);
  void PushChunk(internal::Series* series, RowBlock* chunk);
  void MergeOverlay(internal::Series* series, internal::BatchSource* source,
                    std::vector<uint32_t>* rows, int64_t now, bool late_rows);
  /// What a batch did, as far as it is scattered.
  struct Scattered {
    std::vector<Day>* rewritten = nullptr;
    uint64_t rows = 0;
    int64_t max_ts = INT64_MIN;
  };
  /// How many series were new.
  uint32_t ScatterGroups(internal::Table* table, internal::BatchSource* source, int64_t now,
                         Scattered* scattered);
  /// Asks for the memory that groups behind late_groups[at] need.
  void PrefetchLate(size_t at) const;
  void ScatterSeries(internal::Series* series, internal::BatchSource* source,
                     std::span<const uint32_t> rows, int64_t now, Scattered* scattered);

  /// Frees what earlier batches retired, at the pace of this one.
  void ReclaimAfter(size_t retired);

  // Eviction (eviction.cc).
  /// The greatest LSN whose row may leave memory.
  [[nodiscard]] uint64_t MayLeave() const;
  bool EvictSeries(internal::Series* series, int64_t floor, EvictResult* result);

  // Spilling (spill.cc).
  void SpillSeries(internal::Series* series, std::span<const internal::SpillItem> items,
                   SpillResult* result);

  // Maintenance (compaction.cc, maintain.cc).
  enum class Step { kUntried, kNothing, kMore, kDone };
  Step Compact(internal::Series* series);
  bool DropLateRows();
  void SettlePersisted();

  void Swap(internal::Series* series, const internal::SeriesState& next) {
    series->table->Swap(series, next, &epochs, &blocks);
  }
  void Retire(RowBlock* block) { internal::RetireBlock(block, &epochs, &blocks); }
};

}  // namespace proxist::hot
