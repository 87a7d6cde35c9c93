// Producers that send, wait, retry and forget.
#include <algorithm>
#include <utility>

#include "tests/sim/simulation.h"
#include "tests/unit/query/world.h"

namespace proxist::sim {
namespace {

constexpr size_t kSentAgain = 4;  // of the last batches acked

}  // namespace

void Simulation::SendSomething() {
  Producer& producer = producers_[random_.Below(producers_.size())];
  // What was not answered well comes again before anything new, in order.
  for (Sent& sent : producer.window) {
    if (!sent.queued) return Queue(&producer, &sent);
  }
  if (healed_ || producer.window.size() >= swarm_.window || producer.next > swarm_.batches) return;
  Sent sent;
  sent.number = producer.next++;
  sent.call = NewBatch(&producer);
  producer.window.push_back(std::move(sent));
  Queue(&producer, &producer.window.back());
}

void Simulation::SendAgain() {
  Producer& producer = producers_[random_.Below(producers_.size())];
  if (producer.acked.empty()) return;
  const size_t back = 1 + random_.Below(std::min(producer.acked.size(), kSentAgain));
  Sent& sent = producer.acked[producer.acked.size() - back];
  if (!sent.queued) Queue(&producer, &sent);
}

shard::WriteCall Simulation::NewBatch(Producer* producer) {
  ++batches_sent_;
  if (swarm_.time_goes_on) {
    plans_->SetTicks({.origin = static_cast<int64_t>(batches_sent_) * swarm_.tick_ns / 2,
                      .unit = swarm_.tick_ns,
                      .ticks = 8});
  }
  const column::SchemaPtr& schema = random_.Chance(50) ? quotes_ : trades_;
  const auto rows = plans_->Rows(schema, 1 + random_.Below(swarm_.batch_rows));
  column::BatchBuilder builder(schema);
  std::map<ShardId, Part> parts;
  for (const query::ModelRow& row : rows) {
    builder.AddRow(row.symbol, Timestamp(row.ts), row.seq, row.op);
    for (size_t c = 0; c < row.cells.size(); ++c) {
      query::SetCell(&builder, c, schema->columns[c].type.kind, row.cells[c]);
    }
    const ShardId shard = slots_.shard_of[column::SlotOf(schema->tenant, row.symbol).value()];
    Part& part = parts[shard];
    part.producer = producer->name;
    part.number = producer->next - 1;
    part.shard = shard;
    part.schema = schema;
    part.rows.push_back(row);
  }
  std::vector<Part> all;
  for (auto& [shard, part] : parts) all.push_back(std::move(part));
  ledger_.Send(std::move(all));
  return {producer->name, BatchNumber(producer->next - 1), builder.Build()};
}

void Simulation::Queue(Producer* producer, Sent* sent) {
  sent->queued = true;
  node_->router().Submit(
      sent->call, [this, name = producer->name, number = sent->number, life = life_](
                      const shard::WriteResult& result) { OnAnswer(name, number, life, result); });
}

void Simulation::OnAnswer(const std::string& name, uint64_t number, uint64_t life,
                          const shard::WriteResult& result) {
  if (life != life_) return;
  Producer& producer = *std::find_if(producers_.begin(), producers_.end(),
                                     [&](const Producer& one) { return one.name == name; });
  for (Sent& sent : producer.acked) {
    if (sent.number != number || !sent.queued) continue;
    sent.queued = false;
    if (result.status.ok() && !result.duplicate) {
      Violate("{} batch {} was acked once, and counts again", name, number);
    }
    return;
  }
  const auto sent = std::find_if(producer.window.begin(), producer.window.end(),
                                 [&](const Sent& one) { return one.number == number; });
  if (sent == producer.window.end()) return;
  sent->queued = false;
  Mix(result.status.ToString());
  if (!result.status.ok()) {
    ++outcome_.counts.refused;
    if (!absl::IsUnavailable(result.status) && !absl::IsResourceExhausted(result.status) &&
        !absl::IsFailedPrecondition(result.status)) {
      Violate("{} batch {} was refused: {}", name, number, result.status.ToString());
    }
    return;
  }
  if (result.duplicate) ++outcome_.counts.duplicates;
  ++outcome_.counts.batches;
  outcome_.counts.rows += sent->call.batch.rows;
  producer.acked.push_back(std::move(*sent));
  producer.window.erase(sent);
}

void Simulation::OnPart(ShardId shard, const std::string& producer, uint64_t number,
                        const shard::Ack& ack) {
  Note("shard {} answers {} batch {}: {} LSN {} to {}{}", shard.value(), producer, number,
       ack.status.ToString(), ack.first.value(), ack.last.value(),
       ack.duplicate ? ", a repetition" : "");
  if (!ack.status.ok()) return;
  Part* part = ledger_.Find(shard, producer, number);
  if (part == nullptr) {
    return Violate("shard {} acked batch {} of {}, which it never got", shard.value(), number,
                   producer);
  }
  if (ack.duplicate) {
    if (!part->applied) {
      Violate("shard {} takes batch {} of {} for a repetition, and does not have it", shard.value(),
              number, producer);
    } else if (ack.first <= ack.last && (ack.first != part->first || ack.last != part->last())) {
      Violate("shard {} says that batch {} of {} has LSNs {} to {}, it has {} to {}", shard.value(),
              number, producer, ack.first.value(), ack.last.value(), part->first.value(),
              part->last().value());
    }
    return;
  }
  if (ack.durability != part->schema->durability &&
      part->schema->durability == column::Durability::kSync) {
    Violate("shard {} acked batch {} of {} from the page cache", shard.value(), number, producer);
  }
  if (part->applied) {
    return Violate("shard {} applied batch {} of {} twice", shard.value(), number, producer);
  }
  Lsn& next = next_[shard];
  if (ack.first != next || ack.last.value() != ack.first.value() + part->rows.size() - 1) {
    Violate("shard {} gave batch {} of {} with {} rows the LSNs {} to {}, the next one is {}",
            shard.value(), number, producer, part->rows.size(), ack.first.value(), ack.last.value(),
            next.value());
  }
  next = ack.last.Next();
  ledger_.Apply(part, ack.first);
}

}  // namespace proxist::sim
