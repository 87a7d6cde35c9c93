// ClickHouse stops for a while: acks beside it, and the time until the backlog is gone.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <thread>

#include <signal.h>

#include "apps/proxist-bench/history/parts.h"
#include "proxist/env/clock.h"

namespace proxist::bench {
namespace {

constexpr double kBeforeSeconds = 5;
constexpr auto kPoll = std::chrono::milliseconds(50);

Duration Now() { return env::SystemClock().Monotonic(); }

}  // namespace

StatusOr<Result> MeasureOutage(const HistoryBenchOptions& options, bool* agreed) {
  // It hangs, and is left hanging.
  PX_ASSIGN_OR_RETURN(const auto server,
                      ServerWithHistory::Start(options.directory, {"--history-hang-s", "86400"}));
  QuoteFeed feed(server->address(), "outage", 64, WithLateRows());
  PX_RETURN_IF_ERROR(feed.Declare());
  PX_RETURN_IF_ERROR(feed.Run(options.outage_rate, kBeforeSeconds));
  const Latencies before = feed.TakeLatencies();

  const pid_t clickhouse = server->ClickHousePid();
  if (clickhouse == 0) return Unavailable("the embedded ClickHouse has no process");
  kill(clickhouse, SIGSTOP);
  const Status stopped = feed.Run(options.outage_rate, options.outage_seconds);
  kill(clickhouse, SIGCONT);
  PX_RETURN_IF_ERROR(stopped);
  const Latencies during = feed.TakeLatencies();
  PX_ASSIGN_OR_RETURN(const uint64_t persisted, server->Persisted());
  const uint64_t backlog = feed.acked_rows() - std::min(feed.acked_rows(), persisted);

  // The stream goes on while the backlog is worked off; gone means back to a second's rows.
  std::atomic<bool> gone = false;
  Status fed;
  std::thread feeder([&] {
    while (!gone && fed.ok()) fed = feed.Run(options.outage_rate, 0.2);
  });
  const Duration began = Now();
  Status polled;
  while (polled.ok()) {
    std::this_thread::sleep_for(kPoll);
    const uint64_t acked = feed.acked_rows();
    const StatusOr<uint64_t> reached = server->Persisted();
    polled = reached.status();
    if (reached.ok() && acked < *reached + options.outage_rate) break;
  }
  const double recovery = static_cast<double>(Now().ns() - began.ns()) * 1e-9;
  gone = true;
  feeder.join();
  PX_RETURN_IF_ERROR(fed);
  PX_RETURN_IF_ERROR(polled);
  PX_RETURN_IF_ERROR(feed.Finish());
  PX_RETURN_IF_ERROR(server->FlushAll(Duration::Seconds(120)));
  PX_ASSIGN_OR_RETURN(const Checksum held, server->Held());
  *agreed = *agreed && held == feed.sent();

  Result result;
  result.name = fmt::format("{} s without ClickHouse at {} rows/s", options.outage_seconds,
                            options.outage_rate);
  result.With("backlog rows", static_cast<double>(backlog));
  result.With("recovery s", recovery);
  result.With("recovery / outage", recovery / std::max(1U, options.outage_seconds));
  result.WithLatency("ack before", before).WithLatency("ack during", during);
  result.With("ack p99 ratio", Ratio(during.Percentile(99), before.Percentile(99)));
  result.With("rows agree", held == feed.sent() ? 1 : 0);
  return result;
}

}  // namespace proxist::bench
