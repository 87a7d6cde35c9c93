// Chunks of a shard read from the files of its snapshots: the same state, the same snapshots, the
// same recovery.
#include "proxist/shard/spill.h"

#include "tests/unit/shard/snapshot_fixture.h"

namespace proxist::shard {
namespace {

class SpillTest : public SnapshotFixture {
 protected:
  [[nodiscard]] hot::TableStats Stats() const { return shard_->store().StatsOf(schema_->id); }
};

TEST_F(SpillTest, NothingIsSpilledBeforeASnapshotHoldsIt) {
  for (int i = 0; i < 80; ++i) WriteRandom();
  EXPECT_EQ(SpillAll(), 0u);
  ASSERT_TRUE(TakeSnapshot().ok());
  const std::string before = Describe();
  const uint64_t bytes = shard_->store().bytes();
  EXPECT_GT(SpillAll(), 0u);
  EXPECT_LT(shard_->store().bytes(), bytes);
  EXPECT_EQ(Describe(), before);
  EXPECT_EQ(SpillAll(), 0u);
}

TEST_F(SpillTest, ASnapshotAfterASpillRefersToTheSamePlaces) {
  for (int i = 0; i < 80; ++i) WriteRandom();
  ASSERT_TRUE(TakeSnapshot().ok());
  ASSERT_GT(SpillAll(), 0u);
  const SpillSource first = shard_->Spilling();
  for (int i = 0; i < 10; ++i) WriteRandom();
  ASSERT_TRUE(TakeSnapshot().ok());
  const SpillSource second = shard_->Spilling();
  EXPECT_GT(second.index->cut, first.index->cut);
  size_t same = 0;
  for (const auto& [id, place] : second.index->chunks) {
    const auto before = first.index->chunks.find(id);
    if (before == first.index->chunks.end()) continue;
    ++same;
    EXPECT_EQ(place, before->second);
  }
  EXPECT_GT(same, 0u);
}

TEST_F(SpillTest, RecoveryLeavesInFilesWhatMemoryHasNoRoomFor) {
  for (int i = 0; i < 120; ++i) WriteRandom();
  ASSERT_TRUE(TakeSnapshot().ok());
  for (int i = 0; i < 10; ++i) WriteRandom();
  const std::string before = Describe();
  ASSERT_TRUE(OpenOver(&memory_).ok());
  EXPECT_EQ(Stats().spilled_chunks, 0u);
  EXPECT_EQ(Describe(), before);
  const uint64_t whole = shard_->store().bytes();
  options_.recovery_memory_bytes = 1;
  ASSERT_TRUE(OpenOver(&memory_).ok());
  EXPECT_GT(Stats().spilled_chunks, 0u);
  EXPECT_LT(shard_->store().bytes(), whole);
  EXPECT_EQ(Describe(), before);
  for (int i = 0; i < 30; ++i) WriteRandom();
  const std::string later = Describe();
  ASSERT_TRUE(TakeSnapshot().ok());
  ASSERT_TRUE(OpenOver(&memory_).ok());
  EXPECT_EQ(Describe(), later);
}

TEST_F(SpillTest, AFileThatIsGoneOrDamagedKeepsTheChunkInMemory) {
  for (int i = 0; i < 80; ++i) WriteRandom();
  ASSERT_TRUE(TakeSnapshot().ok());
  const std::string before = Describe();
  const SpillSource source = shard_->Spilling();
  std::vector<hot::SealedChunk> chunks;
  shard_->store().SealedChunks(&chunks);
  std::erase_if(chunks, [&](const auto& c) { return !source.index->chunks.contains(c.id); });
  ASSERT_FALSE(chunks.empty());
  const hot::ChunkPlace place = source.index->chunks.at(chunks[0].id);
  const std::string path = "snap/" + hot::ChunkFileName(place.file);
  const env::MemoryFileSystem::Bytes whole = memory_.contents().at(path);

  const auto add = [&] {
    SpillReader reader(&shard_->store());
    reader.Use(source);
    hot::SpillBatch batch;
    const Status added = reader.Add(chunks[0], &batch);
    EXPECT_EQ(batch.chunks(), added.ok() ? 1u : 0u);
    EXPECT_EQ(shard_->Spill(std::move(batch)).chunks, added.ok() ? 1u : 0u);
    return added;
  };
  env::MemoryFileSystem::Bytes damaged = whole;
  damaged[place.offset + 100] ^= std::byte{1};
  memory_.Put(path, damaged);
  EXPECT_TRUE(absl::IsDataLoss(add()));
  ASSERT_TRUE(memory_.Remove(path).ok());
  EXPECT_FALSE(add().ok());
  EXPECT_EQ(Stats().spilled_chunks, 0u);
  memory_.Put(path, whole);
  EXPECT_TRUE(add().ok());
  EXPECT_EQ(Describe(), before);
}

TEST_F(SpillTest, ChunksFollowTheirFilesAndReadOnWhenThoseAreRemoved) {
  for (int i = 0; i < 120; ++i) WriteRandom();
  ASSERT_TRUE(TakeSnapshot().ok());
  ASSERT_GT(SpillAll(), 0u);
  uint64_t moved = 0;
  for (int round = 0; round < 12; ++round) {
    for (int i = 0; i < 20; ++i) WriteRandom();
    while (shard_->Stats().backlog_rows > 0) FlushSome();
    EvictSome();
    const std::string before = Describe();
    ASSERT_TRUE(TakeSnapshot().ok());
    EXPECT_EQ(Describe(), before);
    moved += SpillAll();
    EXPECT_EQ(Describe(), before);
  }
  EXPECT_GT(moved, 0u);
}

}  // namespace
}  // namespace proxist::shard
