#include "tests/unit/shard/snapshot_fixture.h"

#include <algorithm>
#include <cstdlib>
#include <set>

#include "tests/unit/format_page.h"

namespace proxist::shard {
namespace {

std::string CellText(const hot::RowBlock& block, uint32_t row, const column::TableSchema& schema,
                     const column::Dictionary& dictionary) {
  std::string text;
  for (size_t c = 0; c < schema.columns.size(); ++c) {
    if (!hot::IsValid(block, c, row)) {
      text += " null";
      continue;
    }
    const std::byte* values = hot::ValuesOf(block, c);
    if (schema.columns[c].type.kind == column::TypeKind::kString) {
      text += fmt::format(" '{}'", AsText(hot::TextOf(block, c, row)));
    } else if (schema.columns[c].type.kind == column::TypeKind::kSymbol) {
      text += fmt::format(" {}", dictionary.At(LoadAt<uint32_t>(values, row)));
    } else {
      text += fmt::format(" {}", LoadAt<int64_t>(values, row));
    }
  }
  return text;
}

std::string RowText(const hot::RowBlock& block, uint32_t row, const column::TableSchema& schema,
                    const column::Dictionary& dictionary) {
  return fmt::format("  {} {} lsn {} op {}{}\n", hot::TimestampsOf(block)[row],
                     hot::SeqsOf(block)[row], hot::LsnOf(block, row).value(),
                     static_cast<int>(hot::OpOf(block, row)),
                     CellText(block, row, schema, dictionary));
}

}  // namespace

SnapshotFixture::SnapshotFixture() {
  options_.wal_directory = "wal";
  options_.snapshot_directory = "snap";
  options_.segment_bytes = 512u << 10;
  options_.max_frame_bytes = 256u << 10;
  options_.prepare_segments = false;  // files in memory belong to one thread
  options_.store.overlay_compact_rows = 16;
  column::TableSchema table;
  table.name = "quotes";
  table.columns = {{ColumnId(1), "venue", {column::TypeKind::kSymbol, 0}, false},
                   {ColumnId(2), "price", {column::TypeKind::kInt64, 0}, false},
                   {ColumnId(3), "note", {column::TypeKind::kString, 0}, true},
                   {ColumnId(4), "flag", {column::TypeKind::kSymbol, 0}, true}};
  table.series = {0};
  const auto schema = catalog_->Apply(table, "test");
  EXPECT_TRUE(schema.ok()) << schema.status();
  schema_ = *schema;
  const Status status = OpenOver(&memory_);
  EXPECT_TRUE(status.ok()) << status;
}

Status SnapshotFixture::OpenOver(env::MemoryFileSystem* files) {
  shard_.reset();
  report_ = {};
  PX_ASSIGN_OR_RETURN(
      shard_,
      Shard::Open(options_, {files, &clock_, metadata_.get(), catalog_.get(), keyring_}, &report_));
  return OkStatus();
}

std::string SnapshotFixture::GoldenName(const std::string& path) const {
  const std::string part = path.ends_with(".chunks") ? ".chunks" : "snapshot-";
  const auto file = std::ranges::find_if(memory_.contents(), [&](const auto& one) {
    return one.first.starts_with("snap/") && one.first.find(part) != std::string::npos;
  });
  EXPECT_NE(file, memory_.contents().end()) << path;
  return file->first;
}

void SnapshotFixture::CompareWithGolden(const std::string& stem) {
  for (const char* suffix : {".snapshot", ".chunks"}) {
    const std::string path = Source(stem + suffix);
    const auto& written = memory_.contents().at(GoldenName(path));
    if (std::getenv("PROXIST_WRITE_GOLDEN") != nullptr) {
      ASSERT_TRUE(env::PosixFileSystem().WriteAtomically(path, written).ok());
    }
    const auto golden = env::PosixFileSystem().ReadAll(path, 1 << 20);
    ASSERT_TRUE(golden.ok()) << golden.status();
    EXPECT_TRUE(*golden == written) << "the bytes written differ from " << path;
  }
  RecoverFromGolden(stem);
}

void SnapshotFixture::RecoverFromGolden(const std::string& stem) {
  const std::string described = Describe();
  for (const char* suffix : {".snapshot", ".chunks"}) {
    const std::string path = Source(stem + suffix);
    const auto golden = env::PosixFileSystem().ReadAll(path, 1 << 20);
    ASSERT_TRUE(golden.ok()) << golden.status();
    memory_.Put(GoldenName(path), *golden);
  }
  ASSERT_TRUE(OpenOver(&memory_).ok());
  EXPECT_GT(report_.snapshot_rows, 0u);
  EXPECT_EQ(report_.rows, 0u);
  EXPECT_EQ(Describe(), described);
}

Status SnapshotFixture::TakeSnapshot() {
  PX_ASSIGN_OR_RETURN(auto job, shard_->BeginSnapshot());
  if (job == nullptr) return OkStatus();
  (void)job->Run();
  return shard_->FinishSnapshot(std::move(job));
}

void SnapshotFixture::AddColumn() {
  column::TableSchema wider = *schema_;
  wider.columns.push_back({ColumnId(0),
                           fmt::format("added{}", wider.columns.size()),
                           {column::TypeKind::kInt64, 0},
                           true});
  const auto applied = catalog_->Apply(wider, "test");
  ASSERT_TRUE(applied.ok()) << applied.status();
  schema_ = *applied;
  shard_->SetSchema(schema_);
}

void SnapshotFixture::WriteRandom() {
  column::BatchBuilder builder(schema_);
  std::set<std::tuple<std::string, int64_t, uint64_t>> used;
  const size_t rows = 1 + random_() % 60;
  for (size_t i = 0; i < rows; ++i) {
    now_ms_ += static_cast<int64_t>(random_() % 3);
    const int64_t back = random_() % 6 == 0 ? static_cast<int64_t>(random_() % 400) : 0;
    const uint64_t venue =
        random_() % 2;  // drawn one by one: compilers order arguments as they like
    const uint64_t symbol = random_() % 3;
    std::tuple key{fmt::format("S{}/{}", symbol, venue), std::max<int64_t>(1, now_ms_ - back),
                   ++seq_};
    auto op = column::Op::kPut;
    if (!keys_.empty() && random_() % 12 == 0) {
      key = keys_[keys_.size() - 1 - random_() % std::min<size_t>(keys_.size(), 300)];
      if (random_() % 2 == 0) op = column::Op::kCancel;
    }
    if (!used.insert(key).second) continue;
    keys_.push_back(key);
    const auto& [series, ms, seq] = key;
    builder.AddRow(series.substr(0, 2), Timestamp(kStartNs + ms * 1'000'000), seq, op);
    builder.SetText(0, series.substr(3));
    builder.SetInt(1, static_cast<int64_t>(random_() % 1000));
    if (random_() % 3 != 0) builder.SetText(2, std::string(random_() % 20, 'n'));
    if (random_() % 3 != 0) builder.SetText(3, fmt::format("f{}", random_() % 40));
    if (schema_->columns.size() > 4 && random_() % 2 == 0) builder.SetInt(4, 9);
  }
  clock_.elapsed_ns = now_ms_ * 1'000'000;
  const bool producer = random_() % 2 == 0;
  const Ack ack = Send(producer ? "p" : "", producer ? ++batch_number_ : 0, builder.Build());
  ASSERT_TRUE(ack.status.ok()) << ack.status;
  while (random_() % 2 == 0 && shard_->Maintain().value_or(false)) {
  }
}

void SnapshotFixture::FlushSome() {
  const FlushTake take = shard_->TakeForFlush(1 + random_() % 300);
  std::vector<meta::Mutation> mutations = take.series;
  if (take.batches.empty()) return;
  const auto& last = take.batches.back();
  persisted_ = Lsn(last.first.value() + last.batch.rows - 1);
  mutations.push_back({"shard/0/persisted", std::to_string(persisted_.value()), std::nullopt});
  ASSERT_TRUE(metadata_->Apply(mutations, "test", "").ok());
  shard_->Persisted(persisted_);
}

void SnapshotFixture::EvictSome() {
  const int64_t ms = now_ms_ - static_cast<int64_t>(random_() % 600);
  const auto result =
      shard_->Evict(schema_->id, Timestamp(kStartNs + ms * 1'000'000), Timestamp::Max());
  ASSERT_TRUE(result.ok()) << result.status();
}

uint64_t SnapshotFixture::SpillAll() {
  SpillReader reader(&shard_->store());
  reader.Use(shard_->Spilling());
  std::vector<hot::SealedChunk> chunks;
  shard_->store().SealedChunks(&chunks);
  hot::SpillBatch batch;
  for (const hot::SealedChunk& chunk : chunks) {
    if (!reader.Holds(chunk) || (chunk.file != 0 && !reader.Moved(chunk))) continue;
    const Status added = reader.Add(chunk, &batch);
    EXPECT_TRUE(added.ok()) << added;
  }
  const uint64_t spilled = shard_->Spill(std::move(batch)).chunks;
  reader.Release();
  return spilled;
}

std::string SnapshotFixture::Describe() const {
  std::map<std::string, std::string> text;  // by series
  const hot::Store& store = shard_->store();
  const hot::ReadGuard guard = store.Read();
  const column::Dictionary& dictionary = store.dictionary();
  std::vector<uint32_t> symbols;
  guard.SymbolsOf(schema_->id, &symbols);
  for (const uint32_t symbol : symbols) {
    std::vector<hot::SeriesSnapshot> list;
    guard.SeriesOf(schema_->id, symbol, &list);
    for (const hot::SeriesSnapshot& series : list) {
      std::string& out = text[fmt::format("{} {}", dictionary.At(symbol),
                                          dictionary.At(series.series_codes()[0]))];
      out = fmt::format(" floor {}\n", series.floor().ns());
      std::vector<hot::RowRun> runs;
      series.Runs(Timestamp::Min(), Timestamp::Max(), &runs);
      for (const hot::RowRun& run : runs) {
        for (uint32_t row = run.begin; row < run.end; ++row) {
          out += RowText(*run.block, row, *schema_, dictionary);
        }
      }
      std::vector<hot::LateRow> late;
      series.LateRows(Timestamp::Min(), Timestamp::Max(), store.persisted(), &late);
      for (const hot::LateRow& row : late) {
        out += " late" + RowText(*row.block, row.row, *schema_, dictionary);
      }
    }
  }
  std::string all = fmt::format("published {} persisted {}\n", store.published().value(),
                                store.persisted().value());
  for (const auto& [producer, number] : shard_->LastBatches()) {
    all += fmt::format("producer {} {}\n", producer, number.value());
  }
  for (const auto& [name, rows] : text) all += name + rows;
  return all;
}

std::map<uint64_t, std::string> SnapshotFixture::Unflushed() {
  std::map<uint64_t, std::string> rows;
  const FlushTake take = shard_->TakeForFlush(1'000'000'000);
  for (const history::SourceBatch& source : take.batches) {
    for (size_t row = 0; row < source.batch.rows; ++row) {
      rows[source.first.value() + row] =
          fmt::format("{} {} {} {} {}", source.batch.symbol.TextAt(row),
                      source.batch.columns[0].TextAt(row), source.batch.ts.At<int64_t>(row),
                      source.batch.seq.At<uint64_t>(row), static_cast<int>(source.batch.OpAt(row)));
    }
  }
  for (const auto& [table, day] : take.rewritten_days) {
    rows[0] += fmt::format("{}/{} ", table.value(), day.value());
  }
  return rows;
}

env::MemoryFileSystem SnapshotFixture::WithoutSnapshots(const env::MemoryFileSystem& files) {
  env::MemoryFileSystem log;
  for (const auto& [path, bytes] : files.contents()) {
    if (!path.starts_with("snap/")) log.Put(path, bytes);
  }
  return log;
}

void SnapshotFixture::ForgetRecycling() {
  const meta::Mutation forget{"shard/0/recycled", std::nullopt, std::nullopt};
  ASSERT_TRUE(metadata_->Apply({&forget, 1}, "test", "").ok());
}

}  // namespace proxist::shard
