// readers: what ingest does to the latency of concurrent readers, and they to it. Their queries
// come at moments that do not depend on the answers, so one that waits for its turn counts from
// when it was due.
#include <algorithm>
#include <array>
#include <chrono>
#include <ctime>
#include <deque>
#include <functional>
#include <iterator>
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
#include "bench/rounds.h"
#include "bench/temporary_directory.h"
#include "proxist/base/mutex.h"
#include "proxist/env/clock.h"
#include "proxist/env/thread_share.h"
#include "proxist/server/grpc_server.h"
#include "proxist/server/node.h"

namespace proxist::bench {
namespace {

using SteadyTime = std::chrono::steady_clock::time_point;

constexpr size_t kLoadRows = 5000;
constexpr Duration kAsofSpan = Duration::Seconds(60);
constexpr std::chrono::milliseconds kCapacityTime(500);
constexpr int kCapacityTries = 3;
// Queries come in groups, at the ends of such spans, as they do from a network: to be woken for
// each of them takes a thread longer than the query.
constexpr std::chrono::microseconds kGroupSpan{100};

struct Times {
  Latencies last_by;
  Latencies asof;
  void AddAll(const Times& other) {
    last_by.AddAll(other.last_by);
    asof.AddAll(other.asof);
  }
};

/// A last-by and an as-of in turns. One thread at a time.
class Reader {
 public:
  Reader(uint32_t symbols, uint64_t seed, query::Engine* engine)
      : last_by_(symbols, seed, true),
        asof_(symbols, seed, kAsofSpan),
        random_(seed),
        asked_(seed),
        engine_(*engine) {}

  /// When its next query comes.
  [[nodiscard]] SteadyTime due() const { return due_; }
  void Due(SteadyTime at) { at_random_ = due_ = at; }
  /// With a group, `rate` of them a second at random. `start`: of the groups.
  void DueInGroup(double rate, SteadyTime start) {
    std::exponential_distribution<double> gap(rate);
    at_random_ += std::chrono::duration_cast<SteadyTime::duration>(
        std::chrono::duration<double>(gap(random_)));
    due_ = start + ((at_random_ - start) / kGroupSpan + 1) * kGroupSpan;
  }
  /// Asks and waits for the answer; its time counts from when it was due.
  Status Ask(Times* times) {
    const bool last_by = asked_++ % 2 == 0;
    const query::Plan plan = last_by ? last_by_.Next() : asof_.Next();
    const auto sink = [](const query::ResultBatch&) { return OkStatus(); };
    PX_RETURN_IF_ERROR(engine_.Run(plan, {}, sink, nullptr));
    (last_by ? times->last_by : times->asof)
        .Add(Duration((std::chrono::steady_clock::now() - due_).count()));
    return OkStatus();
  }

 private:
  LastByAsked last_by_;
  AsofAsked asof_;
  std::mt19937_64 random_;
  uint64_t asked_;
  query::Engine& engine_;
  SteadyTime at_random_;
  SteadyTime due_;
};

/// How many rows both tables get at most, alone and beside readers.
uint64_t RowsOf(const ReadersOptions& options) {
  const uint64_t fed = uint64_t{2} * options.rounds * options.seconds * options.rate;
  return options.rows + options.rows / 4 + fed;
}

/// Returns once the process has next to nothing to do: what ingest leaves behind it, a snapshot and
/// memory to make ready, would count as a part of what comes next.
void AwaitRest() {
  constexpr std::chrono::milliseconds kLook(300);
  constexpr int kLooks = 100;
  constexpr auto kBusy = static_cast<std::clock_t>(0.01 * CLOCKS_PER_SEC);
  for (int look = 0; look < kLooks; ++look) {
    const std::clock_t before = std::clock();
    std::this_thread::sleep_for(kLook);
    if (std::clock() - before < kBusy) return;
  }
}

/// Readers that wait for when they are due. Any thread.
class DueReaders {
 public:
  void Add(Reader* reader) {
    const MutexLock lock(&mutex_);
    waiting_.push_back(reader);
    std::ranges::push_heap(waiting_, std::greater(), &Reader::due);
  }
  /// The one that is due first, when it is by `now`; else nullptr, and when to look again.
  std::pair<Reader*, SteadyTime> Take(SteadyTime now) {
    const MutexLock lock(&mutex_);
    if (waiting_.empty()) return {nullptr, now + kGroupSpan};  // others ask for all of them
    const SteadyTime due = waiting_.front()->due();
    if (due > now) return {nullptr, due};
    std::ranges::pop_heap(waiting_, std::greater(), &Reader::due);
    Reader* const first = waiting_.back();
    waiting_.pop_back();
    return {first, due};
  }

 private:
  Mutex mutex_;
  std::vector<Reader*> waiting_ PX_GUARDED_BY(mutex_);  // a heap
};

/// Readers whose queries go to as many threads, with the same share of the processors, as the
/// server has for short queries: the first that is free takes the next query.
class Readers {
 public:
  Readers(const ReadersOptions& options, query::Engine* engine) : options_(options) {
    for (uint32_t i = 0; i < options.readers; ++i) all_.emplace_back(options.symbols, i, engine);
  }

  /// Queries per second when every reader asks as soon as it has its answer.
  StatusOr<double> Capacity() {
    std::vector<double> tries;
    for (int i = 0; i < kCapacityTries; ++i) {
      const SteadyTime start = std::chrono::steady_clock::now();
      for (Reader& reader : all_) reader.Due(start);
      PX_ASSIGN_OR_RETURN(const Times all, Ask(start + kCapacityTime, [](Reader* reader) {
                            reader->Due(std::chrono::steady_clock::now());
                          }));
      tries.push_back(static_cast<double>(all.last_by.count() + all.asof.count()) /
                      std::chrono::duration<double>(kCapacityTime).count());
    }
    return Middle(std::move(tries));
  }

  /// All readers together ask `rate` queries per second for the seconds of the options.
  StatusOr<Times> Run(double rate) {
    const SteadyTime start = std::chrono::steady_clock::now();
    const double each = rate / options_.readers;
    for (Reader& reader : all_) {
      reader.Due(start);
      reader.DueInGroup(each, start);
    }
    return Ask(start + std::chrono::seconds(options_.seconds),
               [each, start](Reader* reader) { reader->DueInGroup(each, start); });
  }

 private:
  /// All that is due before `end`; `answered` sets when a reader is due again.
  template <typename Answered>
  StatusOr<Times> Ask(SteadyTime end, const Answered& answered) {
    DueReaders due;
    for (Reader& reader : all_) due.Add(&reader);
    std::vector<std::thread> running;
    std::vector<Times> times(server::ShortQueryThreads());
    std::vector<Status> ended(times.size());
    for (size_t i = 0; i < times.size(); ++i) {
      running.emplace_back([&, i] {
        env::SetShare(env::kShortWork);
        prctl(PR_SET_TIMERSLACK, 1);  // ns; it is 50 us else, of which a server's threads know none
        ended[i] = AskUntil(end, answered, &due, &times[i]);
      });
    }
    for (std::thread& thread : running) thread.join();
    for (const Status& status : ended) PX_RETURN_IF_ERROR(status);
    Times all;
    for (const Times& one : times) all.AddAll(one);
    return all;
  }

  template <typename Answered>
  static Status AskUntil(SteadyTime end, const Answered& answered, DueReaders* due, Times* times) {
    while (true) {
      const SteadyTime now = std::chrono::steady_clock::now();
      const auto [reader, at] = due->Take(std::min(now, end));
      if (reader == nullptr) {
        if (now >= end || at >= end) return OkStatus();
        std::this_thread::sleep_until(at);
        continue;
      }
      PX_RETURN_IF_ERROR(reader->Ask(times));
      answered(reader);
      due->Add(reader);
    }
  }

  const ReadersOptions& options_;
  std::deque<Reader> all_;
};

/// What one round gave, whose parts follow one another closely: how fast the machine is changes
/// with what else its host does.
struct Round {
  double asked = 0;  // queries per second
  Times quiet;
  Times beside;
  double alone_rate = 0;  // rows per second
  double beside_rate = 0;
};

Result Compare(const std::string& name, Latencies Times::*times, const std::vector<Round>& rounds) {
  const auto micros = [times](const Times& of, int percent) {
    return static_cast<double>((of.*times).Percentile(percent).ns()) * 1e-3;
  };
  Result result;
  result.name = name;
  for (const auto& [what, part] :
       {std::pair{"alone", &Round::quiet}, std::pair{"with ingest", &Round::beside}}) {
    for (const int percent : {50, 95}) {
      result.With(
          fmt::format("{} p{} us", what, percent),
          MiddleOf(rounds, [&](const Round& round) { return micros(round.*part, percent); }));
    }
  }
  result.With("adds p95 us", MiddleOf(rounds, [&](const Round& round) {
                return micros(round.beside, 95) - micros(round.quiet, 95);
              }));
  return result.With("ratio p95", MiddleOf(rounds, [&](const Round& round) {
                       return micros(round.beside, 95) / micros(round.quiet, 95);
                     }));
}

Status Measure(const ReadersOptions& options, bool quiet_first, Readers* readers,
               PacedIngest* ingest, Round* round) {
  const Duration part = Duration::Seconds(options.seconds);
  const auto quiet = [&]() -> Status {
    AwaitRest();
    PX_ASSIGN_OR_RETURN(round->quiet, readers->Run(round->asked));
    return OkStatus();
  };
  PX_ASSIGN_OR_RETURN(round->alone_rate, ingest->Run(options.rate, part));
  AwaitRest();
  PX_ASSIGN_OR_RETURN(const double capacity, readers->Capacity());
  round->asked = options.queries > 0 ? options.queries : capacity * options.load;
  if (quiet_first) PX_RETURN_IF_ERROR(quiet());
  AwaitRest();
  StatusOr<double> rate(0.0);
  std::thread writer([&] { rate = ingest->Run(options.rate, part); });
  StatusOr<Times> with = readers->Run(round->asked);
  writer.join();
  PX_ASSIGN_OR_RETURN(round->beside, std::move(with));
  PX_ASSIGN_OR_RETURN(round->beside_rate, rate);
  return quiet_first ? OkStatus() : quiet();
}

/// Beside one feed.
StatusOr<ReadersResults> Measure(const ReadersOptions& options, const std::string& feed,
                                 const MarketOptions& market) {
  PX_ASSIGN_OR_RETURN(const TemporaryDirectory directory,
                      TemporaryDirectory::Make(options.directory));
  server::NodeOptions node_options;
  node_options.data_directory = directory.path() + "/data";
  node_options.history = "none";
  // A node that has run for a day has its memory; this one touches it before anything is measured.
  node_options.memory_limit_bytes = ReadyBytesFor(RowsOf(options));
  node_options.ready_memory_bytes = node_options.memory_limit_bytes;
  PX_ASSIGN_OR_RETURN(const std::unique_ptr<server::Node> node, server::Node::Open(node_options));
  PacedIngest ingest(node.get(), market);
  PX_RETURN_IF_ERROR(ingest.Load(options.rows, kLoadRows, kAskedSpan));
  Readers readers(options, &node->engine());
  AwaitRest();
  std::vector<Round> rounds(options.rounds);
  for (size_t i = 0; i < rounds.size(); ++i) {
    PX_RETURN_IF_ERROR(Measure(options, /*quiet_first=*/i % 2 == 0, &readers, &ingest, &rounds[i]));
  }
  ReadersResults results;
  results.readers = {Compare("last-by, now; " + feed, &Times::last_by, rounds),
                     Compare("as-of, 60 s of trades; " + feed, &Times::asof, rounds)};
  Result rows;
  rows.name = fmt::format("{} rows/s asked for; {}", options.rate, feed);
  const double alone = MiddleOf(rounds, &Round::alone_rate);
  const double with = MiddleOf(rounds, &Round::beside_rate);
  rows.With("alone rows/s", alone).With("with readers rows/s", with);
  rows.With("loses", alone > 0 ? 1 - with / alone : 0);
  rows.With("readers", options.readers).With("queries/s", MiddleOf(rounds, &Round::asked));
  results.ingest = {std::move(rows)};
  return results;
}

}  // namespace

StatusOr<ReadersResults> MeasureReaders(const ReadersOptions& options) {
  MarketOptions one_venue = OneVenue();
  MarketOptions all_venues = AllVenues();
  one_venue.symbols = all_venues.symbols = options.symbols;
  const std::array<std::pair<std::string, MarketOptions>, 2> feeds = {
      {{"one venue", one_venue}, {"all venues", all_venues}}};
  ReadersResults all;
  for (const auto& [feed, market] : feeds) {
    PX_ASSIGN_OR_RETURN(ReadersResults one, Measure(options, feed, market));
    std::ranges::move(one.readers, std::back_inserter(all.readers));
    std::ranges::move(one.ingest, std::back_inserter(all.ingest));
  }
  return all;
}

}  // namespace proxist::bench
