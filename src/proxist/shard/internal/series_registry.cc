#include "proxist/shard/internal/series_registry.h"

#include "proxist/shard/internal/keys.h"

namespace proxist::shard::internal {

std::vector<std::string> SeriesRegistry::NameOf(const hot::SeriesRecord& series) {
  std::vector<std::string> name{series.symbol};
  name.insert(name.end(), series.series.begin(), series.series.end());
  return name;
}

Status SeriesRegistry::Load(meta::MetadataStore* metadata, hot::Store* store) {
  std::map<TableId, std::map<std::vector<std::string>, Timestamp>> floors;
  PX_ASSIGN_OR_RETURN(const auto floor_entries, metadata->List(FloorsPrefix(shard_)));
  for (const meta::Entry& entry : floor_entries) {
    PX_ASSIGN_OR_RETURN(const uint64_t table, NumberAfter(entry.key, FloorsPrefix(shard_)));
    PX_ASSIGN_OR_RETURN(const auto series, DecodeSeries(entry.value));
    for (const auto& one : series) {
      floors[TableId(static_cast<uint32_t>(table))][NameOf(one)] = one.floor;
    }
  }
  PX_ASSIGN_OR_RETURN(const auto name_entries, metadata->List(SeriesPrefix(shard_)));
  for (const meta::Entry& entry : name_entries) {
    PX_ASSIGN_OR_RETURN(const uint64_t number, NumberAfter(entry.key, SeriesPrefix(shard_)));
    const TableId id(static_cast<uint32_t>(number));
    PX_ASSIGN_OR_RETURN(auto series, DecodeSeries(entry.value));
    Table& table = tables_[id];
    ++table.parts;
    for (hot::SeriesRecord& one : series) {
      const auto name = NameOf(one);
      const auto floor = floors[id].find(name);
      one.floor = floor == floors[id].end() ? Timestamp::Min() : floor->second;
      store->RestoreSeries(id, one);
      table.recorded.insert(name);
    }
  }
  return OkStatus();
}

std::vector<meta::Mutation> SeriesRegistry::TakeNew(const hot::Store& store) {
  std::vector<meta::Mutation> mutations;
  for (auto& [id, table] : tables_) {
    if (!table.stale) continue;
    table.stale = false;
    std::vector<hot::SeriesRecord> fresh;
    for (hot::SeriesRecord& one : store.Manifest(id)) {
      one.floor = Timestamp::Min();
      if (table.recorded.insert(NameOf(one)).second) fresh.push_back(std::move(one));
    }
    if (fresh.empty()) continue;
    mutations.push_back({SeriesKey(shard_, id, table.parts++), EncodeSeries(fresh), std::nullopt});
  }
  return mutations;
}

meta::Mutation SeriesRegistry::FloorsAfter(const hot::Store& store, TableId table,
                                           const std::vector<hot::SeriesRecord>& plan) const {
  std::map<std::vector<std::string>, Timestamp> raised;
  for (const auto& one : plan) raised[NameOf(one)] = one.floor;
  std::vector<hot::SeriesRecord> floors;
  for (hot::SeriesRecord& one : store.Manifest(table)) {
    const auto planned = raised.find(NameOf(one));
    if (planned != raised.end()) one.floor = std::max(one.floor, planned->second);
    if (one.floor != Timestamp::Min()) floors.push_back(std::move(one));
  }
  return {FloorsKey(shard_, table), EncodeSeries(floors), std::nullopt};
}

}  // namespace proxist::shard::internal
