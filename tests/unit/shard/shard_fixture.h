// A shard over real files and a real metadata store, and a history that fails when told to.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <unistd.h>

#include "proxist/column/batch.h"
#include "proxist/env/clock.h"
#include "proxist/env/file_system.h"
#include "proxist/meta/catalog.h"
#include "proxist/meta/store.h"
#include "proxist/shard/flusher.h"
#include "proxist/shard/shard.h"

namespace proxist::shard {

inline constexpr int64_t kDayNs = 86400LL * 1'000'000'000;
inline constexpr int64_t kStartNs = 15987 * kDayNs;  // 2013-10-09

/// Wall-clock time that a test moves.
class TestClock final : public env::Clock {
 public:
  Timestamp Now() const override { return Timestamp(kStartNs + elapsed_ns); }
  Duration Monotonic() const override { return Duration(elapsed_ns); }
  int64_t elapsed_ns = 0;
};

/// The host's files with durable writes that fail on demand.
class FailingFiles final : public env::FileSystem {
 public:
  Status submit_error;  // of the next Submits
  Status wait_error;    // of the next Waits
  Status sync_error;    // of the next Syncs
  Status open_error;    // of the next OpenDurables
  uint64_t unsynced_writes = 0;
  uint64_t syncs = 0;

  StatusOr<std::unique_ptr<env::File>> Open(const std::string& path, Mode mode) override {
    return host_.Open(path, mode);
  }
  Status AwaitWrites(const std::string& path) override { return host_.AwaitWrites(path); }
  StatusOr<std::unique_ptr<env::DurableFile>> OpenDurable(const std::string& path,
                                                          uint64_t size) override;
  Status CreateDirectories(const std::string& path) override {
    return host_.CreateDirectories(path);
  }
  StatusOr<std::vector<std::string>> List(const std::string& path) override {
    return host_.List(path);
  }
  Status Rename(const std::string& from, const std::string& to) override {
    return host_.Rename(from, to);
  }
  Status Remove(const std::string& path) override { return host_.Remove(path); }
  Status SyncDirectory(const std::string& path) override { return host_.SyncDirectory(path); }
  StatusOr<bool> Exists(const std::string& path) override { return host_.Exists(path); }
  Status WriteAtomically(const std::string& path, ByteSpan bytes) override {
    return host_.WriteAtomically(path, bytes);
  }
  StatusOr<std::vector<std::byte>> ReadAll(const std::string& path, uint64_t max) override {
    return host_.ReadAll(path, max);
  }
  StatusOr<std::shared_ptr<const env::MappedFile>> Map(const std::string& path) override {
    return host_.Map(path);
  }
  StatusOr<std::unique_ptr<env::FileLock>> Lock(const std::string& path) override {
    return host_.Lock(path);
  }

 private:
  env::FileSystem& host_ = env::PosixFileSystem();
};

/// Keeps every version it is sent, by table and version. Fails as told, before or after it commits.
class RecordingHistory final : public history::History {
 public:
  struct Row {
    ShardId shard;
    uint64_t version;
    std::string symbol;
    int64_t ts;
    int64_t price;
    bool operator<(const Row& other) const {
      return std::tie(shard, version) < std::tie(other.shard, other.version);
    }
  };
  std::function<Status()> before_commit = [] { return OkStatus(); };
  std::function<Status()> after_commit = [] { return OkStatus(); };
  std::multiset<Row> rows;
  std::set<std::string> tokens;
  uint64_t deduplicated = 0;
  uint64_t counts = 0;

  Status EnsureTable(const column::TableSchema& schema) override {
    if (drifted.contains(schema.id)) return FailedPrecondition("a column has another type");
    tables.insert(schema.id);
    return OkStatus();
  }
  Status Insert(const history::InsertIntent& intent,
                std::span<const history::SourceBatch> sources) override;
  StatusOr<uint64_t> CountVersions(const history::InsertIntent& intent) override;
  StatusOr<history::ReadResult> Read(const history::ReadRequest&) override {
    return Unimplemented("not needed");
  }
  StatusOr<std::vector<Day>> Days(const column::TableSchema&, const history::ReadBounds&) override {
    return std::vector<Day>{};
  }
  StatusOr<std::string> Incarnation(std::string_view fresh) override { return std::string(fresh); }
  Status Ping() override { return OkStatus(); }

  std::set<TableId> tables;
  std::set<TableId> drifted;  // refused
};

class ShardFixture : public ::testing::Test {
 protected:
  ShardFixture();
  ~ShardFixture() override;

  /// Closes the shard, as a crash would (nothing is written on the way), and opens it again.
  Status Reopen();
  void Crash();
  /// `rows` rows of symbols S0..S4 with ascending ts from `ts`, price = 100 + row.
  column::Batch Rows(size_t rows, int64_t ts, uint64_t first_seq);
  /// The same of another table, `orders`.
  column::Batch Orders(size_t rows, int64_t ts, uint64_t first_seq);
  /// Rows are made with a schema of this durability from now on.
  void SetDurability(column::Durability durability);
  Write WriteOf(std::string producer, uint64_t number, column::Batch batch, Ack* ack);
  Ack Send(std::string producer, uint64_t number, column::Batch batch);
  /// Visible rows of the table: (ts, seq) of every symbol, sorted.
  std::vector<std::pair<int64_t, uint64_t>> Visible() const;

  std::filesystem::path directory_;
  TestClock clock_;
  FailingFiles files_;
  std::unique_ptr<meta::MetadataStore> metadata_;
  std::unique_ptr<meta::Catalog> catalog_;
  column::SchemaPtr schema_;
  column::SchemaPtr orders_;  // once Orders made it
  ShardOptions options_;
  RecoveryReport report_;
  std::unique_ptr<Shard> shard_;
};

/// A flusher's way to a shard on the test's own thread.
class DirectPort final : public ShardPort {
 public:
  explicit DirectPort(Shard* shard) : shard_(shard) {}
  ShardId id() const override { return shard_->id(); }
  FlushTake TakeForFlush(uint64_t max_rows) override { return shard_->TakeForFlush(max_rows); }
  std::vector<history::SourceBatch> Find(Lsn first, Lsn last) override {
    return shard_->Find(first, last);
  }
  void MarkTaken(Lsn lsn) override { shard_->MarkTaken(lsn); }
  void Flushed(Lsn lsn, const std::set<TableId>& held) override { shard_->Flushed(lsn, held); }
  void Persisted(Lsn lsn) override { shard_->Persisted(lsn); }

 private:
  Shard* shard_;
};

}  // namespace proxist::shard
