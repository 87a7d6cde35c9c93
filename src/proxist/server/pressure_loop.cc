#include "proxist/server/pressure_loop.h"

#include <algorithm>
#include <chrono>
#include <fstream>
#include <span>
#include <utility>

#include <unistd.h>

#include "proxist/observe/log.h"

namespace proxist::server {
namespace {

constexpr uint64_t kStandardLimitPercent = 60;
constexpr auto kLookEvery = std::chrono::milliseconds(10);
constexpr auto kStuckPause = std::chrono::milliseconds(100);
constexpr Duration kPrepareEvery = Duration::Millis(250);
constexpr Duration kLastResortEvery = Duration::Seconds(1);
constexpr Duration kEverySecond = Duration::Seconds(1);
// One step of a shard's thread: so many chunks change their place.
constexpr size_t kChunksPerStep = 128;
// A snapshot is asked for when a shard holds such a part of the limit that no file holds.
constexpr uint64_t kUnplacedPart = 16;

uint64_t Percent(uint64_t bytes, uint64_t percent) { return bytes / 100 * percent; }

}  // namespace

uint64_t MachineMemory() {
  uint64_t bytes =
      static_cast<uint64_t>(sysconf(_SC_PHYS_PAGES)) * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
  uint64_t allowed = 0;
  // "max" stands there when there is no limit, and reads as no number.
  if (std::ifstream group("/sys/fs/cgroup/memory.max"); group >> allowed) {
    bytes = std::min(bytes, allowed);
  }
  return bytes;
}

uint64_t StandardMemoryLimit() { return Percent(MachineMemory(), kStandardLimitPercent); }

PressureLoop::PressureLoop(Ports ports, uint64_t limit_bytes)
    : ports_(std::move(ports)), limit_(limit_bytes) {
  for (const ShardRunner* runner : ports_.runners) readers_.emplace_back(&runner->store());
}

PressureLoop::~PressureLoop() { Stop(); }

void PressureLoop::Start() {
  thread_ = std::thread([this] { Loop(); });
}

void PressureLoop::Stop() {
  {
    MutexLock lock(&mutex_);
    stop_ = true;
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
}

PressureLoop::Stats PressureLoop::stats() const {
  MutexLock lock(&mutex_);
  return stats_;
}

bool PressureLoop::stopping() const {
  MutexLock lock(&mutex_);
  return stop_;
}

void PressureLoop::Note(const Status& status) {
  if (!status.ok() && round_error_.ok()) round_error_ = status;
}

void PressureLoop::Loop() {
  while (true) {
    round_error_ = OkStatus();
    const Outcome outcome = Round();
    MutexLock lock(&mutex_);
    if (!round_error_.ok() && stats_.last_error.empty()) {
      observe::LogWarning("memory: {}", Message(round_error_));
    }
    stats_.last_error = std::string(Message(round_error_));
    const auto pause = outcome == Outcome::kStuck ? kStuckPause : kLookEvery;
    if (wake_.wait_for(lock, pause, [this]() PX_REQUIRES(mutex_) { return stop_; })) return;
  }
}

std::vector<PressureLoop::Scope> PressureLoop::Scopes() const {
  std::vector<Scope> scopes;
  const auto add = [&](uint64_t limit, uint64_t used, uint64_t going, std::optional<TableId> id) {
    scopes.push_back({limit, used - std::min(used, going), id});
  };
  for (const column::SchemaPtr& schema : ports_.catalog->Tables()) {
    if (schema->hot_memory_bytes == 0) continue;
    uint64_t used = 0;
    uint64_t going = 0;
    for (const ShardRunner* runner : ports_.runners) {
      const hot::TableStats stats = runner->store().StatsOf(schema->id);
      used += stats.bytes;
      going += stats.retired_bytes;
    }
    add(schema->hot_memory_bytes, used, going, schema->id);
  }
  if (limit_ == 0) return scopes;
  uint64_t going = 0;
  for (const ShardRunner* runner : ports_.runners) going += runner->store().retired_bytes();
  add(limit_, ports_.used(), going, std::nullopt);
  return scopes;
}

PressureLoop::Outcome PressureLoop::Round() {
  FollowSnapshots();
  const Duration now = ports_.clock->Monotonic();
  const bool look = now.ns() - last_look_.ns() >= kPrepareEvery.ns();
  if (look) last_look_ = now;
  if (ports_.each_second != nullptr && now.ns() - last_second_.ns() >= kEverySecond.ns()) {
    last_second_ = now;
    ports_.each_second();
  }
  Outcome worst = Outcome::kCalm;
  for (const Scope& scope : Scopes()) {
    if (scope.Above(kHighMarkPercent)) {
      worst = std::max(worst, Relieve(scope));
    } else if (look && scope.Above(kSnapshotMarkPercent)) {
      RequestSnapshots(scope, Chunks(scope));
    }
  }
  return worst;
}

PressureLoop::Outcome PressureLoop::Relieve(const Scope& scope) {
  const uint64_t need = scope.used - Percent(scope.limit, kLowMarkPercent);
  const std::vector<Candidate> chunks = Chunks(scope);
  uint64_t freed = EvictPersisted(scope, chunks, need);
  if (freed < need) freed += Spill(chunks, need - freed);
  if (freed >= need) return Outcome::kFreed;
  RequestSnapshots(scope, chunks);
  // Open chunks and overlays are left: those that history has may go too.
  const Duration now = ports_.clock->Monotonic();
  if (freed < need / 2 && now.ns() - last_resort_.ns() >= kLastResortEvery.ns()) {
    last_resort_ = now;
    freed += EvictThrough(scope, Timestamp::Max());
  }
  return freed > 0 ? Outcome::kFreed : Outcome::kStuck;
}

void PressureLoop::FollowSnapshots() {
  for (size_t shard = 0; shard < readers_.size(); ++shard) {
    ShardRunner* runner = ports_.runners[shard];
    shard::SpillReader& reader = readers_[shard];
    if (runner->shard().Stats().snapshot == reader.cut()) continue;
    shard::SpillSource source;
    runner->Run([&](shard::Shard& shard) { source = shard.Spilling(); });
    reader.Use(std::move(source));
    std::vector<hot::SealedChunk> chunks;
    runner->store().SealedChunks(&chunks);
    std::vector<const hot::SealedChunk*> moved;
    for (const hot::SealedChunk& chunk : chunks) {
      if (reader.Moved(chunk)) moved.push_back(&chunk);
    }
    SpillFrom(shard, moved);
  }
}

std::vector<PressureLoop::Candidate> PressureLoop::Chunks(const Scope& scope) const {
  std::vector<Candidate> all;
  for (size_t shard = 0; shard < ports_.runners.size(); ++shard) {
    std::vector<hot::SealedChunk> chunks;
    ports_.runners[shard]->store().SealedChunks(&chunks);
    for (const hot::SealedChunk& chunk : chunks) {
      if (chunk.file == 0 && scope.Holds(chunk.table)) all.push_back({chunk, shard});
    }
  }
  std::ranges::sort(all, {}, [](const Candidate& c) { return c.chunk.published; });
  return all;
}

uint64_t PressureLoop::EvictPersisted(const Scope& scope, const std::vector<Candidate>& chunks,
                                      uint64_t need) {
  uint64_t bytes = 0;
  std::optional<Timestamp> through;
  for (const Candidate& one : chunks) {
    if (bytes >= need) break;
    if (one.chunk.max_lsn > ports_.runners[one.shard]->store().persisted()) continue;
    bytes += one.chunk.bytes;
    through = one.chunk.published;
  }
  return through.has_value() ? EvictThrough(scope, *through) : 0;
}

uint64_t PressureLoop::EvictThrough(const Scope& scope, Timestamp published) {
  hot::EvictResult sum;
  for (ShardRunner* runner : ports_.runners) {
    for (const column::SchemaPtr& schema : ports_.catalog->Tables()) {
      if (!scope.Holds(schema->id) || runner->store().persisted() == Lsn(0)) continue;
      StatusOr<hot::EvictResult> one = Internal("not run");
      runner->Run(
          [&](shard::Shard& shard) { one = shard.Evict(schema->id, Timestamp::Max(), published); });
      Note(one.status());
      if (!one.ok()) continue;
      sum.rows += one->rows;
      sum.bytes += one->bytes;
    }
  }
  MutexLock lock(&mutex_);
  stats_.evicted_rows += sum.rows;
  stats_.evicted_bytes += sum.bytes;
  return sum.bytes;
}

uint64_t PressureLoop::Spill(const std::vector<Candidate>& chunks, uint64_t need) {
  std::vector<std::vector<const hot::SealedChunk*>> chosen(readers_.size());
  uint64_t bytes = 0;
  for (const Candidate& one : chunks) {
    if (bytes >= need) break;
    if (!readers_[one.shard].Holds(one.chunk)) continue;
    bytes += one.chunk.bytes;
    chosen[one.shard].push_back(&one.chunk);
  }
  hot::SpillResult sum;
  for (size_t shard = 0; shard < chosen.size(); ++shard) {
    const hot::SpillResult one = SpillFrom(shard, chosen[shard]);
    sum.chunks += one.chunks;
    sum.bytes += one.bytes;
  }
  MutexLock lock(&mutex_);
  stats_.spilled_chunks += sum.chunks;
  stats_.spilled_bytes += sum.bytes;
  return sum.bytes;
}

hot::SpillResult PressureLoop::SpillFrom(size_t shard,
                                         const std::vector<const hot::SealedChunk*>& chunks) {
  shard::SpillReader& reader = readers_[shard];
  hot::SpillResult sum;
  for (size_t at = 0; at < chunks.size() && !stopping(); at += kChunksPerStep) {
    hot::SpillBatch batch;
    const size_t end = std::min(at + kChunksPerStep, chunks.size());
    for (size_t i = at; i < end; ++i) Note(reader.Add(*chunks[i], &batch));
    hot::SpillResult result;
    ports_.runners[shard]->Run(
        [&](shard::Shard& shard) { result = shard.Spill(std::move(batch)); });
    sum.chunks += result.chunks;
    sum.bytes += result.bytes;
  }
  reader.Release();
  return sum;
}

void PressureLoop::RequestSnapshots(const Scope& scope, const std::vector<Candidate>& chunks) {
  std::vector<uint64_t> unplaced(readers_.size());
  for (const Candidate& one : chunks) {
    if (!readers_[one.shard].Holds(one.chunk)) unplaced[one.shard] += one.chunk.bytes;
  }
  const uint64_t much = scope.limit / kUnplacedPart / readers_.size();
  for (size_t shard = 0; shard < unplaced.size(); ++shard) {
    if (unplaced[shard] >= much) ports_.snapshots->Request(shard);
  }
}

}  // namespace proxist::server
