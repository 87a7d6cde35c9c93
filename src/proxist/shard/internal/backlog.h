// Published batches that history does not have yet, oldest first.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <set>
#include <vector>

#include "proxist/base/ids.h"
#include "proxist/base/time.h"
#include "proxist/history/history.h"
#include "proxist/shard/snapshot_file.h"

namespace proxist::shard::internal {

/// One thread.
class Backlog {
 public:
  struct Entry {
    column::Batch batch;
    Lsn first;
    Lsn last;
    Timestamp published;
    std::vector<Day> rewritten_days;
    Timestamp min_ts;  // of the batch's rows
    Timestamp max_ts;
    uint64_t bytes = 0;
    std::shared_ptr<const history::SourceBatch> pin;  // made for the first reader that pins it
    [[nodiscard]] history::SourceBatch Source(ShardId shard) const;
  };

  void Add(column::Batch batch, Lsn first, Timestamp published, std::vector<Day> rewritten_days);
  /// A batch that history holds already (replay): counts for what its table is persisted through.
  void AddPersisted(const column::Batch& batch);
  /// The same, of rows that a snapshot tells of.
  void AddPersisted(TableId table, Timestamp max_ts);
  [[nodiscard]] std::vector<SnapshotBatch> Marks() const;
  /// Per table, the greatest ts persisted.
  [[nodiscard]] const std::map<TableId, Timestamp>& greatest_persisted() const { return greatest_; }
  /// The entries not taken yet whose rows all lie at or below `durable`, up to about `max_rows`
  /// rows and at least one; they count as taken. Stops at one that rewrites keys and has rows above
  /// `rewrites_through`.
  std::vector<const Entry*> Take(uint64_t max_rows, Lsn durable, Lsn rewrites_through = Lsn::Max());
  [[nodiscard]] std::vector<const Entry*> Find(Lsn first, Lsn last) const;
  /// Entries with last <= lsn count as taken.
  void MarkTaken(Lsn lsn);
  /// Drops the entries with last <= lsn of tables that are not `held`: history has them, though the
  /// persisted LSN lies below them.
  void DropOthers(Lsn lsn, const std::set<TableId>& held);
  /// What DropOthers was last told.
  [[nodiscard]] Lsn others_dropped() const { return others_dropped_; }
  [[nodiscard]] const std::set<TableId>& held() const { return held_; }
  /// The batches with rows above `lsn`, oldest first, to be kept beyond Drop.
  std::vector<std::shared_ptr<const history::SourceBatch>> PinAbove(Lsn lsn, ShardId shard);
  /// Metadata knows that `day` may hold several versions of a key.
  void NoteRewritten(TableId table, Day day) { rewritten_[table].insert(day); }
  /// Drops entries with last <= lsn; raises what each of their tables is persisted through.
  void Drop(Lsn lsn);

  [[nodiscard]] uint64_t rows() const { return rows_; }
  [[nodiscard]] uint64_t bytes() const { return bytes_; }
  [[nodiscard]] Timestamp oldest_published() const;
  /// Per table, the running maximum of (least ts of an unpersisted row) - 1 ns; with nothing
  /// unpersisted, of the greatest ts persisted.
  [[nodiscard]] const std::map<TableId, Timestamp>& persisted_through() const { return through_; }
  /// Days noted, and those that any batch ever added may have rewritten keys in.
  [[nodiscard]] const std::map<TableId, std::set<Day>>& rewritten() const { return rewritten_; }

 private:
  void Forget(const Entry& entry);
  void RaiseThrough();

  std::deque<Entry> entries_;
  size_t taken_ = 0;  // entries at the front that a flush has
  uint64_t rows_ = 0;
  uint64_t bytes_ = 0;
  std::map<TableId, Timestamp> greatest_;  // ts persisted
  std::map<TableId, Timestamp> through_;
  std::map<TableId, std::set<Day>> rewritten_;
  Lsn others_dropped_;
  std::set<TableId> held_;
};

}  // namespace proxist::shard::internal
