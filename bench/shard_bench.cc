#include "bench/shard_bench.h"

#include <utility>
#include <vector>

#include "bench/ready_memory.h"
#include "proxist/env/clock.h"
#include "proxist/env/file_system.h"
#include "proxist/shard/record.h"

namespace proxist::bench {
namespace {

// Headers of frame and record beside the encoded batch; it matters only at block borders.
constexpr size_t kFrameBytes = 128;

}  // namespace

StatusOr<std::unique_ptr<ShardBench>> ShardBench::Open(const std::string& parent, bool encrypted) {
  auto bench = std::make_unique<ShardBench>();
  PX_ASSIGN_OR_RETURN(bench->directory, TemporaryDirectory::Make(parent));
  PX_ASSIGN_OR_RETURN(bench->metadata, meta::OpenSqliteStore(bench->directory.path() + "/meta.db"));
  PX_ASSIGN_OR_RETURN(bench->catalog, meta::Catalog::Open(bench->metadata.get()));
  PX_ASSIGN_OR_RETURN(bench->schema, bench->catalog->Apply(QuotesTable(), "proxist-bench"));
  if (encrypted) {
    PX_ASSIGN_OR_RETURN(bench->keys,
                        security::DataKeys::Open(bench->metadata.get(), security::MasterKey(), {}));
    PX_RETURN_IF_ERROR(bench->keys->Rotate(env::SystemClock().Now(), "proxist-bench").status());
  }
  shard::ShardOptions options;
  options.wal_directory = bench->directory.path() + "/wal";
  options.incarnation = 1;
  options.keep_backlog = false;
  options.store.ready.bytes = kReadyBytes;
  shard::RecoveryReport report;
  PX_ASSIGN_OR_RETURN(bench->shard, shard::Shard::Open(options,
                                                       {.files = &env::PosixFileSystem(),
                                                        .clock = &env::SystemClock(),
                                                        .metadata = bench->metadata.get(),
                                                        .catalog = bench->catalog.get(),
                                                        .keys = bench->keys.get()},
                                                       &report));
  bench->shard->SetSchema(bench->schema);
  WaitUntilReady(bench->shard->store());
  return bench;
}

StatusOr<Duration> ShardBench::TimeCommit(const std::string& producer, uint64_t number,
                                          column::Batch batch) {
  Status acked = Internal("the shard gave no ack");
  shard::Write write{.producer = producer,
                     .number = BatchNumber(number),
                     .batch = std::move(batch),
                     .done = [&acked](const shard::Ack& ack) { acked = ack.status; }};
  const Duration began = env::SystemClock().Monotonic();
  shard->Commit({&write, 1});
  const Duration ended = env::SystemClock().Monotonic();
  PX_RETURN_IF_ERROR(acked);
  return Duration(ended.ns() - began.ns());
}

StatusOr<AckLatencies> MeasureAcksBesideRaw(const MarketOptions& options, size_t rows,
                                            uint32_t rounds, const std::string& directory,
                                            RawWriter* raw) {
  PX_ASSIGN_OR_RETURN(std::unique_ptr<ShardBench> bench, ShardBench::Open(directory));
  Market market(options);
  Market idle(options);
  AckLatencies measured;
  for (uint32_t round = 0; round < rounds; ++round) {
    column::Batch batch = market.NextQuotes(Duration::Millis(1), rows);
    market.Advance(Duration::Millis(1));
    batch.schema = bench->schema;
    measured.bytes =
        (LoggedBytes(batch) + env::kBlockBytes - 1) / env::kBlockBytes * env::kBlockBytes;
    PX_ASSIGN_OR_RETURN(const Duration ack, bench->TimeCommit("feed", round + 1, std::move(batch)));
    PX_RETURN_IF_ERROR(bench->shard->Maintain().status());
    // The disk has been as idle before the raw write as it was before the ack.
    static_cast<void>(idle.NextQuotes(Duration::Millis(1), rows));
    PX_ASSIGN_OR_RETURN(const Duration floor, raw->Write(measured.bytes));
    // The first rounds make the series; they are part of a start, not of a day.
    if (round < rounds / 10) continue;
    measured.ack.Add(ack);
    measured.raw.Add(floor);
  }
  return measured;
}

size_t LoggedBytes(const column::Batch& batch) {
  std::vector<std::byte> record;
  ByteWriter writer(&record);
  shard::EncodeRecord({.tenant = batch.schema->tenant, .producer = "proxist-bench"}, batch,
                      &writer);
  return record.size() + kFrameBytes;
}

}  // namespace proxist::bench
