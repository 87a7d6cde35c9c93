// Chunks read from files: the same rows as in memory, corrected, evicted and encoded like them.
#include "proxist/hot/spill.h"

#include <filesystem>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "proxist/hot/chunk_file.h"
#include "tests/unit/hot/rows.h"
#include "tests/unit/hot/spill_file.h"

namespace proxist::hot {
namespace {

using ::testing::HasSubstr;

class SpillTest : public testing::Test {
 protected:
  SpillTest() { store_.SetSchema(schema_); }

  /// Rows at 10, 20, ... of series A/x.
  void Write(uint64_t rows) {
    column::BatchBuilder builder(schema_);
    const uint64_t first = lsn_ + 1;
    for (uint64_t i = 0; i < rows; ++i) AddRow(&builder, static_cast<int64_t>((lsn_ + 1) * 10));
    store_.Scatter(builder.Build(), Lsn(first), Timestamp(static_cast<int64_t>(lsn_)));
    store_.Publish(Lsn(lsn_));
  }
  void AddRow(column::BatchBuilder* builder, int64_t ts, column::Op op = column::Op::kPut) {
    ++lsn_;
    builder->AddRow("A", Timestamp(ts), 0, op);
    builder->SetText(0, "x");
    SetCells(*schema_, lsn_, builder);
  }

  /// Every row that a reader sees, each of its cells checked.
  std::vector<std::pair<int64_t, uint64_t>> Rows(size_t* mapped = nullptr) {
    const ReadGuard guard = store_.Read();
    std::vector<SeriesSnapshot> list;
    guard.SeriesOf(kTable, *store_.dictionary().Find("A"), &list);
    std::vector<RowRun> runs;
    list.at(0).Runs(Timestamp::Min(), Timestamp::Max(), &runs);
    std::vector<std::pair<int64_t, uint64_t>> rows;
    for (const RowRun& run : runs) {
      if (mapped != nullptr && run.block->mapped()) *mapped += run.end - run.begin;
      for (uint32_t row = run.begin; row < run.end; ++row) {
        rows.emplace_back(run.block->ts()[row], run.block->lsn(row));
        for (size_t c = 1; c < schema_->columns.size(); ++c) {
          EXPECT_EQ(
              CheckCell(*run.block, row, c, schema_->columns[c].type.kind, store_.dictionary()),
              "");
        }
      }
    }
    return rows;
  }
  static bool All(const SealedChunk&) { return true; }

  column::SchemaPtr schema_ = EveryType();
  Store store_{StoreOptions{.overlay_compact_rows = 8, .max_readers = 4, .huge_pages = false}};
  SpillFiles files_;
  uint64_t lsn_ = 0;
};

TEST_F(SpillTest, ReadsTheSameFromAFile) {
  Write(3000);
  const auto before = Rows();
  files_.Place(&store_);
  const uint64_t bytes = store_.StatsOf(kTable).bytes;
  const SpillResult result = files_.Spill(&store_, All);
  EXPECT_GT(result.chunks, 4U);
  EXPECT_EQ(store_.StatsOf(kTable).bytes, bytes - result.bytes);
  EXPECT_LT(store_.StatsOf(kTable).bytes, bytes / 2);
  EXPECT_EQ(store_.StatsOf(kTable).spilled_chunks, result.chunks);
  EXPECT_GT(store_.StatsOf(kTable).spilled_bytes, 0U);
  EXPECT_EQ(store_.StatsOf(kTable).rows, 3000U);
  size_t mapped = 0;
  EXPECT_EQ(Rows(&mapped), before);
  EXPECT_GT(mapped, 2000U);
  // Nothing is left to spill, until the chunks move.
  EXPECT_EQ(files_.Spill(&store_, All).chunks, 0U);
  files_.Move();
  EXPECT_EQ(files_.Spill(&store_, All).chunks, result.chunks);
  EXPECT_EQ(Rows(), before);
  Write(1000);
  EXPECT_EQ(Rows().size(), 4000U);
}

TEST_F(SpillTest, MemoryWaitsForReaders) {
  Write(3000);
  files_.Place(&store_);
  const uint64_t bytes = store_.bytes();
  {
    const ReadGuard guard = store_.Read();
    EXPECT_GT(files_.Spill(&store_, All).bytes, 0U);
    EXPECT_GE(store_.bytes(), bytes);
  }
  store_.Maintain();
  EXPECT_LT(store_.bytes(), bytes / 2);
}

TEST_F(SpillTest, ACorrectionMakesNewMemory) {
  Write(3000);
  files_.Place(&store_);
  files_.Spill(&store_, All);
  const uint64_t spilled = store_.StatsOf(kTable).spilled_chunks;
  store_.SetPersisted(Lsn(lsn_));
  column::BatchBuilder builder(schema_);
  const uint64_t first = lsn_ + 1;
  for (int64_t i = 0; i < 600; ++i) AddRow(&builder, (i + 1) * 10);
  AddRow(&builder, 7000, column::Op::kCancel);
  store_.Scatter(builder.Build(), Lsn(first), Timestamp(0));
  store_.Publish(Lsn(lsn_));
  store_.SetPersisted(Lsn(lsn_));
  const auto before = Rows();
  EXPECT_EQ(before.size(), 2999U);
  while (store_.Maintain()) {
  }
  EXPECT_EQ(Rows(), before);
  EXPECT_EQ(before[0].second, first);
  EXPECT_EQ(store_.StatsOf(kTable).overlay_rows, 0U);
  EXPECT_LT(store_.StatsOf(kTable).spilled_chunks, spilled);
  EXPECT_GT(store_.StatsOf(kTable).spilled_chunks, 0U);
}

TEST_F(SpillTest, WhatIsEvictedLeavesItsFile) {
  Write(3000);
  files_.Place(&store_);
  files_.Spill(&store_, All);
  store_.SetPersisted(Lsn(lsn_));
  const auto plan = store_.PlanEviction(kTable, Timestamp(20'001), Timestamp::Max());
  EXPECT_EQ(store_.Evict(kTable, plan).rows, 2000U);
  EXPECT_EQ(Rows().size(), 1000U);
  const auto rest = store_.PlanEviction(kTable, Timestamp::Max(), Timestamp::Max());
  EXPECT_EQ(store_.Evict(kTable, rest).rows, 1000U);
  EXPECT_EQ(store_.StatsOf(kTable).spilled_chunks, 0U);
  EXPECT_EQ(store_.StatsOf(kTable).spilled_bytes, 0U);
}

TEST_F(SpillTest, AChunkIsEncodedFromItsFileAsItWasFromMemory) {
  Write(3000);
  files_.Place(&store_);
  files_.Spill(&store_, All);
  SpillFiles again;
  again.Place(&store_);
  ASSERT_EQ(again.places().size(), files_.places().size());
  for (const auto& [id, place] : files_.places()) {
    const auto& [second, file] = again.places().at(id);
    EXPECT_EQ(second.checksum, place.first.checksum);
    EXPECT_EQ(second.bytes, place.first.bytes);
  }
}

TEST_F(SpillTest, LeavesOutWhatChangedMeanwhile) {
  Write(3000);
  files_.Place(&store_);
  std::vector<SealedChunk> chunks;
  store_.SealedChunks(&chunks);
  SpillBatch batch;
  for (const SealedChunk& chunk : chunks) {
    const auto& [place, file] = files_.places().at(chunk.id);
    ASSERT_TRUE(batch.Add(store_, chunk, place, file).ok());
  }
  EXPECT_EQ(batch.chunks(), chunks.size());
  store_.SetPersisted(Lsn(lsn_));
  store_.Evict(kTable, store_.PlanEviction(kTable, Timestamp(20'001), Timestamp::Max()));
  const auto before = Rows();
  const SpillResult result = store_.Spill(std::move(batch));
  EXPECT_GT(result.chunks, 0U);
  EXPECT_LT(result.chunks, chunks.size());
  EXPECT_EQ(Rows(), before);
}

TEST_F(SpillTest, DamageIsFoundBeforeAChunkIsRead) {
  Write(3000);
  files_.Place(&store_);
  std::vector<SealedChunk> chunks;
  store_.SealedChunks(&chunks);
  const auto& [place, file] = files_.places().at(chunks[0].id);
  SpillBatch batch;
  for (const uint64_t at : {place.offset, place.offset + 200, place.offset + place.bytes - 70}) {
    std::vector<std::byte> bytes(file->bytes().begin(), file->bytes().end());
    bytes[at] ^= std::byte{4};
    const auto damaged = std::make_shared<const env::CopiedFile>(bytes);
    EXPECT_TRUE(absl::IsDataLoss(batch.Add(store_, chunks[0], place, damaged))) << at;
  }
  const auto cut = std::make_shared<const env::CopiedFile>(file->bytes().first(place.offset + 10));
  EXPECT_TRUE(absl::IsDataLoss(batch.Add(store_, chunks[0], place, cut)));
  EXPECT_TRUE(
      absl::IsDataLoss(batch.Add(store_, chunks[0], files_.places().at(chunks[1].id).first, file)));
  EXPECT_EQ(batch.chunks(), 0U);
  EXPECT_EQ(store_.Spill(std::move(batch)).chunks, 0U);
}

TEST_F(SpillTest, MapsTheChunkFilesOfItsShardAlone) {
  std::string directory = (std::filesystem::temp_directory_path() / "px_spill_XXXXXX").string();
  ASSERT_NE(::mkdtemp(directory.data()), nullptr);
  env::FileSystem* host = &env::PosixFileSystem();
  const FileIdentity mine{5, ShardId(1)};
  auto writer = ChunkFileWriter::Create(host, directory, 3, Epoch(1), mine);
  ASSERT_TRUE(writer.ok());
  ASSERT_TRUE((*writer)->Finish().ok());
  const std::string path = directory + "/" + ChunkFileName(3);
  const auto mapped = MapChunkFile(host, path, mine);
  ASSERT_TRUE(mapped.ok()) << mapped.status();
  EXPECT_EQ((*mapped)->bytes().size(), kChunkFileHeaderBytes);
  const auto foreign = MapChunkFile(host, path, {6, ShardId(1)});
  EXPECT_TRUE(absl::IsFailedPrecondition(foreign.status()));
  EXPECT_THAT(foreign.status().ToString(), HasSubstr("another data directory"));
  std::filesystem::remove_all(directory);
}

}  // namespace
}  // namespace proxist::hot
