// Kept blocks answer what they hold, and nothing that may have changed.
#include <gtest/gtest.h>

#include "tests/unit/query/random_plan.h"
#include "tests/unit/query/world.h"

namespace proxist::query {
namespace {

class ColdCacheTest : public ::testing::Test {
 protected:
  ColdCacheTest() {
    world_.AddTable(table_);
    for (int64_t ts = 100; ts < 200; ++ts) world_.Publish(table_, {RowAt(ts, 1)});
    world_.PersistAll();
    world_.Evict(table_, Timestamp(150));
  }
  ModelRow RowAt(int64_t ts, int64_t value) {
    ModelRow row;
    row.symbol = "A";
    row.ts = ts;
    row.cells = {std::string("P"), value};
    return row;
  }
  /// Asks for a range and gives how often history was read for it.
  uint64_t ReadsOf(int64_t begin, int64_t end, const std::string& where = "") {
    Range range;
    range.from.table = table_->name;
    range.from.where = where;
    range.begin = Timestamp(begin);
    range.end = Timestamp(end);
    RowTests tests;
    if (!where.empty()) {
      tests.main = [](const ModelRow& row) { return std::get<int64_t>(row.cells[1]) > 0; };
    }
    Explain explain;
    const StatusOr<Answer> answer = world_.Ask({range, std::nullopt}, {}, &explain);
    EXPECT_EQ(answer.status(), OkStatus());
    if (answer.ok()) {
      EXPECT_EQ(FormatAnswer(*answer), FormatAnswer(world_.Expected({range, std::nullopt}, tests)));
    }
    return explain.history_reads;
  }

  const column::SchemaPtr table_ = ApplyTable([] {
    column::TableSchema schema;
    schema.name = "kept";
    schema.columns = {{ColumnId(1), "venue", {column::TypeKind::kSymbol}, false},
                      {ColumnId(2), "value", {column::TypeKind::kInt64}, false}};
    schema.series = {0};
    schema.seq = column::SeqMode::kProducer;
    return schema;
  }());
  World world_{1};
};

TEST_F(ColdCacheTest, WhatWasReadIsNotReadAgain) {
  EXPECT_EQ(ReadsOf(110, 140), 1U);
  EXPECT_EQ(ReadsOf(110, 140), 0U);
  EXPECT_EQ(ReadsOf(120, 130), 0U);  // inside it
  EXPECT_EQ(ReadsOf(120, 145), 1U);  // beyond it
  const ColdCacheStats stats = world_.engine().cold_cache();
  EXPECT_EQ(stats.hits, 2U);
  EXPECT_EQ(stats.misses, 2U);
  EXPECT_EQ(stats.blocks, 2U);
  EXPECT_GT(stats.bytes, 0U);
  EXPECT_LE(stats.bytes, stats.max_bytes);
}

TEST_F(ColdCacheTest, OtherConditionsAreReadAnew) {
  EXPECT_EQ(ReadsOf(110, 140), 1U);
  EXPECT_EQ(ReadsOf(110, 140, "value > 0"), 1U);
  EXPECT_EQ(ReadsOf(110, 140, "value > 0"), 0U);
}

TEST_F(ColdCacheTest, CorrectionsAndLateRowsEndABlock) {
  EXPECT_EQ(ReadsOf(110, 140), 1U);
  world_.Publish(table_, {RowAt(120, -5)});  // over the block, from memory
  EXPECT_EQ(ReadsOf(110, 140), 0U);
  world_.PersistAll();
  EXPECT_EQ(ReadsOf(110, 140), 1U);
  EXPECT_EQ(ReadsOf(110, 140), 0U);
  ModelRow late = RowAt(125, 9);
  late.seq = 4;
  world_.Publish(table_, {late});
  world_.PersistAll();
  EXPECT_EQ(ReadsOf(110, 140), 1U);
}

TEST_F(ColdCacheTest, RowsThatLeaveMemoryAreNotMissed) {
  // Read up to the floor; then the floor rises and new rows lie below it.
  EXPECT_EQ(ReadsOf(110, 180), 1U);
  world_.Evict(table_, Timestamp(170));
  EXPECT_EQ(ReadsOf(110, 180), 1U);
  // A series that came later is in history alone once it is evicted.
  ModelRow other = RowAt(155, 3);
  other.cells[0] = std::string("Q");
  world_.Publish(table_, {other});
  world_.PersistAll();
  world_.Evict(table_, Timestamp(175));
  EXPECT_EQ(ReadsOf(110, 180), 1U);
  EXPECT_EQ(ReadsOf(110, 180), 0U);
}

}  // namespace
}  // namespace proxist::query
