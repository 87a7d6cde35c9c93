// Stores, a history in memory and an engine over them, with the naive model of the same rows.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "proxist/meta/catalog.h"
#include "proxist/query/engine.h"
#include "tests/unit/query/naive_model.h"

namespace proxist::query {

/// Tables of all tests, in one catalog for the process.
const meta::Catalog& TestCatalog();
/// Adds the table and gives its schema; a table with this name and content may exist already.
column::SchemaPtr ApplyTable(column::TableSchema schema);

/// Keeps every version, or (`merged`) the highest of each key only, as a merge would leave it.
class MemoryHistory : public history::History {
 public:
  explicit MemoryHistory(bool merged) : merged_(merged) {}
  struct Stored {
    ShardId shard;
    TableId table;
    ModelRow row;
  };
  void Store(const column::TableSchema& schema, const Stored& stored);

  Status EnsureTable(const column::TableSchema&) override { return OkStatus(); }
  Status Insert(const history::InsertIntent&, std::span<const history::SourceBatch>) override {
    return Unimplemented("not in this test");
  }
  StatusOr<uint64_t> CountVersions(const history::InsertIntent&) override { return 0U; }
  StatusOr<history::ReadResult> Read(const history::ReadRequest& request) override;
  StatusOr<std::vector<Day>> Days(const column::TableSchema& schema,
                                  const history::ReadBounds& bounds) override;
  StatusOr<history::TotalsResult> ReadTotals(const history::TotalsRequest& request) override;
  StatusOr<std::string> Incarnation(std::string_view fresh) override { return std::string(fresh); }
  Status Ping() override { return OkStatus(); }

  /// Loses every version of the rows that `lost` says, as a hand in ClickHouse would delete them.
  void Forget(const std::function<bool(const ModelRow&)>& lost) {
    std::erase_if(rows_, [&](const Stored& stored) { return lost(stored.row); });
  }

  std::vector<history::ReadRequest> reads;
  size_t totals_read = 0;
  Status failure;                       // of every read, when not OK
  std::function<void()> before_answer;  // called by each read

 private:
  [[nodiscard]] std::vector<const Stored*> Found(const history::ReadRequest& request) const;
  bool merged_;
  std::vector<Stored> rows_;
};

class FakeShard : public ShardView {
 public:
  FakeShard(ShardId id, uint32_t chunk_rows)
      : id_(id), store_({.chunk_rows = chunk_rows, .huge_pages = false}) {}
  ShardId id() const override { return id_; }
  const hot::Store& store() const override { return store_; }
  Lsn RewriteHandedToFlush(TableId) const override { return handed; }
  hot::Store& writer() { return store_; }
  std::atomic<Lsn> handed{Lsn()};
  std::vector<std::pair<column::SchemaPtr, ModelRow>> published;
  std::vector<history::SourceBatch> batches;   // the same rows, as a flush takes them
  std::vector<Lsn> rewrites;                   // the last LSNs of batches with such rows
  std::map<TableId, std::set<Day>> rewritten;  // days of corrections, cancels and late rows

 private:
  ShardId id_;
  hot::Store store_;
};

class World {
 public:
  explicit World(size_t shards = 1, bool merged = false, bool with_history = true,
                 uint32_t chunk_rows = hot::kChunkRows);
  /// Persists to and reads from `history`, which outlives it, in place of one in memory.
  World(size_t shards, history::History* history, uint32_t chunk_rows);

  void AddTable(const column::SchemaPtr& schema);
  /// Publishes the rows, in their order, as one batch for each shard; their LSNs are given here.
  void Publish(const column::SchemaPtr& schema, std::vector<ModelRow> rows);
  /// Everything of the shard at or below `lsn` goes to history.
  void Persist(size_t shard, Lsn lsn);
  void PersistAll();
  /// Raises floors to just below `before` where they may; `lower` may choose less for a series.
  void Evict(const column::SchemaPtr& schema, Timestamp before,
             const std::function<void(std::vector<hot::SeriesRecord>*)>& lower = nullptr);

  StatusOr<Answer> Ask(const Plan& plan, const QueryOptions& options = {},
                       Explain* explain = nullptr);
  Answer Expected(const Plan& plan, const RowTests& tests = {}) const {
    return model_.Run(plan, tests);
  }
  [[nodiscard]] size_t shards() const { return shards_.size(); }
  FakeShard& shard(size_t i) { return *shards_[i]; }
  MemoryHistory& history() { return history_; }
  Engine& engine() { return *engine_; }

 private:
  size_t ShardOf(std::string_view tenant, std::string_view symbol) const;
  void Start(history::History* history);
  void Send(FakeShard* shard, Lsn first, Lsn last);
  std::vector<std::unique_ptr<FakeShard>> shards_;
  MemoryHistory history_;
  history::History* real_ = nullptr;
  NaiveModel model_;
  std::unique_ptr<Engine> engine_;
};

/// Sets a cell of the builder's current row; a null leaves it unset.
void SetCell(column::BatchBuilder* builder, size_t column, column::TypeKind kind, const Cell& cell);
/// The rows of a batch, for Answer.
void AppendBatch(const ResultBatch& batch, Answer* answer);

}  // namespace proxist::query
