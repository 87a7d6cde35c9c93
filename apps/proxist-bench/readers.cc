// readers: what ingest does to the latency of concurrent readers, and they to it. Their queries
// come at moments that do not depend on the answers, so one that waits for its turn counts from
// when it was due.
#include <array>
#include <chrono>
#include <ctime>
#include <iterator>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "apps/proxist-bench/commands.h"
#include "apps/proxist-bench/concurrent_readers.h"
#include "apps/proxist-bench/paced_ingest.h"
#include "bench/ready_memory.h"
#include "bench/rounds.h"
#include "bench/temporary_directory.h"
#include "proxist/observe/metrics.h"
#include "proxist/server/address.h"
#include "proxist/server/grpc_server.h"
#include "proxist/server/node.h"

namespace proxist::bench {
namespace {

constexpr size_t kLoadRows = 5000;

/// How many rows both tables get at most: alone, and beside either kind of readers.
uint64_t RowsOf(const ReadersOptions& options) {
  const uint64_t fed = uint64_t{4} * options.rounds * options.seconds * options.rate;
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

/// What one round gave, whose parts follow one another closely: how fast the machine is changes
/// with what else its host does.
struct Round {
  double asked = 0;  // queries per second
  ReaderTimes quiet;
  ReaderTimes beside;
  double alone_rate = 0;  // rows per second
  double beside_rate = 0;
};

Result Compare(const std::string& name, Latencies ReaderTimes::*times,
               const std::vector<Round>& rounds) {
  const auto micros = [times](const ReaderTimes& of, int percent) {
    return Micros((of.*times).Percentile(percent));
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

/// One kind of readers beside one feed.
class Contest {
 public:
  /// The readers ask `queries` a second, or when that is 0 `load` of what they can.
  Contest(const ReadersOptions& options, double load, double queries, Readers* readers,
          PacedIngest* ingest)
      : options_(options), load_(load), queries_(queries), readers_(*readers), ingest_(*ingest) {}

  Status Run() {
    for (uint32_t i = 0; i < options_.rounds; ++i) {
      PX_RETURN_IF_ERROR(RunRound(/*quiet_first=*/i % 2 == 0, &rounds_.emplace_back()));
    }
    return OkStatus();
  }

  void AddTo(ReadersResults* results, const std::string& where) const {
    results->readers.push_back(Compare("last-by, now; " + where, &ReaderTimes::last_by, rounds_));
    results->readers.push_back(
        Compare("as-of, 60 s of trades; " + where, &ReaderTimes::asof, rounds_));
    Result rows;
    rows.name = fmt::format("{} rows/s asked for; {}", options_.rate, where);
    const double alone = MiddleOf(rounds_, &Round::alone_rate);
    const double with = MiddleOf(rounds_, &Round::beside_rate);
    rows.With("alone rows/s", alone).With("with readers rows/s", with);
    rows.With("loses", alone > 0 ? 1 - with / alone : 0);
    rows.With("readers", options_.readers).With("queries/s", MiddleOf(rounds_, &Round::asked));
    results->ingest.push_back(std::move(rows));
  }

 private:
  Status RunRound(bool quiet_first, Round* round) {
    const Duration part = Duration::Seconds(options_.seconds);
    AwaitRest();
    PX_ASSIGN_OR_RETURN(round->alone_rate, ingest_.Run(options_.rate, part));
    AwaitRest();
    PX_ASSIGN_OR_RETURN(const double capacity, readers_.Capacity());
    round->asked = queries_ > 0 ? queries_ : capacity * load_;
    const auto quiet = [&]() -> Status {
      AwaitRest();
      PX_ASSIGN_OR_RETURN(round->quiet, readers_.Run(round->asked, part));
      return OkStatus();
    };
    if (quiet_first) PX_RETURN_IF_ERROR(quiet());
    AwaitRest();
    StatusOr<double> rate(0.0);
    std::thread writer([&] { rate = ingest_.Run(options_.rate, part); });
    StatusOr<ReaderTimes> with = readers_.Run(round->asked, part);
    writer.join();
    PX_ASSIGN_OR_RETURN(round->beside, std::move(with));
    PX_ASSIGN_OR_RETURN(round->beside_rate, rate);
    return quiet_first ? OkStatus() : quiet();
  }

  const ReadersOptions& options_;
  const double load_;
  const double queries_;
  Readers& readers_;
  PacedIngest& ingest_;
  std::vector<Round> rounds_;
};

/// Beside one feed, in process and over gRPC.
Status Measure(const ReadersOptions& options, const std::string& feed, const MarketOptions& market,
               ReadersResults* results) {
  PX_ASSIGN_OR_RETURN(const TemporaryDirectory directory,
                      TemporaryDirectory::Make(options.directory));
  server::NodeOptions node_options;
  node_options.data_directory = directory.path() + "/data";
  node_options.history = "none";
  // A node that has run for a day has its memory; this one touches it before anything is measured.
  node_options.memory_limit_bytes = ReadyBytesFor(RowsOf(options));
  node_options.ready_memory_bytes = node_options.memory_limit_bytes;
  observe::Metrics metrics;
  PX_ASSIGN_OR_RETURN(const std::unique_ptr<server::Node> node, server::Node::Open(node_options));
  PacedIngest ingest(node.get(), market);
  PX_RETURN_IF_ERROR(ingest.Load(options.rows, kLoadRows, kAskedSpan));
  const auto run = [&](Readers* readers, double load, double queries,
                       const std::string& where) -> Status {
    Contest contest(options, load, queries, readers, &ingest);
    PX_RETURN_IF_ERROR(contest.Run());
    contest.AddTo(results, where);
    return OkStatus();
  };
  const std::unique_ptr<Readers> local =
      ReadersOf(&node->engine(), options.readers, options.symbols);
  PX_RETURN_IF_ERROR(run(local.get(), options.load, options.queries, feed));
  if (options.grpc_load <= 0) return OkStatus();
  server::GrpcServerOptions served;
  PX_ASSIGN_OR_RETURN(served.address, server::ParseListenAddress("127.0.0.1:0"));
  PX_ASSIGN_OR_RETURN(const std::unique_ptr<server::GrpcServer> server,
                      server::GrpcServer::Start(served, node.get(), &metrics));
  PX_ASSIGN_OR_RETURN(
      const std::unique_ptr<Readers> remote,
      ReadersOver(server::Format(server->address()), options.readers, options.symbols));
  return run(remote.get(), options.grpc_load, 0, "gRPC, " + feed);
}

}  // namespace

StatusOr<ReadersResults> MeasureReaders(const ReadersOptions& options) {
  MarketOptions one_venue = OneVenue();
  MarketOptions all_venues = AllVenues();
  one_venue.symbols = all_venues.symbols = options.symbols;
  const std::array<std::pair<std::string, MarketOptions>, 2> feeds = {
      {{"one venue", one_venue}, {"all venues", all_venues}}};
  ReadersResults results;
  for (const auto& [feed, market] : feeds) {
    PX_RETURN_IF_ERROR(Measure(options, feed, market, &results));
  }
  return results;
}

}  // namespace proxist::bench
