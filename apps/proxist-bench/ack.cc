// ack: group commits of a shard on this thread, beside raw durable writes of the same size.
#include <array>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "apps/proxist-bench/commands.h"
#include "bench/raw_write.h"
#include "bench/shard_bench.h"

namespace proxist::bench {
namespace {

constexpr std::array<size_t, 3> kBatchRows = {1, 100, 1000};
constexpr uint64_t kRawFileBytes = 64ull << 20;

Result ResultOf(size_t rows, std::string_view feed, const AckLatencies& measured, bool direct) {
  Result result;
  result.name =
      fmt::format("{} rows of {}, {}", rows, feed, direct ? "O_DIRECT|O_DSYNC" : "O_DSYNC");
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
  PX_ASSIGN_OR_RETURN(const TemporaryDirectory directory,
                      TemporaryDirectory::Make(options.directory));
  PX_ASSIGN_OR_RETURN(std::unique_ptr<RawWriter> raw,
                      RawWriter::Open(directory.path() + "/raw", kRawFileBytes));
  std::vector<Result> results;
  const std::array<std::pair<std::string_view, MarketOptions>, 2> feeds = {
      {{"one venue", OneVenue()}, {"all venues", AllVenues()}}};
  for (const auto& [feed, market] : feeds) {
    for (const size_t rows : kBatchRows) {
      PX_ASSIGN_OR_RETURN(
          const AckLatencies measured,
          MeasureAcksBesideRaw(market, rows, options.rounds, directory.path(), raw.get()));
      results.push_back(ResultOf(rows, feed, measured, raw->direct()));
    }
  }
  return results;
}

}  // namespace proxist::bench
