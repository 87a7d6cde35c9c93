// What producers sent and what became of it: what every read must show, and history must hold.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "proxist/base/ids.h"
#include "proxist/column/batch.h"
#include "tests/unit/query/naive_model.h"

namespace proxist::sim {

/// The rows of a producer's batch that belong to one shard.
struct Part {
  std::string producer;
  uint64_t number = 0;
  ShardId shard;
  column::SchemaPtr schema;
  std::vector<query::ModelRow> rows;
  bool applied = false;
  Lsn first;  // once applied

  [[nodiscard]] Lsn last() const { return Lsn(first.value() + rows.size() - 1); }
};

/// One thread.
class Ledger {
 public:
  void AddTable(const column::SchemaPtr& schema) {
    tables_.push_back(schema);
    model_.AddTable(schema);
  }
  /// A new batch, by shard; nothing of it is applied yet.
  void Send(std::vector<Part> parts);
  [[nodiscard]] Part* Find(ShardId shard, const std::string& producer, uint64_t number);
  /// The part's rows are published, the first with this LSN.
  void Apply(Part* part, Lsn first);

  /// The parts of the shard with rows above `last` are not applied any more; these are they.
  std::vector<const Part*> Forget(ShardId shard, Lsn last);

  /// What a query must answer, from all applied rows.
  [[nodiscard]] const query::NaiveModel& model() const { return model_; }
  struct Version {
    const Part* part = nullptr;
    uint32_t row = 0;
  };
  /// By shard and LSN.
  [[nodiscard]] const std::map<std::pair<ShardId, uint64_t>, Version>& versions() const {
    return versions_;
  }
  /// The greatest batch number of each producer that is applied in `shard`.
  [[nodiscard]] const std::map<std::string, uint64_t>& AppliedThrough(ShardId shard) {
    return through_[shard];
  }
  /// The greatest LSN applied.
  [[nodiscard]] Lsn last(ShardId shard) { return last_[shard]; }
  /// The greatest LSN of a row that was acked as durable.
  [[nodiscard]] Lsn last_synced(ShardId shard) { return last_synced_[shard]; }

 private:
  using Key = std::tuple<ShardId, std::string, uint64_t>;
  std::map<Key, std::unique_ptr<Part>> parts_;
  std::map<std::pair<ShardId, uint64_t>, Version> versions_;
  std::map<ShardId, std::map<std::string, uint64_t>> through_;
  std::map<ShardId, Lsn> last_;
  std::map<ShardId, Lsn> last_synced_;
  std::vector<column::SchemaPtr> tables_;
  query::NaiveModel model_;
};

}  // namespace proxist::sim
