// A shard over files in memory that crash on demand, a random workload, and its whole state as
// text.
#pragma once

#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "tests/unit/shard/shard_fixture.h"
#include "tests/unit/wal/memory_file_system.h"

namespace proxist::shard {

class SnapshotFixture : public ShardFixture {
 protected:
  SnapshotFixture();

  /// Opens the shard over `files`; closes the one before.
  Status OpenOver(env::MemoryFileSystem* files);
  /// The snapshot that was taken and its chunk file are `stem`.snapshot and `stem`.chunks, and a
  /// shard that recovers from these is as this one. PROXIST_WRITE_GOLDEN writes them.
  void CompareWithGolden(const std::string& stem);
  /// A shard that recovers from `stem`.snapshot and `stem`.chunks, in place of the snapshot that
  /// was taken, is as this one. An earlier build wrote them, which numbered chunks and strings in
  /// another order.
  void RecoverFromGolden(const std::string& stem);
  /// Begins, runs and finishes a snapshot.
  Status TakeSnapshot();
  /// One batch of symbols S0..S2: mostly in order, some late, corrected, cancelled or repeated.
  void WriteRandom();
  /// Persists about half of what is not, as a flush does, and notes the rows handed over.
  void FlushSome();
  void EvictSome();
  /// Spills what the last snapshot holds; how many chunks.
  uint64_t SpillAll();
  /// Everything that queries, producers and the flush can see, without taking anything.
  std::string Describe() const;
  /// The rows that a flush would send now: LSN to what the row says. Takes them.
  std::map<uint64_t, std::string> Unflushed();
  /// `files` without snapshots: what a recovery from the log alone reads.
  static env::MemoryFileSystem WithoutSnapshots(const env::MemoryFileSystem& files);
  /// Marks in metadata that recycling leaves; removed, so that a copy of older files can be opened.
  void ForgetRecycling();
  void AddColumn();
  /// The file in memory that the golden one at `path` stands for.
  std::string GoldenName(const std::string& path) const;

  env::MemoryFileSystem memory_;
  env::Keyring* keyring_ = nullptr;
  std::mt19937_64 random_{7};
  int64_t now_ms_ = 1000;
  uint64_t seq_ = 0;
  uint64_t batch_number_ = 0;
  Lsn persisted_;
  std::vector<std::tuple<std::string, int64_t, uint64_t>> keys_;
};

}  // namespace proxist::shard
