// Rows at a steady pace: when they can be asked for in ClickHouse, and what that costs it.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <thread>

#include "apps/proxist-bench/history/parts.h"
#include "proxist/env/clock.h"
#include "proxist/history/insert_block.h"

namespace proxist::bench {
namespace {

constexpr double kSettleSeconds = 3;
constexpr auto kPollPersisted = std::chrono::milliseconds(2);
constexpr auto kPollCount = std::chrono::milliseconds(10);

Duration Now() { return env::SystemClock().Monotonic(); }

/// Adds to `lags` what each of `acks` waited until `progress` had reached its rows.
class LagWatch {
 public:
  void Poll(std::vector<AckedBatch> acks, uint64_t reached, Latencies* lags) {
    const Duration now = Now();
    waiting_.insert(waiting_.end(), acks.begin(), acks.end());
    auto done = waiting_.begin();
    for (; done != waiting_.end() && done->rows <= reached; ++done) {
      lags->Add(Duration(std::max<int64_t>(0, now.ns() - done->at.ns())));
    }
    waiting_.erase(waiting_.begin(), done);
  }

 private:
  std::vector<AckedBatch> waiting_;
};

/// Feeds for `seconds` while `progress` is polled.
template <typename Progress>
Status Watch(QuoteFeed* feed, uint32_t rate, double seconds, std::chrono::milliseconds every,
             Progress progress, Latencies* lags) {
  std::atomic<bool> fed = false;
  Status sent;
  std::thread feeder([&] {
    sent = feed->Run(rate, seconds);
    fed = true;
  });
  LagWatch watch;
  Status polled;
  while (!fed && polled.ok()) {
    std::vector<AckedBatch> acks = feed->TakeAcks();
    const StatusOr<uint64_t> reached = progress();
    polled = reached.status();
    if (reached.ok()) watch.Poll(std::move(acks), *reached, lags);
    std::this_thread::sleep_for(every);
  }
  feeder.join();
  PX_RETURN_IF_ERROR(sent);
  return polled;
}

/// What a bare insert of as many rows takes: the least that a row waits for its insert.
StatusOr<Latencies> BareInserts(ServerWithHistory* server, QuoteFeed* feed, size_t rows) {
  BareTable bare(server->clickhouse(), "bare");
  PX_RETURN_IF_ERROR(bare.Create());
  Latencies latencies;
  for (int i = 0; i < 60; ++i) {
    const auto block = bare.Encode({feed->Next(Duration::Millis(10), rows)});
    const Duration began = Now();
    PX_RETURN_IF_ERROR(bare.Insert(block));
    latencies.Add(Duration(Now().ns() - began.ns()));
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  return latencies;
}

}  // namespace

StatusOr<Result> MeasureSteady(const HistoryBenchOptions& options, bool* agreed) {
  PX_ASSIGN_OR_RETURN(const auto server, ServerWithHistory::Start(options.directory, {}));
  QuoteFeed feed(server->address(), "steady", 64, WithLateRows());
  PX_RETURN_IF_ERROR(feed.Declare());
  PX_RETURN_IF_ERROR(feed.Run(options.steady_rate, kSettleSeconds));
  feed.TakeAcks();
  feed.TakeLatencies();

  Latencies persisted;
  uint64_t most_parts = 0;
  PX_ASSIGN_OR_RETURN(const uint64_t parts_before, server->ActiveParts());
  PX_ASSIGN_OR_RETURN(const uint64_t inserts_before, server->Inserts());
  const double cpu_before = server->ClickHouseSeconds();
  const Duration began = Now();
  PX_RETURN_IF_ERROR(Watch(
      &feed, options.steady_rate, options.steady_seconds, kPollPersisted,
      [&] { return server->Persisted(); }, &persisted));
  const double seconds = static_cast<double>(Now().ns() - began.ns()) * 1e-9;
  const double cores = (server->ClickHouseSeconds() - cpu_before) / seconds;
  PX_ASSIGN_OR_RETURN(const uint64_t inserts_after, server->Inserts());
  PX_ASSIGN_OR_RETURN(const uint64_t parts_after, server->ActiveParts());
  const Latencies acks = feed.TakeLatencies();
  feed.TakeAcks();

  // The same as a client of ClickHouse sees it, whose questions cost ClickHouse as well.
  Latencies queryable;
  int polls = 0;
  PX_RETURN_IF_ERROR(Watch(
      &feed, options.steady_rate, std::min(10.0, options.steady_seconds / 2.0), kPollCount,
      [&]() -> StatusOr<uint64_t> {
        if (++polls % 20 == 0) {
          PX_ASSIGN_OR_RETURN(const uint64_t parts, server->ActiveParts());
          most_parts = std::max(most_parts, parts);
        }
        return server->Ask("SELECT count() FROM default.quotes_history");
      },
      &queryable));
  PX_RETURN_IF_ERROR(feed.Finish());
  PX_RETURN_IF_ERROR(server->FlushAll(Duration::Seconds(60)));
  PX_ASSIGN_OR_RETURN(const Checksum held, server->Held());
  *agreed = *agreed && held == feed.sent();
  const uint64_t inserts = std::max<uint64_t>(1, inserts_after - inserts_before);
  const auto rows = static_cast<uint64_t>(options.steady_rate * seconds) / inserts;
  PX_ASSIGN_OR_RETURN(const Latencies bare, BareInserts(server.get(), &feed, rows));

  Result result;
  result.name = fmt::format("steady {} rows/s for {:.0f} s", options.steady_rate, seconds);
  result.WithLatency("persist lag", persisted).WithLatency("queryable lag", queryable);
  result.WithLatency("bare insert", bare).WithLatency("ack", acks);
  result.With("lag / bare insert", Ratio(persisted.Percentile(50), bare.Percentile(50)));
  result.With("rows an insert", static_cast<double>(rows));
  result.With("ClickHouse cores", cores);
  result.With("parts before", static_cast<double>(parts_before));
  result.With("parts after", static_cast<double>(parts_after));
  result.With("most parts", static_cast<double>(std::max(most_parts, parts_after)));
  result.With("rows agree", held == feed.sent() ? 1 : 0);
  return result;
}

}  // namespace proxist::bench
