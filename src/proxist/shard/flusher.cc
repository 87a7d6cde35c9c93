#include "proxist/shard/flusher.h"

#include <algorithm>
#include <map>
#include <optional>
#include <utility>

#include "proxist/base/check.h"
#include "proxist/base/mutex.h"
#include "proxist/base/planted.h"
#include "proxist/shard/internal/flush_round.h"
#include "proxist/shard/internal/held_tables.h"
#include "proxist/shard/internal/keys.h"

namespace proxist::shard {
namespace {

constexpr Duration kTrustRetryFor = Duration::Seconds(1);
/// An insert that was given up so long ago cannot be applied any more: beyond its own timeout.
constexpr Duration kForgottenAfter = Duration::Seconds(300);
/// The same for one of an earlier process, whose connection went with it.
constexpr Duration kForgottenAfterRestart = Duration::Seconds(30);
/// Tables of history are compared with their schemas again after this.
constexpr Duration kTrustTableFor = Duration::Seconds(10);
constexpr uint64_t kCatchUpRows = 500'000;
constexpr std::string_view kAuthor = "proxistd";
constexpr const char* kHeldBefore = "held before the restart, not tried again yet";

}  // namespace

struct Flusher::Impl {
  Impl(const Ports& p, std::vector<ShardPort*> s, std::string i)
      : ports(p), shards(std::move(s)), incarnation(std::move(i)) {}

  struct Ensured {
    SchemaVersion version;
    Duration at;  // monotonic
  };

  std::shared_ptr<FlushRound> Take(uint64_t max_rows);
  std::shared_ptr<FlushRound> TakeLeftOver(TableId table);
  Status Record(FlushRound* round);
  Status SendOne(const FlushRound& round, FlushRound::Insert* insert);
  StatusOr<bool> HeldAlready(const FlushRound::Insert& insert);
  Status EnsureTable(const column::TableSchema& schema);
  /// False: `why` stops the whole round.
  bool HoldFor(const Status& why, const FlushRound::Insert& insert);
  Status Load();
  StatusOr<std::shared_ptr<FlushRound>> LoadRound(const meta::Entry& entry);
  Status LoadHeld();
  void MarkTaken();
  /// Adds what `round` leaves behind, and takes away what it caught up with.
  void AddTo(internal::HeldTables* after, const FlushRound& round) const;
  void AddMutations(const internal::HeldTables& after, const std::map<ShardId, Lsn>& covered,
                    std::vector<meta::Mutation>* mutations) const;
  void AdvanceShards();
  Status Noted(const Status& status);
  ShardPort* PortOf(ShardId id) const;
  [[nodiscard]] bool IsHeld(TableId table) const {
    MutexLock lock(&mutex);
    return why_held.contains(table);
  }

  const Ports ports;
  const std::vector<ShardPort*> shards;
  const std::string incarnation;

  // The driving thread's.
  std::vector<std::shared_ptr<FlushRound>> rounds;  // open, oldest first
  uint64_t last_number = 0;
  std::vector<meta::Mutation> pending;      // series and dirty marks that go in with the next round
  std::set<std::pair<TableId, Day>> dirty;  // marks that metadata has
  internal::HeldTables held;
  std::map<ShardId, Lsn> flushed;    // the last LSN that settled rounds cover
  std::map<ShardId, Lsn> persisted;  // as the shards know it
  bool flushed_recorded = false;     // metadata has `flushed`
  bool caught_up_last = false;       // the last round sent what a table had left behind
  bool loaded = false;

  mutable Mutex mutex;
  std::map<TableId, Ensured> ensured PX_GUARDED_BY(mutex);
  std::map<TableId, std::string> why_held PX_GUARDED_BY(mutex);  // not the released ones
  FlushStats stats PX_GUARDED_BY(mutex);
};

Flusher::Flusher(const Ports& ports, std::vector<ShardPort*> shards, std::string incarnation)
    : impl_(std::make_unique<Impl>(ports, std::move(shards), std::move(incarnation))) {}
Flusher::~Flusher() = default;

ShardPort* Flusher::Impl::PortOf(ShardId id) const {
  for (ShardPort* port : shards) {
    if (port->id() == id) return port;
  }
  return nullptr;
}

Status Flusher::Impl::Noted(const Status& status) {
  MutexLock lock(&mutex);
  if (status.ok()) {
    stats.last_error.clear();
    return status;
  }
  ++stats.failures;
  ensured.clear();  // history may have been replaced meanwhile
  stats.last_error = std::string(Message(status));
  stats.last_error_at = ports.clock->Now();
  return status;
}

std::shared_ptr<FlushRound> Flusher::Impl::Take(uint64_t max_rows) {
  auto round = std::make_shared<FlushRound>();
  const uint64_t each = std::max<uint64_t>(1, max_rows / shards.size());
  for (ShardPort* port : shards) {
    FlushTake take = port->TakeForFlush(each);
    std::move(take.series.begin(), take.series.end(), std::back_inserter(pending));
    for (const auto& [table, day] : take.rewritten_days) {
      if (!dirty.emplace(table, day).second) continue;
      pending.push_back({internal::DirtyKey(table, day), std::string("1"), std::nullopt});
    }
    if (take.batches.empty()) continue;
    const history::SourceBatch& last = take.batches.back();
    round->ranges.push_back(
        {port->id(), take.batches.front().first, Lsn(last.first.value() + last.batch.rows - 1)});
    std::move(take.batches.begin(), take.batches.end(), std::back_inserter(round->sources));
  }
  if (round->ranges.empty()) return nullptr;
  {
    MutexLock lock(&mutex);
    for (const auto& [table, why] : why_held) round->parked.insert(table);
  }
  internal::AddInserts(incarnation, {}, round.get());
  return round;
}

/// The first rows of what `table` left behind: of one shard, in the backlog still.
std::shared_ptr<FlushRound> Flusher::Impl::TakeLeftOver(TableId table) {
  const internal::HeldPiece& piece = held.PiecesOf(table).front();
  const history::LsnRange& left = piece.ranges.front();
  auto round = std::make_shared<FlushRound>();
  round->catch_up = table;
  Lsn last = left.last;
  uint64_t rows = 0;
  for (history::SourceBatch& source : PortOf(left.shard)->Find(left.first, left.last)) {
    if (source.batch.schema->id != table) continue;
    if (rows > 0 && rows + source.batch.rows > kCatchUpRows) {
      last = Lsn(source.first.value() - 1);
      break;
    }
    rows += source.batch.rows;
    round->sources.push_back(std::move(source));
  }
  round->ranges = {{left.shard, left.first, last}};
  internal::AddInserts(incarnation, {piece.except.begin(), piece.except.end()}, round.get());
  return round;
}

Status Flusher::Impl::Record(FlushRound* round) {
  if (round->recorded) return OkStatus();
  std::vector<meta::Mutation> mutations = pending;
  mutations.push_back(
      {round->key, internal::EncodeRound(internal::RecordOf(*round)), std::nullopt});
  PX_RETURN_IF_ERROR(ports.metadata->Apply(mutations, kAuthor, "a flush round opens").status());
  pending.clear();
  round->recorded = true;
  return OkStatus();
}

StatusOr<std::shared_ptr<FlushRound>> Flusher::Open(uint64_t max_rows) {
  Impl& self = *impl_;
  std::shared_ptr<FlushRound> round;
  if (!self.rounds.empty() && !self.rounds.back()->recorded) {
    round = self.rounds.back();
  } else {
    const auto released = self.held.released();
    // One round at a time, new rows and what was left behind in turn.
    if (released.has_value() && !self.rounds.empty()) return round;
    if (!released.has_value() || self.caught_up_last) round = self.Take(max_rows);
    self.caught_up_last = round == nullptr && released.has_value();
    if (self.caught_up_last) round = self.TakeLeftOver(*released);
    if (round == nullptr) return round;
    round->number = ++self.last_number;
    round->key = internal::RoundKey(round->number);
    self.rounds.push_back(round);
  }
  PX_RETURN_IF_ERROR(self.Noted(self.Record(round.get())));
  return round;
}

Status Flusher::Impl::EnsureTable(const column::TableSchema& schema) {
  const Duration now = ports.clock->Monotonic();
  {
    MutexLock lock(&mutex);
    const auto known = ensured.find(schema.id);
    if (known != ensured.end() && known->second.version >= schema.version &&
        now.ns() - known->second.at.ns() < kTrustTableFor.ns()) {
      return OkStatus();
    }
  }
  PX_RETURN_IF_ERROR(ports.history->EnsureTable(schema));
  MutexLock lock(&mutex);
  Ensured& known = ensured[schema.id];
  known = {std::max(known.version, schema.version), now};
  return OkStatus();
}

StatusOr<bool> Flusher::Impl::HeldAlready(const FlushRound::Insert& insert) {
  // A block is one part, so history holds all of it or nothing; versions of one key may have
  // merged.
  const auto counted = ports.history->CountVersions(insert.intent);
  if (absl::IsNotFound(counted.status())) return false;  // there is no table yet
  PX_RETURN_IF_ERROR(counted.status());
  if (*counted == 0) return false;
  MutexLock lock(&mutex);
  ++stats.skipped_after_count;
  return true;
}

Status Flusher::Impl::SendOne(const FlushRound& round, FlushRound::Insert* insert) {
  const Duration now = ports.clock->Monotonic();
  const bool late = insert->uncertain && now.ns() - insert->first_sent.ns() > kTrustRetryFor.ns();
  if (round.count_first || late) {
    PX_ASSIGN_OR_RETURN(insert->done, HeldAlready(*insert));
    if (insert->done) return OkStatus();
  }
  // The block goes out as the newest version has it, since the table may be that already.
  history::InsertIntent intent = insert->intent;
  if (const auto newest = ports.catalog->Find(intent.schema->id)) intent.schema = newest;
  PX_RETURN_IF_ERROR(EnsureTable(*intent.schema));
  const bool before = insert->uncertain || round.count_first;
  if (!insert->uncertain) insert->first_sent = now;
  insert->uncertain = true;
  const Status sent = ports.history->Insert(intent, round.sources);
  // A block that does not fit the table was not applied.
  if (absl::IsFailedPrecondition(sent)) insert->uncertain = before;
  PX_RETURN_IF_ERROR(sent);
  insert->done = true;
  MutexLock lock(&mutex);
  ++stats.inserts;
  stats.last_insert = Duration(ports.clock->Monotonic().ns() - now.ns());
  return OkStatus();
}

bool Flusher::Impl::HoldFor(const Status& why, const FlushRound::Insert& insert) {
  if (!absl::IsFailedPrecondition(why)) return false;
  const int64_t age = ports.clock->Monotonic().ns() - insert.first_sent.ns();
  if (insert.uncertain && age < kForgottenAfter.ns()) return false;
  MutexLock lock(&mutex);
  why_held[insert.intent.schema->id] = std::string(Message(why));
  return true;
}

Status Flusher::Send(FlushRound* round) {
  Impl& self = *impl_;
  PX_CHECK(round->recorded);
  for (FlushRound::Insert& insert : round->inserts) {
    const TableId table = insert.intent.schema->id;
    if (insert.done || round->parked.contains(table)) continue;
    if (!insert.uncertain && !round->count_first && self.IsHeld(table)) {
      round->parked.insert(table);
      continue;
    }
    const Status sent = self.SendOne(*round, &insert);
    if (sent.ok()) continue;
    if (self.HoldFor(sent, insert)) {
      round->parked.insert(table);
      continue;
    }
    if (!Planted(PlantedBug::kWatermarkAheadOfRows)) return self.Noted(sent);
  }
  round->sent = true;
  return self.Noted(OkStatus());
}

void Flusher::Impl::AddTo(internal::HeldTables* after, const FlushRound& round) const {
  const std::map<TableId, std::set<Day>> done = internal::DoneDays(round);
  if (round.catch_up.value() == 0) {
    for (const TableId table : round.parked) after->Hold(table);
    return after->AddRound(round.ranges, round.parked, done);
  }
  std::set<Day> except(held.PiecesOf(round.catch_up).front().except.begin(),
                       held.PiecesOf(round.catch_up).front().except.end());
  after->Remove(round.catch_up, round.ranges.front());
  if (round.parked.empty()) return;
  if (const auto days = done.find(round.catch_up); days != done.end()) {
    except.insert(days->second.begin(), days->second.end());
  }
  after->AddPiece(round.catch_up, {round.ranges, {except.begin(), except.end()}});
}

void Flusher::Impl::AddMutations(const internal::HeldTables& after,
                                 const std::map<ShardId, Lsn>& covered,
                                 std::vector<meta::Mutation>* mutations) const {
  std::set<TableId> tables = held.ids();
  tables.merge(after.ids());
  for (const TableId table : tables) {
    const auto& pieces = after.PiecesOf(table);
    if (pieces == held.PiecesOf(table)) continue;
    std::optional<std::string> value;
    if (!pieces.empty()) value = internal::EncodeHeld(pieces);
    mutations->push_back({internal::HeldKey(table), std::move(value), std::nullopt});
  }
  for (const auto& [shard, last] : covered) {
    const Lsn below = after.PersistedBelow(shard, last);
    mutations->push_back(
        {internal::PersistedKey(shard), internal::EncodeNumber(below.value()), std::nullopt});
    if (after.empty() && !flushed_recorded) continue;
    std::optional<std::string> value;
    if (!after.empty()) value = internal::EncodeNumber(last.value());
    mutations->push_back({internal::FlushedKey(shard), std::move(value), std::nullopt});
  }
}

void Flusher::Impl::AdvanceShards() {
  {
    MutexLock lock(&mutex);
    stats.flushed = flushed;
    stats.left_behind = held.ids();
  }
  for (const auto& [shard, last] : flushed) {
    ShardPort* port = PortOf(shard);
    const Lsn below = held.PersistedBelow(shard, last);
    if (below > persisted[shard]) port->Persisted(below);
    persisted[shard] = std::max(persisted[shard], below);
    if (!held.empty()) port->Flushed(last, held.ids());
  }
}

StatusOr<uint64_t> Flusher::Settle() {
  Impl& self = *impl_;
  const auto open = std::find_if(self.rounds.begin(), self.rounds.end(),
                                 [](const auto& round) { return !round->sent; });
  if (open == self.rounds.begin()) return uint64_t{0};
  uint64_t rows = 0;
  internal::HeldTables after = self.held;
  std::map<ShardId, Lsn> covered = self.flushed;
  std::vector<meta::Mutation> mutations;
  for (auto at = self.rounds.begin(); at != open; ++at) {
    const FlushRound& round = **at;
    self.AddTo(&after, round);
    mutations.push_back({round.key, std::nullopt, std::nullopt});
    if (round.catch_up.value() == 0) {
      for (const history::LsnRange& range : round.ranges) covered[range.shard] = range.last;
    }
    for (const history::SourceBatch& source : round.sources) {
      if (!round.parked.contains(source.batch.schema->id)) rows += source.batch.rows;
    }
  }
  self.AddMutations(after, covered, &mutations);
  PX_RETURN_IF_ERROR(
      self.Noted(self.ports.metadata->Apply(mutations, kAuthor, "a flush round is done").status()));
  const auto ended = static_cast<uint64_t>(open - self.rounds.begin());
  self.rounds.erase(self.rounds.begin(), open);
  self.held = std::move(after);
  self.flushed = std::move(covered);
  self.flushed_recorded = !self.held.empty();
  self.AdvanceShards();
  MutexLock lock(&self.mutex);
  self.stats.rounds += ended;
  self.stats.rows += rows;
  return rows;
}

StatusOr<std::shared_ptr<FlushRound>> Flusher::Impl::LoadRound(const meta::Entry& entry) {
  PX_ASSIGN_OR_RETURN(const auto record, internal::DecodeRound(entry.value));
  PX_ASSIGN_OR_RETURN(auto round, internal::RoundOf(record, *ports.catalog));
  const auto prefix = fmt::format("{}/", internal::kRoundPrefix);
  PX_ASSIGN_OR_RETURN(round->number, internal::NumberAfter(entry.key, prefix));
  round->key = entry.key;
  for (const history::LsnRange& range : round->ranges) {
    ShardPort* port = PortOf(range.shard);
    if (port == nullptr) {
      return FailedPrecondition("an open flush round names shard {}, which this node does not have",
                                range.shard.value());
    }
    for (history::SourceBatch& source : port->Find(range.first, range.last)) {
      const TableId table = source.batch.schema->id;
      if (round->catch_up.value() != 0 && table != round->catch_up) continue;
      if (!round->parked.contains(table)) round->rows += source.batch.rows;
      round->sources.push_back(std::move(source));
    }
  }
  {
    MutexLock lock(&mutex);
    for (const TableId table : round->parked) why_held.try_emplace(table, kHeldBefore);
  }
  // The earlier process may have sent them just now.
  const Duration sent(ports.clock->Monotonic().ns() -
                      (kForgottenAfter.ns() - kForgottenAfterRestart.ns()));
  for (FlushRound::Insert& insert : round->inserts) {
    insert.uncertain = true;
    insert.first_sent = sent;
  }
  return round;
}

Status Flusher::Impl::LoadHeld() {
  held = {};
  PX_ASSIGN_OR_RETURN(const auto entries, ports.metadata->List(internal::kHeldPrefix));
  for (const meta::Entry& entry : entries) {
    PX_ASSIGN_OR_RETURN(const uint64_t id, internal::NumberAfter(entry.key, internal::kHeldPrefix));
    PX_ASSIGN_OR_RETURN(auto pieces, internal::DecodeHeld(entry.value));
    const TableId table(static_cast<uint32_t>(id));
    held.Restore(table, std::move(pieces));
    MutexLock lock(&mutex);
    why_held[table] = kHeldBefore;
  }
  flushed_recorded = !held.empty();
  return OkStatus();
}

/// What rounds of an earlier process took is not taken again.
void Flusher::Impl::MarkTaken() {
  std::map<ShardId, Lsn> taken = flushed;
  for (const auto& round : rounds) {
    if (round->catch_up.value() != 0) continue;
    for (const history::LsnRange& range : round->ranges) taken[range.shard] = range.last;
  }
  for (const auto& [shard, last] : taken) PortOf(shard)->MarkTaken(last);
  AdvanceShards();
}

Status Flusher::Impl::Load() {
  PX_ASSIGN_OR_RETURN(const auto marks, ports.metadata->List("dirty/"));
  for (const meta::Entry& mark : marks) {
    PX_ASSIGN_OR_RETURN(const uint64_t table, internal::NumberAfter(mark.key, "dirty/"));
    const auto prefix = fmt::format("dirty/{}/", table);
    PX_ASSIGN_OR_RETURN(const uint64_t day, internal::NumberAfter(mark.key, prefix));
    dirty.emplace(TableId(static_cast<uint32_t>(table)), Day(static_cast<int32_t>(day)));
  }
  PX_RETURN_IF_ERROR(LoadHeld());
  for (ShardPort* port : shards) {
    for (const std::string& key :
         {internal::PersistedKey(port->id()), internal::FlushedKey(port->id())}) {
      const auto entry = ports.metadata->Get(key);
      if (absl::IsNotFound(entry.status())) continue;
      PX_RETURN_IF_ERROR(entry.status());
      PX_ASSIGN_OR_RETURN(const uint64_t lsn, internal::DecodeNumber(entry->value, key));
      flushed[port->id()] = std::max(flushed[port->id()], Lsn(lsn));
    }
  }
  rounds.clear();
  PX_ASSIGN_OR_RETURN(const auto entries, ports.metadata->List(internal::kRoundPrefix));
  for (const meta::Entry& entry : entries) {
    PX_ASSIGN_OR_RETURN(auto round, LoadRound(entry));
    last_number = std::max(last_number, round->number);
    rounds.push_back(std::move(round));
  }
  MarkTaken();
  loaded = true;
  return OkStatus();
}

Status Flusher::Resume() {
  Impl& self = *impl_;
  if (!self.loaded) PX_RETURN_IF_ERROR(self.Noted(self.Load()));
  for (const auto& round : self.rounds) PX_RETURN_IF_ERROR(Send(round.get()));
  return Settle().status();
}

StatusOr<std::vector<Day>> RewrittenDays(meta::MetadataStore* metadata, TableId table) {
  const auto prefix = fmt::format("dirty/{}/", table.value());
  PX_ASSIGN_OR_RETURN(const auto marks, metadata->List(prefix));
  std::vector<Day> days;
  for (const meta::Entry& mark : marks) {
    PX_ASSIGN_OR_RETURN(const uint64_t day, internal::NumberAfter(mark.key, prefix));
    days.emplace_back(static_cast<Day::rep>(day));
  }
  std::sort(days.begin(), days.end());
  return days;
}

StatusOr<uint64_t> Flusher::Round(uint64_t max_rows) {
  Impl& self = *impl_;
  if (self.rounds.empty() || !self.rounds.back()->recorded) {
    PX_RETURN_IF_ERROR(Open(max_rows).status());
  }
  for (const auto& round : self.rounds) PX_RETURN_IF_ERROR(Send(round.get()));
  return Settle();
}

const std::vector<std::shared_ptr<FlushRound>>& Flusher::rounds() const { return impl_->rounds; }

void Flusher::RetryHeld() {
  Impl& self = *impl_;
  if (!self.rounds.empty()) return;
  for (const column::SchemaPtr& schema : self.ports.catalog->Tables()) {
    if (!self.IsHeld(schema->id)) continue;
    const Status ensured = self.ports.history->EnsureTable(*schema);
    MutexLock lock(&self.mutex);
    if (!ensured.ok()) {
      self.why_held[schema->id] = std::string(Message(ensured));
      continue;
    }
    self.why_held.erase(schema->id);
    self.held.Release(schema->id);
  }
}

void Flusher::Distrust() {
  for (const auto& round : impl_->rounds) round->count_first = true;
}

FlushStats Flusher::Stats() const {
  MutexLock lock(&impl_->mutex);
  FlushStats stats = impl_->stats;
  for (const auto& [table, why] : impl_->why_held) stats.held.push_back({table, why});
  return stats;
}

}  // namespace proxist::shard
