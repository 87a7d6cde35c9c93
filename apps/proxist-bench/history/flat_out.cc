// As fast as rows are taken: acked and in ClickHouse, beside a loop that only sends such blocks.
#include <algorithm>

#include "apps/proxist-bench/history/parts.h"
#include "proxist/env/clock.h"

namespace proxist::bench {
namespace {

constexpr size_t kBatchRows = 10'000;

double SecondsSince(Duration began) {
  return static_cast<double>(env::SystemClock().Monotonic().ns() - began.ns()) * 1e-9;
}

}  // namespace

StatusOr<Result> MeasureFlatOut(const HistoryBenchOptions& options, bool* agreed) {
  PX_ASSIGN_OR_RETURN(const auto server, ServerWithHistory::Start(options.directory, {}));
  QuoteFeed feed(server->address(), "flat", 32);
  PX_RETURN_IF_ERROR(feed.Declare());
  std::vector<column::Batch> batches;
  for (size_t rows = 0; rows < options.flat_rows; rows += kBatchRows) {
    batches.push_back(feed.Next(Duration::Micros(kBatchRows), kBatchRows));
  }
  const Duration began = env::SystemClock().Monotonic();
  for (const column::Batch& batch : batches) PX_RETURN_IF_ERROR(feed.Send(batch));
  PX_RETURN_IF_ERROR(feed.Finish());
  const double acked = SecondsSince(began);
  PX_RETURN_IF_ERROR(server->FlushAll(Duration::Seconds(600)));
  const double persisted = SecondsSince(began);
  PX_ASSIGN_OR_RETURN(const uint64_t inserts, server->Inserts());
  PX_ASSIGN_OR_RETURN(const Checksum held, server->Held());
  *agreed = *agreed && held == feed.sent();
  const double rows = static_cast<double>(batches.size() * kBatchRows);

  // The same batches in blocks of as many rows as the flush's had on average.
  const size_t each = std::max<size_t>(1, batches.size() / std::max<uint64_t>(1, inserts));
  BareTable bare(server->clickhouse());
  PX_RETURN_IF_ERROR(bare.Create());
  std::vector<std::vector<std::byte>> blocks;
  for (size_t at = 0; at < batches.size(); at += each) {
    const auto end =
        batches.begin() + static_cast<std::ptrdiff_t>(std::min(batches.size(), at + each));
    blocks.push_back(bare.Encode({batches.begin() + static_cast<std::ptrdiff_t>(at), end}));
  }
  const Duration bare_began = env::SystemClock().Monotonic();
  for (const auto& block : blocks) PX_RETURN_IF_ERROR(bare.Insert(block));
  const double bare_seconds = SecondsSince(bare_began);

  Result result;
  result.name = fmt::format("flat out, {} rows", batches.size() * kBatchRows);
  result.With("acked and persisted rows/s", rows / persisted);
  result.With("bare loop rows/s", rows / bare_seconds);
  result.With("ratio", bare_seconds / persisted);
  result.With("acked rows/s", rows / acked);
  result.With("rows an insert", rows / static_cast<double>(std::max<uint64_t>(1, inserts)));
  result.With("rows agree", held == feed.sent() ? 1 : 0);
  return result;
}

}  // namespace proxist::bench
