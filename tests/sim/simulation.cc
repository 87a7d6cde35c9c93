#include "tests/sim/simulation.h"

#include <algorithm>
#include <utility>

#include "proxist/shard/file_keys.h"

namespace proxist::sim {
namespace {

constexpr Timestamp kStart{1'700'000'000'000'000'000};
constexpr Duration kConvergeWithin = Duration::Seconds(300);
constexpr int kLastQueries = 12;

}  // namespace

void Counts::Add(const Counts& other) {
  batches += other.batches;
  rows += other.rows;
  duplicates += other.duplicates;
  refused += other.refused;
  power_failures += other.power_failures;
  kills += other.kills;
  dark_recoveries += other.dark_recoveries;
  poisoned += other.poisoned;
  flushed_rows += other.flushed_rows;
  flush_errors += other.flush_errors;
  evicted_rows += other.evicted_rows;
  queries += other.queries;
  query_rows += other.query_rows;
  query_errors += other.query_errors;
  cold_reads += other.cold_reads;
  cold_totals += other.cold_totals;
  snapshots += other.snapshots;
  sealed += other.sealed;
  spilled_chunks += other.spilled_chunks;
  keys_retired += other.keys_retired;
  unsynced_lost += other.unsynced_lost;
  in_flight_kept += other.in_flight_kept;
  in_flight_lost += other.in_flight_lost;
  damage_found += other.damage_found;
}

std::string Counts::Text() const {
  return fmt::format(
      "{} batches of {} rows acked ({} answers for repetitions, {} refusals); {} power failures, "
      "{} of them while recovering, {} kills, {} poisoned logs; of batches in flight then {} were "
      "kept and {} lost, {} of those acked unsynced were lost; {} rows flushed, {} flush errors, "
      "{} rows evicted, {} snapshots, {} encrypted parts, {} keys retired, {} chunks "
      "spilled; {} queries "
      "({} rows, "
      "{} cold reads, {} of totals, {} fair errors); damage was found {} times",
      batches, rows, duplicates, refused, power_failures, dark_recoveries, kills, poisoned,
      in_flight_kept, in_flight_lost, unsynced_lost, flushed_rows, flush_errors, evicted_rows,
      snapshots, sealed, keys_retired, spilled_chunks, queries, query_rows, cold_reads, cold_totals,
      query_errors, damage_found);
}

Simulation::Simulation(uint64_t seed, std::function<void(const std::string&)> trace)
    : trace_(std::move(trace)),
      random_(seed),
      swarm_(DrawSwarm(&random_)),
      slots_(shard::SpreadSlots(swarm_.shards)),
      clock_(kStart),
      disk_(&power_, &random_),
      metadata_(&power_, &random_),
      history_(&clock_, &random_),
      keys_(seed) {}

Outcome Simulation::Run() {
  disk_.SetOnFlight([this] { OnFlight(); });
  history_.SetOnCall([this] { OnHistoryCall(); });
  Recover();
  if (done()) return outcome_;
  metadata_.SetFailures(0);
  column::TableSchema quotes = query::RandomQuotesTable();
  column::TableSchema trades = query::RandomTradesTable();
  quotes.hot_retain = trades.hot_retain = swarm_.hot_retain;
  if (swarm_.trades_assign_seq) trades.seq = column::SeqMode::kAssigned;
  if (swarm_.quotes_unsynced) quotes.durability = column::Durability::kProcess;
  if (swarm_.trades_unsynced) trades.durability = column::Durability::kProcess;
  for (auto& [table, schema] : {std::pair{&quotes, &quotes_}, std::pair{&trades, &trades_}}) {
    if (const Status status = node_->ApplyTable(*table, schema); !status.ok()) {
      Violate("the table is refused: {}", status.ToString());
      return outcome_;
    }
    ledger_.AddTable(*schema);
  }
  plans_ = std::make_unique<query::RandomPlans>(random_.engine(), quotes_, trades_);
  plans_->SetTicks({.unit = swarm_.tick_ns});
  for (uint32_t i = 0; i < swarm_.producers; ++i) {
    producers_.push_back({.name = fmt::format("p{}", i)});
  }
  history_.SetFaults(swarm_.history);
  disk_.SetFaults(
      {.write_errors_per_10000 = swarm_.write_errors_per_10000, .misdirect = swarm_.damage});
  metadata_.SetFailures(swarm_.metadata_failures);
  for (uint32_t step = 0; step < swarm_.steps && !done(); ++step) Step();
  if (!done()) Heal();
  if (!done()) Converge();
  CheckNonces();
  outcome_.counts.sealed = keys_.sealed();
  outcome_.counts.cold_totals = history_.totals_read();
  return outcome_;
}

void Simulation::Step() {
  const auto action = static_cast<Action>(random_.Weighted(swarm_.weights));
  Act(action);
  if (done()) return;
  if (!power_.on()) return Restart(/*power_failed=*/true);
  CheckMarks();
  CheckNonces();
  if (random_.Chance(5)) CheckHistory(/*complete=*/false);
  const bool poisoned =
      std::any_of(node_->shards().begin(), node_->shards().end(),
                  [](const auto& box) { return !box->shard().Stats().poisoned.empty(); });
  if (!poisoned || random_.Chance(70)) return;
  ++outcome_.counts.poisoned;
  Restart(/*power_failed=*/false);
}

void Simulation::Act(Action action) {
  ShardBox* box = node_->shards()[random_.Below(node_->shards().size())].get();
  clock_.Advance(Duration(random_.Between(1, 1'000'000)));
  history_.Settle();
  switch (action) {
    case Action::kSend:
      return SendSomething();
    case Action::kSendAgain:
      return SendAgain();
    case Action::kCommit:
      return Commit(box);
    case Action::kFlush:
      return Flush();
    case Action::kMaintain:
      return Maintain(box);
    case Action::kEvict:
      return Evict(box);
    case Action::kSnapshot:
      return Snapshot(box);
    case Action::kRotateKey:
      return keys_.Rotate();
    case Action::kRetireKeys:
      return RetireKeys();
    case Action::kSpill:
      return Spill(box);
    case Action::kAsk:
      return Ask();
    case Action::kWaitAWhile:
      return Wait(Duration::Seconds(5));
    case Action::kHistoryGoesAway:
      return history_.SetAway(clock_.Now().Plus(Duration(random_.Between(1, 30'000'000'000))));
    case Action::kSchemaDrifts: {
      const TableId table = random_.Chance(50) ? quotes_->id : trades_->id;
      const bool drifted = history_.drifted().contains(table);
      Note("table {} in history {}", table.value(), drifted ? "is mended" : "drifts");
      return history_.SetDrifted(table, !drifted);
    }
    case Action::kHistoryMerges:
      return history_.Merge();
    case Action::kPowerFailsSoon:
      return power_.CutAfter(random_.Below(30));
    case Action::kPowerFailsNow:
      return power_.Cut();
    case Action::kKill:
      return Restart(/*power_failed=*/false);
    case Action::kDiskFills: {
      DiskFaults faults = disk_.faults();
      faults.capacity = faults.capacity == UINT64_MAX ? disk_.used_bytes() : UINT64_MAX;
      return disk_.SetFaults(faults);
    }
    case Action::kCount:
      return;
  }
}

void Simulation::Commit(ShardBox* box) {
  if (box->waiting().empty()) return;
  const size_t offered = 1 + random_.Below(box->waiting().size());
  InFlight flying{next_[box->id()], {}};
  for (size_t i = 0; i < offered; ++i) {
    const shard::Write& write = box->waiting()[i];
    Part* part = ledger_.Find(box->id(), write.producer, write.number.value());
    // The same batch may wait twice; it is written once.
    if (part != nullptr && !part->applied &&
        std::find(flying.parts.begin(), flying.parts.end(), part) == flying.parts.end()) {
      flying.parts.push_back(part);
    }
  }
  const bool was_poisoned = !box->shard().Stats().poisoned.empty();
  Note("shard {} commits {} of {} writes at LSN {}", box->id().value(), offered,
       box->waiting().size(), next_[box->id()].value());
  shard_busy_ = true;
  box->Commit(offered);
  shard_busy_ = false;
  const bool failed = !power_.on() || !box->shard().Stats().poisoned.empty();
  if (!failed || was_poisoned) return;
  std::erase_if(flying.parts, [](const Part* part) { return part->applied; });
  in_flight_[box->id()] = std::move(flying);
}

void Simulation::Flush() {
  if (flushing_) return;
  flushing_ = true;
  const auto flushed = node_->Flush(1 + random_.Below(200), &random_);
  Note("flush: {}", flushed.ok() ? fmt::format("{} rows", *flushed) : flushed.status().ToString());
  flushing_ = false;
  if (flushed.ok()) {
    outcome_.counts.flushed_rows += *flushed;
  } else {
    ++outcome_.counts.flush_errors;
    // A table that drifted holds the flush up while an insert of its rows may still be applied.
    const bool held = absl::IsFailedPrecondition(flushed.status()) && !history_.drifted().empty();
    if (!held && !absl::IsUnavailable(flushed.status()) &&
        !absl::IsDeadlineExceeded(flushed.status())) {
      Violate("the flush stopped: {}", flushed.status().ToString());
    }
  }
}

void Simulation::Maintain(ShardBox* box) {
  shard_busy_ = true;
  const auto more = box->shard().Maintain();
  shard_busy_ = false;
  if (!more.ok() && power_.on() && !absl::IsUnavailable(more.status()) &&
      !absl::IsFailedPrecondition(more.status())) {
    Violate("maintenance stopped: {}", more.status().ToString());
  }
}

void Simulation::Evict(ShardBox* box) {
  const Timestamp published =
      random_.Chance(50) ? Timestamp::Max()
                         : clock_.Now().Minus(Duration(random_.Between(0, 10'000'000'000)));
  const TableId table = random_.Chance(50) ? quotes_->id : trades_->id;
  const Timestamp before = plans_->Bound();
  const auto evicted = box->shard().Evict(table, before, published);
  if (evicted.ok()) {
    Note("shard {} evicted {} rows", box->id().value(), evicted->rows);
    outcome_.counts.evicted_rows += evicted->rows;
  } else if (power_.on() && !absl::IsUnavailable(evicted.status())) {
    Violate("eviction stopped: {}", evicted.status().ToString());
  }
}

// A snapshot is written step by step while everything else goes on.
void Simulation::Snapshot(ShardBox* box) {
  std::unique_ptr<shard::SnapshotJob>& job = snapshots_[box->id()];
  uint64_t steps = 1 + random_.Below(6);
  shard_busy_ = true;
  Status status;
  if (job == nullptr) {
    auto begun = box->shard().BeginSnapshot();
    status = begun.status();
    if (begun.ok()) job = std::move(*begun);
  }
  for (; job != nullptr && steps > 0; --steps) {
    const auto more = job->Step();
    if (more.ok() && *more) continue;
    status = box->shard().FinishSnapshot(std::move(job));
    job = nullptr;
    if (status.ok()) ++outcome_.counts.snapshots;
  }
  shard_busy_ = false;
  if (!status.ok() && power_.on() && !absl::IsUnavailable(status) &&
      !absl::IsResourceExhausted(status) && !absl::IsFailedPrecondition(status)) {
    Violate("a snapshot stopped: {}", status.ToString());
  }
}

void Simulation::Spill(ShardBox* box) {
  shard::SpillReader reader(&box->store());
  reader.Use(box->shard().Spilling());
  std::vector<hot::SealedChunk> chunks;
  box->store().SealedChunks(&chunks);
  hot::SpillBatch batch;
  for (const hot::SealedChunk& chunk : chunks) {
    if (!reader.Holds(chunk) || (chunk.file != 0 && !reader.Moved(chunk))) continue;
    if (random_.Chance(30)) continue;
    const Status added = reader.Add(chunk, &batch);
    // Encrypted files are not read in place.
    const bool fair = swarm_.encrypted && absl::IsFailedPrecondition(added);
    if (!added.ok() && !fair && power_.on() && !damaged_) Violate("a spill: {}", added.ToString());
  }
  const hot::SpillResult spilled = box->shard().Spill(std::move(batch));
  Note("shard {} spilled {} chunks", box->id().value(), spilled.chunks);
  outcome_.counts.spilled_chunks += spilled.chunks;
}

void Simulation::RetireKeys() {
  std::set<KeyId> idle = keys_.Idle();
  for (const auto& box : node_->shards()) {
    const std::string log = SimNode::LogOf(box->id());
    const auto used = shard::KeysOfFiles(&disk_, log, log + "/snapshots");
    if (!used.ok()) {
      if (power_.on() && !damaged_) Violate("the files' keys: {}", used.status().ToString());
      return;
    }
    for (const KeyId id : *used) idle.erase(id);
  }
  keys_.Retire(idle);
  outcome_.counts.keys_retired += idle.size();
}

void Simulation::Wait(Duration most) {
  clock_.Advance(Duration(random_.Between(1, most.ns())));
  history_.Settle();
}

void Simulation::Restart(bool power_failed) {
  Note("{}", power_failed ? "the power failed" : "the process is killed");
  ++(power_failed ? outcome_.counts.power_failures : outcome_.counts.kills);
  snapshots_.clear();
  node_.reset();
  ++life_;
  for (Producer& producer : producers_) {
    for (Sent& sent : producer.window) sent.queued = false;
    for (Sent& sent : producer.acked) sent.queued = false;
  }
  power_failed_ = power_failed;
  if (power_failed) {
    damaged_ = damaged_ || swarm_.damage;
    disk_.Boot();
    if (swarm_.damage && random_.Chance(30)) disk_.Rot("data/");
  } else {
    disk_.KeepCache();
  }
  Recover();
}

void Simulation::Recover() {
  const DiskFaults faults = disk_.faults();
  disk_.SetFaults({.misdirect = false});
  metadata_.SetFailures(0);
  for (;;) {
    if (random_.Chance(swarm_.dark_recoveries)) power_.CutAfter(random_.Below(12));
    auto opened = SimNode::Open(
        {&disk_, &metadata_, &history_, &clock_, swarm_.encrypted ? &keys_ : nullptr}, swarm_,
        [this](ShardId shard, const std::string& producer, uint64_t number, const shard::Ack& ack) {
          OnPart(shard, producer, number, ack);
        });
    if (!power_.on()) {
      Note("the power failed during recovery");
      ++outcome_.counts.dark_recoveries;
      power_failed_ = true;
      opened = Unavailable("dark");
      disk_.Boot();
      continue;
    }
    power_.Restore();
    if (!opened.ok() && absl::IsDataLoss(opened.status()) && damaged_) {
      ++outcome_.counts.damage_found;
      stopped_ = true;
      return;
    }
    if (!opened.ok()) return Violate("it does not start: {}", opened.status().ToString());
    node_ = std::move(*opened);
    break;
  }
  DiskFaults healthy = faults;
  healthy.capacity = UINT64_MAX;
  disk_.SetFaults(healthy);
  metadata_.SetFailures(healed_ ? 0 : swarm_.metadata_failures);
  SettleInFlight();
}

void Simulation::SettleInFlight() {
  for (const auto& box : node_->shards()) {
    const ShardId id = box->id();
    std::map<std::string, uint64_t> last;
    for (const auto& [producer, number] : box->LastBatches()) last[producer] = number.value();
    const Lsn published = box->store().published();
    if (published < ledger_.last(id)) ForgetUnsynced(id, published);
    Lsn lsn = in_flight_[id].first;
    for (Part* part : in_flight_[id].parts) {
      if (part->number > last[part->producer]) {
        ++outcome_.counts.in_flight_lost;
        continue;
      }
      ++outcome_.counts.in_flight_kept;
      ledger_.Apply(part, lsn);
      lsn = part->last().Next();
    }
    in_flight_[id].parts.clear();
    if (published != ledger_.last(id)) {
      Violate("shard {}: rows up to LSN {} are there after recovery, {} were acked or in flight",
              id.value(), published.value(), ledger_.last(id).value());
    }
    for (const auto& [producer, number] : ledger_.AppliedThrough(id)) {
      if (last[producer] != number) {
        Violate("shard {}: recovery knows batch {} of {} as the last one, it is {}", id.value(),
                last[producer], producer, number);
      }
    }
    next_[id] = published.Next();
    Note("shard {} recovered up to LSN {}, persisted {}", id.value(), published.value(),
         box->store().persisted().value());
  }
  if (!done()) CheckMarks();
}

// Power may take what was acked from the page cache, the last of it first.
void Simulation::ForgetUnsynced(ShardId id, Lsn published) {
  Marks& marks = marks_[id];
  if (!power_failed_ || published < marks.durable) return;
  marks.published = std::min(marks.published, published);
  for (const Part* part : ledger_.Forget(id, published)) {
    ++outcome_.counts.unsynced_lost;
    Note("shard {} lost batch {} of {}", id.value(), part->number, part->producer);
    if (part->schema->durability == column::Durability::kSync) {
      Violate("shard {} lost batch {} of {}, which was acked as durable", id.value(), part->number,
              part->producer);
    }
    // Its producer sends it again, before what it sent later.
    Producer& producer =
        *std::find_if(producers_.begin(), producers_.end(),
                      [&](const Producer& one) { return one.name == part->producer; });
    const auto sent = std::find_if(producer.acked.begin(), producer.acked.end(),
                                   [&](const Sent& one) { return one.number == part->number; });
    if (sent == producer.acked.end()) continue;  // still in the window, or another shard lost it
    producer.window.push_back(std::move(*sent));
    producer.acked.erase(sent);
    std::sort(producer.window.begin(), producer.window.end(),
              [](const Sent& a, const Sent& b) { return a.number < b.number; });
  }
}

void Simulation::Heal() {
  healed_ = true;
  history_.SetFaults({});
  history_.SetAway(Timestamp::Min());
  history_.SetDrifted(quotes_->id, false);
  history_.SetDrifted(trades_->id, false);
  disk_.SetFaults({});
  metadata_.SetFailures(0);
  power_.Restore();
  Restart(/*power_failed=*/random_.Chance(50));
}

void Simulation::Converge() {
  const Duration deadline(clock_.Monotonic().ns() + kConvergeWithin.ns());
  for (;;) {
    for (Producer& producer : producers_) {
      for (Sent& sent : producer.window) {
        if (!sent.queued) Queue(&producer, &sent);
      }
    }
    bool behind = false;
    for (const auto& box : node_->shards()) {
      while (!box->waiting().empty() && !done()) Commit(box.get());
      Maintain(box.get());
      behind = behind || box->store().persisted() < box->store().published();
    }
    Flush();
    clock_.Advance(Duration::Millis(100));
    history_.Settle();
    CheckMarks();
    const bool waiting = std::any_of(producers_.begin(), producers_.end(),
                                     [](const Producer& one) { return !one.window.empty(); });
    if (done() || (!behind && !waiting)) break;
    if (clock_.Monotonic() > deadline) return Violate("not everything is persisted in time");
  }
  Wait(Duration::Seconds(20));
  CheckHistory(/*complete=*/true);
  for (int i = 0; i < kLastQueries && !done(); ++i) Ask();
  for (const auto& box : node_->shards()) {
    for (const auto& schema : {quotes_, trades_}) {
      const auto evicted = box->shard().Evict(schema->id, Timestamp::Max(), Timestamp::Max());
      if (!evicted.ok()) Violate("eviction stopped: {}", evicted.status().ToString());
    }
  }
  for (int i = 0; i < kLastQueries && !done(); ++i) Ask();
  if (!done()) Restart(/*power_failed=*/true);
  for (int i = 0; i < kLastQueries && !done(); ++i) Ask();
}

}  // namespace proxist::sim
