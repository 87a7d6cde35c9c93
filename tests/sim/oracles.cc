// What must hold at any time, and what every query must answer.
#include <algorithm>

#include "tests/sim/simulation.h"
#include "tests/unit/query/world.h"

namespace proxist::sim {

void Simulation::Mix(std::string_view text) {
  outcome_.digest = Checksum(AsBytes(text), outcome_.digest);
}

bool Simulation::ErrorIsFair(const Status& status) const {
  if (!power_.on()) return true;
  if (absl::IsAborted(status)) return true;  // corrections kept being flushed during the read
  // Late answers to the flush move the clock while a query reads.
  if (absl::IsDeadlineExceeded(status)) return swarm_.history.answers_late > 0;
  return absl::IsUnavailable(status) && (history_.away() || swarm_.history.read_fails > 0);
}

void Simulation::Ask() {
  if (asking_ || node_ == nullptr) return;
  query::RowTests tests;
  const query::Plan plan = plans_->MakePlan(&tests);
  const std::string description = plans_->description();
  asked_ = &plan;
  asked_tests_ = &tests;
  asking_ = true;
  fair_answers_ = {query::FormatAnswer(ledger_.model().Run(plan, tests))};
  query::QueryOptions options;
  if (random_.Chance(50)) options.batch_rows = 1 + random_.Below(3);
  query::Answer answer;
  query::Explain explain;
  const Status status = node_->engine().Run(
      plan, options,
      [&](const query::ResultBatch& batch) {
        query::AppendBatch(batch, &answer);
        return OkStatus();
      },
      &explain);
  asking_ = false;
  asked_ = nullptr;
  ++outcome_.counts.queries;
  outcome_.counts.query_rows += answer.rows.size();
  outcome_.counts.cold_reads += explain.history_reads;
  if (!status.ok()) {
    ++outcome_.counts.query_errors;
    if (!ErrorIsFair(status)) Violate("{}: {}", description, status.ToString());
    return;
  }
  const std::string text = query::FormatAnswer(answer);
  Mix(text);
  if (std::find(fair_answers_.begin(), fair_answers_.end(), text) != fair_answers_.end()) return;
  Violate("{}\nanswered\n{}\nit is\n{}", description, text, fair_answers_.back());
}

// A durable write is under way: none of its rows may be seen.
void Simulation::OnFlight() {
  if (asking_ || flushing_ || node_ == nullptr || !random_.Chance(20)) return;
  Ask();
  CheckMarks();
}

void Simulation::OnHistoryCall() {
  if (node_ == nullptr) return;
  if (flushing_) {
    if (!asking_ && random_.Chance(20)) Ask();
    return;
  }
  // A shard in the middle of a call has no thread for another one.
  if (shard_busy_ || !asking_ || asked_ == nullptr || !random_.Chance(40)) return;
  // A query reads history: the world goes on meanwhile.
  ShardBox* box = node_->shards()[random_.Below(node_->shards().size())].get();
  switch (random_.Below(4)) {
    case 0:
      Commit(box);
      fair_answers_.push_back(query::FormatAnswer(ledger_.model().Run(*asked_, *asked_tests_)));
      break;
    case 1:
      Flush();
      break;
    case 2:
      Evict(box);
      break;
    default:
      Maintain(box);
  }
}

void Simulation::CheckMarks() {
  for (const auto& box : node_->shards()) {
    const ShardId id = box->id();
    const shard::ShardStats stats = box->shard().Stats();
    Marks& marks = marks_[id];
    const Lsn published = box->store().published();
    const Lsn persisted = box->store().persisted();
    if (published < marks.published || persisted < marks.persisted) {
      Violate("shard {}: published {} after {}, persisted {} after {}", id.value(),
              published.value(), marks.published.value(), persisted.value(),
              marks.persisted.value());
    }
    if (persisted > published || stats.durable > published || stats.persisted > stats.durable) {
      Violate("shard {}: persisted {}, durable {}, published {}", id.value(), persisted.value(),
              stats.durable.value(), published.value());
    }
    if (stats.durable < marks.durable || stats.durable < ledger_.last_synced(id)) {
      Violate("shard {}: durable {} after {}, rows up to {} were acked as durable", id.value(),
              stats.durable.value(), marks.durable.value(), ledger_.last_synced(id).value());
    }
    marks = {published, stats.durable, persisted};
  }
}

void Simulation::CheckHistory(bool complete) {
  std::map<std::pair<ShardId, uint64_t>, int> held;
  for (const auto& [table, rows] : history_.tables()) {
    for (const History::Row& row : rows) {
      const auto known = ledger_.versions().find({row.shard, row.version});
      if (known == ledger_.versions().end()) {
        return Violate("history holds version {} of shard {}, which was never acked", row.version,
                       row.shard.value());
      }
      const auto& [part, index] = known->second;
      const query::ModelRow& model = part->rows[index];
      if (part->schema->id != table || model.symbol != row.batch.symbol.TextAt(row.index) ||
          model.ts != row.batch.ts.At<int64_t>(row.index) ||
          model.op != row.batch.OpAt(row.index)) {
        return Violate("history holds another row as version {} of shard {}", row.version,
                       row.shard.value());
      }
      if (++held[known->first] > 1) {
        return Violate("history holds version {} of shard {} twice", row.version,
                       row.shard.value());
      }
    }
  }
  if (!complete || swarm_.merges) return;
  for (const auto& [version, known] : ledger_.versions()) {
    if (!held.contains(version)) {
      return Violate("history lacks version {} of shard {}", version.second, version.first.value());
    }
  }
}

}  // namespace proxist::sim
