#include "apps/proxist-bench/history/feed.h"

#include <chrono>
#include <thread>
#include <utility>

#include "proxist/env/clock.h"

namespace proxist::bench {
namespace {

constexpr Duration kBatchSpan = Duration::Millis(10);
constexpr size_t kBidSize = 2;  // among the columns of QuotesTable

Duration Now() { return env::SystemClock().Monotonic(); }

void Add(const column::Batch& batch, Checksum* sum) {
  for (size_t row = 0; row < batch.rows; ++row) {
    const auto ts = static_cast<uint64_t>(batch.ts.At<int64_t>(row));
    const auto size = static_cast<uint64_t>(batch.columns[kBidSize].At<int64_t>(row));
    sum->sum += (batch.seq.At<uint64_t>(row) * kMix) ^ ts ^ size;
  }
  sum->rows += batch.rows;
}

}  // namespace

MarketOptions InOrder() {
  MarketOptions options = OneVenue();
  options.symbols = 1000;
  return options;
}

MarketOptions WithLateRows() {
  MarketOptions options = AllVenues();
  options.correction_share = options.cancel_share = 0;
  return options;
}

QuoteFeed::QuoteFeed(const std::string& server, const std::string& producer, size_t window,
                     const MarketOptions& market)
    : client_(server), market_(market) {
  client::WriteStreamOptions options;
  options.producer = producer;
  options.max_in_flight = window;
  options.on_ack = [this](const client::WriteAck& ack) { OnAck(ack); };
  stream_ = client_.OpenWriteStream(std::move(options));
}

QuoteFeed::~QuoteFeed() = default;

Status QuoteFeed::Declare() { return client_.Apply(QuotesTable(), "proxist-bench").status(); }

void QuoteFeed::OnAck(const client::WriteAck& ack) {
  const Duration now = Now();
  MutexLock lock(&mutex_);
  latencies_.Add(Duration(now.ns() - sent_at_.front().ns()));
  sent_at_.pop_front();
  acked_ += ack.rows;
  acks_.push_back({now, acked_});
}

column::Batch QuoteFeed::Next(Duration span, size_t rows) {
  column::Batch batch = market_.NextQuotes(span, rows);
  market_.Advance(span);
  return batch;
}

Status QuoteFeed::Send(column::Batch batch) {
  Add(batch, &sent_);
  {
    MutexLock lock(&mutex_);
    sent_at_.push_back(Now());
  }
  return stream_->Send(batch);
}

Status QuoteFeed::Run(uint32_t rate, double seconds) {
  const auto batches = static_cast<int64_t>(seconds * 1e9 / static_cast<double>(kBatchSpan.ns()));
  const uint64_t rows =
      static_cast<uint64_t>(rate) * static_cast<uint64_t>(kBatchSpan.ns()) / 1'000'000'000;
  const auto began = std::chrono::steady_clock::now();
  for (int64_t i = 0; i < batches; ++i) {
    std::this_thread::sleep_until(began + std::chrono::nanoseconds(i * kBatchSpan.ns()));
    PX_RETURN_IF_ERROR(Send(Next(kBatchSpan, rows)));
  }
  return OkStatus();
}

Status QuoteFeed::AwaitAcks() { return stream_->AwaitAcks(); }

Status QuoteFeed::Finish() { return stream_->Finish(); }

uint64_t QuoteFeed::acked_rows() const {
  MutexLock lock(&mutex_);
  return acked_;
}

std::vector<AckedBatch> QuoteFeed::TakeAcks() {
  MutexLock lock(&mutex_);
  return std::exchange(acks_, {});
}

Latencies QuoteFeed::TakeLatencies() {
  MutexLock lock(&mutex_);
  return std::exchange(latencies_, Latencies());
}

}  // namespace proxist::bench
