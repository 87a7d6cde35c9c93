#include "proxist/shard/internal/flush_round.h"

#include <map>
#include <utility>

namespace proxist::shard::internal {
namespace {

std::string TokenOf(std::string_view incarnation, const column::TableSchema& schema, Day day,
                    const std::vector<history::LsnRange>& ranges) {
  std::string token = fmt::format("{}-{}.{}-{}", incarnation, schema.id.value(),
                                  schema.version.value(), day.value());
  for (const history::LsnRange& range : ranges) {
    token += fmt::format("-{}:{}:{}", range.shard.value(), range.first.value(), range.last.value());
  }
  return token;
}

}  // namespace

void AddInserts(std::string_view incarnation, const std::set<Day>& except, FlushRound* round) {
  // The newest schema version among the batches of a table: older batches read as null in its
  // columns.
  std::map<TableId, column::SchemaPtr> schemas;
  std::set<std::pair<TableId, Day>> days;
  for (const history::SourceBatch& source : round->sources) {
    const column::SchemaPtr& schema = source.batch.schema;
    if (round->parked.contains(schema->id)) continue;
    column::SchemaPtr& newest = schemas[schema->id];
    if (newest == nullptr || newest->version < schema->version) newest = schema;
    Day last_day(-1);
    for (size_t row = 0; row < source.batch.rows; ++row) {
      const Day day = DayOf(Timestamp(source.batch.ts.At<int64_t>(row)));
      if (day != last_day) days.emplace(schema->id, day);
      last_day = day;
    }
    round->rows += source.batch.rows;
  }
  for (const auto& [table, day] : days) {
    if (except.contains(day)) continue;
    FlushRound::Insert insert;
    insert.intent.schema = schemas[table];
    insert.intent.day = day;
    insert.intent.ranges = round->ranges;
    insert.intent.token = TokenOf(incarnation, *insert.intent.schema, day, round->ranges);
    round->inserts.push_back(std::move(insert));
  }
}

RoundRecord RecordOf(const FlushRound& round) {
  RoundRecord record;
  record.ranges = round.ranges;
  record.catch_up = round.catch_up;
  record.parked.assign(round.parked.begin(), round.parked.end());
  for (const FlushRound::Insert& insert : round.inserts) {
    const history::InsertIntent& intent = insert.intent;
    record.intents.push_back({intent.token, intent.schema->id, intent.schema->version, intent.day});
  }
  return record;
}

StatusOr<std::shared_ptr<FlushRound>> RoundOf(const RoundRecord& record,
                                              const meta::Catalog& catalog) {
  auto round = std::make_shared<FlushRound>();
  round->ranges = record.ranges;
  round->catch_up = record.catch_up;
  round->parked.insert(record.parked.begin(), record.parked.end());
  round->recorded = true;
  for (const RoundRecord::Intent& one : record.intents) {
    FlushRound::Insert insert;
    PX_ASSIGN_OR_RETURN(insert.intent.schema, catalog.Find(one.table, one.schema_version));
    insert.intent.token = one.token;
    insert.intent.day = one.day;
    insert.intent.ranges = record.ranges;
    round->inserts.push_back(std::move(insert));
  }
  return round;
}

std::map<TableId, std::set<Day>> DoneDays(const FlushRound& round) {
  std::map<TableId, std::set<Day>> days;
  for (const FlushRound::Insert& insert : round.inserts) {
    if (insert.done) days[insert.intent.schema->id].insert(insert.intent.day);
  }
  return days;
}

}  // namespace proxist::shard::internal
