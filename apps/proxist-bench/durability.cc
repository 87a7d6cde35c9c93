// durability: acks beside raw writes, what many producers gain, and full-rate ingest in process.
#include <algorithm>
#include <array>
#include <atomic>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

#include <fmt/format.h>

#include "apps/proxist-bench/commands.h"
#include "bench/latencies.h"
#include "bench/machine.h"
#include "bench/market.h"
#include "bench/raw_write.h"
#include "bench/shard_bench.h"
#include "proxist/base/mutex.h"
#include "proxist/env/clock.h"
#include "proxist/env/file_system.h"
#include "proxist/server/shard_runner.h"

namespace proxist::bench {
namespace {

using nlohmann::ordered_json;

constexpr uint64_t kRawFileBytes = 64ull << 20;
constexpr uint32_t kManyProducers = 16;
constexpr uint32_t kIngestProducers = 4;
constexpr size_t kIngestRows = 1000;
constexpr size_t kIngestWindow = 8;      // batches of a producer without an ack
constexpr size_t kPreparedBatches = 64;  // of a producer, sent again with later times
constexpr Duration kGainFor = Duration::Seconds(3);
constexpr int kEncryptionPairs = 4;  // of a plain and an encrypted run, one after the other

/// Which market a producer sends: a feed of one venue, or everything at once.
struct Feed {
  std::string name;
  size_t rows;
  MarketOptions market;
};

std::vector<Feed> Feeds() {
  return {{"one venue", 1, OneVenue()},
          {"one venue", 100, OneVenue()},
          {"one venue", 1000, OneVenue()},
          {"8,000 series, late rows and corrections", 1000, AllVenues()}};
}

double Seconds(Duration d) { return static_cast<double>(d.ns()) / 1e9; }

// --- Acks ---

StatusOr<ordered_json> MeasureFeed(const Feed& feed, uint32_t rounds, const std::string& directory,
                                   RawWriter* raw) {
  PX_ASSIGN_OR_RETURN(const AckLatencies measured,
                      MeasureAcksBesideRaw(feed.market, feed.rows, rounds, directory, raw));
  return ordered_json{{"rows", feed.rows},
                      {"feed", feed.name},
                      {"bytes", measured.bytes},
                      {"ack_p50_ns", measured.ack.Percentile(50).ns()},
                      {"ack_p99_ns", measured.ack.Percentile(99).ns()},
                      {"raw_p50_ns", measured.raw.Percentile(50).ns()},
                      {"raw_p99_ns", measured.raw.Percentile(99).ns()}};
}

StatusOr<ordered_json> MeasureAcks(const DurabilityOptions& options, bool* direct) {
  PX_ASSIGN_OR_RETURN(const TemporaryDirectory directory,
                      TemporaryDirectory::Make(options.directory));
  PX_ASSIGN_OR_RETURN(std::unique_ptr<RawWriter> raw,
                      RawWriter::Open(directory.path() + "/raw", kRawFileBytes));
  *direct = raw->direct();
  ordered_json out = ordered_json::array();
  for (const Feed& feed : Feeds()) {
    PX_ASSIGN_OR_RETURN(ordered_json row,
                        MeasureFeed(feed, options.rounds, directory.path(), raw.get()));
    out.push_back(std::move(row));
  }
  return out;
}

// --- Producers in threads of their own ---

/// Batches of one producer whose times are moved on each time they are sent again.
class Replay {
 public:
  Replay(const column::SchemaPtr& schema, uint32_t producer, size_t rows) {
    MarketOptions options{.seed = producer + 1,
                          .symbols = 50,
                          .venues = 1,
                          .late_share = 0,
                          .correction_share = 0,
                          .cancel_share = 0};
    Market market(options);
    for (size_t i = 0; i < kPreparedBatches; ++i) {
      column::Batch batch = market.NextQuotes(Duration::Millis(10), rows);
      market.Advance(Duration::Millis(10));
      batch.schema = schema;
      // Each producer has symbols of its own.
      auto names = std::make_shared<std::vector<std::string>>();
      for (const std::string_view name : batch.symbol.dictionary) {
        names->push_back(fmt::format("P{}{}", producer, name));
      }
      std::copy(names->begin(), names->end(), batch.symbol.dictionary.begin());
      auto times = std::make_shared<std::vector<int64_t>>(rows);
      for (size_t row = 0; row < rows; ++row) (*times)[row] = batch.ts.At<int64_t>(row);
      prepared_.push_back({batch, names, times});
    }
  }

  column::Batch Next() {
    const Prepared& from = prepared_[at_ % prepared_.size()];
    const auto lap = static_cast<int64_t>(at_++ / prepared_.size());
    const int64_t shift = lap * static_cast<int64_t>(prepared_.size()) * 10'000'000;
    auto times = std::make_shared<std::vector<int64_t>>(*from.times);
    for (int64_t& ts : *times) ts += shift;
    column::Batch batch = from.batch;
    batch.ts.values = std::as_bytes(std::span(*times));
    batch.owner = std::make_shared<
        std::tuple<std::shared_ptr<const void>, std::shared_ptr<void>, std::shared_ptr<void>>>(
        batch.owner, from.names, times);
    return batch;
  }

 private:
  struct Prepared {
    column::Batch batch;
    std::shared_ptr<std::vector<std::string>> names;
    std::shared_ptr<std::vector<int64_t>> times;
  };
  std::vector<Prepared> prepared_;
  uint64_t at_ = 0;
};

struct Sent {
  uint64_t rows = 0;
  uint64_t batches = 0;
  Status status;
};

/// Sends until `until`, `window` batches at a time without an ack, and waits for the last ones.
Sent SendUntil(server::ShardRunner* runner, Replay* replay, const std::string& name, size_t window,
               Duration until) {
  Mutex mutex;
  CondVar acked;
  size_t open = 0;
  Sent sent;
  uint64_t number = 0;
  while (env::SystemClock().Monotonic() < until) {
    column::Batch batch = replay->Next();
    {
      MutexLock lock(&mutex);
      acked.wait(lock, [&] { return open < window; });
      if (!sent.status.ok()) break;
      ++open;
    }
    const uint64_t rows = batch.rows;
    runner->Enqueue({.producer = name,
                     .number = BatchNumber(++number),
                     .batch = std::move(batch),
                     .done = [&, rows](const shard::Ack& ack) {
                       MutexLock lock(&mutex);
                       --open;
                       if (!ack.status.ok()) sent.status = ack.status;
                       sent.rows += rows;
                       ++sent.batches;
                       acked.notify_one();
                     }});
  }
  MutexLock lock(&mutex);
  acked.wait(lock, [&] { return open == 0; });
  return sent;
}

struct Throughput {
  uint64_t rows = 0, batches = 0, log_bytes = 0, memory_bytes = 0;
  Duration elapsed;
};

StatusOr<Throughput> SendFromMany(const std::string& directory, uint32_t producers, size_t rows,
                                  size_t window, Duration duration, bool encrypted = false) {
  PX_ASSIGN_OR_RETURN(std::unique_ptr<ShardBench> bench, ShardBench::Open(directory, encrypted));
  const column::SchemaPtr schema = bench->schema;
  std::vector<std::unique_ptr<Replay>> replays;
  for (uint32_t i = 0; i < producers; ++i) {
    replays.push_back(std::make_unique<Replay>(schema, i, rows));
  }
  const uint64_t batch_bytes = LoggedBytes(replays[0]->Next());
  server::ShardRunner runner(std::move(bench->shard));
  runner.Start();
  const Duration began = env::SystemClock().Monotonic();
  const Duration until(began.ns() + duration.ns());
  std::vector<Sent> sent(producers);
  std::vector<std::thread> threads;
  for (uint32_t i = 0; i < producers; ++i) {
    threads.emplace_back([&, i] {
      sent[i] = SendUntil(&runner, replays[i].get(), fmt::format("producer-{}", i), window, until);
    });
  }
  for (std::thread& thread : threads) thread.join();
  Throughput out;
  out.elapsed = Duration(env::SystemClock().Monotonic().ns() - began.ns());
  for (const Sent& one : sent) {
    PX_RETURN_IF_ERROR(one.status);
    out.rows += one.rows;
    out.batches += one.batches;
  }
  const hot::TableStats stats = runner.store().StatsOf(schema->id);
  if (stats.rows != out.rows) {
    return Internal("{} rows were acked, {} are visible", out.rows, stats.rows);
  }
  out.log_bytes = out.batches * batch_bytes;
  out.memory_bytes = stats.bytes;
  runner.Stop();
  return out;
}

double RowsPerSecond(const Throughput& t) {
  return static_cast<double>(t.rows) / Seconds(t.elapsed);
}

StatusOr<ordered_json> MeasureGain(const DurabilityOptions& options) {
  ordered_json out = ordered_json::array();
  for (const size_t rows : {size_t{1}, size_t{100}}) {
    PX_ASSIGN_OR_RETURN(const Throughput one,
                        SendFromMany(options.directory, 1, rows, 1, kGainFor));
    PX_ASSIGN_OR_RETURN(const Throughput many,
                        SendFromMany(options.directory, kManyProducers, rows, 1, kGainFor));
    out.push_back({{"rows", rows},
                   {"producers", kManyProducers},
                   {"one_rows_per_s", RowsPerSecond(one)},
                   {"many_rows_per_s", RowsPerSecond(many)},
                   {"gain", RowsPerSecond(many) / RowsPerSecond(one)}});
  }
  return out;
}

StatusOr<ordered_json> MeasureIngestRate(const DurabilityOptions& options) {
  PX_ASSIGN_OR_RETURN(const Throughput all,
                      SendFromMany(options.directory, kIngestProducers, kIngestRows, kIngestWindow,
                                   Duration::Seconds(options.seconds)));
  return ordered_json{{"producers", kIngestProducers},    {"batch_rows", kIngestRows},
                      {"seconds", Seconds(all.elapsed)},  {"rows", all.rows},
                      {"rows_per_s", RowsPerSecond(all)}, {"log_bytes", all.log_bytes},
                      {"memory_bytes", all.memory_bytes}};
}

/// The same ingest without and with encryption, in turns.
StatusOr<ordered_json> MeasureEncryption(const DurabilityOptions& options) {
  const Duration each(Duration::Seconds(options.seconds).ns() / (2 * kEncryptionPairs));
  std::array<double, 2> rate{};
  for (int i = 0; i < 2 * kEncryptionPairs; ++i) {
    const bool encrypted = i % 2 != 0;
    PX_ASSIGN_OR_RETURN(const Throughput sent,
                        SendFromMany(options.directory, kIngestProducers, kIngestRows,
                                     kIngestWindow, each, encrypted));
    rate[encrypted ? 1 : 0] += RowsPerSecond(sent) / kEncryptionPairs;
  }
  return ordered_json{{"plain_rows_per_s", rate[0]},
                      {"encrypted_rows_per_s", rate[1]},
                      {"cost", 1 - rate[1] / rate[0]}};
}

}  // namespace

StatusOr<ordered_json> MeasureDurability(const DurabilityOptions& options) {
  const Machine machine = DescribeMachine(options.directory);
  bool direct = false;
  PX_ASSIGN_OR_RETURN(ordered_json acks, MeasureAcks(options, &direct));
  PX_ASSIGN_OR_RETURN(ordered_json gain, MeasureGain(options));
  PX_ASSIGN_OR_RETURN(ordered_json ingest, MeasureIngestRate(options));
  PX_ASSIGN_OR_RETURN(ordered_json encryption, MeasureEncryption(options));
  return ordered_json{{"machine",
                       {{"kernel", machine.kernel},
                        {"file_system", machine.file_system},
                        {"device", machine.device},
                        {"processors", machine.processors},
                        {"write", direct ? "O_DIRECT|O_DSYNC" : "O_DSYNC"}}},
                      {"ack", std::move(acks)},
                      {"many_producers", std::move(gain)},
                      {"ingest", std::move(ingest)},
                      {"encryption", std::move(encryption)}};
}

std::string DescribeDurability(const ordered_json& measured) {
  const ordered_json& machine = measured["machine"];
  std::string out = fmt::format(
      "durability on {}, {} on {}, {} processors, {}\n", machine["kernel"].get<std::string>(),
      machine["file_system"].get<std::string>(), machine["device"].get<std::string>(),
      machine["processors"].get<unsigned>(), machine["write"].get<std::string>());
  for (const ordered_json& ack : measured["ack"]) {
    const auto us = [&](const char* name) { return ack[name].get<double>() / 1e3; };
    out += fmt::format(
        "  ack of {:>4} rows, {:>6} bytes: p50 {:7.1f} us, raw {:7.1f} us, ratio {:.2f}; "
        "p99 {:7.1f} us, raw {:7.1f} us, ratio {:.2f} ({})\n",
        ack["rows"].get<size_t>(), ack["bytes"].get<size_t>(), us("ack_p50_ns"), us("raw_p50_ns"),
        us("ack_p50_ns") / us("raw_p50_ns"), us("ack_p99_ns"), us("raw_p99_ns"),
        us("ack_p99_ns") / us("raw_p99_ns"), ack["feed"].get<std::string>());
  }
  for (const ordered_json& gain : measured["many_producers"]) {
    out += fmt::format(
        "  batches of {:>3} rows: one producer {:.0f} rows/s, {} producers {:.0f} rows/s, gain "
        "{:.1f}\n",
        gain["rows"].get<size_t>(), gain["one_rows_per_s"].get<double>(),
        gain["producers"].get<unsigned>(), gain["many_rows_per_s"].get<double>(),
        gain["gain"].get<double>());
  }
  const ordered_json& encryption = measured["encryption"];
  const std::string cost = fmt::format(
      "  the same in turns: {:.0f} rows/s plain, {:.0f} encrypted, cost {:.1f}%\n",
      encryption["plain_rows_per_s"].get<double>(),
      encryption["encrypted_rows_per_s"].get<double>(), 100 * encryption["cost"].get<double>());
  const ordered_json& ingest = measured["ingest"];
  return out +
         fmt::format(
             "  {} producers, batches of {} rows: {:.0f} durable and visible rows/s for {:.1f} "
             "s; {} rows, {} bytes logged, {} bytes of memory\n",
             ingest["producers"].get<unsigned>(), ingest["batch_rows"].get<size_t>(),
             ingest["rows_per_s"].get<double>(), ingest["seconds"].get<double>(),
             ingest["rows"].get<uint64_t>(), ingest["log_bytes"].get<uint64_t>(),
             ingest["memory_bytes"].get<uint64_t>()) +
         cost;
}

}  // namespace proxist::bench
