// Batches are made before the clock runs and used again under new keys.
#include "apps/proxist-bench/paced_ingest.h"

#include <chrono>
#include <memory>
#include <thread>
#include <utility>

#include "proxist/base/mutex.h"

namespace proxist::bench {
namespace {

constexpr size_t kBatchRows = 1000;
constexpr size_t kBatches = 200;
constexpr Duration kBatchSpan = Duration::Millis(100);
constexpr size_t kInFlight = 32;
// Of one repeat: more than any batch that was made has.
constexpr uint64_t kSeqStep = uint64_t{1} << 32;

/// The same rows `repeats` times later.
column::Batch Moved(const column::Batch& made, Duration span, uint64_t repeats) {
  struct Keys {
    std::vector<int64_t> ts;
    std::vector<uint64_t> seq;
    std::shared_ptr<const void> owner;
  };
  auto keys = std::make_shared<Keys>();
  keys->owner = made.owner;
  for (size_t row = 0; row < made.rows; ++row) {
    keys->ts.push_back(made.ts.At<int64_t>(row) + span.ns() * static_cast<int64_t>(repeats));
    keys->seq.push_back(made.seq.At<uint64_t>(row) + kSeqStep * repeats);
  }
  column::Batch moved = made;
  moved.ts.values = std::as_bytes(std::span(keys->ts));
  moved.seq.values = std::as_bytes(std::span(keys->seq));
  moved.owner = std::move(keys);
  return moved;
}

}  // namespace

/// Batches without an ack, bounded.
struct PacedIngest::Window {
  Mutex mutex;
  CondVar wake;
  size_t in_flight PX_GUARDED_BY(mutex) = 0;
  uint64_t rows PX_GUARDED_BY(mutex) = 0;  // acked
  Status failed PX_GUARDED_BY(mutex);

  Status AwaitAtMost(size_t most) {
    MutexLock lock(&mutex);
    while (in_flight > most) wake.wait(lock);
    return failed;
  }
  void Ended(const Status& status, uint64_t acked) {
    {
      const MutexLock lock(&mutex);
      --in_flight;
      if (status.ok()) {
        rows += acked;
      } else {
        failed = status;
      }
    }
    wake.notify_all();
  }
  uint64_t acked() {
    const MutexLock lock(&mutex);
    return rows;
  }
};

PacedIngest::PacedIngest(server::Node* node, const MarketOptions& market)
    : node_(node), market_(market) {}

Status PacedIngest::Write(const column::SchemaPtr& schema, column::Batch batch, Window* window) {
  PX_RETURN_IF_ERROR(window->AwaitAtMost(kInFlight - 1));
  {
    const MutexLock lock(&window->mutex);
    ++window->in_flight;
  }
  const size_t rows = batch.rows;
  batch.schema = schema;
  node_->Write(
      {.producer = {}, .number = {}, .batch = std::move(batch)},
      [window, rows](const server::WriteResult& result) { window->Ended(result.status, rows); });
  return OkStatus();
}

Status PacedIngest::Load(size_t rows, size_t batch_rows, Duration span) {
  PX_ASSIGN_OR_RETURN(quotes_, node_->ApplyTable(QuotesTable(), "proxist-bench"));
  PX_ASSIGN_OR_RETURN(trades_, node_->ApplyTable(TradesTable(), "proxist-bench"));
  Window window;
  const size_t batches = std::max<size_t>(1, rows / batch_rows);
  const Duration step(span.ns() / static_cast<int64_t>(batches));
  Status status;
  for (size_t i = 0; i < batches && status.ok(); ++i) {
    status = Write(quotes_, market_.NextQuotes(step, batch_rows), &window);
    if (status.ok()) status = Write(trades_, market_.NextTrades(step, batch_rows / 4), &window);
    market_.Advance(step);
  }
  const Status rest = window.AwaitAtMost(0);
  PX_RETURN_IF_ERROR(status);
  PX_RETURN_IF_ERROR(rest);
  for (size_t i = 0; i < kBatches; ++i) {
    made_.push_back(market_.NextQuotes(kBatchSpan, kBatchRows));
    market_.Advance(kBatchSpan);
  }
  made_span_ = Duration(kBatchSpan.ns() * static_cast<int64_t>(kBatches));
  return OkStatus();
}

StatusOr<double> PacedIngest::Run(uint32_t rate, Duration time) {
  Window window;
  const std::chrono::nanoseconds step(1'000'000'000 * kBatchRows / rate);
  const auto start = std::chrono::steady_clock::now();
  const auto end = start + std::chrono::nanoseconds(time.ns());
  Status status;
  for (auto due = start; due < end && status.ok(); due += step) {
    std::this_thread::sleep_until(due);
    if (std::chrono::steady_clock::now() >= end) break;
    status = Write(quotes_, Moved(made_[next_], made_span_, repeats_), &window);
    if (++next_ < made_.size()) continue;
    next_ = 0;
    ++repeats_;
  }
  const uint64_t rows = window.acked();
  const double seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  const Status rest = window.AwaitAtMost(0);
  PX_RETURN_IF_ERROR(status);
  PX_RETURN_IF_ERROR(rest);
  return static_cast<double>(rows) / seconds;
}

}  // namespace proxist::bench
