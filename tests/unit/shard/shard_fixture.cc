#include "tests/unit/shard/shard_fixture.h"

#include <algorithm>
#include <utility>

namespace proxist::shard {
namespace {

class FailingDurableFile final : public env::DurableFile {
 public:
  FailingDurableFile(FailingFiles* files, std::unique_ptr<env::DurableFile> host)
      : files_(files), host_(std::move(host)) {}
  Status Submit(uint64_t offset, ByteSpan bytes) override {
    if (!files_->submit_error.ok()) return files_->submit_error;
    return host_->Submit(offset, bytes);
  }
  Status Wait() override {
    const Status status = host_->Wait();
    return files_->wait_error.ok() ? status : files_->wait_error;
  }
  Status WriteUnsynced(uint64_t offset, ByteSpan bytes) override {
    ++files_->unsynced_writes;
    return host_->WriteUnsynced(offset, bytes);
  }
  Status Sync() override {
    ++files_->syncs;
    return files_->sync_error.ok() ? host_->Sync() : files_->sync_error;
  }
  bool direct() const override { return host_->direct(); }

 private:
  FailingFiles* files_;
  std::unique_ptr<env::DurableFile> host_;
};

bool Covers(const history::InsertIntent& intent, ShardId shard, uint64_t version) {
  return std::any_of(intent.ranges.begin(), intent.ranges.end(), [&](const auto& range) {
    return range.shard == shard && range.first.value() <= version && version <= range.last.value();
  });
}

}  // namespace

StatusOr<std::unique_ptr<env::DurableFile>> FailingFiles::OpenDurable(const std::string& path,
                                                                      uint64_t size) {
  if (!open_error.ok()) return open_error;
  PX_ASSIGN_OR_RETURN(auto file, host_.OpenDurable(path, size));
  return std::unique_ptr<env::DurableFile>(
      std::make_unique<FailingDurableFile>(this, std::move(file)));
}

Status RecordingHistory::Insert(const history::InsertIntent& intent,
                                std::span<const history::SourceBatch> sources) {
  PX_RETURN_IF_ERROR(before_commit());
  if (!tables.contains(intent.schema->id)) return NotFound("no table {}", intent.schema->name);
  if (drifted.contains(intent.schema->id)) return FailedPrecondition("a column has another type");
  if (!tokens.insert(intent.token).second) {
    ++deduplicated;
    return after_commit();
  }
  for (const history::SourceBatch& source : sources) {
    const column::Batch& batch = source.batch;
    if (batch.schema->id != intent.schema->id) continue;
    for (size_t row = 0; row < batch.rows; ++row) {
      const uint64_t version = source.first.value() + row;
      const int64_t ts = batch.ts.At<int64_t>(row);
      if (DayOf(Timestamp(ts)) != intent.day || !Covers(intent, source.shard, version)) continue;
      rows.insert({source.shard, version, std::string(batch.symbol.TextAt(row)), ts,
                   batch.columns[0].At<int64_t>(row)});
    }
  }
  return after_commit();
}

StatusOr<uint64_t> RecordingHistory::CountVersions(const history::InsertIntent& intent) {
  ++counts;
  return static_cast<uint64_t>(std::count_if(rows.begin(), rows.end(), [&](const Row& row) {
    return DayOf(Timestamp(row.ts)) == intent.day && Covers(intent, row.shard, row.version);
  }));
}

ShardFixture::ShardFixture() {
  std::string name = std::filesystem::temp_directory_path() / "proxist-shard-XXXXXX";
  directory_ = mkdtemp(name.data());
  options_.wal_directory = directory_ / "wal";
  options_.segment_bytes = 1u << 20;
  options_.max_frame_bytes = 512u << 10;
  options_.incarnation = 42;
  options_.store.huge_pages = false;
  auto opened = meta::OpenSqliteStore(directory_ / "meta.db");
  EXPECT_TRUE(opened.ok()) << opened.status();
  metadata_ = std::move(*opened);
  auto catalog = meta::Catalog::Open(metadata_.get());
  EXPECT_TRUE(catalog.ok()) << catalog.status();
  catalog_ = std::move(*catalog);
  column::TableSchema table;
  table.name = "trades";
  table.columns = {{ColumnId(1), "price", {column::TypeKind::kInt64, 0}, false}};
  auto schema = catalog_->Apply(table, "test");
  EXPECT_TRUE(schema.ok()) << schema.status();
  schema_ = *schema;
  const Status status = Reopen();
  EXPECT_TRUE(status.ok()) << status;
}

ShardFixture::~ShardFixture() {
  shard_.reset();
  std::filesystem::remove_all(directory_);
}

void ShardFixture::Crash() { shard_.reset(); }

Status ShardFixture::Reopen() {
  shard_.reset();
  report_ = {};
  PX_ASSIGN_OR_RETURN(
      shard_, Shard::Open(options_, {&files_, &clock_, metadata_.get(), catalog_.get()}, &report_));
  return OkStatus();
}

column::Batch ShardFixture::Rows(size_t rows, int64_t ts, uint64_t first_seq) {
  column::BatchBuilder builder(schema_);
  for (size_t row = 0; row < rows; ++row) {
    builder.AddRow("S" + std::to_string(row % 5), Timestamp(ts + static_cast<int64_t>(row)),
                   first_seq + row);
    builder.SetInt(0, 100 + static_cast<int64_t>(row));
  }
  return builder.Build();
}

column::Batch ShardFixture::Orders(size_t rows, int64_t ts, uint64_t first_seq) {
  if (orders_ == nullptr) {
    column::TableSchema table;
    table.name = "orders";
    table.columns = {{ColumnId(1), "price", {column::TypeKind::kInt64, 0}, false}};
    auto applied = catalog_->Apply(table, "test");
    EXPECT_TRUE(applied.ok()) << applied.status();
    orders_ = *applied;
  }
  const column::SchemaPtr trades = std::exchange(schema_, orders_);
  column::Batch batch = Rows(rows, ts, first_seq);
  schema_ = trades;
  return batch;
}

void ShardFixture::SetDurability(column::Durability durability) {
  column::TableSchema declared = *schema_;
  declared.durability = durability;
  auto applied = catalog_->Apply(declared, "test");
  ASSERT_TRUE(applied.ok()) << applied.status();
  schema_ = *applied;
}

Write ShardFixture::WriteOf(std::string producer, uint64_t number, column::Batch batch, Ack* ack) {
  Write write;
  write.producer = std::move(producer);
  write.number = BatchNumber(number);
  write.batch = std::move(batch);
  write.done = [ack](Ack answer) { *ack = std::move(answer); };
  return write;
}

Ack ShardFixture::Send(std::string producer, uint64_t number, column::Batch batch) {
  Ack ack;
  ack.status = Internal("no answer");
  Write write = WriteOf(std::move(producer), number, std::move(batch), &ack);
  EXPECT_EQ(shard_->Commit({&write, 1}), 1u);
  return ack;
}

std::vector<std::pair<int64_t, uint64_t>> ShardFixture::Visible() const {
  std::vector<std::pair<int64_t, uint64_t>> rows;
  const hot::ReadGuard guard = shard_->store().Read();
  std::vector<uint32_t> symbols;
  guard.SymbolsOf(schema_->id, &symbols);
  for (const uint32_t symbol : symbols) {
    std::vector<hot::SeriesSnapshot> series;
    guard.SeriesOf(schema_->id, symbol, &series);
    for (const auto& one : series) {
      std::vector<hot::RowRun> runs;
      one.Runs(Timestamp::Min(), Timestamp::Max(), &runs);
      for (const hot::RowRun& run : runs) {
        for (uint32_t row = run.begin; row < run.end; ++row) {
          rows.emplace_back(hot::TimestampsOf(*run.block)[row], hot::SeqsOf(*run.block)[row]);
        }
      }
    }
  }
  std::sort(rows.begin(), rows.end());
  return rows;
}

}  // namespace proxist::shard
