// readers: what ingest does to the latency of concurrent readers, and they to it. Their queries run
// on a pool like the server's, at times that were fixed beforehand, so a query that waits for its
// turn counts from when it was due.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <future>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <sys/prctl.h>

#include "apps/proxist-bench/asked.h"
#include "apps/proxist-bench/commands.h"
#include "apps/proxist-bench/paced_ingest.h"
#include "bench/latencies.h"
#include "bench/ready_memory.h"
#include "bench/temporary_directory.h"
#include "proxist/env/clock.h"
#include "proxist/server/node.h"
#include "proxist/server/work_pool.h"

namespace proxist::bench {
namespace {

using SteadyTime = std::chrono::steady_clock::time_point;

constexpr size_t kLoadRows = 5000;
constexpr Duration kAsofSpan = Duration::Seconds(60);
constexpr std::chrono::seconds kCapacityTime(1);
constexpr double kLoadShare = 0.5;  // of the capacity

/// The two kinds of query, each from a generator of the thread's own.
struct Questions {
  Questions(uint32_t symbols, uint64_t seed)
      : last_by(symbols, seed, true), asof(symbols, seed, kAsofSpan) {}
  LastByAsked last_by;
  AsofAsked asof;
};

struct Times {
  Latencies last_by;
  Latencies asof;
  void AddAll(const Times& other) {
    last_by.AddAll(other.last_by);
    asof.AddAll(other.asof);
  }
};

class Readers {
 public:
  Readers(const ReadersOptions& options, query::Engine* engine)
      : options_(options),
        engine_(*engine),
        pool_("queries", 2 * std::max(1u, std::thread::hardware_concurrency()), options.readers,
              server::kQueryNiceness) {}

  /// Queries per second when every reader asks as soon as it has its answer.
  StatusOr<double> Capacity() {
    const SteadyTime end = std::chrono::steady_clock::now() + kCapacityTime;
    std::atomic<uint64_t> asked{0};
    PX_RETURN_IF_ERROR(OnThreads([&](uint32_t reader) -> Status {
      Questions questions(options_.symbols, reader);
      for (uint64_t i = 0; std::chrono::steady_clock::now() < end; ++i, ++asked) {
        PX_RETURN_IF_ERROR(Ask(&questions, i));
      }
      return OkStatus();
    }));
    return static_cast<double>(asked) / std::chrono::duration<double>(kCapacityTime).count();
  }

  /// All readers ask `rate` queries per second for the seconds of the options.
  StatusOr<Times> Run(double rate) {
    std::vector<Times> times(options_.readers);
    const SteadyTime start = std::chrono::steady_clock::now();
    PX_RETURN_IF_ERROR(OnThreads([&](uint32_t reader) {
      return OpenLoop(reader, rate / options_.readers, start, &times[reader]);
    }));
    Times all;
    for (const Times& one : times) all.AddAll(one);
    return all;
  }

 private:
  template <typename Work>
  Status OnThreads(const Work& work) {
    std::vector<std::thread> threads;
    std::vector<Status> ended(options_.readers);
    for (uint32_t i = 0; i < options_.readers; ++i) {
      threads.emplace_back([&, i] { ended[i] = work(i); });
    }
    for (std::thread& thread : threads) thread.join();
    for (const Status& status : ended) PX_RETURN_IF_ERROR(status);
    return OkStatus();
  }

  Status Ask(Questions* questions, uint64_t i) {
    const query::Plan plan = i % 2 == 0 ? questions->last_by.Next() : questions->asof.Next();
    std::promise<Status> answered;
    PX_RETURN_IF_ERROR(pool_.Submit([&] {
      const auto sink = [](const query::ResultBatch&) { return OkStatus(); };
      answered.set_value(engine_.Run(plan, {}, sink, nullptr));
    }));
    return answered.get_future().get();
  }

  Status OpenLoop(uint32_t reader, double rate, SteadyTime start, Times* times) {
    // Else a sleep ends up to 50 us late.
    prctl(PR_SET_TIMERSLACK, 1);
    Questions questions(options_.symbols, reader);
    std::mt19937_64 random(reader);
    std::exponential_distribution<double> gap(rate);
    const auto next = [&] {
      return std::chrono::duration_cast<SteadyTime::duration>(
          std::chrono::duration<double>(gap(random)));
    };
    const SteadyTime end = start + std::chrono::seconds(options_.seconds);
    SteadyTime due = start + next();
    for (uint64_t i = reader; due < end; ++i, due += next()) {
      std::this_thread::sleep_until(due);
      PX_RETURN_IF_ERROR(Ask(&questions, i));
      const Duration took((std::chrono::steady_clock::now() - due).count());
      (i % 2 == 0 ? times->last_by : times->asof).Add(took);
    }
    return OkStatus();
  }

  const ReadersOptions& options_;
  query::Engine& engine_;
  server::WorkPool pool_;
};

Result Compare(const std::string& name, const Latencies& quiet, const Latencies& beside) {
  Result result;
  result.name = name;
  result.With("queries", static_cast<double>(quiet.count() + beside.count()));
  for (const auto& [what, times] :
       {std::pair{"alone", &quiet}, std::pair{"with ingest", &beside}}) {
    for (const int percent : {50, 95}) {
      result.With(fmt::format("{} p{} us", what, percent),
                  static_cast<double>(times->Percentile(percent).ns()) * 1e-3);
    }
  }
  return result.With("ratio p95", static_cast<double>(beside.Percentile(95).ns()) /
                                      static_cast<double>(quiet.Percentile(95).ns()));
}

double Middle(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values.empty() ? 0 : values[values.size() / 2];
}

}  // namespace

StatusOr<ReadersResults> MeasureReaders(const ReadersOptions& options) {
  PX_ASSIGN_OR_RETURN(const TemporaryDirectory directory,
                      TemporaryDirectory::Make(options.directory));
  server::NodeOptions node_options;
  node_options.data_directory = directory.path() + "/data";
  node_options.history = "none";
  node_options.ready_memory_bytes = kReadyBytes;
  PX_ASSIGN_OR_RETURN(const std::unique_ptr<server::Node> node, server::Node::Open(node_options));
  PacedIngest ingest(node.get(), options.symbols);
  PX_RETURN_IF_ERROR(ingest.Load(options.rows, kLoadRows, kAskedSpan));
  Readers readers(options, &node->engine());
  PX_ASSIGN_OR_RETURN(const double capacity, readers.Capacity());
  const Duration part = Duration::Seconds(options.seconds);
  Times quiet;
  Times beside;
  std::vector<double> alone_rate;
  std::vector<double> beside_rate;
  for (uint32_t round = 0; round < options.rounds; ++round) {
    PX_ASSIGN_OR_RETURN(const Times without, readers.Run(capacity * kLoadShare));
    quiet.AddAll(without);
    PX_ASSIGN_OR_RETURN(const double alone, ingest.Run(options.rate, part));
    alone_rate.push_back(alone);
    StatusOr<double> rate(0.0);
    std::thread writer([&] { rate = ingest.Run(options.rate, part); });
    const StatusOr<Times> with = readers.Run(capacity * kLoadShare);
    writer.join();
    PX_RETURN_IF_ERROR(with.status());
    PX_RETURN_IF_ERROR(rate.status());
    beside.AddAll(*with);
    beside_rate.push_back(*rate);
  }
  ReadersResults results;
  results.readers = {Compare("last-by, now", quiet.last_by, beside.last_by),
                     Compare("as-of, 60 s of trades", quiet.asof, beside.asof)};
  Result rows;
  rows.name = fmt::format("{} rows/s asked for", options.rate);
  const double alone = Middle(alone_rate);
  const double with = Middle(beside_rate);
  rows.With("alone rows/s", alone).With("with readers rows/s", with);
  rows.With("loses", alone > 0 ? 1 - with / alone : 0);
  rows.With("readers", options.readers).With("queries/s", capacity * kLoadShare);
  results.ingest = {std::move(rows)};
  return results;
}

}  // namespace proxist::bench
