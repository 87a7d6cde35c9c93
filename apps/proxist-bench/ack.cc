// ack: group commits of a shard on this thread, beside raw durable writes of the same size.
#include <array>
#include <memory>
#include <vector>

#include <fmt/format.h>

#include "apps/proxist-bench/commands.h"
#include "bench/raw_write.h"
#include "bench/shard_bench.h"

namespace proxist::bench {
namespace {

constexpr std::array<size_t, 3> kBatchRows = {1, 100, 1000};
constexpr uint64_t kRawFileBytes = 64ull << 20;

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
  PX_ASSIGN_OR_RETURN(std::unique_ptr<ShardBench> bench, ShardBench::Open(options.directory));
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
      PX_ASSIGN_OR_RETURN(const Duration ack,
                          bench->TimeCommit("proxist-bench", ++number, std::move(batch)));
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
