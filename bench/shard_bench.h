// A shard over a directory of its own, as the measurements of acks use it.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "bench/latencies.h"
#include "bench/market.h"
#include "bench/raw_write.h"
#include "bench/temporary_directory.h"
#include "proxist/base/status.h"
#include "proxist/base/time.h"
#include "proxist/column/batch.h"
#include "proxist/meta/catalog.h"
#include "proxist/security/data_keys.h"
#include "proxist/shard/shard.h"

namespace proxist::bench {

/// One thread, unless the shard is given away.
struct ShardBench {
  TemporaryDirectory directory;
  std::unique_ptr<meta::MetadataStore> metadata;
  std::unique_ptr<meta::Catalog> catalog;
  std::unique_ptr<security::DataKeys> keys;  // nullptr: nothing is encrypted
  column::SchemaPtr schema;                  // of quotes
  std::unique_ptr<shard::Shard> shard;

  /// Inside the directory `parent`; without history, so nothing is kept for a flush.
  static StatusOr<std::unique_ptr<ShardBench>> Open(const std::string& parent,
                                                    bool encrypted = false);
  /// What one commit of `batch` takes, from the shard's taking it to its ack.
  StatusOr<Duration> TimeCommit(const std::string& producer, uint64_t number, column::Batch batch);
};

/// Acks of one producer, each followed by a raw write of the same bytes.
struct AckLatencies {
  Latencies ack;
  Latencies raw;
  size_t bytes = 0;  // of the last one, whole blocks
};
/// Commits `rounds` batches of `rows` quotes of `market` to a shard of its own inside `directory`.
StatusOr<AckLatencies> MeasureAcksBesideRaw(const MarketOptions& market, size_t rows,
                                            uint32_t rounds, const std::string& directory,
                                            RawWriter* raw);

/// Bytes that the log writes for `batch`, before rounding up to blocks.
size_t LoggedBytes(const column::Batch& batch);

}  // namespace proxist::bench
