// A store in this process with the rows of a ColumnData, and the query engine over it.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "apps/proxist-bench/columns/data.h"
#include "bench/latencies.h"
#include "bench/temporary_directory.h"
#include "proxist/env/work_pool.h"
#include "proxist/hot/store.h"
#include "proxist/meta/catalog.h"
#include "proxist/query/engine.h"

namespace proxist::bench {

/// What taking rows in cost.
struct IngestCost {
  Latencies batches;  // each: check, scatter, publish and upkeep of one batch
  Duration total;
  uint64_t rows = 0;
};

/// Tables `quotes` and `trades` whose series are symbols, with assigned seq; no log, no history.
/// One thread.
class LoadedStore {
 public:
  static constexpr size_t kBatchRows = 10'000;
  /// The catalog's file goes inside the directory `parent`.
  static StatusOr<std::unique_ptr<LoadedStore>> Open(const std::string& parent);
  /// Takes rows in as a shard does after its log: each batch is checked, scattered and published.
  StatusOr<IngestCost> LoadQuotes(const ColumnData& data);
  StatusOr<IngestCost> LoadTrades(const ColumnData& data);

  [[nodiscard]] query::Engine& engine() { return *engine_; }
  /// That may work on one query.
  [[nodiscard]] size_t threads() const { return assistants_->threads() + 1; }
  /// Memory of chunks and overlays for each row of `quotes`.
  [[nodiscard]] double QuoteRowBytes() const;

 private:
  class View;
  StatusOr<IngestCost> Load(const column::SchemaPtr& schema, const ColumnData& data,
                            std::span<const int64_t> ts, std::span<const int32_t> symbol,
                            std::vector<std::span<const std::byte>> columns);

  TemporaryDirectory directory_;
  std::unique_ptr<meta::MetadataStore> metadata_;
  std::unique_ptr<meta::Catalog> catalog_;
  column::SchemaPtr quotes_;
  column::SchemaPtr trades_;
  std::unique_ptr<hot::Store> store_;
  std::shared_ptr<View> view_;
  std::unique_ptr<query::Engine> engine_;
  std::unique_ptr<env::WorkPool> assistants_;
  Lsn published_;
};

}  // namespace proxist::bench
