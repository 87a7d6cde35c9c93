// proxist-bench: measurements beside their floors, and a market to feed.
#include <cerrno>
#include <cstdio>
#include <functional>
#include <string>
#include <system_error>
#include <vector>

#include <CLI/CLI.hpp>
#include <unistd.h>

#include "apps/proxist-bench/columns/generate.h"
#include "apps/proxist-bench/columns/run.h"
#include "apps/proxist-bench/commands.h"
#include "apps/proxist-bench/history/run.h"
#include "proxist/api/rpc_status.h"
#include "proxist/base/heap.h"

namespace proxist::bench {
namespace {

struct Options {
  FeedOptions feed;
  std::string feed_start;
  AckOptions ack;
  DurabilityOptions durability;
  IngestOptions ingest;
  QueryOptions query;
  ColumnQueryOptions columns;
  GenerateOptions generate;
  ReadersOptions readers;
  SnapshotBenchOptions snapshot;
  HistoryBenchOptions history;
  std::string output = "table";
  bool agreed = true;  // what was computed twice came out the same
};

void Print(const Options& options, const std::string& heading, const std::vector<Result>& results) {
  const std::string text =
      options.output == "json" ? FormatJson(heading, results) : FormatTable(heading, results);
  std::fputs(text.c_str(), stdout);
}

Status Show(const Options& options, const std::string& heading,
            StatusOr<std::vector<Result>> results) {
  if (results.ok()) Print(options, heading, *results);
  return results.status();
}

Status RunDurability(const Options& options) {
  PX_ASSIGN_OR_RETURN(const nlohmann::ordered_json measured, MeasureDurability(options.durability));
  const std::string text =
      options.output == "json" ? measured.dump() + "\n" : DescribeDurability(measured);
  std::fputs(text.c_str(), stdout);
  return OkStatus();
}

Status RunFeed(Options& options) {
  if (!options.feed_start.empty()) {
    PX_ASSIGN_OR_RETURN(options.feed.market.start, ParseTimestamp(options.feed_start));
  }
  return Feed(options.feed);
}

void DeclareFeed(CLI::App& app, Options& options) {
  CLI::App* feed = app.add_subcommand("feed", "Send a simulated market to a server");
  feed->add_option("--server", options.feed.server, "host:port of its gRPC interface")->required();
  feed->add_option("--seconds", options.feed.seconds, "How long")->check(CLI::Range(1, 86400));
  feed->add_option("--rate", options.feed.rate, "Rows per second on average")
      ->check(CLI::Range(100, 10'000'000));
  feed->add_option("--market-seconds", options.feed.market_seconds, "Market time it covers")
      ->check(CLI::Range(1, 86400));
  feed->add_option("--start", options.feed_start, "Market time at the start, ISO-8601");
  feed->add_option("--symbols", options.feed.market.symbols)->check(CLI::Range(1, 100'000));
  feed->add_option("--venues", options.feed.market.venues)->check(CLI::Range(1, 1000));
  feed->add_option("--late", options.feed.market.late_share, "Share of late rows")
      ->check(CLI::Range(0.0, 0.5));
  feed->add_option("--corrections", options.feed.market.correction_share,
                   "Share of rows that rewrite an earlier key")
      ->check(CLI::Range(0.0, 1.0));
  feed->add_option("--cancels", options.feed.market.cancel_share,
                   "Share of rows that cancel an earlier key")
      ->check(CLI::Range(0.0, 1.0));
  feed->add_option("--seed", options.feed.market.seed, "The same seed sends the same rows");
  feed->add_option("--window", options.feed.window, "Batches without an ack, for each table")
      ->check(CLI::Range(1, 4096));
  feed->add_option("--producer", options.feed.producer, "Its name; without it a new one each time");
}

void DeclareMeasurements(CLI::App& app, Options& options) {
  CLI::App* ack = app.add_subcommand("ack", "Durable acks at a shard against raw durable writes");
  ack->add_option("--dir", options.ack.directory, "A directory on the disk to measure")->required();
  ack->add_option("--rounds", options.ack.rounds)->check(CLI::Range(10, 1'000'000));

  CLI::App* durability = app.add_subcommand(
      "durability", "Acks, many producers and full-rate ingest at a shard, all durable");
  durability
      ->add_option("--dir", options.durability.directory, "A directory on the disk to measure")
      ->required();
  durability->add_option("--rounds", options.durability.rounds)->check(CLI::Range(10, 1'000'000));
  durability->add_option("--seconds", options.durability.seconds, "Of full-rate ingest")
      ->check(CLI::Range(1, 3600));

  CLI::App* ingest = app.add_subcommand("ingest", "Durable rows per second over one connection");
  ingest->add_option("--server", options.ingest.server,
                     "host:port; without it a server of its own");
  ingest->add_option("--dir", options.ingest.directory, "Where its own server keeps its data");
  ingest->add_option("--rows", options.ingest.rows)->check(CLI::Range(1000, 100'000'000));
  ingest->add_option("--batch-rows", options.ingest.batch_rows)->check(CLI::Range(1, 200'000));
  ingest->add_option("--window", options.ingest.window, "Batches without an ack")
      ->check(CLI::Range(1, 4096));

  CLI::App* query = app.add_subcommand("query", "Last-by, as-of and long windows");
  query->add_option("--dir", options.query.directory, "Where its servers keep their data");
  query->add_option("--symbols", options.query.symbols)->check(CLI::Range(1, 100'000));
  query->add_option("--rows", options.query.rows, "Quotes; a fourth as many trades")
      ->check(CLI::Range(1000, 100'000'000));
  query->add_option("--rounds", options.query.rounds)->check(CLI::Range(10, 1'000'000));
  query->add_option("--pauses", options.query.pauses, "Of a second, before a query each")
      ->check(CLI::Range(0, 10'000));
  query->add_option("--columns", options.columns.columns,
                    "A directory of raw arrays: asks its tasks instead, beside plain loops");
  query->add_option("--passes", options.columns.passes, "Over the questions of each task")
      ->check(CLI::Range(1, 100'000));
  query->add_option("--only", options.columns.only, "Tasks whose name contains this");

  CLI::App* readers = app.add_subcommand("readers", "Concurrent readers without and with ingest");
  readers->add_option("--dir", options.readers.directory, "Where its node keeps its data");
  readers->add_option("--symbols", options.readers.symbols)->check(CLI::Range(1, 100'000));
  readers->add_option("--rows", options.readers.rows, "Quotes before; a fourth as many trades")
      ->check(CLI::Range(1000, 100'000'000));
  readers->add_option("--readers", options.readers.readers)->check(CLI::Range(1, 200));
  readers->add_option("--load", options.readers.load, "Of the queries that readers can ask")
      ->check(CLI::Range(0.01, 1.0));
  readers->add_option("--grpc-load", options.readers.grpc_load, "The same over gRPC; 0: none")
      ->check(CLI::Range(0.0, 1.0));
  readers->add_option("--queries", options.readers.queries, "Per second, in place of --load")
      ->check(CLI::Range(0.0, 1e8));
  readers->add_option("--rate", options.readers.rate, "Rows per second of ingest")
      ->check(CLI::Range(1000, 100'000'000));
  readers->add_option("--seconds", options.readers.seconds, "Of each part of a round")
      ->check(CLI::Range(1, 3600));
  readers->add_option("--rounds", options.readers.rounds)->check(CLI::Range(1, 1000));

  CLI::App* snapshot =
      app.add_subcommand("snapshot", "Acks beside a snapshot, and recovery from log and snapshot");
  snapshot->add_option("--dir", options.snapshot.directory, "A directory on the disk to measure")
      ->required();
  snapshot->add_option("--rows", options.snapshot.rows)->check(CLI::Range(100'000, 1'000'000'000));
  snapshot->add_option("--rounds", options.snapshot.rounds)->check(CLI::Range(10, 1'000'000));
}

void DeclareHistory(CLI::App& app, Options& options) {
  CLI::App* history = app.add_subcommand(
      "history", "Persist lag, sustained rate and an outage, beside bare inserts into ClickHouse");
  HistoryBenchOptions& bench = options.history;
  history->add_option("--dir", bench.directory, "Where its servers keep their data")->required();
  history->add_option("--seconds", bench.steady_seconds, "Of steady rows; 0: none")
      ->check(CLI::Range(0, 86400));
  history->add_option("--rate", bench.steady_rate, "Steady rows per second")
      ->check(CLI::Range(100, 10'000'000));
  history->add_option("--rows", bench.flat_rows, "Sent as fast as they are taken; 0: none")
      ->check(CLI::Range(0, 100'000'000));
  history->add_option("--read-rows", bench.read_rows, "That cold queries are asked over; 0: none")
      ->check(CLI::Range(0, 100'000'000));
  history->add_option("--outage-seconds", bench.outage_seconds, "Without ClickHouse; 0: none")
      ->check(CLI::Range(0, 3600));
  history->add_option("--outage-rate", bench.outage_rate, "Rows per second meanwhile")
      ->check(CLI::Range(100, 10'000'000));
}

void DeclareGenerate(CLI::App& app, Options& options) {
  CLI::App* gen = app.add_subcommand("gen", "Make a directory for query --columns");
  gen->add_option("--dir", options.generate.directory, "Where its files go")->required();
  gen->add_option("--quotes", options.generate.quotes)->check(CLI::Range(0, 1'000'000'000));
  gen->add_option("--trades", options.generate.trades)->check(CLI::Range(0, 1'000'000'000));
  gen->add_option("--symbols", options.generate.symbols)->check(CLI::Range(1, 1'000'000));
  gen->add_option("--keys", options.generate.keys)->check(CLI::Range(0, 1'000'000));
  gen->add_option("--seed", options.generate.seed, "The same seed makes the same files");
}

Status Dispatch(const CLI::App& app, Options& options) {
  if (app.got_subcommand("feed")) return RunFeed(options);
  if (app.got_subcommand("gen")) return Generate(options.generate);
  if (app.got_subcommand("ack")) {
    return Show(options, "durable ack at the shard", MeasureAck(options.ack));
  }
  if (app.got_subcommand("durability")) return RunDurability(options);
  if (app.got_subcommand("ingest")) {
    return Show(options, "ingest over one connection", MeasureIngest(options.ingest));
  }
  if (app.got_subcommand("snapshot")) {
    PX_ASSIGN_OR_RETURN(const SnapshotResults results, MeasureSnapshot(options.snapshot));
    Print(options, "snapshot", results.snapshot);
    Print(options, "durable acks beside it", results.acks);
    Print(options, "recovery", results.recovery);
    return OkStatus();
  }
  if (app.got_subcommand("readers")) {
    PX_ASSIGN_OR_RETURN(const ReadersResults results, MeasureReaders(options.readers));
    Print(options, "readers", results.readers);
    Print(options, "ingest beside them", results.ingest);
    return OkStatus();
  }
  if (app.got_subcommand("history")) {
    PX_ASSIGN_OR_RETURN(options.agreed, RunHistoryBench(options.history, [&](const Result& result) {
                          Print(options, "history", {result});
                          std::fflush(stdout);
                        }));
    return OkStatus();
  }
  if (!options.columns.columns.empty()) {
    options.columns.directory = options.query.directory;
    PX_ASSIGN_OR_RETURN(options.agreed, RunColumnQueries(options.columns));
    return OkStatus();
  }
  PX_ASSIGN_OR_RETURN(const QueryResults results, MeasureQuery(options.query));
  Print(options, "query latency", results.calls);
  Print(options, "queries on one stream", results.stream);
  if (!results.pauses.empty()) Print(options, "queries after a pause", results.pauses);
  return Show(options, "long windows", MeasureLongWindows(options.query));
}

/// UNAVAILABLE when what was printed did not get out.
Status EndOutput() {
  if (std::fflush(stdout) == 0 && std::ferror(stdout) == 0) return OkStatus();
  return Unavailable("cannot write to stdout: {}", std::generic_category().message(errno));
}

int Main(int argc, char** argv) {
  Options options;
  options.ingest.directory = options.query.directory = options.readers.directory = "/tmp";
  CLI::App app("Measures Proxist beside the floors of this machine");
  app.require_subcommand(1);
  app.option_defaults()->always_capture_default();
  app.add_option("--output", options.output, "table or json")
      ->check(CLI::IsMember({"table", "json"}));
  app.fallthrough();
  DeclareFeed(app, options);
  DeclareMeasurements(app, options);
  DeclareHistory(app, options);
  DeclareGenerate(app, options);
  CLI11_PARSE(app, argc, argv);
  Status status = Dispatch(app, options);
  if (status.ok()) status = EndOutput();
  if (!status.ok())
    std::fprintf(stderr, "proxist-bench: %s\n", std::string(Message(status)).c_str());
  return status.ok() && !options.agreed ? 1 : api::ExitCode(status);
}

}  // namespace
}  // namespace proxist::bench

int main(int argc, char** argv) {
  proxist::KeepFreedMemory();  // as the server does
  return proxist::bench::Main(argc, argv);
}
