#include "proxist/shard/flusher.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "proxist/base/mutex.h"
#include "proxist/base/planted.h"
#include "proxist/shard/internal/keys.h"

namespace proxist::shard {
namespace {

constexpr Duration kTrustRetryFor = Duration::Seconds(1);
constexpr std::string_view kAuthor = "proxistd";

// The rows of one shard that a round covers: everything in its LSN range.
history::LsnRange RangeOf(ShardId shard, const std::vector<history::SourceBatch>& batches) {
  const history::SourceBatch& last = batches.back();
  return {shard, batches.front().first, Lsn(last.first.value() + last.batch.rows - 1)};
}

}  // namespace

struct Flusher::Impl {
  Impl(const Ports& p, std::vector<ShardPort*> s, std::string i)
      : ports(p), shards(std::move(s)), incarnation(std::move(i)) {}

  struct OpenIntent {
    history::InsertIntent intent;
    bool done = false;
    bool sent = false;
    Duration first_sent;  // monotonic
  };

  bool Take(uint64_t max_rows);
  void AddIntents();
  Status Record();
  Status Send(OpenIntent* open, bool count_first);
  Status EnsureTable(const column::SchemaPtr& schema);
  Status Finish();
  StatusOr<uint64_t> Advance(bool restarted);
  Status Load(const internal::RoundRecord& round);
  std::string TokenOf(const column::TableSchema& schema, Day day) const;
  ShardPort* PortOf(ShardId id) const;

  const Ports ports;
  const std::vector<ShardPort*> shards;
  const std::string incarnation;

  // The open round; empty ranges: there is none.
  std::vector<history::LsnRange> ranges;
  std::vector<OpenIntent> intents;
  std::vector<history::SourceBatch> sources;
  std::vector<meta::Mutation>
      pending;  // series and dirty marks that go into metadata with the round
  bool recorded = false;
  uint64_t rows = 0;

  std::map<TableId, SchemaVersion> ensured;
  std::set<std::pair<TableId, Day>> dirty;  // marks that metadata has

  mutable Mutex mutex;
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

std::string Flusher::Impl::TokenOf(const column::TableSchema& schema, Day day) const {
  std::string token = fmt::format("{}-{}.{}-{}", incarnation, schema.id.value(),
                                  schema.version.value(), day.value());
  for (const history::LsnRange& range : ranges) {
    token += fmt::format("-{}:{}:{}", range.shard.value(), range.first.value(), range.last.value());
  }
  return token;
}

bool Flusher::Impl::Take(uint64_t max_rows) {
  const uint64_t each = std::max<uint64_t>(1, max_rows / shards.size());
  for (ShardPort* port : shards) {
    FlushTake take = port->TakeForFlush(each);
    std::move(take.series.begin(), take.series.end(), std::back_inserter(pending));
    for (const auto& [table, day] : take.rewritten_days) {
      if (!dirty.emplace(table, day).second) continue;
      pending.push_back({internal::DirtyKey(table, day), std::string("1"), std::nullopt});
    }
    if (take.batches.empty()) continue;
    ranges.push_back(RangeOf(port->id(), take.batches));
    std::move(take.batches.begin(), take.batches.end(), std::back_inserter(sources));
  }
  if (ranges.empty()) return false;
  AddIntents();
  return true;
}

void Flusher::Impl::AddIntents() {
  // The newest schema version among the batches of a table: older batches read as null in its
  // columns.
  std::map<TableId, column::SchemaPtr> schemas;
  std::set<std::pair<TableId, Day>> days;
  for (const history::SourceBatch& source : sources) {
    const column::SchemaPtr& schema = source.batch.schema;
    column::SchemaPtr& newest = schemas[schema->id];
    if (newest == nullptr || newest->version < schema->version) newest = schema;
    Day last_day(-1);
    for (size_t row = 0; row < source.batch.rows; ++row) {
      const Day day = DayOf(Timestamp(source.batch.ts.At<int64_t>(row)));
      if (day != last_day) days.emplace(schema->id, day);
      last_day = day;
    }
    rows += source.batch.rows;
  }
  for (const auto& [table, day] : days) {
    OpenIntent open;
    open.intent.schema = schemas[table];
    open.intent.day = day;
    open.intent.ranges = ranges;
    open.intent.token = TokenOf(*open.intent.schema, day);
    intents.push_back(std::move(open));
  }
}

Status Flusher::Impl::Record() {
  if (recorded) return OkStatus();
  internal::RoundRecord round;
  round.ranges = ranges;
  for (const OpenIntent& open : intents) {
    round.intents.push_back(
        {open.intent.token, open.intent.schema->id, open.intent.schema->version, open.intent.day});
  }
  std::vector<meta::Mutation> mutations = pending;
  mutations.push_back(
      {std::string(internal::kRoundKey), internal::EncodeRound(round), std::nullopt});
  PX_RETURN_IF_ERROR(ports.metadata->Apply(mutations, kAuthor, "a flush round opens").status());
  pending.clear();
  recorded = true;
  return OkStatus();
}

Status Flusher::Impl::EnsureTable(const column::SchemaPtr& schema) {
  const auto known = ensured.find(schema->id);
  if (known != ensured.end() && known->second >= schema->version) return OkStatus();
  PX_RETURN_IF_ERROR(ports.history->EnsureTable(*schema));
  ensured[schema->id] = schema->version;
  return OkStatus();
}

Status Flusher::Impl::Send(OpenIntent* open, bool count_first) {
  PX_RETURN_IF_ERROR(EnsureTable(open->intent.schema));
  const Duration now = ports.clock->Monotonic();
  if (open->sent && now.ns() - open->first_sent.ns() > kTrustRetryFor.ns()) count_first = true;
  if (count_first) {
    // A block is one part, so history holds all of it or nothing; versions of one key may have
    // merged.
    PX_ASSIGN_OR_RETURN(const uint64_t held, ports.history->CountVersions(open->intent));
    if (held > 0) {
      open->done = true;
      MutexLock lock(&mutex);
      ++stats.skipped_after_count;
      return OkStatus();
    }
  }
  if (!open->sent) open->first_sent = now;
  open->sent = true;
  PX_RETURN_IF_ERROR(ports.history->Insert(open->intent, sources));
  open->done = true;
  MutexLock lock(&mutex);
  ++stats.inserts;
  stats.last_insert = Duration(ports.clock->Monotonic().ns() - now.ns());
  return OkStatus();
}

Status Flusher::Impl::Finish() {
  std::vector<meta::Mutation> mutations;
  mutations.push_back({std::string(internal::kRoundKey), std::nullopt, std::nullopt});
  for (const history::LsnRange& range : ranges) {
    mutations.push_back({internal::PersistedKey(range.shard),
                         internal::EncodeNumber(range.last.value()), std::nullopt});
  }
  PX_RETURN_IF_ERROR(ports.metadata->Apply(mutations, kAuthor, "a flush round is done").status());
  for (const history::LsnRange& range : ranges) PortOf(range.shard)->Persisted(range.last);
  ranges.clear();
  intents.clear();
  sources.clear();
  recorded = false;
  return OkStatus();
}

StatusOr<uint64_t> Flusher::Impl::Advance(bool restarted) {
  const auto step = [&]() -> Status {
    PX_RETURN_IF_ERROR(Record());
    for (OpenIntent& open : intents) {
      if (open.done) continue;
      const Status sent = Send(&open, restarted);
      if (!sent.ok() && !Planted(PlantedBug::kWatermarkAheadOfRows)) return sent;
    }
    return Finish();
  };
  const Status status = step();
  const uint64_t persisted = std::exchange(rows, status.ok() ? 0 : rows);
  MutexLock lock(&mutex);
  if (!status.ok()) {
    ++stats.failures;
    ensured.clear();  // history may have been replaced meanwhile
    stats.last_error = std::string(Message(status));
    stats.last_error_at = ports.clock->Now();
    return status;
  }
  ++stats.rounds;
  stats.rows += persisted;
  stats.last_error.clear();
  return persisted;
}

Status Flusher::Impl::Load(const internal::RoundRecord& round) {
  ranges = round.ranges;
  recorded = true;
  for (const history::LsnRange& range : ranges) {
    ShardPort* port = PortOf(range.shard);
    if (port == nullptr) {
      return FailedPrecondition(
          "the open flush round names shard {}, which this node does not have",
          range.shard.value());
    }
    std::vector<history::SourceBatch> found = port->Find(range.first, range.last);
    std::move(found.begin(), found.end(), std::back_inserter(sources));
  }
  for (const history::SourceBatch& source : sources) rows += source.batch.rows;
  for (const internal::RoundRecord::Intent& one : round.intents) {
    OpenIntent open;
    PX_ASSIGN_OR_RETURN(open.intent.schema, ports.catalog->Find(one.table, one.schema_version));
    open.intent.token = one.token;
    open.intent.day = one.day;
    open.intent.ranges = ranges;
    intents.push_back(std::move(open));
  }
  return OkStatus();
}

Status Flusher::Resume() {
  Impl& self = *impl_;
  if (self.ranges.empty()) {
    PX_ASSIGN_OR_RETURN(const auto marks, self.ports.metadata->List("dirty/"));
    for (const meta::Entry& mark : marks) {
      PX_ASSIGN_OR_RETURN(const uint64_t table, internal::NumberAfter(mark.key, "dirty/"));
      const auto prefix = fmt::format("dirty/{}/", table);
      PX_ASSIGN_OR_RETURN(const uint64_t day, internal::NumberAfter(mark.key, prefix));
      self.dirty.emplace(TableId(static_cast<uint32_t>(table)), Day(static_cast<int32_t>(day)));
    }
    const auto entry = self.ports.metadata->Get(internal::kRoundKey);
    if (absl::IsNotFound(entry.status())) return OkStatus();
    PX_RETURN_IF_ERROR(entry.status());
    PX_ASSIGN_OR_RETURN(const auto round, internal::DecodeRound(entry->value));
    PX_RETURN_IF_ERROR(self.Load(round));
  }
  return self.Advance(/*restarted=*/true).status();
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
  if (impl_->ranges.empty() && !impl_->Take(max_rows)) return uint64_t{0};
  return impl_->Advance(/*restarted=*/false);
}

FlushStats Flusher::Stats() const {
  MutexLock lock(&impl_->mutex);
  return impl_->stats;
}

}  // namespace proxist::shard
