#include "tests/sim/ledger.h"

#include <algorithm>

#include "proxist/base/check.h"

namespace proxist::sim {

void Ledger::Send(std::vector<Part> parts) {
  for (Part& part : parts) {
    Key key{part.shard, part.producer, part.number};
    PX_CHECK(parts_.emplace(std::move(key), std::make_unique<Part>(std::move(part))).second);
  }
}

Part* Ledger::Find(ShardId shard, const std::string& producer, uint64_t number) {
  const auto found = parts_.find({shard, producer, number});
  return found == parts_.end() ? nullptr : found->second.get();
}

void Ledger::Apply(Part* part, Lsn first) {
  PX_CHECK(!part->applied);
  part->applied = true;
  part->first = first;
  uint64_t lsn = first.value();
  for (uint32_t i = 0; i < part->rows.size(); ++i, ++lsn) {
    query::ModelRow& row = part->rows[i];
    row.lsn = lsn;
    if (part->schema->seq == column::SeqMode::kAssigned) row.seq = lsn;
    model_.Add(part->schema->name, row);
    versions_[{part->shard, lsn}] = {part, i};
  }
  uint64_t& through = through_[part->shard][part->producer];
  through = std::max(through, part->number);
  last_[part->shard] = std::max(last_[part->shard], part->last());
  if (part->schema->durability == column::Durability::kSync) {
    last_synced_[part->shard] = std::max(last_synced_[part->shard], part->last());
  }
}

std::vector<const Part*> Ledger::Forget(ShardId shard, Lsn last) {
  std::vector<const Part*> forgotten;
  std::vector<std::pair<Part*, Lsn>> kept;
  for (const auto& [key, part] : parts_) {
    if (!part->applied) continue;
    part->applied = false;
    if (part->shard == shard && part->last() > last) {
      forgotten.push_back(part.get());
    } else {
      kept.emplace_back(part.get(), part->first);
    }
  }
  model_ = query::NaiveModel();
  for (const column::SchemaPtr& table : tables_) model_.AddTable(table);
  versions_.clear();
  through_.clear();
  last_.clear();
  last_synced_.clear();
  for (const auto& [part, first] : kept) Apply(part, first);
  return forgotten;
}

}  // namespace proxist::sim
