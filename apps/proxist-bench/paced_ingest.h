// Quotes into a node of this process, at a rate.
#pragma once

#include <cstdint>
#include <vector>

#include "bench/market.h"
#include "proxist/base/status.h"
#include "proxist/base/time.h"
#include "proxist/column/batch.h"
#include "proxist/server/node.h"

namespace proxist::bench {

/// Tables `quotes` and `trades` of a Market. One thread at a time.
class PacedIngest {
 public:
  /// `node` outlives this.
  PacedIngest(server::Node* node, const MarketOptions& market);
  /// Declares the tables and writes `rows` quotes and a fourth as many trades over `span`.
  Status Load(size_t rows, size_t batch_rows, Duration span);
  /// Writes quotes that were made beforehand, moved on in time and seq, for `time`; returns the
  /// rows per second that were acked by its end. Behind the rate it writes as fast as acks come.
  StatusOr<double> Run(uint32_t rate, Duration time);

 private:
  struct Window;
  Status Write(const column::SchemaPtr& schema, column::Batch batch, Window* window);

  server::Node* node_;
  Market market_;
  column::SchemaPtr quotes_;
  column::SchemaPtr trades_;
  std::vector<column::Batch> made_;
  Duration made_span_;
  uint64_t repeats_ = 0;  // of all that was made
  size_t next_ = 0;       // of `made_`
};

}  // namespace proxist::bench
