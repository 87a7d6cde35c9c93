// As fast as rows are taken: acked and in ClickHouse, beside a loop that only sends such blocks.
#include <algorithm>
#include <thread>

#include "apps/proxist-bench/history/parts.h"
#include "bench/own_server.h"
#include "proxist/env/clock.h"

namespace proxist::bench {
namespace {

constexpr size_t kBatchRows = 10'000;
constexpr size_t kWindow = 32;

double SecondsSince(Duration began) {
  return static_cast<double>(env::SystemClock().Monotonic().ns() - began.ns()) * 1e-9;
}

using Batches = std::vector<column::Batch>;
using Blocks = std::vector<std::vector<std::byte>>;

/// `batches` in sorted blocks of `each`, prepared beforehand.
Blocks Prepare(BareTable* table, const Batches& batches, size_t each) {
  Blocks blocks;
  for (size_t at = 0; at < batches.size(); at += each) {
    const auto begin = batches.begin() + static_cast<std::ptrdiff_t>(at);
    const auto end =
        batches.begin() + static_cast<std::ptrdiff_t>(std::min(batches.size(), at + each));
    blocks.push_back(table->Encode({begin, end}));
  }
  return blocks;
}

/// Seconds that a plain loop takes to insert `blocks` into a table of its own.
StatusOr<double> InsertAll(BareTable* table, const Blocks& blocks) {
  PX_RETURN_IF_ERROR(table->Create());
  const Duration began = env::SystemClock().Monotonic();
  for (const auto& block : blocks) PX_RETURN_IF_ERROR(table->Insert(block));
  return SecondsSince(began);
}

Status SendAll(QuoteFeed* feed, const Batches& batches) {
  for (const column::Batch& batch : batches) PX_RETURN_IF_ERROR(feed->Send(batch));
  return feed->Finish();
}

/// The same with a server beside it that takes the same rows and has no history: seconds until both
/// are done.
StatusOr<double> InsertBesideIngest(const std::string& directory, BareTable* table,
                                    const Blocks& blocks, const Batches& batches) {
  PX_ASSIGN_OR_RETURN(
      const auto server,
      OwnServer::Start(directory, "none", {"--shards", "1", "--log-level", "error"}));
  QuoteFeed feed(server->address(), "void", kWindow);
  PX_RETURN_IF_ERROR(feed.Declare());
  const Duration began = env::SystemClock().Monotonic();
  Status sent;
  std::thread feeder([&] { sent = SendAll(&feed, batches); });
  const StatusOr<double> inserted = InsertAll(table, blocks);
  feeder.join();
  const double seconds = SecondsSince(began);
  PX_RETURN_IF_ERROR(inserted.status());
  PX_RETURN_IF_ERROR(sent);
  return seconds;
}

}  // namespace

StatusOr<Result> MeasureFlatOut(const HistoryBenchOptions& options, bool* agreed) {
  PX_ASSIGN_OR_RETURN(const auto server, ServerWithHistory::Start(options.directory, {}));
  QuoteFeed feed(server->address(), "flat", kWindow);
  PX_RETURN_IF_ERROR(feed.Declare());
  Batches batches;
  for (size_t rows = 0; rows < options.flat_rows; rows += kBatchRows) {
    batches.push_back(feed.Next(Duration::Micros(kBatchRows), kBatchRows));
  }
  const Duration began = env::SystemClock().Monotonic();
  PX_RETURN_IF_ERROR(SendAll(&feed, batches));
  const double acked = SecondsSince(began);
  PX_RETURN_IF_ERROR(server->FlushAll(Duration::Seconds(600)));
  const double persisted = SecondsSince(began);
  PX_ASSIGN_OR_RETURN(const uint64_t inserts, server->Inserts());
  PX_ASSIGN_OR_RETURN(const Checksum held, server->Held());
  *agreed = *agreed && held == feed.sent();
  const double rows = static_cast<double>(batches.size() * kBatchRows);

  // The same batches in blocks of as many rows as the flush's had on average.
  const size_t each = std::max<size_t>(1, batches.size() / std::max<uint64_t>(1, inserts));
  BareTable alone(server->clickhouse(), "bare");
  const Blocks blocks = Prepare(&alone, batches, each);
  PX_ASSIGN_OR_RETURN(const double bare, InsertAll(&alone, blocks));
  BareTable second(server->clickhouse(), "beside");
  PX_ASSIGN_OR_RETURN(const double beside,
                      InsertBesideIngest(options.directory, &second, blocks, batches));

  Result result;
  result.name = fmt::format("flat out, {} rows", batches.size() * kBatchRows);
  result.With("acked and persisted rows/s", rows / persisted);
  result.With("bare loop rows/s", rows / bare);
  result.With("ratio", bare / persisted);
  result.With("bare loop beside ingest rows/s", rows / beside);
  result.With("ratio to that", beside / persisted);
  result.With("acked rows/s", rows / acked);
  result.With("rows an insert", rows / static_cast<double>(std::max<uint64_t>(1, inserts)));
  result.With("rows agree", held == feed.sent() ? 1 : 0);
  return result;
}

}  // namespace proxist::bench
