// ack: group commits of a shard on this thread, beside raw durable writes of the same size.
#include <array>
#include <memory>
#include <vector>

#include <fmt/format.h>

#include "apps/proxist-bench/commands.h"
#include "bench/raw_write.h"
#include "bench/temporary_directory.h"
#include "proxist/env/clock.h"
#include "proxist/shard/record.h"
#include "proxist/shard/shard.h"

namespace proxist::bench {
namespace {

constexpr std::array<size_t, 3> kBatchRows = {1, 100, 1000};
constexpr uint64_t kRawFileBytes = 64ull << 20;
// Headers of segment frame and record beside the encoded batch; it matters only at block borders.
constexpr size_t kFrameBytes = 128;

/// A shard over a directory of its own.
struct ShardBench {
  TemporaryDirectory directory;
  std::unique_ptr<meta::MetadataStore> metadata;
  std::unique_ptr<meta::Catalog> catalog;
  column::SchemaPtr schema;
  std::unique_ptr<shard::Shard> shard;
};

StatusOr<std::unique_ptr<ShardBench>> OpenShard(const std::string& parent) {
  auto bench = std::make_unique<ShardBench>();
  PX_ASSIGN_OR_RETURN(bench->directory, TemporaryDirectory::Make(parent));
  PX_ASSIGN_OR_RETURN(bench->metadata, meta::OpenSqliteStore(bench->directory.path() + "/meta.db"));
  PX_ASSIGN_OR_RETURN(bench->catalog, meta::Catalog::Open(bench->metadata.get()));
  PX_ASSIGN_OR_RETURN(bench->schema, bench->catalog->Apply(QuotesTable(), "proxist-bench"));
  shard::ShardOptions options;
  options.wal_directory = bench->directory.path() + "/wal";
  options.incarnation = 1;
  shard::RecoveryReport report;
  PX_ASSIGN_OR_RETURN(bench->shard, shard::Shard::Open(options,
                                                       {.files = &env::PosixFileSystem(),
                                                        .clock = &env::SystemClock(),
                                                        .metadata = bench->metadata.get(),
                                                        .catalog = bench->catalog.get()},
                                                       &report));
  bench->shard->SetSchema(bench->schema);
  return bench;
}

/// What the log writes for `batch`, before rounding up to blocks.
size_t LoggedBytes(const column::Batch& batch) {
  std::vector<std::byte> record;
  ByteWriter writer(&record);
  shard::EncodeRecord({.tenant = batch.schema->tenant, .producer = "proxist-bench"}, batch,
                      &writer);
  return record.size() + kFrameBytes;
}

StatusOr<Duration> TimeCommit(ShardBench* bench, column::Batch batch, uint64_t number) {
  Status acked = Internal("the shard gave no ack");
  shard::Write write{.producer = "proxist-bench",
                     .number = BatchNumber(number),
                     .batch = std::move(batch),
                     .done = [&acked](const shard::Ack& ack) { acked = ack.status; }};
  const Duration began = env::SystemClock().Monotonic();
  bench->shard->Commit({&write, 1});
  const Duration ended = env::SystemClock().Monotonic();
  PX_RETURN_IF_ERROR(acked);
  return Duration(ended.ns() - began.ns());
}

struct Measured {
  Latencies ack;
  Latencies raw;
  size_t bytes = 0;
};

Result ResultOf(size_t rows, const Measured& measured, bool direct) {
  Result result;
  result.name = fmt::format("{} rows, {}", rows, direct ? "O_DIRECT|O_DSYNC" : "O_DSYNC");
  result.With("bytes", static_cast<double>(measured.bytes));
  result.WithLatency("ack", measured.ack).WithLatency("raw", measured.raw);
  const auto ratio = [&](double percent) {
    return static_cast<double>(measured.ack.Percentile(percent).ns()) /
           static_cast<double>(measured.raw.Percentile(percent).ns());
  };
  return result.With("ratio p50", ratio(50)).With("ratio p99", ratio(99));
}

}  // namespace

StatusOr<std::vector<Result>> MeasureAck(const AckOptions& options) {
  PX_ASSIGN_OR_RETURN(std::unique_ptr<ShardBench> bench, OpenShard(options.directory));
  PX_ASSIGN_OR_RETURN(std::unique_ptr<RawWriter> raw,
                      RawWriter::Open(bench->directory.path() + "/raw", kRawFileBytes));
  Market market({.symbols = 1000});
  std::array<Measured, kBatchRows.size()> measured;
  uint64_t number = 0;
  for (uint32_t round = 0; round < options.rounds; ++round) {
    for (size_t i = 0; i < kBatchRows.size(); ++i) {
      column::Batch batch = market.NextQuotes(Duration::Millis(1), kBatchRows[i]);
      market.Advance(Duration::Millis(1));
      batch.schema = bench->schema;
      measured[i].bytes = LoggedBytes(batch);
      PX_ASSIGN_OR_RETURN(const Duration ack, TimeCommit(bench.get(), std::move(batch), ++number));
      PX_ASSIGN_OR_RETURN(const Duration floor, raw->Write(measured[i].bytes));
      measured[i].ack.Add(ack);
      measured[i].raw.Add(floor);
    }
  }
  std::vector<Result> results;
  for (size_t i = 0; i < kBatchRows.size(); ++i) {
    results.push_back(ResultOf(kBatchRows[i], measured[i], raw->direct()));
  }
  return results;
}

}  // namespace proxist::bench
