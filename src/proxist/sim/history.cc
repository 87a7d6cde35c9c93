#include "proxist/sim/history.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstring>
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

/// Rows as a reader gets them, with the values of `columns`.
history::ReadResult Build(const column::SchemaPtr& wanted, const std::vector<History::Row>& rows,
                          const std::set<size_t>& columns) {
  // The builder gives no seq to a table that assigns them, yet history stores them.
  auto schema = std::make_shared<column::TableSchema>(*wanted);
  schema->seq = column::SeqMode::kProducer;
  column::BatchBuilder builder(schema);
  history::ReadResult result;
  for (const History::Row& row : rows) {
    const auto key = KeyOf(row);
    builder.AddRow(std::get<0>(key), std::get<1>(key), std::get<2>(key), row.batch.OpAt(row.index));
    for (const size_t column : columns) SetCell(row, column, &builder);
    result.versions.push_back(row.version);
  }
  result.batch = builder.Build();
  result.batch.schema = wanted;
  return result;
}

bool HasValue(const History::Row& row, size_t column) {
  return column < row.batch.columns.size() && row.batch.columns[column].IsValid(row.index);
}

/// A value in its native width, aligned, as totals take it; HasValue.
class Value {
 public:
  Value(const History::Row& row, size_t column) {
    const column::ColumnView& view = row.batch.columns[column];
    const size_t width = column::WidthOf(view.type.kind);
    std::memcpy(bytes_.data(), view.values.data() + row.index * width, width);
  }
  [[nodiscard]] const std::byte* data() const { return bytes_.data(); }

 private:
  alignas(std::max_align_t) std::array<std::byte, sizeof(std::max_align_t)> bytes_{};
};

bool Fulfils(const History::Row& row, const exec::ColumnCondition& condition) {
  if (!HasValue(row, condition.column)) return false;
  const column::ColumnView& view = row.batch.columns[condition.column];
  if (column::IsText(view.type.kind)) {
    const std::string_view text = view.TextAt(row.index);
    return std::find(condition.texts.begin(), condition.texts.end(), text) != condition.texts.end();
  }
  exec::ColumnTotals value(view.type);
  value.Add(Value(row, condition.column).data(), 1);
  const exec::Int128 integer = value.LeastInteger();
  return (condition.low <= integer && integer <= condition.high) != condition.outside;
}

/// `rows` are in order, versions last.
std::vector<History::Row> PushDown(const history::PushDown& wanted,
                                   const std::vector<History::Row>& rows) {
  std::vector<History::Row> kept;
  for (size_t i = 0; i < rows.size(); ++i) {
    const History::Row& row = rows[i];
    const bool rewritten = std::binary_search(wanted.rewritten_days.begin(),
                                              wanted.rewritten_days.end(), DayOf(TimeOf(row)));
    if (rewritten && i + 1 < rows.size() && KeyOf(row) == KeyOf(rows[i + 1])) continue;
    if (rewritten && row.batch.OpAt(row.index) == column::Op::kCancel) continue;
    const auto fulfils = [&](const auto& condition) { return Fulfils(row, condition); };
    if (std::all_of(wanted.conditions.begin(), wanted.conditions.end(), fulfils)) {
      kept.push_back(row);
    }
  }
  return kept;
}

/// What the rows of one group come to; those that stay go to `ends`.
history::TotalsGroup TotalsOf(const history::TotalsRequest& request,
                              const std::vector<History::Row>& rows,
                              std::vector<History::Row>* ends) {
  size_t first = 0;
  size_t last = rows.size() - 1;
  if (request.ends.has_value()) {
    const auto has = [&](const History::Row& row) { return HasValue(row, *request.ends); };
    const auto forward = std::find_if(rows.begin(), rows.end(), has);
    const auto backward = std::find_if(rows.rbegin(), rows.rend(), has);
    if (forward != rows.end()) {
      first = static_cast<size_t>(forward - rows.begin());
      last = static_cast<size_t>(rows.rend() - backward) - 1;
    }
  }
  history::TotalsGroup group;
  group.first = ends->size();
  group.count = first == last ? 1 : 2;
  ends->push_back(rows[first]);
  if (first != last) ends->push_back(rows[last]);
  const auto& columns = request.rows.schema->columns;
  for (const size_t column : request.columns) group.columns.emplace_back(columns[column].type);
  if (request.weighted.has_value()) {
    group.weighted.emplace(columns[request.weighted->first].type,
                           columns[request.weighted->second].type);
  }
  for (size_t i = 0; i < rows.size(); ++i) {
    if (i == first || i == last) continue;
    ++group.rows;
    for (size_t c = 0; c < request.columns.size(); ++c) {
      const size_t column = request.columns[c];
      if (HasValue(rows[i], column)) group.columns[c].Add(Value(rows[i], column).data(), 1);
    }
    if (!group.weighted.has_value()) continue;
    const auto [value, weight] = *request.weighted;
    if (!HasValue(rows[i], value) || !HasValue(rows[i], weight)) continue;
    group.weighted->Add(Value(rows[i], value).data(), Value(rows[i], weight).data(), 1);
  }
  return group;
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

Status History::AnswerRead() {
  Call();
  PX_RETURN_IF_ERROR(Answer());
  if (random_->Chance(faults_.read_fails)) return Unavailable("history: connection reset");
  return OkStatus();
}

StatusOr<std::vector<History::Row>> History::Select(const history::ReadRequest& request) const {
  std::vector<Row> found;
  const auto table = tables_.find(request.schema->id);
  if (table == tables_.end()) return found;
  for (const Row& row : table->second) {
    const std::string_view symbol = row.batch.symbol.TextAt(row.index);
    if (row.shard == request.shard && row.version <= request.max_version.value() &&
        TimeOf(row) >= request.from && TimeOf(row) <= request.to &&
        std::find(request.symbols.begin(), request.symbols.end(), symbol) !=
            request.symbols.end()) {
      found.push_back(row);
    }
  }
  std::stable_sort(found.begin(), found.end(), [](const Row& a, const Row& b) {
    return std::tuple(KeyOf(a), a.version) < std::tuple(KeyOf(b), b.version);
  });
  if (request.push_down.has_value()) found = PushDown(*request.push_down, found);
  if (found.size() > request.max_rows) return ResourceExhausted("history: too many rows");
  return found;
}

StatusOr<history::ReadResult> History::Read(const history::ReadRequest& request) {
  PX_RETURN_IF_ERROR(AnswerRead());
  PX_ASSIGN_OR_RETURN(const std::vector<Row> found, Select(request));
  std::set<size_t> columns(request.columns.begin(), request.columns.end());
  columns.insert(request.schema->series.begin(), request.schema->series.end());
  return Build(request.schema, found, columns);
}

StatusOr<history::TotalsResult> History::ReadTotals(const history::TotalsRequest& request) {
  PX_RETURN_IF_ERROR(AnswerRead());
  if (random_->Chance(10)) return Unimplemented("history: a sum is not exact");
  PX_ASSIGN_OR_RETURN(const std::vector<Row> found, Select(request.rows));
  std::map<std::tuple<std::string_view, std::vector<std::string_view>, int64_t>, std::vector<Row>>
      groups;
  for (const Row& row : found) {
    const auto key = KeyOf(row);
    const int64_t since = TimeOf(row).ns() - request.origin.ns();
    const int64_t width = request.interval.has_value() ? request.interval->ns() : 0;
    const int64_t bar = width == 0 ? 0 : since / width - (since % width < 0 ? 1 : 0);
    groups[{std::get<0>(key), std::get<3>(key), bar}].push_back(row);
  }
  history::TotalsResult result;
  std::vector<Row> ends;
  for (const auto& [key, rows] : groups) {
    history::TotalsGroup group = TotalsOf(request, rows, &ends);
    result.groups.push_back(std::move(group));
  }
  if (!ends.empty()) ++totals_read_;
  std::set<size_t> columns(request.rows.columns.begin(), request.rows.columns.end());
  columns.insert(request.rows.schema->series.begin(), request.rows.schema->series.end());
  columns.insert(request.columns.begin(), request.columns.end());
  if (request.weighted.has_value()) {
    columns.insert({request.weighted->first, request.weighted->second});
  }
  if (request.ends.has_value()) columns.insert(*request.ends);
  result.ends = Build(request.rows.schema, ends, columns);
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
