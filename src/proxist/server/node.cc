#include "proxist/server/node.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <future>
#include <thread>

#include <unistd.h>

#include "proxist/base/mutex.h"
#include "proxist/env/clock.h"
#include "proxist/env/thread_share.h"
#include "proxist/env/work_pool.h"
#include "proxist/history/embedded.h"
#include "proxist/observe/log.h"
#include "proxist/server/data_directory.h"
#include "proxist/server/flush_loop.h"
#include "proxist/server/history_floors.h"
#include "proxist/server/key_retirement.h"
#include "proxist/server/live_routes.h"
#include "proxist/server/pressure_loop.h"
#include "proxist/server/shard_runner.h"
#include "proxist/server/snapshot_loop.h"

namespace proxist::server {
namespace {

constexpr uint64_t kMaxFrameBytes = 48ull << 20;
constexpr Duration kProgressInterval = Duration::Seconds(2);
// Of the memory limit: what a snapshot's chunks may take when a shard recovers. The log above it
// comes on top.
constexpr uint64_t kRecoveryPercent = 40;
// Of the memory limit: beyond it an operator should look.
constexpr uint64_t kMemoryProblemPercent = 95;
// How long corrections wait for ClickHouse to plan a query over live views: far longer than it
// takes.
constexpr Duration kLiveHold = Duration::Seconds(1);
constexpr Duration kRetireKeysEvery = Duration::Seconds(60);
constexpr auto kVisiblePoll = std::chrono::milliseconds(1);

std::string ExecutableDirectory() {
  std::error_code error;
  const auto path = std::filesystem::read_symlink("/proc/self/exe", error);
  return error ? "." : path.parent_path().string();
}

uint64_t ResidentBytes() {
  std::FILE* statm = std::fopen("/proc/self/statm", "r");
  if (statm == nullptr) return 0;
  unsigned long long total = 0;
  unsigned long long resident = 0;
  const int fields = std::fscanf(statm, "%llu %llu", &total, &resident);
  std::fclose(statm);
  return fields == 2 ? resident * static_cast<uint64_t>(sysconf(_SC_PAGESIZE)) : 0;
}

double RowsPerSecond(uint64_t rows, Duration elapsed) {
  return static_cast<double>(rows) * 1e9 / static_cast<double>(std::max<int64_t>(elapsed.ns(), 1));
}

/// Logs how far one shard has come, now and then.
std::function<void(const shard::RecoveryProgress&)> LogProgress() {
  return [logged = Duration()](const shard::RecoveryProgress& progress) mutable {
    if (progress.elapsed.ns() - logged.ns() < kProgressInterval.ns()) return;
    logged = progress.elapsed;
    observe::LogInfo(
        "shard {}: recovering: {} rows from the snapshot, {} from the log, {:.0f} rows/s",
        progress.shard.value(), progress.snapshot_rows, progress.rows,
        RowsPerSecond(progress.snapshot_rows + progress.rows, progress.elapsed));
  };
}

void LogRecovery(ShardId shard, const shard::RecoveryReport& report) {
  for (const std::string& warning : report.warnings) {
    observe::LogWarning(
        "a snapshot cannot be used, recovery starts from an older one or from the "
        "log alone: {}",
        warning);
  }
  if (report.torn_tail) {
    observe::LogWarning("shard {}: the log's end was cut: {}", shard.value(), report.torn_why);
  }
  observe::LogInfo(
      "shard {}: recovered {} rows from the snapshot at LSN {} and {} from the log in {}, {:.0f} "
      "rows/s",
      shard.value(), report.snapshot_rows, report.snapshot.value(), report.rows,
      FormatDuration(report.elapsed),
      RowsPerSecond(report.snapshot_rows + report.rows, report.elapsed));
}

Status LoadMasterKey(const std::string& source, std::optional<security::MasterKey>* key) {
  if (source.empty()) return OkStatus();
  PX_ASSIGN_OR_RETURN(*key, security::LoadMasterKey(source));
  return OkStatus();
}

}  // namespace

struct Node::Impl {
  Status OpenShards(const NodeOptions& options);
  Status ConnectHistory(const NodeOptions& options);
  Status RefuseForeignHistory();
  void StartThreads(const NodeOptions& options);
  [[nodiscard]] std::vector<std::string> Problems() const;
  [[nodiscard]] HistoryState History() const;
  [[nodiscard]] std::vector<HeldTable> Held() const;
  [[nodiscard]] MemoryState Memory() const;
  [[nodiscard]] LiveViews::State Views() const;
  void EverySecond();
  std::set<KeyId> RetireKeys(std::string_view author);

  const env::Clock& clock = env::SystemClock();
  Timestamp started_at = clock.Now();
  DataDirectory directory;
  std::string history_kind;
  std::string history_url;
  std::unique_ptr<history::EmbeddedServer> embedded;
  std::vector<history::ClickHouseAddress> addresses;
  uint32_t part_limit = 0;  // that inserts by these keep to
  std::unique_ptr<history::History> history;
  history::HistoryMonitor* monitor = nullptr;
  std::vector<std::unique_ptr<ShardRunner>> runners;
  std::vector<shard::RecoveryReport> recovery;
  std::unique_ptr<shard::IngestRouter> router;
  std::unique_ptr<HistoryFloors> floors;
  std::unique_ptr<KeyRetirement> retirement;  // nullptr: nothing is encrypted
  Duration keys_looked_at = clock.Monotonic();
  std::unique_ptr<query::Engine> engine;
  std::unique_ptr<env::WorkPool> assistants;  // of the engine; nullptr: none
  std::atomic<uint64_t> partial_answers{0};
  std::unique_ptr<FlushLoop> flush;
  std::vector<history::ClickHouseAddress> sql_addresses;  // as `addresses`, for SQL
  std::string live_token;
  std::unique_ptr<LiveSeams> seams;  // nullptr: without history
  mutable Mutex views_mutex;
  std::unique_ptr<LiveViews> views PX_GUARDED_BY(views_mutex);
  LiveViews::State no_views PX_GUARDED_BY(views_mutex);  // what is told while there are none
  std::unique_ptr<SnapshotLoop> snapshots;
  std::unique_ptr<PressureLoop> pressure;
  uint64_t max_backlog_bytes = 0;  // per shard
  uint64_t memory_limit = 0;       // 0: none
};

StatusOr<std::unique_ptr<Node>> Node::Open(const NodeOptions& options) {
  auto impl = std::make_unique<Impl>();
  const uint32_t default_shards = std::max(1u, std::thread::hardware_concurrency() / 2);
  // Before the directory is touched: a key that cannot be had changes nothing.
  MasterKeys masters;
  PX_RETURN_IF_ERROR(LoadMasterKey(options.master_key, &masters.current));
  PX_RETURN_IF_ERROR(LoadMasterKey(options.previous_master_key, &masters.previous));
  PX_ASSIGN_OR_RETURN(impl->directory,
                      OpenDataDirectory(&env::PosixFileSystem(), options.data_directory,
                                        options.shards, default_shards, masters));
  // History takes a moment to start; the shards recover meanwhile.
  auto history = std::async(std::launch::async, [&] { return impl->ConnectHistory(options); });
  const Status shards = impl->OpenShards(options);
  PX_RETURN_IF_ERROR(history.get());
  PX_RETURN_IF_ERROR(shards);
  PX_RETURN_IF_ERROR(impl->RefuseForeignHistory());
  PX_ASSIGN_OR_RETURN(impl->floors,
                      HistoryFloors::Open(impl->directory.metadata.get(),
                                          impl->directory.catalog.get(), &impl->clock));
  PX_ASSIGN_OR_RETURN(impl->live_token, LiveToken(impl->directory.metadata.get()));
  if (impl->directory.keys != nullptr) {
    std::vector<KeyRetirement::ShardFiles> shards;
    for (const auto& runner : impl->runners) {
      shards.push_back(
          {impl->directory.WalOf(runner->id()), impl->directory.SnapshotsOf(runner->id())});
    }
    impl->retirement = std::make_unique<KeyRetirement>(
        &env::PosixFileSystem(), impl->directory.keys.get(), std::move(shards));
  }
  impl->StartThreads(options);
  return std::unique_ptr<Node>(new Node(std::move(impl)));
}

Node::Node(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Node::~Node() {
  {
    MutexLock lock(&impl_->views_mutex);
    impl_->views.reset();
  }
  impl_->pressure.reset();
  impl_->snapshots.reset();
  impl_->flush.reset();
  for (auto& runner : impl_->runners) runner->Stop();
  impl_->engine.reset();
  impl_->history.reset();
  impl_->embedded.reset();
}

Status Node::Impl::ConnectHistory(const NodeOptions& options) {
  if (options.history == "none") {
    history_kind = "none";
    return OkStatus();
  }
  if (options.history == "embedded") {
    history_kind = "embedded";
    history::EmbeddedOptions embedded_options;
    embedded_options.launcher =
        options.launcher.empty() ? ExecutableDirectory() + "/proxist-clickhouse" : options.launcher;
    embedded_options.directory = directory.path + "/clickhouse";
    embedded_options.hang_timeout = options.history_hang_timeout;
    PX_ASSIGN_OR_RETURN(embedded, history::EmbeddedServer::Start(embedded_options));
    addresses = {embedded->address()};
    sql_addresses = {embedded->sql_address()};
  } else {
    history_kind = "url";
    PX_ASSIGN_OR_RETURN(addresses, history::ParseAddresses(options.history));
    sql_addresses = addresses;
    for (history::ClickHouseAddress& address : sql_addresses) {
      if (options.sql_user.empty()) break;
      const size_t colon = std::min(options.sql_user.find(':'), options.sql_user.size());
      address.user = options.sql_user.substr(0, colon);
      address.password = options.sql_user.substr(std::min(colon + 1, options.sql_user.size()));
    }
  }
  history_url = addresses.front().url;
  part_limit = options.flush_max_parts;
  history::WatchedHistory opened = history::OpenClickHouse(addresses, part_limit);
  history = std::move(opened.history);
  monitor = opened.monitor;
  return OkStatus();
}

Status Node::Impl::RefuseForeignHistory() {
  if (history == nullptr || !directory.fresh) return OkStatus();
  const auto stored = history->Incarnation(directory.IncarnationText());
  // History that is away now is checked again before the first row is sent.
  if (!stored.ok() || *stored == directory.IncarnationText()) return OkStatus();
  return FailedPrecondition(
      "history at {} belongs to data directory {}, and '{}' is a new one: give the data directory "
      "that it belongs to, or another ClickHouse",
      history_url, *stored, directory.path);
}

Status Node::Impl::OpenShards(const NodeOptions& options) {
  max_backlog_bytes = options.max_backlog_bytes / directory.shards;
  memory_limit = options.memory_limit_bytes;
  recovery.resize(directory.shards);
  std::vector<StatusOr<std::unique_ptr<shard::Shard>>> opened;
  for (uint32_t i = 0; i < directory.shards; ++i) opened.emplace_back(Unavailable("not opened"));
  std::vector<std::thread> threads;
  for (uint32_t i = 0; i < directory.shards; ++i) {
    threads.emplace_back([&, i] {
      shard::ShardOptions shard;
      shard.id = ShardId(static_cast<uint16_t>(i));
      shard.wal_directory = directory.WalOf(shard.id);
      shard.snapshot_directory = directory.SnapshotsOf(shard.id);
      shard.segment_bytes = std::max(options.segment_bytes, kMaxFrameBytes + (1u << 20));
      shard.max_frame_bytes = kMaxFrameBytes;
      shard.incarnation = directory.incarnation;
      shard.keep_backlog = options.history != "none";
      shard.max_unsynced = options.max_unsynced;
      shard.recovery_memory_bytes =
          options.memory_limit_bytes / 100 * kRecoveryPercent / directory.shards;
      shard.store.ready.bytes = options.ready_memory_bytes / directory.shards;
      if (memory_limit > 0) {
        shard.store.ready.total = memory_limit / directory.shards;
        shard.store.ready.least = shard.store.ready.total / 4;
      }
      const shard::Shard::Ports ports{&env::PosixFileSystem(),  &clock,
                                      directory.metadata.get(), directory.catalog.get(),
                                      directory.keys.get(),     LogProgress()};
      opened[i] = shard::Shard::Open(shard, ports, &recovery[i]);
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (auto& shard : opened) {
    PX_RETURN_IF_ERROR(shard.status());
    LogRecovery((*shard)->id(), recovery[(*shard)->id().value()]);
    runners.push_back(std::make_unique<ShardRunner>(std::move(*shard)));
  }
  return OkStatus();
}

void Node::Impl::StartThreads(const NodeOptions& options) {
  std::vector<ShardRunner*> all;
  query::Engine::Ports ports;
  for (const auto& runner : runners) {
    all.push_back(runner.get());
    ports.shards.push_back(runner.get());
  }
  router = std::make_unique<shard::IngestRouter>(
      std::vector<shard::ShardQueue*>(all.begin(), all.end()), directory.slots,
      shard::IngestRouter::Limits{.max_queued_batches = options.max_queued_batches,
                                  .max_backlog_bytes = max_backlog_bytes,
                                  .max_memory_bytes = memory_limit});
  ports.catalog = directory.catalog.get();
  ports.history = history.get();
  ports.clock = &clock;
  ports.shard_of = [this](SlotId slot) -> const query::ShardView* {
    return runners[directory.slots.shard_of[slot.value()].value()].get();
  };
  ports.rewritten_days = [this](TableId table) {
    return shard::RewrittenDays(directory.metadata.get(), table);
  };
  ports.history_floor = [this](const column::TableSchema& schema) { return floors->Of(schema.id); };
  ports.cold_cache_bytes = options.cold_cache_bytes;
  const size_t threads = options.threads_per_query > 0
                             ? options.threads_per_query
                             : std::max(1U, std::thread::hardware_concurrency());
  if (threads > 1) {
    assistants =
        std::make_unique<env::WorkPool>("assistants", threads - 1, threads - 1, env::kGivesWay);
    ports.assistants.pool = assistants.get();
  }
  engine = std::make_unique<query::Engine>(std::move(ports));
  for (ShardRunner* runner : all) runner->Start();
  snapshots = std::make_unique<SnapshotLoop>(
      &clock, all, SnapshotLoop::Options{options.snapshot_log_bytes, options.snapshot_interval});
  snapshots->Start();
  pressure = std::make_unique<PressureLoop>(
      PressureLoop::Ports{&clock, directory.catalog.get(), all, snapshots.get(),
                          [this] { return router->memory_bytes(); }, [this] { EverySecond(); }},
      memory_limit);
  pressure->Start();
  if (history == nullptr) return;
  LiveSeams::Bounds live = options.live;
  live.hold = kLiveHold;
  seams = std::make_unique<LiveSeams>(&clock, all, live, [this] { return floors->All(); });
  flush = std::make_unique<FlushLoop>(
      shard::Flusher::Ports{directory.metadata.get(), directory.catalog.get(), history.get(),
                            &clock},
      monitor, all, directory.IncarnationText(),
      shard::FlushControlOptions{
          .min_pause = options.flush_min_interval,
          .max_pause = options.flush_max_interval,
          .stretched_pause = std::max(options.flush_max_interval, options.flush_stretched_interval),
          .max_rows = options.flush_max_rows,
          .part_limit = options.flush_max_parts});
  flush->Start();
}

void Node::Write(WriteCall call, std::function<void(WriteResult)> done) {
  impl_->router->Submit(std::move(call), done);
}

void Node::NotePartialAnswer() { impl_->partial_answers.fetch_add(1, std::memory_order_relaxed); }

query::Engine& Node::engine() { return *impl_->engine; }
const meta::Catalog& Node::catalog() const { return *impl_->directory.catalog; }
const std::vector<shard::RecoveryReport>& Node::recovery() const { return impl_->recovery; }

StatusOr<column::SchemaPtr> Node::ApplyTable(const column::TableSchema& declared,
                                             const std::string& author, column::Drops drops) {
  PX_ASSIGN_OR_RETURN(
      column::SchemaPtr schema,
      impl_->floors->Declare(impl_->directory.catalog.get(), declared, author, drops));
  for (const auto& runner : impl_->runners) {
    runner->Run([&](shard::Shard& shard) { shard.SetSchema(schema); });
  }
  if (impl_->flush != nullptr && impl_->flush->reachable() && impl_->flush->halted().empty()) {
    // Whatever goes wrong here, the flush and the live views try it again, and health says so.
    const Status ensured = impl_->history->EnsureTable(*schema);
    if (!ensured.ok()) observe::LogWarning("{}", Message(ensured));
  }
  MutexLock lock(&impl_->views_mutex);
  if (impl_->views != nullptr) impl_->views->Wake();
  return schema;
}

HttpStreamHandler Node::LiveHandler() {
  if (impl_->seams == nullptr) return nullptr;
  return MakeLiveHandler(impl_->directory.catalog.get(), impl_->seams.get(), impl_->live_token);
}

void Node::ServeLiveViews(const std::string& url, const std::string& why_none) {
  MutexLock lock(&impl_->views_mutex);
  if (url.empty() || impl_->seams == nullptr) {
    impl_->no_views.why_none =
        impl_->seams == nullptr ? "this server runs with --history none" : why_none;
    return;
  }
  impl_->views = std::make_unique<LiveViews>(
      LiveViews::Ports{
          impl_->directory.catalog.get(), impl_->history.get(), impl_->seams.get(),
          [flush = impl_->flush.get()] { return flush->reachable() && flush->halted().empty(); },
          [flush = impl_->flush.get()] { return flush->url(); }},
      history::LiveEndpoint{url, impl_->live_token, impl_->directory.shards});
}

StatusOr<SqlUpstream> Node::SqlTo() const {
  if (impl_->sql_addresses.empty()) {
    return FailedPrecondition(
        "this server runs with --history none: there is no ClickHouse to ask in SQL");
  }
  // Of several servers that which holds this history and answers; the flush knows.
  const std::string in_use = impl_->flush == nullptr ? "" : impl_->flush->url();
  const auto found = std::find_if(impl_->sql_addresses.begin(), impl_->sql_addresses.end(),
                                  [&](const auto& one) { return one.url == in_use; });
  const history::ClickHouseAddress& address =
      found == impl_->sql_addresses.end() ? impl_->sql_addresses.front() : *found;
  constexpr std::string_view kScheme = "http://";
  const size_t colon = address.url.rfind(':');
  if (!address.url.starts_with(kScheme) || colon < kScheme.size()) {
    return FailedPrecondition("SQL is forwarded over plain HTTP alone, and history is at {}",
                              address.url);
  }
  SqlUpstream to;
  to.host = address.url.substr(kScheme.size(), colon - kScheme.size());
  std::erase_if(to.host, [](char c) { return c == '[' || c == ']'; });
  to.port = static_cast<uint16_t>(std::strtoul(address.url.c_str() + colon + 1, nullptr, 10));
  to.user = address.user;
  to.password = address.password;
  return to;
}

void Node::SqlEnded(std::string_view query_id) {
  if (impl_->seams != nullptr) impl_->seams->Release(query_id);
}

std::vector<security::DataKeyInfo> Node::Keys() const {
  const security::DataKeys* keys = impl_->directory.keys.get();
  return keys == nullptr ? std::vector<security::DataKeyInfo>() : keys->List();
}

void Node::Impl::EverySecond() {
  floors->Advance().IgnoreError();  // it is in Problems
  const Duration now = clock.Monotonic();
  if (retirement == nullptr || now.ns() - keys_looked_at.ns() < kRetireKeysEvery.ns()) return;
  keys_looked_at = now;
  RetireKeys("proxistd");
}

std::set<KeyId> Node::Impl::RetireKeys(std::string_view author) {
  const auto retired = retirement->Run(author);
  if (!retired.ok()) {
    observe::LogWarning("no data key was retired: {}", Message(retired.status()));
    return {};
  }
  for (const KeyId id : *retired) {
    observe::LogInfo("key {} is retired: no file is encrypted under it", id.value());
  }
  return *retired;
}

StatusOr<KeyId> Node::RotateKey(std::string_view author, std::set<KeyId>* retired) {
  if (impl_->directory.keys == nullptr) {
    return FailedPrecondition(
        "nothing is encrypted here: start with --master-key to encrypt new files");
  }
  PX_ASSIGN_OR_RETURN(const KeyId id, impl_->directory.keys->Rotate(impl_->clock.Now(), author));
  observe::LogInfo("key {} is the current one: new log segments and snapshot files take it",
                   id.value());
  *retired = impl_->RetireKeys(author);
  return id;
}

Status Node::Flush(Duration timeout) {
  if (impl_->flush == nullptr) {
    return FailedPrecondition("this server runs with --history none: there is nothing to flush to");
  }
  impl_->flush->Wake();
  return timeout.ns() > 0 ? impl_->flush->WaitPersisted(timeout) : OkStatus();
}

void Node::EndWaits() {
  if (impl_->flush != nullptr) impl_->flush->EndWaits();
}

StatusOr<hot::EvictResult> Node::Evict(const column::SchemaPtr& table, Timestamp before) {
  if (impl_->flush != nullptr) {
    const std::string halted = impl_->flush->halted();
    if (!halted.empty()) return FailedPrecondition("{}", halted);
  }
  hot::EvictResult sum;
  for (const auto& runner : impl_->runners) {
    StatusOr<hot::EvictResult> one = Internal("not run");
    runner->Run(
        [&](shard::Shard& shard) { one = shard.Evict(table->id, before, Timestamp::Max()); });
    PX_RETURN_IF_ERROR(one.status());
    sum.rows += one->rows;
    sum.bytes += one->bytes;
    sum.series += one->series;
  }
  return sum;
}

StatusOr<ResendReport> Node::ResendHistory() {
  if (impl_->flush == nullptr) {
    return FailedPrecondition("this server runs with --history none: there is nothing to send to");
  }
  const shard::FlushStats stats = impl_->flush->Stats();
  std::vector<ResendSource> sources;
  for (const auto& runner : impl_->runners) {
    ResendSource source;
    source.shard = runner->id();
    source.store = &runner->store();
    source.persisted = runner->store().persisted();
    const auto flushed = stats.flushed.find(runner->id());
    source.flushed = flushed == stats.flushed.end() ? source.persisted
                                                    : std::max(flushed->second, source.persisted);
    source.left_behind = stats.left_behind;
    source.least = impl_->floors->All();
    sources.push_back(std::move(source));
  }
  // With connections of its own: those of queries expect a history that is whole.
  const history::WatchedHistory own = history::OpenClickHouse(impl_->addresses, impl_->part_limit);
  auto report = server::ResendHistory(own, *impl_->directory.catalog, sources,
                                      impl_->directory.IncarnationText());
  if (report.ok()) impl_->flush->Wake();
  return report;
}

Duration Node::WritePause() const { return impl_->router->pause(); }

Status Node::AwaitVisible(const std::vector<history::LsnRange>& ranges, Duration deadline) {
  const Duration end(impl_->clock.Monotonic().ns() + deadline.ns());
  for (const history::LsnRange& range : ranges) {
    if (range.shard.value() >= impl_->runners.size()) {
      return InvalidArgument("the token names shard {}, this node has {}", range.shard.value(),
                             impl_->runners.size());
    }
    const hot::Store& store = impl_->runners[range.shard.value()]->store();
    while (store.published() < range.last) {
      if (impl_->clock.Monotonic() >= end) {
        return Unavailable("shard {}: LSN {} is not visible yet, {} is", range.shard.value(),
                           range.last.value(), store.published().value());
      }
      std::this_thread::sleep_for(kVisiblePoll);
    }
  }
  return OkStatus();
}

std::vector<std::string> Node::Impl::Problems() const {
  std::vector<std::string> problems;
  for (const auto& runner : runners) {
    const shard::ShardStats stats = runner->shard().Stats();
    if (!stats.poisoned.empty()) problems.push_back(stats.poisoned);
    if (!stats.maintenance_error.empty()) {
      problems.push_back(fmt::format("shard {}: retention or recycling failed: {}",
                                     runner->id().value(), stats.maintenance_error));
    }
    if (stats.backlog_bytes > max_backlog_bytes / 5 * 4) {
      problems.push_back(fmt::format("shard {}: {} of {} backlog bytes wait for history",
                                     runner->id().value(), stats.backlog_bytes, max_backlog_bytes));
    }
  }
  if (const std::string failed = snapshots->last_error(); !failed.empty()) {
    problems.push_back("the last snapshot failed: " + failed);
  }
  const MemoryState memory = Memory();
  if (memory_limit > 0 && memory.used_bytes > memory_limit / 100 * kMemoryProblemPercent) {
    problems.push_back(fmt::format("memory: {} of {} bytes are in use, {} writes were refused",
                                   memory.used_bytes, memory_limit, memory.refused_writes));
  }
  if (!memory.pressure.last_error.empty()) {
    problems.push_back("memory could not be freed: " + memory.pressure.last_error);
  }
  if (const std::string failed = floors->last_error(); !failed.empty()) {
    problems.push_back("the retention of history cannot move on: " + failed);
  }
  if (const std::string failed = Views().last_error; !failed.empty()) problems.push_back(failed);
  if (flush == nullptr) return problems;
  if (const std::string halted = flush->halted(); !halted.empty()) problems.push_back(halted);
  if (const auto stats = flush->Stats(); !stats.last_error.empty()) {
    problems.push_back("history: " + stats.last_error);
  }
  for (const HeldTable& held : Held()) {
    problems.push_back(fmt::format("table {}.{} is not flushed, its rows stay behind: {}",
                                   held.tenant, held.name, held.why));
  }
  if (flush->Pace().state == shard::FlushState::kHeldBack) {
    problems.push_back(
        fmt::format("history: {} active parts in a partition, the limit is {}: "
                    "nothing is flushed until ClickHouse has merged some",
                    flush->Pace().parts, flush->Pace().part_limit));
  }
  return problems;
}

LiveViews::State Node::Impl::Views() const {
  MutexLock lock(&views_mutex);
  return views == nullptr ? no_views : views->state();
}

MemoryState Node::Impl::Memory() const {
  MemoryState state;
  state.limit_bytes = memory_limit;
  for (const auto& runner : runners) {
    state.row_bytes += runner->memory_bytes();
    state.backlog_bytes += runner->backlog_bytes();
    state.queued_bytes += runner->queued_bytes();
    state.ready_bytes += runner->store().ready_bytes();
    const hot::SpilledStats spilled = runner->store().spilled();
    state.spilled_chunks += spilled.chunks;
    state.spilled_bytes += spilled.bytes;
  }
  state.used_bytes = state.row_bytes + state.backlog_bytes + state.queued_bytes;
  state.refused_writes = router->refused_by_memory();
  state.refused_by_backlog = router->refused_by_backlog();
  state.pressure = pressure->stats();
  return state;
}

std::vector<HeldTable> Node::Impl::Held() const {
  std::vector<HeldTable> out;
  const shard::FlushStats stats = flush->Stats();
  for (const auto& schema : directory.catalog->Tables()) {
    for (const shard::HeldTable& held : stats.held) {
      if (held.table == schema->id) out.push_back({schema->tenant, schema->name, held.why});
    }
  }
  return out;
}

HistoryState Node::Impl::History() const {
  HistoryState state;
  state.kind = history_kind;
  state.url = history_url;
  state.cache = engine->cold_cache();
  if (flush == nullptr) return state;
  state.reachable = flush->reachable();
  state.restarts = embedded == nullptr ? 0 : embedded->restarts();
  state.flush = flush->Stats();
  state.pace = flush->Pace();
  state.halted = flush->halted();
  state.held = Held();
  if (const std::string url = flush->url(); !url.empty()) state.url = url;
  Timestamp oldest = Timestamp::Max();
  for (const auto& runner : runners) {
    oldest = std::min(oldest, runner->shard().Stats().oldest_unpersisted);
  }
  const Timestamp now = clock.Now();
  if (oldest < now) state.flush_lag = Duration(now.ns() - oldest.ns());
  return state;
}

NodeState Node::State() const {
  NodeState state;
  state.incarnation = impl_->directory.IncarnationText();
  state.started_at = impl_->started_at;
  for (const auto& runner : impl_->runners) {
    state.shards.emplace_back(runner->id(), runner->shard().Stats());
  }
  for (const auto& schema : impl_->directory.catalog->Tables()) {
    TableState table;
    table.schema = schema;
    table.persisted_through = Timestamp::Max();
    for (const auto& runner : impl_->runners) {
      const hot::TableStats stats = runner->store().StatsOf(schema->id);
      table.stats.rows += stats.rows;
      table.stats.bytes += stats.bytes;
      table.stats.spilled_chunks += stats.spilled_chunks;
      table.stats.spilled_bytes += stats.spilled_bytes;
      table.stats.series += stats.series;
      table.stats.overlay_rows += stats.overlay_rows;
      table.stats.max_ts = std::max(table.stats.max_ts, stats.max_ts);
      // A shard without rows of the table holds nothing back.
      if (stats.series == 0) continue;
      table.persisted_through =
          std::min(table.persisted_through, runner->shard().PersistedThrough(schema->id));
    }
    if (table.stats.series == 0) table.persisted_through = Timestamp::Min();
    table.history_floor = impl_->floors->Of(schema->id);
    state.tables.push_back(std::move(table));
  }
  state.history = impl_->History();
  state.memory = impl_->Memory();
  state.live.views = impl_->Views();
  if (impl_->seams != nullptr) state.live.seams = impl_->seams->stats();
  state.partial_answers = impl_->partial_answers.load(std::memory_order_relaxed);
  state.resident_bytes = ResidentBytes();
  if (const auto keys = Keys(); !keys.empty()) state.key = keys.back().id;
  state.problems = impl_->Problems();
  return state;
}

}  // namespace proxist::server
