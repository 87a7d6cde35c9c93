// Batches that view the files' arrays, through the checks and the scatter of a shard.
#include "apps/proxist-bench/columns/loaded_store.h"

#include <algorithm>
#include <thread>
#include <utility>

#include "bench/ready_memory.h"
#include "proxist/env/clock.h"
#include "proxist/env/thread_share.h"

namespace proxist::bench {
namespace {

using column::TypeKind;

column::TableSchema Table(std::string name,
                          std::initializer_list<std::pair<const char*, TypeKind>> columns) {
  column::TableSchema schema;
  schema.name = std::move(name);
  schema.seq = column::SeqMode::kAssigned;
  for (const auto& [column, kind] : columns) {
    schema.columns.push_back({.id = ColumnId(static_cast<uint32_t>(schema.columns.size() + 1)),
                              .name = column,
                              .type = {kind, 0},
                              .nullable = false});
  }
  return schema;
}

ByteSpan Part(ByteSpan values, size_t width, size_t begin, size_t rows) {
  return values.subspan(begin * width, rows * width);
}

}  // namespace

class LoadedStore::View final : public query::ShardView {
 public:
  explicit View(const hot::Store* store) : store_(store) {}
  [[nodiscard]] ShardId id() const override { return ShardId(0); }
  [[nodiscard]] const hot::Store& store() const override { return *store_; }
  [[nodiscard]] Lsn RewriteHandedToFlush(TableId /*table*/) const override { return {}; }

 private:
  const hot::Store* store_;
};

StatusOr<std::unique_ptr<LoadedStore>> LoadedStore::Open(const std::string& parent) {
  auto loaded = std::make_unique<LoadedStore>();
  PX_ASSIGN_OR_RETURN(loaded->directory_, TemporaryDirectory::Make(parent));
  PX_ASSIGN_OR_RETURN(loaded->metadata_,
                      meta::OpenSqliteStore(loaded->directory_.path() + "/meta.db"));
  PX_ASSIGN_OR_RETURN(loaded->catalog_, meta::Catalog::Open(loaded->metadata_.get()));
  const column::TableSchema quotes = Table("quotes", {{"bid", TypeKind::kFloat64},
                                                      {"ask", TypeKind::kFloat64},
                                                      {"bsize", TypeKind::kInt64},
                                                      {"asize", TypeKind::kInt64}});
  const column::TableSchema trades =
      Table("trades", {{"price", TypeKind::kFloat64}, {"size", TypeKind::kInt64}});
  PX_ASSIGN_OR_RETURN(loaded->quotes_, loaded->catalog_->Apply(quotes, "proxist-bench"));
  PX_ASSIGN_OR_RETURN(loaded->trades_, loaded->catalog_->Apply(trades, "proxist-bench"));
  loaded->store_ = std::make_unique<hot::Store>(hot::StoreOptions{.ready = {.bytes = kReadyBytes}});
  WaitUntilReady(*loaded->store_);
  loaded->store_->SetSchema(loaded->quotes_);
  loaded->store_->SetSchema(loaded->trades_);
  loaded->view_ = std::make_shared<View>(loaded->store_.get());
  const View* view = loaded->view_.get();
  // As the server has them.
  const size_t assistants = std::max(1U, std::thread::hardware_concurrency()) - 1;
  loaded->assistants_ = std::make_unique<env::WorkPool>(
      "assistants", assistants, std::max<size_t>(1, assistants), env::kGivesWay);
  loaded->engine_ = std::make_unique<query::Engine>(
      query::Engine::Ports{.catalog = loaded->catalog_.get(),
                           .history = nullptr,
                           .clock = &env::SystemClock(),
                           .shard_of = [view](SlotId) -> const query::ShardView* { return view; },
                           .shards = {view},
                           .assistants = {.pool = loaded->assistants_.get()}});
  return loaded;
}

StatusOr<IngestCost> LoadedStore::LoadQuotes(const ColumnData& data) {
  const QuoteColumns& q = data.quotes();
  return Load(
      quotes_, data, q.ts, q.symbol,
      {std::as_bytes(q.bid), std::as_bytes(q.ask), std::as_bytes(q.bsize), std::as_bytes(q.asize)});
}

StatusOr<IngestCost> LoadedStore::LoadTrades(const ColumnData& data) {
  const TradeColumns& t = data.trades();
  return Load(trades_, data, t.ts, t.symbol, {std::as_bytes(t.price), std::as_bytes(t.size)});
}

StatusOr<IngestCost> LoadedStore::Load(const column::SchemaPtr& schema, const ColumnData& data,
                                       std::span<const int64_t> ts, std::span<const int32_t> symbol,
                                       std::vector<std::span<const std::byte>> columns) {
  const env::Clock& clock = env::SystemClock();
  IngestCost cost;
  column::Batch batch;
  batch.schema = schema;
  batch.symbol.type = {TypeKind::kSymbol, 0};
  batch.symbol.dictionary.assign(data.names().begin(), data.names().end());
  batch.ts.type = {TypeKind::kTimestamp, 0};
  batch.seq.type = {TypeKind::kUint64, 0};
  batch.op.type = {TypeKind::kUint8, 0};
  batch.columns.resize(columns.size());
  const Duration first = clock.Monotonic();
  for (size_t begin = 0; begin < ts.size(); begin += kBatchRows) {
    batch.rows = std::min(kBatchRows, ts.size() - begin);
    batch.symbol.values = Part(std::as_bytes(symbol), sizeof(int32_t), begin, batch.rows);
    batch.ts.values = Part(std::as_bytes(ts), sizeof(int64_t), begin, batch.rows);
    for (size_t c = 0; c < columns.size(); ++c) {
      batch.columns[c].type = schema->columns[c].type;
      batch.columns[c].values = Part(columns[c], sizeof(int64_t), begin, batch.rows);
    }
    const Duration began = clock.Monotonic();
    PX_RETURN_IF_ERROR(column::ValidateBatch(batch));
    const Lsn last(published_.value() + batch.rows);
    store_->Scatter(batch, Lsn(published_.value() + 1), clock.Now());
    store_->Publish(last);
    published_ = last;
    store_->Maintain();
    cost.batches.Add(Duration(clock.Monotonic().ns() - began.ns()));
  }
  cost.total = Duration(clock.Monotonic().ns() - first.ns());
  cost.rows = ts.size();
  return cost;
}

double LoadedStore::QuoteRowBytes() const {
  const hot::TableStats stats = store_->StatsOf(quotes_->id);
  return stats.rows == 0 ? 0 : static_cast<double>(stats.bytes) / static_cast<double>(stats.rows);
}

}  // namespace proxist::bench
