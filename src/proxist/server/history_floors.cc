#include "proxist/server/history_floors.h"

#include <charconv>
#include <string>
#include <utility>
#include <vector>

namespace proxist::server {
namespace {

constexpr std::string_view kPrefix = "retention/";
constexpr std::string_view kAuthor = "proxistd";

StatusOr<int64_t> Number(std::string_view text, std::string_view key) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) {
    return DataLoss("metadata key '{}': '{}' is no number", key, text);
  }
  return value;
}

meta::Mutation FloorOf(TableId table, Day floor) {
  return {fmt::format("{}{}", kPrefix, table.value()), std::to_string(floor.value()), std::nullopt};
}

}  // namespace

StatusOr<std::unique_ptr<HistoryFloors>> HistoryFloors::Open(meta::MetadataStore* metadata,
                                                             const meta::Catalog* catalog,
                                                             const env::Clock* clock) {
  std::unique_ptr<HistoryFloors> floors(new HistoryFloors(metadata, catalog, clock));
  PX_ASSIGN_OR_RETURN(const std::vector<meta::Entry> entries, metadata->List(kPrefix));
  {
    const MutexLock lock(&floors->mutex_);
    for (const meta::Entry& entry : entries) {
      const std::string_view id = std::string_view(entry.key).substr(kPrefix.size());
      PX_ASSIGN_OR_RETURN(const int64_t table, Number(id, entry.key));
      PX_ASSIGN_OR_RETURN(const int64_t day, Number(entry.value, entry.key));
      floors->floors_[TableId(static_cast<uint32_t>(table))] = Day(static_cast<int32_t>(day));
    }
    floors->any_ = !floors->floors_.empty();
  }
  PX_RETURN_IF_ERROR(floors->Advance());
  return floors;
}

std::optional<Day> HistoryFloors::Due(const column::TableSchema& schema) const {
  if (schema.history_retain == Duration()) return std::nullopt;
  const int64_t days = schema.history_retain.ns() / Duration::Days(1).ns();
  const Day floor(static_cast<int32_t>(DayOf(clock_->Now()).value() - days));
  const MutexLock lock(&mutex_);
  const auto known = floors_.find(schema.id);
  if (floor.value() <= 0 || (known != floors_.end() && known->second >= floor)) return std::nullopt;
  return floor;
}

void HistoryFloors::Reached(TableId table, Day floor) {
  const MutexLock lock(&mutex_);
  floors_[table] = floor;
  any_ = true;
}

Status HistoryFloors::Advance() {
  const MutexLock raising(&raising_);
  Status failed;
  for (const column::SchemaPtr& schema : catalog_->Tables()) {
    const std::optional<Day> floor = Due(*schema);
    if (!floor.has_value()) continue;
    const meta::Mutation mutation = FloorOf(schema->id, *floor);
    const Status written =
        metadata_->Apply({&mutation, 1}, kAuthor, "the retention of history moves on").status();
    if (written.ok()) Reached(schema->id, *floor);
    failed.Update(written);
  }
  const MutexLock lock(&mutex_);
  last_error_ = std::string(Message(failed));
  return failed;
}

std::string HistoryFloors::last_error() const {
  const MutexLock lock(&mutex_);
  return last_error_;
}

StatusOr<column::SchemaPtr> HistoryFloors::Declare(meta::Catalog* catalog,
                                                   const column::TableSchema& declared,
                                                   std::string_view author, column::Drops drops) {
  const MutexLock raising(&raising_);
  std::optional<Day> floor;
  const auto beside = [&](const column::TableSchema& schema) {
    floor = Due(schema);
    return floor.has_value() ? std::vector<meta::Mutation>{FloorOf(schema.id, *floor)}
                             : std::vector<meta::Mutation>();
  };
  PX_ASSIGN_OR_RETURN(column::SchemaPtr schema, catalog->Apply(declared, author, drops, beside));
  if (floor.has_value()) Reached(schema->id, *floor);
  return schema;
}

Timestamp HistoryFloors::Of(TableId table) const {
  if (!any_.load(std::memory_order_acquire)) return kMinRowTimestamp;
  const MutexLock lock(&mutex_);
  const auto found = floors_.find(table);
  return found == floors_.end() ? kMinRowTimestamp : StartOf(found->second);
}

std::map<TableId, Day> HistoryFloors::All() const {
  const MutexLock lock(&mutex_);
  return floors_;
}

}  // namespace proxist::server
