// Rows above a seam, as the live views in ClickHouse read them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "proxist/base/ids.h"
#include "proxist/column/schema.h"
#include "proxist/history/history.h"

namespace proxist::history {

/// What one shard gives: the batches with rows above `above`, in order of LSN, none above the cut.
struct LiveSource {
  Lsn above;
  std::vector<std::shared_ptr<const SourceBatch>> batches;
};

/// The rows of one table, versions resolved among themselves, as Native blocks. One thread.
class LiveRows {
 public:
  enum class What {
    kRows,  // the highest version of each key, unless it is a cancel: symbol, ts, seq, columns
    kKeys,  // symbol, ts, seq and series of the highest versions in rewritten days, cancels too
  };
  /// Columns are those of `schema`. In days that are not in `rewritten` (ascending) no key has more
  /// than one version. Rows before `least` are left out.
  LiveRows(column::SchemaPtr schema, std::vector<LiveSource> sources, std::vector<Day> rewritten,
           What what, Timestamp least = kMinRowTimestamp);

  /// The next block of at most 65,536 rows; an empty text is the end.
  std::string Next();

 private:
  struct Place {
    const SourceBatch* source;
    uint32_t begin;  // its first row above the seam
    /// Rows to send; empty: all from `begin` on.
    std::vector<bool> chosen;
  };
  void Choose();

  const column::SchemaPtr schema_;
  const std::vector<LiveSource> sources_;
  const std::vector<Day> rewritten_;
  const What what_;
  const Timestamp least_;
  std::vector<Place> places_;
  size_t at_ = 0;   // in places_
  size_t row_ = 0;  // in places_[at_]
};

}  // namespace proxist::history
