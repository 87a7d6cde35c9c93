// Every version of a table's rows that one shard's files hold.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "proxist/base/ids.h"
#include "proxist/base/status.h"
#include "proxist/base/time.h"
#include "proxist/column/batch.h"
#include "proxist/env/cipher.h"
#include "proxist/hot/block_rows.h"
#include "proxist/hot/chunk_file.h"
#include "proxist/meta/catalog.h"
#include "proxist/wal/inspect.h"

namespace proxist::pxinspect {

/// Which rows are wanted.
struct DumpSelection {
  column::SchemaPtr table;           // its newest version
  std::vector<std::string> symbols;  // sorted; empty: all
  Timestamp from = Timestamp::Min();
  Timestamp to = Timestamp::Max();  // exclusive; Max: no bound
  env::Keyring* keys = nullptr;     // of encrypted files

  [[nodiscard]] bool Has(std::string_view symbol) const;
  [[nodiscard]] bool Has(Timestamp ts) const;
};

/// A series' symbol and the values of its series columns.
using SeriesName = std::vector<std::string>;

/// A row in the batch that holds it.
struct RowVersion {
  const column::Batch* batch = nullptr;
  size_t row = 0;
  Timestamp ts;
  uint64_t seq = 0;  // the LSN in a table that assigns it
  Lsn lsn;
};

/// What the log knows of a batch's sender.
struct Origin {
  Lsn first;
  Lsn last;
  std::string producer;  // empty: the batch had none
  BatchNumber number;
};

/// The newest snapshot of a shard that is whole, and the log above it. Keeps in memory where
/// chunks lie, the rows of open chunks and of the log, and the rows of one series. One thread.
class ShardDump {
 public:
  /// Reads the snapshot's manifest and the log; a snapshot that is damaged gives way to an older
  /// one, which `notes` then says. FAILED_PRECONDITION: the files belong to another data directory.
  static StatusOr<std::unique_ptr<ShardDump>> Open(const std::string& directory,
                                                   const hot::FileIdentity& identity,
                                                   const meta::Catalog& catalog,
                                                   const DumpSelection& selection);

  /// In the order of their names.
  [[nodiscard]] std::vector<SeriesName> Series() const;
  /// The wanted rows of a series by (ts, seq, lsn); valid until the next call.
  StatusOr<std::span<const RowVersion>> Read(const SeriesName& name);
  /// nullptr when no segment of the log holds the row any more.
  [[nodiscard]] const Origin* OriginOf(Lsn lsn) const;
  [[nodiscard]] ShardId shard() const { return identity_.shard; }
  [[nodiscard]] const std::vector<std::string>& notes() const { return notes_; }
  /// Not OK when rows are missing: the log is damaged, or does not reach back to the snapshot.
  [[nodiscard]] const Status& missing() const { return missing_; }

 private:
  struct Pieces {
    std::vector<uint32_t> codes;  // of the snapshot
    std::vector<hot::StoredChunk> chunks;
    std::vector<std::byte> tail;
    std::vector<std::byte> overlay;
    std::vector<RowVersion> logged;
  };

  ShardDump(std::string directory, hot::FileIdentity identity, const DumpSelection& selection)
      : directory_(std::move(directory)), identity_(identity), selection_(selection) {}
  Status FindSnapshot();
  Status LoadSnapshot(Lsn cut);
  Status AddSeries(const hot::StoredSeries& series);
  Status ReadLog(const meta::Catalog& catalog);
  Status CheckSegment(const wal::SegmentInfo& segment) const;
  Status AddRecord(const wal::LogRecord& record, const meta::Catalog& catalog);
  void AddLogged(std::shared_ptr<const column::Batch> batch, Lsn first);
  /// The series' blocks of the snapshot.
  Status ReadBlocks(const Pieces& pieces);
  Status AddBlock(ByteSpan bytes, const Pieces& pieces);
  Status AddChunk(const hot::StoredChunk& chunk, const Pieces& pieces);
  [[nodiscard]] std::string SnapshotDirectory() const;

  const std::string directory_;
  const hot::FileIdentity identity_;
  const DumpSelection& selection_;
  Lsn cut_;  // 0: there is no snapshot
  std::vector<std::string> strings_;
  std::map<SeriesName, Pieces> series_;
  std::map<uint64_t, std::unique_ptr<hot::ChunkFileReader>> files_;
  std::vector<std::shared_ptr<const column::Batch>> batches_;  // of the log
  std::vector<Origin> origins_;                                // ascending
  std::vector<hot::BlockRows> blocks_;                         // of the series read last
  std::vector<RowVersion> rows_;
  std::vector<std::string> notes_;
  Status missing_;
};

}  // namespace proxist::pxinspect
