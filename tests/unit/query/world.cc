// Fakes at the ports; the store and the engine are the real ones.
#include "tests/unit/query/world.h"

#include <algorithm>
#include <filesystem>
#include <set>
#include <tuple>

#include <gtest/gtest.h>
#include <unistd.h>

#include "proxist/base/check.h"

namespace proxist::query {
namespace {

using column::TypeKind;

/// The catalog with the file under it.
struct CatalogFile {
  CatalogFile() {
    path = std::filesystem::path(::testing::TempDir()) /
           fmt::format("proxist_query_{}.sqlite", ::getpid());
    store = meta::OpenSqliteStore(path).value();
    catalog = meta::Catalog::Open(store.get()).value();
  }
  ~CatalogFile() {
    catalog.reset();
    store.reset();
    for (const char* suffix : {"", "-wal", "-shm"}) std::filesystem::remove(path.string() + suffix);
  }
  std::filesystem::path path;
  std::unique_ptr<meta::MetadataStore> store;
  std::unique_ptr<meta::Catalog> catalog;
};

CatalogFile& TheCatalog() {
  static CatalogFile file;
  return file;
}

Cell CellOf(const exec::Column& column, size_t row, const exec::Symbols& symbols) {
  if (!column.IsValid(row)) return {};
  switch (column.type().kind) {
    case TypeKind::kBool:
    case TypeKind::kUint8:
      return int64_t{column.data<uint8_t>()[row]};
    case TypeKind::kInt8:
      return int64_t{column.data<int8_t>()[row]};
    case TypeKind::kInt16:
      return int64_t{column.data<int16_t>()[row]};
    case TypeKind::kInt32:
      return int64_t{column.data<int32_t>()[row]};
    case TypeKind::kUint16:
      return int64_t{column.data<uint16_t>()[row]};
    case TypeKind::kUint32:
      return int64_t{column.data<uint32_t>()[row]};
    case TypeKind::kFloat32:
      return double{column.data<float>()[row]};
    case TypeKind::kFloat64:
      return column.data<double>()[row];
    case TypeKind::kString:
      return std::string(column.data<std::string_view>()[row]);
    case TypeKind::kSymbol:
      return std::string(symbols.Text(column.data<uint32_t>()[row]));
    default:
      return column.data<int64_t>()[row];
  }
}

}  // namespace

const meta::Catalog& TestCatalog() { return *TheCatalog().catalog; }

column::SchemaPtr ApplyTable(column::TableSchema schema) {
  for (size_t i = 0; i < schema.columns.size(); ++i) {
    schema.columns[i].id = ColumnId(static_cast<uint32_t>(i + 1));
  }
  const auto applied = TheCatalog().catalog->Apply(std::move(schema), "test");
  PX_CHECK_OK(applied.status());
  return *applied;
}

void SetCell(column::BatchBuilder* builder, size_t column, column::TypeKind kind,
             const Cell& cell) {
  if (std::holds_alternative<std::monostate>(cell)) return;
  if (column::IsText(kind)) {
    builder->SetText(column, std::get<std::string>(cell));
  } else if (column::IsFloat(kind)) {
    builder->SetFloat(column, std::get<double>(cell));
  } else {
    builder->SetInt(column, std::get<int64_t>(cell));
  }
}

void AppendBatch(const ResultBatch& batch, Answer* answer) {
  if (answer->names.empty()) {
    for (const exec::NamedColumn& column : batch.columns) answer->names.push_back(column.name);
  }
  for (size_t row = 0; row < batch.rows(); ++row) {
    std::vector<std::string>& line = answer->rows.emplace_back();
    for (const exec::NamedColumn& column : batch.columns) {
      line.push_back(FormatCell(CellOf(column.column, row, *batch.symbols)));
    }
  }
}

// --- MemoryHistory ---

void MemoryHistory::Store(const column::TableSchema& schema, const Stored& stored) {
  if (merged_) {
    std::erase_if(rows_, [&](const Stored& old) {
      if (old.table != stored.table || old.row.symbol != stored.row.symbol ||
          old.row.ts != stored.row.ts || old.row.seq != stored.row.seq) {
        return false;
      }
      return std::all_of(schema.series.begin(), schema.series.end(), [&](size_t column) {
        return old.row.cells[column] == stored.row.cells[column];
      });
    });
  }
  rows_.push_back(stored);
}

StatusOr<history::ReadResult> MemoryHistory::Read(const history::ReadRequest& request) {
  reads.push_back(request);
  if (before_answer) before_answer();
  if (!failure.ok()) return failure;
  const column::TableSchema& schema = *request.schema;
  std::vector<const Stored*> found;
  for (const Stored& stored : rows_) {
    const Timestamp ts(stored.row.ts);
    if (stored.table != schema.id || stored.shard != request.shard || ts < request.from ||
        ts > request.to || stored.row.lsn > request.max_version.value() ||
        std::find(request.symbols.begin(), request.symbols.end(), stored.row.symbol) ==
            request.symbols.end()) {
      continue;
    }
    found.push_back(&stored);
  }
  if (found.size() > request.max_rows) return ResourceExhausted("too many rows");
  const auto key = [&](const Stored* stored) {
    std::vector<std::string> series;
    for (const size_t c : schema.series) {
      series.push_back(std::get<std::string>(stored->row.cells[c]));
    }
    return std::tuple(stored->row.symbol, stored->row.ts, stored->row.seq, series, stored->row.lsn);
  };
  std::sort(found.begin(), found.end(),
            [&](const Stored* a, const Stored* b) { return key(a) < key(b); });
  std::set<size_t> columns(request.columns.begin(), request.columns.end());
  columns.insert(schema.series.begin(), schema.series.end());
  column::BatchBuilder builder(request.schema);
  history::ReadResult result;
  for (const Stored* stored : found) {
    const ModelRow& row = stored->row;
    builder.AddRow(row.symbol, Timestamp(row.ts), row.seq, row.op);
    for (const size_t c : columns) SetCell(&builder, c, schema.columns[c].type.kind, row.cells[c]);
    result.versions.push_back(row.lsn);
  }
  result.batch = builder.Build();
  return result;
}

StatusOr<std::vector<Day>> MemoryHistory::Days(const column::TableSchema& schema) {
  if (!failure.ok()) return failure;
  std::set<Day> days;
  for (const Stored& stored : rows_) {
    if (stored.table == schema.id) days.insert(DayOf(Timestamp(stored.row.ts)));
  }
  return std::vector<Day>(days.begin(), days.end());
}

// --- World ---

World::World(size_t shards, bool merged, bool with_history, uint32_t chunk_rows)
    : history_(merged) {
  for (size_t i = 0; i < shards; ++i) {
    shards_.push_back(std::make_unique<FakeShard>(ShardId(static_cast<uint16_t>(i)), chunk_rows));
  }
  Start(with_history ? &history_ : nullptr);
}

World::World(size_t shards, history::History* history, uint32_t chunk_rows)
    : history_(false), real_(history) {
  for (size_t i = 0; i < shards; ++i) {
    shards_.push_back(std::make_unique<FakeShard>(ShardId(static_cast<uint16_t>(i)), chunk_rows));
  }
  Start(history);
}

void World::Start(history::History* history) {
  Engine::Ports ports;
  ports.catalog = &TestCatalog();
  ports.history = history;
  ports.clock = &env::SystemClock();
  ports.shard_of = [this](SlotId slot) { return shards_[slot.value() % shards_.size()].get(); };
  for (const auto& shard : shards_) ports.shards.push_back(shard.get());
  engine_ = std::make_unique<Engine>(std::move(ports));
}

size_t World::ShardOf(std::string_view symbol) const {
  return column::SlotOf(column::kDefaultTenant, symbol).value() % shards_.size();
}

void World::AddTable(const column::SchemaPtr& schema) {
  for (const auto& shard : shards_) shard->writer().SetSchema(schema);
  model_.AddTable(schema);
}

void World::Publish(const column::SchemaPtr& schema, std::vector<ModelRow> rows) {
  for (size_t s = 0; s < shards_.size(); ++s) {
    FakeShard& shard = *shards_[s];
    column::BatchBuilder builder(schema);
    const Lsn first = shard.store().published().Next();
    uint64_t lsn = first.value();
    for (ModelRow& row : rows) {
      if (ShardOf(row.symbol) != s) continue;
      row.lsn = lsn++;
      builder.AddRow(row.symbol, Timestamp(row.ts), row.seq, row.op);
      for (size_t c = 0; c < row.cells.size(); ++c) {
        SetCell(&builder, c, schema->columns[c].type.kind, row.cells[c]);
      }
      shard.published.emplace_back(schema, row);
      model_.Add(schema->name, row);
    }
    if (builder.rows() == 0) continue;
    const column::Batch batch = builder.Build();
    PX_CHECK_OK(column::ValidateBatch(batch));
    shard.batches.push_back({shard.id(), batch, first});
    shard.writer().Scatter(batch, first, Timestamp(0));
    shard.writer().Publish(Lsn(lsn - 1));
  }
}

void World::Persist(size_t s, Lsn lsn) {
  FakeShard& shard = *shards_[s];
  if (real_ != nullptr) Send(&shard, shard.store().persisted().Next(), lsn);
  for (const auto& [schema, row] : shard.published) {
    if (real_ != nullptr) break;
    if (row.lsn > shard.store().persisted().value() && row.lsn <= lsn.value()) {
      history_.Store(*schema, {shard.id(), schema->id, row});
    }
  }
  shard.writer().SetPersisted(std::max(lsn, shard.store().persisted()));
}

void World::Send(FakeShard* shard, Lsn first, Lsn last) {
  if (first > last) return;
  std::map<std::pair<TableId, Day>, std::vector<history::SourceBatch>> inserts;
  for (const history::SourceBatch& source : shard->batches) {
    std::set<Day> days;
    for (size_t row = 0; row < source.batch.rows; ++row) {
      const Lsn lsn(source.first.value() + row);
      if (lsn < first || lsn > last) continue;
      days.insert(DayOf(Timestamp(source.batch.ts.At<int64_t>(row))));
    }
    for (const Day day : days) inserts[{source.batch.schema->id, day}].push_back(source);
  }
  // Any of the rows may replace another one in history.
  shard->handed = last;
  for (const auto& [key, sources] : inserts) {
    const history::InsertIntent intent{
        fmt::format("{}-{}-{}", shard->id().value(), first.value(), last.value()),
        sources[0].batch.schema,
        key.second,
        {{shard->id(), first, last}}};
    PX_CHECK_OK(real_->Insert(intent, sources));
  }
}

void World::PersistAll() {
  for (size_t s = 0; s < shards_.size(); ++s) Persist(s, shards_[s]->store().published());
}

void World::Evict(const column::SchemaPtr& schema, Timestamp before,
                  const std::function<void(std::vector<hot::SeriesRecord>*)>& lower) {
  for (const auto& shard : shards_) {
    auto plan = shard->store().PlanEviction(schema->id, before, Timestamp::Max());
    if (lower) lower(&plan);
    shard->writer().Evict(schema->id, plan);
    while (shard->writer().Maintain()) {
    }
  }
}

StatusOr<Answer> World::Ask(const Plan& plan, const QueryOptions& options, Explain* explain) {
  Answer answer;
  const Status status = engine_->Run(
      plan, options,
      [&](ResultBatch batch) {
        AppendBatch(batch, &answer);
        return OkStatus();
      },
      explain);
  if (!status.ok()) return status;
  return answer;
}

}  // namespace proxist::query
