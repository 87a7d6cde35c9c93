// snapshot: acks beside a snapshot in progress, and recovery from the log alone and from it.
#include <atomic>
#include <memory>
#include <thread>
#include <vector>

#include <fmt/format.h>

#include "apps/proxist-bench/commands.h"
#include "bench/ready_memory.h"
#include "bench/temporary_directory.h"
#include "proxist/env/clock.h"
#include "proxist/shard/shard.h"

namespace proxist::bench {
namespace {

constexpr size_t kFillRows = 20'000;  // of a batch
constexpr size_t kAckRows = 100;
constexpr double kMiB = 1024.0 * 1024.0;

/// A shard without history over a directory of its own.
class Bench {
 public:
  static StatusOr<std::unique_ptr<Bench>> Make(const std::string& parent) {
    auto bench = std::make_unique<Bench>();
    PX_ASSIGN_OR_RETURN(bench->directory_, TemporaryDirectory::Make(parent));
    PX_ASSIGN_OR_RETURN(bench->metadata_,
                        meta::OpenSqliteStore(bench->directory_.path() + "/meta.db"));
    PX_ASSIGN_OR_RETURN(bench->catalog_, meta::Catalog::Open(bench->metadata_.get()));
    PX_ASSIGN_OR_RETURN(bench->schema_, bench->catalog_->Apply(QuotesTable(), "proxist-bench"));
    PX_RETURN_IF_ERROR(bench->Reopen().status());
    return bench;
  }

  StatusOr<shard::RecoveryReport> Reopen() {
    shard_.reset();
    shard::ShardOptions options;
    options.wal_directory = directory_.path() + "/wal";
    options.snapshot_directory = directory_.path() + "/snapshots";
    options.incarnation = 1;
    options.keep_backlog = false;
    options.store.ready.bytes = kReadyBytes;
    shard::RecoveryReport report;
    PX_ASSIGN_OR_RETURN(shard_, shard::Shard::Open(options,
                                                   {.files = &env::PosixFileSystem(),
                                                    .clock = &env::SystemClock(),
                                                    .metadata = metadata_.get(),
                                                    .catalog = catalog_.get()},
                                                   &report));
    return report;
  }

  StatusOr<Duration> Commit(size_t rows) {
    column::Batch batch = market_.NextQuotes(Duration::Millis(10), rows);
    market_.Advance(Duration::Millis(10));
    batch.schema = schema_;
    Status acked = Internal("the shard gave no ack");
    shard::Write write{.producer = "proxist-bench",
                       .number = BatchNumber(++number_),
                       .batch = std::move(batch),
                       .done = [&acked](const shard::Ack& ack) { acked = ack.status; }};
    const Duration began = env::SystemClock().Monotonic();
    shard_->Commit({&write, 1});
    const Duration ended = env::SystemClock().Monotonic();
    PX_RETURN_IF_ERROR(acked);
    return Duration(ended.ns() - began.ns());
  }

  [[nodiscard]] shard::Shard& shard() { return *shard_; }

 private:
  TemporaryDirectory directory_;
  std::unique_ptr<meta::MetadataStore> metadata_;
  std::unique_ptr<meta::Catalog> catalog_;
  column::SchemaPtr schema_;
  Market market_{{.symbols = 1000}};
  uint64_t number_ = 0;
  std::unique_ptr<shard::Shard> shard_;
};

Result RecoveryResult(std::string name, const shard::RecoveryReport& report) {
  const auto rows = static_cast<double>(report.rows + report.snapshot_rows);
  const double seconds = static_cast<double>(report.elapsed.ns()) * 1e-9;
  Result result;
  result.name = std::move(name);
  result.With("rows", rows).With("seconds", seconds).With("rows/s", rows / seconds);
  return result;
}

}  // namespace

StatusOr<SnapshotResults> MeasureSnapshot(const SnapshotBenchOptions& options) {
  PX_ASSIGN_OR_RETURN(const std::unique_ptr<Bench> bench, Bench::Make(options.directory));
  for (uint64_t rows = 0; rows < options.rows; rows += kFillRows) {
    PX_RETURN_IF_ERROR(bench->Commit(kFillRows).status());
  }
  SnapshotResults results;
  PX_ASSIGN_OR_RETURN(const auto from_log, bench->Reopen());
  results.recovery.push_back(RecoveryResult("from the log alone", from_log));

  WaitUntilReady(bench->shard().store());
  Latencies quiet;
  for (uint32_t i = 0; i < options.rounds; ++i) {
    PX_ASSIGN_OR_RETURN(const Duration ack, bench->Commit(kAckRows));
    quiet.Add(ack);
  }
  PX_ASSIGN_OR_RETURN(auto job, bench->shard().BeginSnapshot());
  std::atomic<bool> done{false};
  const Duration began = env::SystemClock().Monotonic();
  Duration ended;
  std::thread worker([&] {
    job->Run().IgnoreError();  // FinishSnapshot says it
    ended = env::SystemClock().Monotonic();
    done = true;
  });
  Latencies beside;
  Status committed;
  while (!done && committed.ok()) {
    const auto ack = bench->Commit(kAckRows);
    committed = ack.status();
    if (ack.ok()) beside.Add(*ack);
  }
  worker.join();
  PX_RETURN_IF_ERROR(committed);
  const uint64_t written = job->written_bytes();
  PX_RETURN_IF_ERROR(bench->shard().FinishSnapshot(std::move(job)));
  const double seconds = static_cast<double>(ended.ns() - began.ns()) * 1e-9;
  Result snapshot;
  snapshot.name = fmt::format("{} rows", bench->shard().Stats().published.value());
  snapshot.With("MiB", static_cast<double>(written) / kMiB).With("seconds", seconds);
  results.snapshot.push_back(snapshot);
  Result acks;
  acks.name = fmt::format("{} rows", kAckRows);
  acks.WithLatency("quiet", quiet).WithLatency("beside", beside);
  acks.With("acks", static_cast<double>(beside.count()));
  results.acks.push_back(acks);
  PX_ASSIGN_OR_RETURN(const auto from_snapshot, bench->Reopen());
  results.recovery.push_back(RecoveryResult("from the snapshot", from_snapshot));
  return results;
}

}  // namespace proxist::bench
