// feed: the simulated market through the client library, in real time.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <deque>
#include <memory>
#include <thread>

#include <fmt/format.h>
#include <unistd.h>

#include "apps/proxist-bench/commands.h"
#include "bench/latencies.h"
#include "proxist/base/mutex.h"
#include "proxist/client/client.h"
#include "proxist/env/clock.h"
#include "proxist/v1/proxist.pb.h"

namespace proxist::bench {
namespace {

constexpr int64_t kRoundNs = 10'000'000;
constexpr int64_t kRoundsPerSecond = 1'000'000'000 / kRoundNs;

Duration Now() { return env::SystemClock().Monotonic(); }

// One table's stream, with the times at which its unacked batches were sent.
class TimedStream {
 public:
  TimedStream(client::Client* client, const std::string& producer, uint32_t window) {
    client::WriteStreamOptions options;
    options.producer = producer;
    options.max_in_flight = window;
    options.on_ack = [this](const client::WriteAck& ack) { Acked(ack); };
    stream_ = client->OpenWriteStream(std::move(options));
  }

  Status Send(const column::Batch& batch) {
    {
      MutexLock lock(&mutex_);
      sent_at_.push_back(Now());
    }
    return stream_->Send(batch);
  }
  Status Finish() { return stream_->Finish(); }

  /// Adds what was acked since the last call.
  uint64_t Take(Latencies* latencies) {
    MutexLock lock(&mutex_);
    latencies->AddAll(latencies_);
    latencies_.Clear();
    return std::exchange(rows_, 0);
  }

 private:
  void Acked(const client::WriteAck& ack) {
    MutexLock lock(&mutex_);
    latencies_.Add(Duration(Now().ns() - sent_at_.front().ns()));
    sent_at_.pop_front();
    rows_ += ack.rows;
  }

  Mutex mutex_;
  std::deque<Duration> sent_at_ PX_GUARDED_BY(mutex_);
  Latencies latencies_ PX_GUARDED_BY(mutex_);
  uint64_t rows_ PX_GUARDED_BY(mutex_) = 0;
  std::unique_ptr<client::WriteStream> stream_;
};

std::string Seconds(Duration d) {
  return d.ns() < 1'000'000 ? fmt::format("{} us", d.ns() / 1000)
                            : fmt::format("{:.1f} ms", static_cast<double>(d.ns()) / 1e6);
}

// The live line: rewritten in place on a terminal, else one line a second.
class Progress {
 public:
  explicit Progress(client::Client* client) : client_(client), terminal_(isatty(STDERR_FILENO)) {}

  void Show(uint32_t second, TimedStream* quotes, TimedStream* trades) {
    Latencies latencies;
    const uint64_t rows = Collect(quotes, trades, &latencies);
    v1::StatusResponse status;
    const Status asked = client_->GetStatus(&status);
    const std::string lag =
        !asked.ok() ? "unknown" : Seconds(Duration(status.history().flush_lag_ns()));
    std::fprintf(stderr, "%s  %3u s  %8lu rows/s  ack p50 %s p99 %s  persist lag %s%s",
                 terminal_ ? "\r\033[K" : "", second, rows,
                 Seconds(latencies.Percentile(50)).c_str(),
                 Seconds(latencies.Percentile(99)).c_str(), lag.c_str(), terminal_ ? "" : "\n");
  }

  void Close(uint32_t seconds, TimedStream* quotes, TimedStream* trades) {
    Latencies rest;
    Collect(quotes, trades, &rest);
    std::fprintf(stderr, "%s  %lu rows in %u s, ack p50 %s p99 %s\n", terminal_ ? "\n" : "", total_,
                 seconds, Seconds(all_.Percentile(50)).c_str(),
                 Seconds(all_.Percentile(99)).c_str());
  }

 private:
  uint64_t Collect(TimedStream* quotes, TimedStream* trades, Latencies* latencies) {
    const uint64_t rows = quotes->Take(latencies) + trades->Take(latencies);
    total_ += rows;
    all_.AddAll(*latencies);
    return rows;
  }

  client::Client* client_;
  bool terminal_;
  uint64_t total_ = 0;
  Latencies all_;
};

// Rows of a round: four quotes a trade; one round in fifty is a burst of ten times as many.
size_t RowsOf(const FeedOptions& options, int64_t round) {
  const double average = static_cast<double>(options.rate) / kRoundsPerSecond;
  const double calm = average * 50 / 59;
  return std::max<size_t>(5, static_cast<size_t>(round % 50 == 25 ? calm * 10 : calm));
}

}  // namespace

Status Feed(const FeedOptions& options) {
  client::Client client(options.server);
  PX_RETURN_IF_ERROR(client.Apply(QuotesTable(), "proxist-bench").status());
  PX_RETURN_IF_ERROR(client.Apply(TradesTable(), "proxist-bench").status());
  const std::string producer =
      options.producer.empty() ? fmt::format("feed-{}-{}", env::SystemClock().Now().ns(), getpid())
                               : options.producer;
  TimedStream quotes(&client, producer + "-quotes", options.window);
  TimedStream trades(&client, producer + "-trades", options.window);
  Progress progress(&client);
  Market market(options.market);
  const int64_t rounds = options.seconds * kRoundsPerSecond;
  const Duration span(Duration::Seconds(options.market_seconds).ns() / rounds);
  const auto began = std::chrono::steady_clock::now();
  for (int64_t round = 0; round < rounds; ++round) {
    std::this_thread::sleep_until(began + std::chrono::nanoseconds(round * kRoundNs));
    const size_t rows = RowsOf(options, round);
    PX_RETURN_IF_ERROR(quotes.Send(market.NextQuotes(span, rows - rows / 5)));
    PX_RETURN_IF_ERROR(trades.Send(market.NextTrades(span, rows / 5)));
    market.Advance(span);
    if (round % kRoundsPerSecond == kRoundsPerSecond - 1) {
      progress.Show(static_cast<uint32_t>(round / kRoundsPerSecond + 1), &quotes, &trades);
    }
  }
  PX_RETURN_IF_ERROR(quotes.Finish());
  PX_RETURN_IF_ERROR(trades.Finish());
  progress.Close(options.seconds, &quotes, &trades);
  return OkStatus();
}

}  // namespace proxist::bench
