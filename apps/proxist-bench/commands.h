// The measurements of proxist-bench, each a function of its options.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "bench/market.h"
#include "bench/report.h"
#include "proxist/base/status.h"

namespace proxist::bench {

struct FeedOptions {
  std::string server;
  uint32_t seconds = 20;
  uint32_t rate = 50'000;         // rows per second on average
  uint32_t market_seconds = 600;  // market time that the feed covers
  uint32_t window = 32;           // batches without an ack, for each table
  std::string producer;           // empty: a new one
  MarketOptions market;
};
/// Sends the market in real time, a line of progress each second on standard error.
Status Feed(const FeedOptions& options);

struct AckOptions {
  std::string directory;  // on the disk to measure
  uint32_t rounds = 2000;
};
StatusOr<std::vector<Result>> MeasureAck(const AckOptions& options);

struct DurabilityOptions {
  std::string directory;  // on the disk to measure
  uint32_t rounds = 2000;
  uint32_t seconds = 30;  // of full-rate ingest
};
/// Acks beside raw writes, the gain of many producers, and full-rate ingest in process: one JSON
/// object, its times in ns.
StatusOr<nlohmann::ordered_json> MeasureDurability(const DurabilityOptions& options);
/// The same for people.
std::string DescribeDurability(const nlohmann::ordered_json& measured);

struct IngestOptions {
  std::string server;     // empty: a server of its own
  std::string directory;  // where its data goes
  uint32_t rows = 4'000'000;
  uint32_t batch_rows = 10'000;
  uint32_t window = 16;
  uint32_t rounds = 4;  // each: a share of the rows, then as many echoes
};
StatusOr<std::vector<Result>> MeasureIngest(const IngestOptions& options);

struct QueryOptions {
  std::string directory;
  uint32_t symbols = 1000;
  uint32_t rows = 1'000'000;  // of quotes; a fourth as many trades
  uint32_t rounds = 20'000;   // with fewer the medians move by a tenth
  uint32_t pauses = 20;       // of a second each
};
struct QueryResults {
  std::vector<Result> calls;   // a call for each query
  std::vector<Result> stream;  // all on one call
  std::vector<Result> pauses;  // calls after a pause
};
StatusOr<QueryResults> MeasureQuery(const QueryOptions& options);
/// One series of `rows` rows in this process.
StatusOr<std::vector<Result>> MeasureLongWindows(const QueryOptions& options);

struct ReadersOptions {
  std::string directory;
  uint32_t symbols = 1000;
  uint32_t rows = 1'000'000;  // of quotes before it begins; a fourth as many trades
  uint32_t readers = 32;
  double load = 0.5;        // of the queries that the readers can ask
  double queries = 0;       // per second, in place of that; 0: as `load` says
  double grpc_load = 0.5;   // the same of those that ask over gRPC; 0: there are none
  uint32_t rate = 500'000;  // rows per second of ingest
  uint32_t seconds = 3;     // of each part of a round
  uint32_t rounds = 5;
};
struct ReadersResults {
  std::vector<Result> readers;  // by kind of query
  std::vector<Result> ingest;
};
/// Readers in this process, directly and over gRPC, without ingest and beside it.
StatusOr<ReadersResults> MeasureReaders(const ReadersOptions& options);

struct SnapshotBenchOptions {
  std::string directory;       // on the disk to measure
  uint64_t rows = 20'000'000;  // about 1 GB
  uint32_t rounds = 50'000;    // quiet acks: about as many as beside it, for what is rare
};
struct SnapshotResults {
  std::vector<Result> snapshot, acks, recovery;
};
StatusOr<SnapshotResults> MeasureSnapshot(const SnapshotBenchOptions& options);

}  // namespace proxist::bench
