// Fakes at the ports; the store and the engine are the real ones.
#include "tests/unit/query/world.h"

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <set>
#include <tuple>

#include <gtest/gtest.h>
#include <unistd.h>

#include "proxist/base/check.h"
#include "proxist/env/work_pool.h"

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

using Key = std::tuple<std::string, int64_t, uint64_t, std::vector<std::string>>;

Key KeyOf(const column::TableSchema& schema, const ModelRow& row) {
  std::vector<std::string> series;
  for (const size_t c : schema.series) series.push_back(std::get<std::string>(row.cells[c]));
  return {row.symbol, row.ts, row.seq, series};
}

bool Fulfils(const ModelRow& row, const std::vector<exec::ColumnCondition>& conditions) {
  return std::all_of(conditions.begin(), conditions.end(), [&](const auto& condition) {
    const Cell& cell = row.cells[condition.column];
    if (const auto* text = std::get_if<std::string>(&cell)) {
      return std::ranges::find(condition.texts, *text) != condition.texts.end();
    }
    const auto* value = std::get_if<int64_t>(&cell);
    if (value == nullptr) return false;
    const bool inside = *value >= condition.low && *value <= condition.high;
    return inside != condition.outside;
  });
}

/// Totals of all rows but those that stay, from the values one by one.
void AddTotals(const history::TotalsRequest& request, const std::vector<const ModelRow*>& rows,
               const std::set<const ModelRow*>& stay, history::TotalsGroup* group) {
  const column::TableSchema& schema = *request.rows.schema;
  const auto bytes_of = [&](const Cell& cell, column::Type type) {
    exec::Column column(type);
    std::byte* at = column.Extend(1);
    const size_t width = column.stride();
    if (type.kind == TypeKind::kFloat64) {
      std::memcpy(at, &std::get<double>(cell), width);
    } else if (type.kind == TypeKind::kFloat32) {
      const auto value = static_cast<float>(std::get<double>(cell));
      std::memcpy(at, &value, width);
    } else {
      std::memcpy(at, &std::get<int64_t>(cell), width);
    }
    return column;
  };
  const auto is_null = [](const Cell& cell) {
    return std::holds_alternative<std::monostate>(cell);
  };
  for (const size_t c : request.columns) {
    exec::ColumnTotals& total = group->columns.emplace_back(schema.columns[c].type);
    for (const ModelRow* row : rows) {
      if (stay.contains(row) || is_null(row->cells[c])) continue;
      total.Add(bytes_of(row->cells[c], schema.columns[c].type).data<std::byte>(), 1);
    }
  }
  if (!request.weighted.has_value()) return;
  const auto [p, s] = *request.weighted;
  group->weighted.emplace(schema.columns[p].type, schema.columns[s].type);
  for (const ModelRow* row : rows) {
    if (stay.contains(row) || is_null(row->cells[p]) || is_null(row->cells[s])) continue;
    group->weighted->Add(bytes_of(row->cells[p], schema.columns[p].type).data<std::byte>(),
                         bytes_of(row->cells[s], schema.columns[s].type).data<std::byte>(), 1);
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

std::vector<const MemoryHistory::Stored*> MemoryHistory::Found(
    const history::ReadRequest& request) const {
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
  std::sort(found.begin(), found.end(), [&](const Stored* a, const Stored* b) {
    return std::tuple(KeyOf(schema, a->row), a->row.lsn) <
           std::tuple(KeyOf(schema, b->row), b->row.lsn);
  });
  if (!request.push_down.has_value()) return found;
  std::vector<const Stored*> resolved;
  for (size_t i = 0; i < found.size(); ++i) {
    const ModelRow& row = found[i]->row;
    const bool superseded =
        i + 1 < found.size() && KeyOf(schema, found[i + 1]->row) == KeyOf(schema, row);
    if (superseded || row.op == column::Op::kCancel) {
      const std::vector<Day>& days = request.push_down->rewritten_days;
      PX_CHECK(std::find(days.begin(), days.end(), DayOf(Timestamp(row.ts))) != days.end());
      continue;
    }
    if (Fulfils(row, request.push_down->conditions)) resolved.push_back(found[i]);
  }
  return resolved;
}

StatusOr<history::ReadResult> MemoryHistory::Read(const history::ReadRequest& request) {
  reads.push_back(request);
  if (before_answer) before_answer();
  if (!failure.ok()) return failure;
  const column::TableSchema& schema = *request.schema;
  const std::vector<const Stored*> found = Found(request);
  if (found.size() > request.max_rows) return ResourceExhausted("too many rows");
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

StatusOr<history::TotalsResult> MemoryHistory::ReadTotals(const history::TotalsRequest& request) {
  if (before_answer) before_answer();
  if (!failure.ok()) return failure;
  ++totals_read;
  const column::TableSchema& schema = *request.rows.schema;
  // By symbol, series and interval; within these in order.
  std::map<std::tuple<std::string, std::vector<std::string>, int64_t>, std::vector<const ModelRow*>>
      groups;
  for (const Stored* stored : Found(request.rows)) {
    const ModelRow& row = stored->row;
    int64_t bar = 0;
    if (request.interval.has_value()) {
      const int64_t into = (row.ts - request.origin.ns()) % request.interval->ns();
      bar = row.ts - (into < 0 ? into + request.interval->ns() : into);
    }
    auto [symbol, ts, seq, series] = KeyOf(schema, row);
    groups[{symbol, series, bar}].push_back(&row);
  }
  history::TotalsResult result;
  column::BatchBuilder builder(request.rows.schema);
  for (const auto& [key, rows] : groups) {
    const auto has_end = [&](const ModelRow* row) {
      return !request.ends.has_value() ||
             !std::holds_alternative<std::monostate>(row->cells[*request.ends]);
    };
    auto first = std::find_if(rows.begin(), rows.end(), has_end);
    if (first == rows.end()) first = rows.begin();
    auto last = std::find_if(rows.rbegin(), rows.rend(), has_end);
    if (last == rows.rend()) last = rows.rbegin();
    history::TotalsGroup group;
    group.first = builder.rows();
    for (const ModelRow* row : {*first, *last}) {
      if (row == *first && group.count == 1) break;
      ++group.count;
      builder.AddRow(row->symbol, Timestamp(row->ts), row->seq, row->op);
      for (size_t c = 0; c < row->cells.size(); ++c) {
        SetCell(&builder, c, schema.columns[c].type.kind, row->cells[c]);
      }
      result.ends.versions.push_back(row->lsn);
    }
    group.rows = rows.size() - group.count;
    AddTotals(request, rows, {*first, *last}, &group);
    result.groups.push_back(std::move(group));
  }
  result.ends.batch = builder.Build();
  return result;
}

StatusOr<std::vector<Day>> MemoryHistory::Days(const column::TableSchema& schema,
                                               const history::ReadBounds& /*bounds*/) {
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
  static env::WorkPool assistants("assistants", 2, 4);
  ports.assistants = {.pool = &assistants,
                      .least_symbols = 1,
                      .group_symbols = 1,
                      // Of few bytes: nearly all answers are too large to be shared.
                      .group_bytes = shards_.size() % 2 == 0 ? uint64_t{64} : uint64_t{1} << 24};
  ports.catalog = &TestCatalog();
  ports.history = history;
  ports.rewritten_days = [this](TableId table) -> StatusOr<std::vector<Day>> {
    std::set<Day> days;
    for (const auto& shard : shards_) {
      const auto of = shard->rewritten.find(table);
      if (of != shard->rewritten.end()) days.insert(of->second.begin(), of->second.end());
    }
    return std::vector<Day>(days.begin(), days.end());
  };
  ports.cold_cache_bytes = 1 << 20;
  ports.clock = &env::SystemClock();
  ports.shard_of = [this](SlotId slot) { return shards_[slot.value() % shards_.size()].get(); };
  for (const auto& shard : shards_) ports.shards.push_back(shard.get());
  engine_ = std::make_unique<Engine>(std::move(ports));
}

size_t World::ShardOf(std::string_view tenant, std::string_view symbol) const {
  return column::SlotOf(tenant, symbol).value() % shards_.size();
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
      if (ShardOf(schema->tenant, row.symbol) != s) continue;
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
    const hot::ScatterResult scattered = shard.writer().Scatter(batch, first, Timestamp(0));
    shard.rewritten[schema->id].insert(scattered.rewritten_days.begin(),
                                       scattered.rewritten_days.end());
    if (!scattered.rewritten_days.empty()) shard.rewrites.push_back(Lsn(lsn - 1));
    shard.writer().Publish(Lsn(lsn - 1));
  }
}

void World::Persist(size_t s, Lsn lsn) {
  FakeShard& shard = *shards_[s];
  // A batch is taken whole or not at all.
  for (const Lsn rewrite : shard.rewrites) {
    const Lsn first = shard.store().persisted().Next();
    if (rewrite >= first && lsn >= first) shard.handed = std::max(shard.handed.load(), rewrite);
    if (rewrite >= lsn) break;
  }
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
      [&](const ResultBatch& batch) {
        AppendBatch(batch, &answer);
        return OkStatus();
      },
      explain);
  if (!status.ok()) return status;
  return answer;
}

}  // namespace proxist::query
