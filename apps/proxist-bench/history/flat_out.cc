// As fast as rows are taken: acked and in ClickHouse, in turns with a loop that only sends such
// blocks.
#include <algorithm>
#include <string>
#include <utility>

#include "apps/proxist-bench/history/parts.h"
#include "bench/ready_memory.h"
#include "bench/rounds.h"
#include "proxist/env/clock.h"

namespace proxist::bench {
namespace {

constexpr size_t kBatchRows = 10'000;
constexpr size_t kWindow = 32;
constexpr int kRounds = 3;
// Before them, one of a third of the rows: buffers grow, and ClickHouse loads its code.
constexpr int kWarmUpShare = 3;

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

/// Seconds that a plain loop takes to insert `blocks`.
StatusOr<double> InsertAll(BareTable* table, const Blocks& blocks) {
  const Duration began = env::SystemClock().Monotonic();
  for (const auto& block : blocks) PX_RETURN_IF_ERROR(table->Insert(block));
  return SecondsSince(began);
}

Status SendAll(QuoteFeed* feed, const Batches& batches) {
  for (const column::Batch& batch : batches) PX_RETURN_IF_ERROR(feed->Send(batch));
  return feed->AwaitAcks();
}

/// The same rows in turns by way of the server and by the plain loop, each with nothing else to do.
class FlatOut {
 public:
  static StatusOr<FlatOut> Start(const HistoryBenchOptions& options, const MarketOptions& market) {
    // A server that has run for a day has its memory; this one touches it before the clock runs.
    const std::string memory =
        std::to_string(ReadyBytesFor(uint64_t{kRounds + 1} * options.flat_rows) >> 20);
    PX_ASSIGN_OR_RETURN(auto server,
                        ServerWithHistory::Start(options.directory, {"--memory-limit-mb", memory,
                                                                     "--ready-memory-mb", memory}));
    FlatOut flat(std::move(server), market);
    PX_RETURN_IF_ERROR(flat.feed_->Declare());
    PX_RETURN_IF_ERROR(flat.bare_->Create());
    return flat;
  }

  struct Round {
    double acked = 0;      // seconds
    double persisted = 0;  // seconds
    double bare = 0;       // seconds
    uint64_t inserts = 0;
    Batches batches;
    Blocks blocks;  // of about as many rows as the inserts had
  };

  StatusOr<Round> Run(size_t rows) {
    Round round;
    for (size_t made = 0; made < rows; made += kBatchRows) {
      round.batches.push_back(feed_->Next(Duration::Micros(kBatchRows), kBatchRows));
    }
    PX_RETURN_IF_ERROR(server_->AwaitRest());
    PX_ASSIGN_OR_RETURN(const uint64_t inserts, server_->Inserts());
    const Duration began = env::SystemClock().Monotonic();
    PX_RETURN_IF_ERROR(SendAll(feed_.get(), round.batches));
    round.acked = SecondsSince(began);
    PX_RETURN_IF_ERROR(server_->FlushAll(Duration::Seconds(600)));
    round.persisted = SecondsSince(began);
    PX_ASSIGN_OR_RETURN(round.inserts, server_->Inserts());
    round.inserts = std::max<uint64_t>(1, round.inserts - inserts);

    const size_t each = (round.batches.size() + round.inserts - 1) / round.inserts;
    round.blocks = Prepare(bare_.get(), round.batches, each);
    PX_RETURN_IF_ERROR(server_->AwaitRest());
    PX_ASSIGN_OR_RETURN(round.bare, InsertAll(bare_.get(), round.blocks));
    return round;
  }

  StatusOr<bool> Agrees() {
    PX_ASSIGN_OR_RETURN(const Checksum held, server_->Held());
    return held == feed_->sent();
  }

 private:
  FlatOut(std::unique_ptr<ServerWithHistory> server, const MarketOptions& market)
      : server_(std::move(server)),
        feed_(std::make_unique<QuoteFeed>(server_->address(), "flat", kWindow, market)),
        bare_(std::make_unique<BareTable>(server_->clickhouse(), "bare")) {}

  std::unique_ptr<ServerWithHistory> server_;
  std::unique_ptr<QuoteFeed> feed_;
  std::unique_ptr<BareTable> bare_;
};

StatusOr<Result> Measure(const HistoryBenchOptions& options, const char* what,
                         const MarketOptions& market, bool* agreed) {
  PX_ASSIGN_OR_RETURN(FlatOut flat, FlatOut::Start(options, market));
  PX_RETURN_IF_ERROR(flat.Run(options.flat_rows / kWarmUpShare).status());
  std::vector<FlatOut::Round> rounds;
  for (int i = 0; i < kRounds; ++i) {
    if (!rounds.empty()) {
      rounds.back().batches.clear();
      rounds.back().blocks.clear();
    }
    PX_ASSIGN_OR_RETURN(rounds.emplace_back(), flat.Run(options.flat_rows));
  }
  PX_ASSIGN_OR_RETURN(const bool agrees, flat.Agrees());
  *agreed = *agreed && agrees;

  const auto rows = static_cast<double>(rounds.back().batches.size() * kBatchRows);
  const auto ratio = [](const FlatOut::Round& round) { return round.bare / round.persisted; };
  const auto rows_an_insert = [rows](const FlatOut::Round& round) {
    return rows / static_cast<double>(round.inserts);
  };
  Result result;
  result.name = fmt::format("flat out, {}, {} times {} rows", what, kRounds, options.flat_rows);
  result.With("acked and persisted rows/s", rows / MiddleOf(rounds, &FlatOut::Round::persisted));
  result.With("bare loop rows/s", rows / MiddleOf(rounds, &FlatOut::Round::bare));
  result.With("ratio", MiddleOf(rounds, ratio));
  result.With("acked rows/s", rows / MiddleOf(rounds, &FlatOut::Round::acked));
  result.With("rows an insert", MiddleOf(rounds, rows_an_insert));
  result.With("rows agree", agrees ? 1 : 0);
  return result;
}

}  // namespace

StatusOr<std::vector<Result>> MeasureFlatOut(const HistoryBenchOptions& options, bool* agreed) {
  std::vector<Result> results;
  PX_ASSIGN_OR_RETURN(results.emplace_back(), Measure(options, "in order", InOrder(), agreed));
  PX_ASSIGN_OR_RETURN(results.emplace_back(),
                      Measure(options, "late rows", WithLateRows(), agreed));
  return results;
}

}  // namespace proxist::bench
