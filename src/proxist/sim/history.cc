#include "proxist/sim/history.h"

#include <algorithm>
#include <tuple>

namespace proxist::sim {
namespace {

constexpr Duration kLateAnswer = Duration::Seconds(3);

bool Covers(const history::InsertIntent& intent, ShardId shard, uint64_t version) {
  return std::any_of(intent.ranges.begin(), intent.ranges.end(), [&](const auto& range) {
    return range.shard == shard && range.first.value() <= version && version <= range.last.value();
  });
}

Timestamp TimeOf(const History::Row& row) { return Timestamp(row.batch.ts.At<int64_t>(row.index)); }

/// (symbol, ts, seq, series columns), then the version.
auto KeyOf(const History::Row& row) {
  const column::Batch& batch = row.batch;
  std::vector<std::string_view> series;
  for (const size_t c : batch.schema->series) series.push_back(batch.columns[c].TextAt(row.index));
  // In a table with assigned seq it is the row's version.
  const uint64_t seq = batch.schema->seq == column::SeqMode::kAssigned
                           ? row.version
                           : batch.seq.At<uint64_t>(row.index);
  return std::tuple(batch.symbol.TextAt(row.index), TimeOf(row), seq, std::move(series));
}

void SetCell(const History::Row& row, size_t column, column::BatchBuilder* builder) {
  if (column >= row.batch.columns.size()) return;  // the row is older than the column
  const column::ColumnView& view = row.batch.columns[column];
  if (!view.IsValid(row.index)) return;
  switch (view.type.kind) {
    case column::TypeKind::kSymbol:
    case column::TypeKind::kString:
      return builder->SetText(column, view.TextAt(row.index));
    case column::TypeKind::kFloat64:
      return builder->SetFloat(column, view.At<double>(row.index));
    case column::TypeKind::kInt32:
      return builder->SetInt(column, view.At<int32_t>(row.index));
    default:
      return builder->SetInt(column, view.At<int64_t>(row.index));
  }
}

}  // namespace

Status History::Answer() const {
  if (away()) return Unavailable("history: connection refused");
  return OkStatus();
}

void History::Commit(const Block& block) {
  if (std::find(tokens_.begin(), tokens_.end(), block.token) != tokens_.end()) return;
  tokens_.push_back(block.token);
  while (tokens_.size() > faults_.token_window) tokens_.pop_front();
  auto& rows = tables_[block.table];
  rows.insert(rows.end(), block.rows.begin(), block.rows.end());
}

void History::Settle() {
  std::vector<std::pair<Timestamp, Block>> still;
  for (auto& [when, block] : late_) {
    if (when <= clock_->Now()) {
      Commit(block);
    } else {
      still.emplace_back(when, std::move(block));
    }
  }
  late_ = std::move(still);
}

void History::Merge() {
  for (auto& [table, rows] : tables_) {
    std::stable_sort(rows.begin(), rows.end(), [](const Row& a, const Row& b) {
      return std::tuple(KeyOf(a), a.version) < std::tuple(KeyOf(b), b.version);
    });
    std::vector<Row> kept;
    for (size_t i = 0; i < rows.size(); ++i) {
      const bool superseded = i + 1 < rows.size() && KeyOf(rows[i]) == KeyOf(rows[i + 1]);
      if (!superseded || random_->Chance(50)) kept.push_back(rows[i]);
    }
    rows = std::move(kept);
  }
}

Status History::EnsureTable(const column::TableSchema& schema) {
  PX_RETURN_IF_ERROR(Answer());
  if (drifted_.contains(schema.id)) return FailedPrecondition("history: a column has another type");
  tables_[schema.id];
  return OkStatus();
}

Status History::Insert(const history::InsertIntent& intent,
                       std::span<const history::SourceBatch> sources) {
  Call();
  PX_RETURN_IF_ERROR(Answer());
  if (random_->Chance(faults_.refuses)) return Unavailable("history: too many parts");
  if (!tables_.contains(intent.schema->id)) {
    return NotFound("history: there is no table for {}", intent.schema->name);
  }
  if (drifted_.contains(intent.schema->id)) {
    return FailedPrecondition("history: a column has another type");
  }
  Block block{intent.token, intent.schema->id, {}};
  for (const history::SourceBatch& source : sources) {
    if (source.batch.schema->id != intent.schema->id) continue;
    for (uint32_t i = 0; i < source.batch.rows; ++i) {
      const Row row{source.shard, source.first.value() + i, source.batch, i};
      if (DayOf(TimeOf(row)) == intent.day && Covers(intent, row.shard, row.version)) {
        block.rows.push_back(row);
      }
    }
  }
  if (random_->Chance(faults_.commits_late)) {
    late_.emplace_back(clock_->Now().Plus(Duration(random_->Between(1, 10'000'000'000))), block);
    return DeadlineExceeded("history: no answer in time");
  }
  Commit(block);
  if (random_->Chance(faults_.arrives_twice)) Commit(block);
  Call();
  if (random_->Chance(faults_.times_out)) return DeadlineExceeded("history: no answer in time");
  if (random_->Chance(faults_.answers_late)) clock_->Advance(kLateAnswer);
  return OkStatus();
}

StatusOr<uint64_t> History::CountVersions(const history::InsertIntent& intent) {
  PX_RETURN_IF_ERROR(Answer());
  std::set<std::pair<ShardId, uint64_t>> versions;
  for (const Row& row : tables_[intent.schema->id]) {
    if (DayOf(TimeOf(row)) == intent.day && Covers(intent, row.shard, row.version)) {
      versions.emplace(row.shard, row.version);
    }
  }
  return versions.size();
}

StatusOr<history::ReadResult> History::Read(const history::ReadRequest& request) {
  Call();
  PX_RETURN_IF_ERROR(Answer());
  if (random_->Chance(faults_.read_fails)) return Unavailable("history: connection reset");
  std::vector<Row> found;
  for (const Row& row : tables_[request.schema->id]) {
    const std::string_view symbol = row.batch.symbol.TextAt(row.index);
    if (row.shard == request.shard && row.version <= request.max_version.value() &&
        TimeOf(row) >= request.from && TimeOf(row) <= request.to &&
        std::find(request.symbols.begin(), request.symbols.end(), symbol) !=
            request.symbols.end()) {
      found.push_back(row);
    }
  }
  if (found.size() > request.max_rows) return ResourceExhausted("history: too many rows");
  std::stable_sort(found.begin(), found.end(), [](const Row& a, const Row& b) {
    return std::tuple(KeyOf(a), a.version) < std::tuple(KeyOf(b), b.version);
  });
  std::set<size_t> columns(request.columns.begin(), request.columns.end());
  columns.insert(request.schema->series.begin(), request.schema->series.end());
  // The builder gives no seq to a table that assigns them, yet history stores them.
  auto schema = std::make_shared<column::TableSchema>(*request.schema);
  schema->seq = column::SeqMode::kProducer;
  column::BatchBuilder builder(schema);
  history::ReadResult result;
  for (const Row& row : found) {
    const auto key = KeyOf(row);
    builder.AddRow(std::get<0>(key), std::get<1>(key), std::get<2>(key), row.batch.OpAt(row.index));
    for (const size_t column : columns) SetCell(row, column, &builder);
    result.versions.push_back(row.version);
  }
  result.batch = builder.Build();
  result.batch.schema = request.schema;
  return result;
}

StatusOr<std::vector<Day>> History::Days(const column::TableSchema& schema,
                                         const history::ReadBounds& /*bounds*/) {
  PX_RETURN_IF_ERROR(Answer());
  std::set<Day> days;
  for (const Row& row : tables_[schema.id]) days.insert(DayOf(TimeOf(row)));
  return std::vector<Day>(days.begin(), days.end());
}

StatusOr<std::string> History::Incarnation(std::string_view fresh) {
  PX_RETURN_IF_ERROR(Answer());
  if (incarnation_.empty()) incarnation_ = fresh;
  return incarnation_;
}

Status History::Ping() { return Answer(); }

}  // namespace proxist::sim
